"""Arguments that several tools take."""

from typing import Annotated

from pydantic import Field

Repo = Annotated[str, Field(description="owner/name")]
Number = Annotated[int, Field(ge=1, description="Its number.")]
Ref = Annotated[str, Field(description="Branch, tag or commit; the default branch without it.")]
Limit = Annotated[int, Field(ge=1, le=100, description="Most rows.")]
Cursor = str | None  # what it is, is the same everywhere
OnlyFile = Annotated[str, Field(description="Only the changes of this path.")]

"""Arguments that several tools have."""

from typing import Annotated

from pydantic import Field

FileId = Annotated[str, Field(description="Its id.", pattern="^[A-Za-z0-9_-]{1,200}$")]
FolderId = Annotated[str, Field(description="The folder's id.", pattern="^[A-Za-z0-9_-]{1,200}$")]
Cursor = str | None
Account = Annotated[str | None, Field(description="As whom.")]
Limit = Annotated[int, Field(ge=1, le=200, description="Most rows.")]

"""Arguments that several tools take, described once."""

from typing import Annotated

from pydantic import Field

Path = Annotated[str, Field(description="Absolute, or relative if one directory is allowed.", max_length=4_096)]
Cursor = Annotated[str | None, Field(description="From a truncated result, to go on.")]
Limit = Annotated[int, Field(ge=1, le=10_000, description="Most entries.")]
Glob = Annotated[str, Field(min_length=1, max_length=1_000)]
Exclude = Annotated[list[Glob] | None, Field(max_length=50, description="Globs to leave out, with all below.")]
Gitignore = Annotated[bool, Field(description="Leave out what .gitignore says.")]

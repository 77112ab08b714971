"""Arguments that several tools take, described once."""

from typing import Annotated, Literal

from pydantic import Field

MOST_RESULTS = 50

QueryText = Annotated[str, Field(description="What to search for.", min_length=1, max_length=400)]
Limit = Annotated[int, Field(ge=1, le=MOST_RESULTS, description="Most results.")]
Freshness = Annotated[
    str | None,
    Field(
        description="day, week, month, year, or 2026-01-31..2026-02-28.",
        pattern=r"^(day|week|month|year|\d{4}-\d\d-\d\d\.\.\d{4}-\d\d-\d\d)$",
    ),
]
Country = Annotated[str | None, Field(description="Two letters: DE.", pattern="^[A-Za-z]{2}$")]
Language = Annotated[str | None, Field(description="de, pt-br…", pattern="^[A-Za-z]{2,3}(-[A-Za-z]{2,4})?$")]
Domains = Annotated[
    list[Annotated[str, Field(pattern=r"^-?[A-Za-z0-9.-]{1,253}$")]] | None,
    Field(description="Only these domains; with a leading - all but these.", max_length=20),
]
SafeSearch = Annotated[Literal["off", "moderate", "strict"], Field(description="Filter for adult content.")]
Cursor = Annotated[str | None, Field(description="From a truncated result, to go on.")]

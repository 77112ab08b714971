"""Workflows that people repeat."""

from typing import Annotated

from mcp_server_shared.call import Call
from mcp_server_shared.output import Attached, Said
from pydantic import Field

from mcp_server_postgres.database import Database
from mcp_server_postgres.resources import describe


async def explore_table(
    call: Call[Database],
    table: Annotated[str, Field(description="The table or view.")],
    schema: Annotated[str, Field(description="Its schema.")] = "public",
) -> list[Said | Attached]:
    """Get to know one table: what it holds, how it is connected, what is odd about it."""
    found = await call.state.describe_table(schema, table)
    return [
        Said(
            f"Explore {schema}.{table} with the query tool. Say what a row stands for, which columns matter and what "
            "values they take (sample and aggregate, never read the whole table), which tables it joins to and by "
            "what, and what looks odd: nulls, duplicates, dates out of range. Name the queries you ran."
        ),
        Attached(f"postgres:///{schema}/{table}", describe(found)),
    ]

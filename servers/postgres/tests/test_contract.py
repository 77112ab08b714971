"""The promises that every server makes, for this one."""

import pytest
from mcp_server_postgres.__main__ import program
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_shared.contract import Example, Subject, checks

globals().update(checks())


@pytest.fixture(scope="module")
def subject(postgres: EmbeddedPostgres) -> Subject:
    return Subject(
        program=program,
        arguments=[postgres.start()],
        examples=[
            Example("query", {"sql": "select n, repeat('ü', 50) from generate_series(1, 100) n"}),
            Example("query", {"sql": "select $1::text", "params": ["\u202e"]}),
            Example("search_objects", paged=True),
            Example("search_objects", {"pattern": "*", "schema": "pg_catalog", "kinds": ["view"]}, paged=True),
        ],
        resources=["postgres:///public/orders"],
        prompts=[Example("explore_table", {"table": "orders"})],
        slow=[Example("query", {"sql": "select pg_sleep(600)"})],
        upstream_hint="DATABASE_URL",
    )

"""What a client of the PostgreSQL server sees, in both eras, with a real database behind it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolResult,
    EmbeddedResource,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)
from mcp_server_postgres.server import build_server
from mcp_server_postgres.settings import Settings
from mcp_server_shared.errors import ERROR_META_KEY
from pydantic import SecretStr

pytestmark = pytest.mark.anyio

Connect = Callable[..., AbstractAsyncContextManager[Client]]
TABLE = ResourceTemplateReference(type="ref/resource", uri="postgres:///{schema}/{table}")


@pytest.fixture(params=["legacy", "2026-07-28"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Return a function that connects a client of one era to a server with these settings."""

    def to_server(**settings: Any) -> Client:
        return Client(build_server(Settings(**settings)), mode=request.param)

    return to_server


def url(text: str) -> SecretStr:
    return SecretStr(text)


async def test_a_query_answers_typed_columns_and_rows(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        result = await client.call_tool("query", {"sql": "select id, name from customers where id = $1", "params": [1]})
    assert result.structured_content == {
        "count": 1,
        "untrusted": {"columns": [["id", "integer"], ["name", "text"]], "rows": [[1, "Björn Okafor"]]},
    }


async def test_more_rows_than_asked_for_are_announced(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        result = await client.call_tool("query", {"sql": "table customers", "max_rows": 2})
    assert (structured(result)["count"], structured(result)["truncated"]) == (2, True)


async def test_a_cut_cell_is_announced_with_its_column_and_length(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        result = await client.call_tool("query", {"sql": "select 1, repeat('x', 5000)"})
    assert structured(result)["cut_cells"] == {"columns": [1], "shown_characters": 2000, "longest": 5000}


async def test_a_misspelt_table_is_answered_with_the_right_name(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        result = await client.call_tool("query", {"sql": "select * from ordrs"})
    assert "Did you mean public.orders" in text_of(result)


async def test_a_write_is_refused_as_read_only(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        result = await client.call_tool("query", {"sql": "delete from orders"})
    assert (result.meta or {})[ERROR_META_KEY]["code"] == "permission_denied"


async def test_a_slow_statement_ends_with_the_deadline_of_the_call(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url), deadline_s=0.5) as client:
        result = await client.call_tool("query", {"sql": "select pg_sleep(60)"})
    assert (result.meta or {})[ERROR_META_KEY]["code"] == "timeout"


async def test_objects_page_by_cursor_without_repeating(connect: Connect, reader_url: str) -> None:
    names: list[str] = []
    arguments: dict[str, Any] = {"kinds": ["table", "view"], "limit": 2}
    async with connect(database_url=url(reader_url)) as client:
        while True:
            page = structured(await client.call_tool("search_objects", arguments))
            names += [row[1] for row in page["untrusted"]["rows"]]
            if "cursor" not in page:
                break
            arguments["cursor"] = page["cursor"]
    assert names == ["customers", "order_items", "order_totals", "orders", "products"]


async def test_a_table_is_a_resource_with_its_columns_and_keys(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        (contents,) = (await client.read_resource("postgres:///public/orders")).contents
    assert isinstance(contents, TextResourceContents)
    assert 'foreign key ["customer_id"] references public.customers ["id"]' in contents.text


async def test_a_missing_table_is_a_protocol_error_with_candidates(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        with pytest.raises(MCPError, match=r"public\.orders") as refused:
            await client.read_resource("postgres:///public/ordrs")
    assert refused.value.error.data[ERROR_META_KEY]["code"] == "not_found"


@pytest.mark.parametrize(
    ("argument", "value", "context", "expected"),
    [
        ("schema", "pub", {}, ["public"]),
        ("table", "order", {"schema": "public"}, ["order_items", "order_totals", "orders"]),
        ("table", "order", {"schema": "nowhere"}, []),
    ],
)
async def test_the_variables_of_a_table_are_completed(
    connect: Connect, reader_url: str, argument: str, value: str, context: dict[str, str], expected: list[str]
) -> None:
    async with connect(database_url=url(reader_url)) as client:
        result = await client.complete(TABLE, {"name": argument, "value": value}, context_arguments=context)
    assert result.completion.values == expected


async def test_the_prompt_carries_the_table_it_is_about(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        instruction, attached = (await client.get_prompt("explore_table", {"table": "orders"})).messages
    assert isinstance(instruction.content, TextContent)
    assert isinstance(attached.content, EmbeddedResource)
    assert attached.content.resource.uri == "postgres:///public/orders"


async def test_the_prompts_arguments_are_completed(connect: Connect, reader_url: str) -> None:
    prompt = PromptReference(type="ref/prompt", name="explore_table")
    async with connect(database_url=url(reader_url)) as client:
        result = await client.complete(prompt, {"name": "table", "value": "prod"})
    assert result.completion.values == ["products"]


async def test_a_dead_database_is_told_without_the_password(connect: Connect) -> None:
    async with connect(database_url=url("postgresql://joe:pa55word@127.0.0.1:1/shop")) as client:
        result = await client.call_tool("query", {"sql": "select 1"})
    assert ((result.meta or {})[ERROR_META_KEY]["code"], "pa55word" in text_of(result)) == ("unavailable", False)


@pytest.mark.slow
async def test_an_embedded_database_needs_no_credential(connect: Connect) -> None:
    async with connect(embedded="") as client:
        result = await client.call_tool("query", {"sql": "select count(*) from products"})
    assert structured(result)["untrusted"]["rows"] == [[24]]


def text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def structured(result: CallToolResult) -> dict[str, Any]:
    content: Any = result.structured_content
    assert isinstance(content, dict)
    return cast(dict[str, Any], content)

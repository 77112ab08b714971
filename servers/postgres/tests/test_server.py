"""What a client of the PostgreSQL server sees, in both eras, with a real database behind it."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import asyncpg
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp.types import (
    CallToolResult,
    EmbeddedResource,
    EmptyResult,
    PromptReference,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
)
from mcp_server_postgres.resources import address
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


@pytest.mark.parametrize(
    ("cell", "columns", "budget"),
    [
        ("repeat('x', 1900)", 50, 25_000),
        ("repeat(chr(8238), 1900)", 50, 25_000),
        ("repeat('\"', 1900)", 50, 25_000),
        ("repeat('x', 1900)", 1_000, 25_000),
        ("repeat('x', 1900)", 3, 1_000),
        ("repeat('x', 1900)", 20, 1_000),
    ],
)
async def test_a_row_wider_than_the_budget_is_shown_with_its_cells_cut_further(
    connect: Connect, reader_url: str, cell: str, columns: int, budget: int
) -> None:
    sql = f"select {', '.join([f'{cell} as c'] * columns)} from generate_series(1, 2)"
    async with connect(database_url=url(reader_url), max_output_characters=budget) as client:
        result = await client.call_tool("query", {"sql": sql})
        cursor = structured(result)["cursor"]
        rest = structured(await client.call_tool("query", {"sql": sql, "cursor": cursor}))
    assert (structured(result)["count"], rest["count"], "cursor" in rest) == (1, 1, False)
    assert structured(result)["cut_cells"]["longest"] == 1900
    assert structured(result)["cut_cells"]["shown_characters"] < 1900
    assert len(text_of(result)) <= budget


async def test_a_misspelt_table_is_answered_with_the_right_name(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        result = await client.call_tool("query", {"sql": "select * from ordrs"})
    assert "Did you mean public.orders" in text_of(result)


@pytest.mark.parametrize(("sql", "lasts_no_longer"), [("set search_path = app", True), ("select from orders", False)])
async def test_a_setting_that_ends_with_its_call_is_said_to(
    connect: Connect,
    reader_url: str,
    sql: str,
    lasts_no_longer: bool,  # noqa: FBT001
) -> None:
    async with connect(database_url=url(reader_url)) as client:
        text = text_of(await client.call_tool("query", {"sql": sql}))
    assert ('"result":"SET","note":"Nothing of it lasts' in text) == lasts_no_longer


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
    assert "FOREIGN KEY (customer_id) REFERENCES customers(id)" in contents.text


async def test_a_missing_table_is_a_protocol_error_with_candidates(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        with pytest.raises(MCPError, match=r"public\.orders") as refused:
            await client.read_resource("postgres:///public/ordrs")
    assert refused.value.error.data[ERROR_META_KEY]["code"] == "not_found"


async def test_a_schema_is_a_resource_with_its_tables(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        (contents,) = (await client.read_resource("postgres:///public")).contents
    assert isinstance(contents, TextResourceContents)
    assert '["orders","table",240,"One row for each order; its lines are in order_items."]' in contents.text


async def test_a_missing_schema_is_not_found(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        with pytest.raises(MCPError, match="no schema nowhere") as refused:
            await client.read_resource("postgres:///nowhere")
    assert refused.value.error.data[ERROR_META_KEY]["code"] == "not_found"


async def test_a_plan_names_its_slow_steps_and_their_notes(connect: Connect, database_url: str) -> None:
    await made_big(database_url)
    async with connect(database_url=url(as_role(database_url))) as client:
        sql = {"sql": "select * from big where k = 7", "analyze": True}
        result = structured(await client.call_tool("explain_query", sql))
    rows = result["untrusted"]["rows"]
    assert result["slow_steps"] == [1]
    assert "an index on (k) may help" in rows[0][-1][0]
    assert rows[0][result["untrusted"]["columns"].index("actual_rows")] == 20


@pytest.mark.parametrize("analyze", [False, True])
async def test_a_plan_longer_than_the_budget_goes_on(connect: Connect, reader_url: str, analyze: bool) -> None:  # noqa: FBT001
    sql = " union all ".join(f"select id from orders where id = {n}" for n in range(60))
    arguments: dict[str, Any] = {"sql": sql, "analyze": analyze}
    steps: list[int] = []
    async with connect(database_url=url(reader_url), max_output_characters=4_000) as client:
        while True:
            page = structured(await client.call_tool("explain_query", arguments))
            steps += [row[0] for row in page["untrusted"]["rows"]]
            if "cursor" not in page:
                break
            arguments["cursor"] = page["cursor"]
    assert steps == list(range(1, 62))


async def test_a_statement_above_the_cost_limit_is_planned_but_not_run(connect: Connect, reader_url: str) -> None:
    sql = "select * from orders a, orders b"
    async with connect(database_url=url(reader_url), max_cost=10.0) as client:
        planned = await client.call_tool("explain_query", {"sql": sql})
        refused = await client.call_tool("explain_query", {"sql": sql, "analyze": True})
    assert not planned.is_error
    assert (refused.meta or {})[ERROR_META_KEY]["code"] == "too_large"


async def test_a_table_is_described_and_joined_to_another(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        arguments = {"table": "customers", "join_to": "products"}
        rows = structured(await client.call_tool("describe_table", arguments))["untrusted"]["rows"]
    parts = ["table", "columns", "constraints", "referenced_by", "indexes", "statistics", "join_path"]
    assert list(dict.fromkeys(row[0] for row in rows)) == parts
    assert len(rows[-1][2]) == 3


async def test_a_description_pages_without_gap_or_repeat(connect: Connect, reader_url: str) -> None:
    pages: list[Any] = []
    whole: list[Any] = []
    arguments: dict[str, Any] = {"table": "customers"}
    async with connect(database_url=url(reader_url)) as client:
        whole = structured(await client.call_tool("describe_table", arguments))["untrusted"]["rows"]
    async with connect(database_url=url(reader_url), max_output_characters=1500) as client:
        while True:
            page = structured(await client.call_tool("describe_table", arguments))
            pages += page["untrusted"]["rows"]
            if "cursor" not in page:
                break
            arguments["cursor"] = page["cursor"]
    assert pages == whole


async def test_detail_decides_what_is_said_of_each_object(connect: Connect, reader_url: str) -> None:
    found: dict[str, Any] = {}
    async with connect(database_url=url(reader_url)) as client:
        for detail in ("names", "summary", "full"):
            arguments = {"pattern": "order_status", "kinds": ["type"], "detail": detail}
            (found[detail],) = structured(await client.call_tool("search_objects", arguments))["untrusted"]["rows"]
    name = ["public", "order_status", "type"]
    assert found == {
        "names": name,
        "summary": [*name, None, None],
        "full": [*name, None, None, ["pending", "paid", "shipped", "cancelled"]],
    }


async def test_schemas_are_listed(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        rows = structured(await client.call_tool("list_schemas", {}))["untrusted"]["rows"]
    assert [row[0:1] + row[2:5] for row in rows] == [["public", 4, 1, 0]]


async def test_health_says_what_was_checked_and_what_was_hidden(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        result = structured(await client.call_tool("check_health", {"checks": ["sequences", "constraints"]}))
    assert (result["count"], result["checked"]) == (0, ["sequences", "constraints"])


@pytest.mark.parametrize(
    ("tool", "extension"), [("top_queries", "pg_stat_statements"), ("recommend_indexes", "hypopg")]
)
async def test_a_missing_extension_is_unsupported_and_named(
    connect: Connect, reader_url: str, tool: str, extension: str
) -> None:
    async with connect(database_url=url(reader_url)) as client:
        result = await client.call_tool(tool, {})
    assert (result.meta or {})[ERROR_META_KEY]["code"] == "unsupported"
    assert f"CREATE EXTENSION {extension}" in text_of(result)


async def test_a_slow_query_comes_with_its_tables(connect: Connect, reader_url: str) -> None:
    async with connect(database_url=url(reader_url)) as client:
        messages = (await client.get_prompt("speed_up_query", {"sql": "select * from order_totals"})).messages
    attached = [m.content.resource.uri for m in messages if isinstance(m.content, EmbeddedResource)]
    assert sorted(attached) == [f"postgres:///public/{name}" for name in ("customers", "order_items", "orders")]


@pytest.mark.slow
async def test_a_handshake_era_subscriber_hears_of_a_change_in_a_schema(database_url: str) -> None:
    heard: list[str] = []

    async def note(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(message.params.uri)

    await made_big(database_url)
    settings = Settings(database_url=url(as_role(database_url)))
    async with Client(build_server(settings), mode="legacy", message_handler=note) as client:
        request = SubscribeRequest(params=SubscribeRequestParams(uri="postgres:///public/big"))
        await client.session.send_request(request, EmptyResult)
        await changed_until(database_url, lambda: heard)
    assert set(heard) == {"postgres:///public/big"}


@pytest.mark.slow
async def test_a_listener_hears_of_a_change_in_a_schema(database_url: str) -> None:
    await made_big(database_url)
    settings = Settings(database_url=url(as_role(database_url)))
    async with (
        Client(build_server(settings), mode="2026-07-28") as client,
        client.listen(resource_subscriptions=["postgres:///public"]) as events,
    ):
        heard = asyncio.create_task(anext(aiter(events)))
        await changed_until(database_url, heard.done)
    assert heard.result() == ResourceUpdated(uri="postgres:///public")


async def changed_until(dsn: str, heard: Callable[[], object]) -> None:
    """Change the schema again and again: the first look at it may come after a change."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(60):
            number = 0
            while not heard():
                number += 1
                await connection.execute(f"comment on table big is 'change {number}'")
    finally:
        await connection.close()


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


async def made_big(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("create table big as select n, n % 1000 as k from generate_series(1, 20000) as n")
        await connection.execute("grant select on big to reader")
        await connection.execute("analyze big")
    finally:
        await connection.close()


def as_role(dsn: str, role: str = "reader") -> str:
    return dsn.replace("postgres@", f"{role}@", 1)


def text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def structured(result: CallToolResult) -> dict[str, Any]:
    content: Any = result.structured_content
    assert isinstance(content, dict)
    return cast(dict[str, Any], content)


@pytest.mark.parametrize("names", [("a/b c", "%41#?"), ("üñ", "tab\tle"), ("plain", "orders")])
def test_an_address_is_read_back_as_the_names_it_was_made_of(names: tuple[str, str]) -> None:
    found = build_server(Settings()).registry.find_resource(address("", *names))
    assert found is not None
    assert (found[1]["schema"], found[1]["table"]) == names

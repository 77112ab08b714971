"""What a client sees of query, execute and apply_migration, in both eras, with a real database behind them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent
from mcp_server_postgres.server import build_server
from mcp_server_postgres.settings import Settings
from mcp_server_shared.errors import ERROR_META_KEY
from pydantic import SecretStr

pytestmark = pytest.mark.anyio

Connect = Callable[..., AbstractAsyncContextManager[Client]]
NUMBERS = {"sql": "select n from generate_series(1, 5000) n", "max_rows": 2000}


class Person:
    """Answers every question in the same way, and remembers them."""

    def __init__(self, *, agrees: bool) -> None:
        self.asked: list[str] = []
        self._answer = ElicitResult(action="accept" if agrees else "decline", content={"confirm": agrees})

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        return self._answer


@pytest.fixture(params=["legacy", "2026-07-28"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Return a function that connects a client of one era to a server with these settings."""

    def to_server(url: str, person: Person | None = None, **settings: Any) -> Client:
        server = build_server(Settings(database_url=SecretStr(url), **settings))
        return Client(server, mode=request.param, elicitation_callback=person)

    return to_server


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    return cast("dict[str, Any]", result.structured_content)


async def code_of(client: Client, tool: str, **arguments: Any) -> str:
    return ((await client.call_tool(tool, arguments)).meta or {})[ERROR_META_KEY]["code"]


def text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


# Pages of a query


async def test_a_cursor_goes_on_exactly_after_the_rows_that_were_shown(connect: Connect, reader_url: str) -> None:
    numbers: list[int] = []
    arguments: dict[str, Any] = dict(NUMBERS)
    async with connect(reader_url, max_output_characters=2_000) as client:
        while True:
            page = await ask(client, "query", **arguments)
            numbers += [row[0] for row in page["untrusted"]["rows"]]
            if "cursor" not in page:
                break
            arguments["cursor"] = page["cursor"]
    assert numbers == list(range(1, 5001))


async def test_a_complete_result_that_does_not_fit_the_budget_goes_on_too(connect: Connect, reader_url: str) -> None:
    shown = "select repeat('x', 97) from generate_series(1, 19)"
    async with connect(reader_url, max_output_characters=2_000) as client:
        first = await ask(client, "query", sql=shown)
        second = await ask(client, "query", sql=shown, cursor=first["cursor"])
    assert (first["count"] + second["count"], "cursor" in second) == (19, False)


async def test_a_cursor_belongs_to_its_statement(connect: Connect, reader_url: str) -> None:
    async with connect(reader_url) as client:
        cursor = (await ask(client, "query", **NUMBERS | {"max_rows": 1}))["cursor"]
        assert await code_of(client, "query", sql="select 1", cursor=cursor) == "invalid_argument"


async def test_a_cursor_of_an_evicted_result_is_not_found(connect: Connect, reader_url: str) -> None:
    async with connect(reader_url) as client:
        cursor = (await ask(client, "query", **NUMBERS | {"max_rows": 1}))["cursor"]
        for _ in range(4):
            await ask(client, "query", **NUMBERS | {"max_rows": 1})
        assert await code_of(client, "query", **NUMBERS | {"cursor": cursor}) == "not_found"


# The role


async def test_a_superuser_is_refused_with_the_flag_that_accepts_it(connect: Connect, database_url: str) -> None:
    async with connect(database_url) as client:
        result = await client.call_tool("query", {"sql": "select 1"})
    assert (result.meta or {})[ERROR_META_KEY]["code"] == "permission_denied"
    assert "--allow-privileged-role" in text_of(result)


async def test_every_result_says_that_a_superuser_was_accepted(connect: Connect, database_url: str) -> None:
    async with connect(database_url, allow_privileged_role=True) as client:
        for tool, arguments in (("query", {"sql": "select 1"}), ("search_objects", {}), ("list_schemas", {})):
            assert (await ask(client, tool, **arguments))["login_role"] == "postgres is a superuser"


# Writing


async def test_without_the_grant_nothing_is_written(connect: Connect, database_url: str) -> None:
    async with connect(database_url, allow_privileged_role=True) as client:
        assert "execute" not in [tool.name for tool in (await client.list_tools()).tools]
        assert await code_of(client, "execute", sql="create table t ()") == "permission_denied"


async def test_reading_stays_read_only_with_the_grant(connect: Connect, database_url: str) -> None:
    async with connect(database_url, allow_write=True) as client:
        assert await code_of(client, "query", sql="create table t ()") == "permission_denied"


async def test_rows_are_changed_without_a_question(connect: Connect, database_url: str) -> None:
    person = Person(agrees=False)
    async with connect(database_url, allow_write=True, confirm=("never",)) as client:
        await ask(client, "execute", sql="create table t (n int)")
    async with connect(database_url, person, allow_write=True) as client:
        made = await ask(client, "execute", sql="insert into t values (1), ($1) returning n", params=[2])
        changed = await ask(client, "execute", sql="update t set n = 3 where n = 1")
    assert (made["result"], made["committed"], made["untrusted"]["rows"]) == ("INSERT 0 2", True, [[1], [2]])
    assert (changed["result"], changed["count"], person.asked) == ("UPDATE 1", 0, [])


@pytest.mark.parametrize(
    ("sql", "warning"),
    [("delete from t", "DELETE without WHERE changes every row"), ("drop table t", "DROP changes more than rows")],
)
async def test_a_person_is_asked_before_much_is_changed(
    connect: Connect, database_url: str, sql: str, warning: str
) -> None:
    async with connect(database_url, allow_write=True, confirm=("never",)) as client:
        await ask(client, "execute", sql="create table t as select 1 as n")
    refuses, agrees = Person(agrees=False), Person(agrees=True)
    async with connect(database_url, refuses, allow_write=True) as client:
        assert await code_of(client, "execute", sql=sql) == "confirmation_required"
        assert (await ask(client, "query", sql="table t"))["count"] == 1
    async with connect(database_url, agrees, allow_write=True) as client:
        assert (await ask(client, "execute", sql=sql))["committed"] is True
    assert (warning in refuses.asked[0], sql in refuses.asked[0], len(agrees.asked)) == (True, True, 1)


async def test_a_client_that_asks_nobody_is_told_what_the_operator_can_decide(
    connect: Connect, database_url: str
) -> None:
    async with connect(database_url, allow_write=True) as client:
        result = await client.call_tool("apply_migration", {"sql": "create table t ()"})
    assert "--confirm write=never" in text_of(result)


async def test_a_rehearsal_needs_no_question_and_commits_nothing(connect: Connect, database_url: str) -> None:
    async with connect(database_url, allow_write=True) as client:
        one = await ask(client, "execute", sql="create table t ()", dry_run=True)
        all_of_it = await ask(client, "apply_migration", sql="create table t (); drop table t", dry_run=True)
        assert (await ask(client, "query", sql="select to_regclass('t')"))["untrusted"]["rows"] == [[None]]
    assert (one["committed"], all_of_it["committed"]) == (False, False)


async def test_a_migration_answers_with_its_statements_and_locks(connect: Connect, database_url: str) -> None:
    async with connect(database_url, allow_write=True, confirm=("never",)) as client:
        await ask(client, "apply_migration", sql="create table t (n int); insert into t values (1)")
        done = await ask(client, "apply_migration", sql="alter table t add m int; update t set m = 2;")
    assert done["untrusted"]["rows"] == [
        ["statement", "alter table t add m int", "ALTER TABLE"],
        ["statement", "update t set m = 2", "UPDATE 1"],
        ["lock", "public.t", "AccessExclusiveLock"],
        ["lock", "public.t", "RowExclusiveLock"],
    ]


# Cost


async def test_the_gate_holds_for_queries_and_changes(connect: Connect, database_url: str) -> None:
    async with connect(database_url, allow_write=True, confirm=("never",), max_cost=1.0) as client:
        await ask(client, "execute", sql="create table t (n int)")
        assert await code_of(client, "query", sql="select * from t a, t b") == "too_large"
        assert await code_of(client, "execute", sql="delete from t where n > 1") == "too_large"

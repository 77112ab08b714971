"""Results that are continued: one moment, one caller, few at a time, and nothing taken from others."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import asyncpg
import pytest
from mcp_server_postgres.database import Database
from mcp_server_postgres.results import Limits, QueryResult
from mcp_server_postgres.snapshots import Snapshots
from mcp_server_postgres.values import JsonValue
from mcp_server_shared import errors

pytestmark = pytest.mark.anyio


def says(pattern: str) -> Callable[[errors.ExpectedError], bool]:
    """Return whether an error has this in its text."""
    return lambda error: re.search(pattern, error.text(), re.DOTALL) is not None


NUMBERS = "select generate_series(1, 1000)"


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    database = Database(database_url, pool_size=1)
    yield database
    await database.close()


@pytest.fixture
async def admin(database_url: str) -> AsyncGenerator[Any]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


def position_after(result: QueryResult, shown: int) -> JsonValue:
    assert result.resume is not None
    return result.resume(shown)


async def start(database: Database, sql: str = NUMBERS, **limits: Any) -> QueryResult:
    settings: dict[str, Any] = {"max_rows": 3, "held_for": "ann"} | limits
    return await database.query(sql, **settings)


async def sessions_in_a_transaction(admin: Any) -> int:
    sql = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in trans%'"
    return await admin.fetchval(sql)


async def until(condition: Callable[[], Any], expected: object) -> None:
    async with asyncio.timeout(60):
        while await condition() != expected:  # noqa: ASYNC110 (another process to wait for)
            await asyncio.sleep(0)


def numbers_of(result: QueryResult) -> list[JsonValue]:
    return [row[0] for row in result.rows]


async def test_pages_join_without_gap_or_repeat(database: Database) -> None:
    result = await start(database)
    numbers, shown = numbers_of(result), 3
    while result.truncated:
        result = await database.more(position_after(result, shown), "ann", max_rows=shown + 20)
        numbers, shown = numbers + numbers_of(result), len(result.rows)
    assert numbers == list(range(1, 1001))


async def test_a_page_may_go_on_before_its_end(database: Database) -> None:
    result = await start(database, max_rows=10)
    assert numbers_of(await database.more(position_after(result, 4), "ann", max_rows=3)) == [5, 6, 7]


async def test_rows_that_are_all_read_can_be_shown_in_parts(database: Database) -> None:
    result = await start(database, "values (1), (2), (3)", max_rows=10)
    assert not result.truncated
    assert numbers_of(await database.more(position_after(result, 1), "ann")) == [2, 3]


SORTED = "select n % 7 as k, n, repeat('x', 20) from generate_series(1, 25000) n order by 1"


@pytest.mark.parametrize(("sql", "page"), [(SORTED, 10_000), (SORTED, 4_000), (f"{SORTED}, 2 desc;  -- so", 10_000)])
async def test_a_sorted_result_goes_on_past_the_rows_that_were_sorted_first(
    database: Database, sql: str, page: int
) -> None:
    limits: dict[str, Any] = {"max_rows": page, "max_characters": 10_000_000}
    result = await start(database, sql, **limits)
    rows = cast("list[list[int]]", [row[:2] for row in result.rows])
    while result.truncated:
        result = await database.more(position_after(result, len(result.rows)), "ann", **limits)
        rows += cast("list[list[int]]", [row[:2] for row in result.rows])
    assert sorted(number for _, number in rows) == list(range(1, 25_001))
    assert [key for key, _ in rows] == sorted(key for key, _ in rows)


async def test_equal_rows_of_a_sorted_result_are_all_there(database: Database) -> None:
    limits: dict[str, Any] = {"max_rows": 9_000, "max_characters": 10_000_000}
    result = await start(database, "select n / 20000 from generate_series(0, 39999) n order by 1", **limits)
    count = len(result.rows)
    while result.truncated:
        result = await database.more(position_after(result, len(result.rows)), "ann", **limits)
        count += len(result.rows)
    assert count == 40_000


async def test_a_sorted_result_that_is_another_each_time_ends_with_a_word(database: Database) -> None:
    limits: dict[str, Any] = {"max_rows": 10_000, "max_characters": 10_000_000}
    result = await start(database, "select n, random() from generate_series(1, 20000) n order by 1", **limits)
    assert (len(result.rows), result.truncated) == (10_000, True)
    with pytest.raises(errors.Unsupported, check=says(r"random\(\) gives another value")):
        await database.more(position_after(result, 10_000), "ann", **limits)


async def test_a_page_can_be_had_again(database: Database) -> None:
    position = position_after(await start(database), 3)
    first = await database.more(position, "ann", max_rows=5)
    assert (await database.more(position, "ann", max_rows=5)).rows == first.rows


async def test_a_page_before_the_last_is_gone(database: Database) -> None:
    early = position_after(await start(database), 3)
    later = position_after(await database.more(early, "ann", max_rows=5), 5)
    await database.more(later, "ann", max_rows=5)
    with pytest.raises(errors.NotFound, check=says("no longer held")):
        await database.more(early, "ann")


async def test_the_moment_stays_that_of_the_first_page(database: Database, admin: Any) -> None:
    await admin.execute("create table t as select generate_series(1, 200) as n")
    result = await start(database, "select n, (select count(*) from t) from t order by n")
    await admin.execute("delete from t")
    rest = await database.more(position_after(result, 3), "ann", max_rows=1000)
    assert rest.rows == [[n, 200] for n in range(4, 201)]


async def test_cut_cells_are_counted_within_their_page(database: Database) -> None:
    result = await start(database, "select repeat('x', 5000) from generate_series(1, 9)", max_cell_characters=10)
    rest = await database.more(position_after(result, 3), "ann", max_rows=2, max_cell_characters=10)
    assert [(cut.row, cut.characters) for cut in rest.cut_cells] == [(0, 5000), (1, 5000)]


async def test_another_caller_gets_nothing(database: Database) -> None:
    position = position_after(await start(database), 3)
    with pytest.raises(errors.NotFound):
        await database.more(position, "bob")


async def test_the_error_of_a_lost_result_says_how_to_page_instead(database: Database) -> None:
    with pytest.raises(errors.NotFound) as gone:
        await database.more(["no such handle", 3], "ann")
    assert "ORDER BY" in gone.value.hint


async def test_held_results_leave_the_pool_to_others(database: Database) -> None:
    for _ in range(5):
        await start(database)
    assert (await database.query("select 1")).rows == [[1]]


async def test_the_least_recently_used_gives_way(database: Database, admin: Any) -> None:
    positions = [position_after(await start(database), 3) for _ in range(4)]
    await database.more(positions[0], "ann", max_rows=3)
    await start(database)
    assert (await database.more(positions[0], "ann", max_rows=3)).rows
    with pytest.raises(errors.NotFound):
        await database.more(positions[1], "ann")
    await until(lambda: sessions_in_a_transaction(admin), 4)


async def test_a_result_that_is_read_to_its_end_holds_no_transaction(database: Database, admin: Any) -> None:
    result = await start(database)
    await database.more(position_after(result, 3), "ann", max_rows=10_000)
    await until(lambda: sessions_in_a_transaction(admin), 0)


async def test_a_result_that_nobody_asks_for_again_is_let_go(database_url: str, admin: Any) -> None:
    database = Database(database_url)
    given_back: list[object] = []
    async with database.session() as session:
        rows = await session.run(NUMBERS, max_cell_characters=10)
        await rows.page(0, Limits(3, 10, 1000))
        snapshots = Snapshots(8, given_back.append, idle_lifetime_s=0)
        snapshot = snapshots.new("ann", rows, session.connection)
        snapshots.keep(snapshot)
        await until(lambda: asyncio.sleep(0, len(given_back)), 1)
        with pytest.raises(errors.NotFound):
            await snapshots.page(snapshot.handle, "ann", 3, Limits(3, 10, 1000))
    await database.close()


async def test_two_readers_of_one_result_take_turns(database: Database) -> None:
    position = position_after(await start(database, "select n, pg_sleep(0.001) from generate_series(1, 90) n"), 3)
    one, other = await asyncio.gather(*(database.more(position, "ann", max_rows=60) for _ in range(2)))
    assert numbers_of(one) == numbers_of(other) == list(range(4, 64))


async def test_a_page_that_takes_too_long_ends_the_result(database: Database, admin: Any) -> None:
    slow = "select case when n > 60 then pg_sleep(60) end from generate_series(1, 1000) n"
    position = position_after(await start(database, slow), 3)
    with pytest.raises(errors.DeadlineExceeded):
        await database.more(position, "ann", max_rows=100, timeout_s=0.2)
    with pytest.raises(errors.NotFound):
        await database.more(position, "ann")
    await until(lambda: sessions_in_a_transaction(admin), 0)


async def test_an_error_in_a_later_page_is_told_and_ends_the_result(database: Database) -> None:
    position = position_after(await start(database, "select 1 / (90 - n) from generate_series(1, 1000) n"), 3)
    with pytest.raises(errors.InvalidArgument, check=says("22012")):
        await database.more(position, "ann", max_rows=100)
    with pytest.raises(errors.NotFound):
        await database.more(position, "ann")


async def test_a_result_whose_session_was_ended_is_unavailable(database: Database, admin: Any) -> None:
    position = position_after(await start(database, "select pg_backend_pid() from generate_series(1, 1000)"), 3)
    pid = (await database.more(position, "ann", max_rows=1)).rows[0][0]
    await admin.fetchval("select pg_terminate_backend($1, 5000)", pid)
    with pytest.raises(errors.Unavailable):
        await database.more(position, "ann", max_rows=500)


async def test_when_the_server_has_no_connection_left_held_results_give_way(database_url: str, admin: Any) -> None:
    await admin.execute("create role narrow login connection limit 2")
    database = Database(database_url.replace("postgres@", "narrow@"))
    try:
        for _ in range(4):
            await start(database)
        assert (await database.query("select 1")).rows == [[1]]
    finally:
        await database.close()
        await admin.execute("drop role narrow")


async def test_nothing_is_held_after_the_end(database: Database, admin: Any) -> None:
    await start(database)
    await database.close()
    others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    await until(lambda: admin.fetchval(others), 0)

"""The PostgreSQL server beside raw asyncpg, a bare server on the SDK, and its rivals, on databases of the tests.

There are three of them, the second ten times and the third a hundred times as big as the first: all is measured in the
last, how it grows in all. A rival that has no limit on rows is not asked for ten million: it would take all memory.
"""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import json
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import asyncpg
from client import ServerFailed, StdioClient
from mcp_server_postgres.embedded import EmbeddedPostgres
from rivals import NODE, NODE_PACKAGES, NotInstalled, npm_server, python_with

from comparisons import PORTIONS, Comparison, Growth, Samples, in_portions

OURS = "mcp-server-postgres"
RAW = "raw asyncpg"
BIG_ROWS = 10_000_000
TABLES = 5_000
SELECTS = 200
CALLERS = 200
ORDERS = "select * from orders order by id limit 10"
SLEEP = "select pg_sleep(0.01)"

_SHARES = (1, 10, 100)  # of the rows, tables and callers above, in per cent
_BENCHMARKS = Path(__file__).parents[1]
_RIVAL = "postgres-mcp==0.3.0"

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Side:
    """A server and how it is asked: the tool that runs SQL, and those that find tables and columns and describe one.

    Attributes:
        limits_rows: whether it can be asked for all rows of a big table.
    """

    name: str
    command: tuple[str, ...]
    sql_tool: str
    search: Call | None = None
    search_columns: Call | None = None
    describe: Call | None = None
    limits_rows: bool = False


class Client(StdioClient):
    """A client that asks for one side's work."""

    def __init__(self, side: Side) -> None:
        super().__init__(side.command, "handshake")
        self.side = side

    def run(self, sql: str) -> float:
        """Run a statement and return the milliseconds that it took."""
        return self.milliseconds((self.side.sql_tool, {"sql": sql}))

    def milliseconds(self, call: Call) -> float:
        """Call a tool and return the milliseconds that it took."""
        start = time.perf_counter()
        self.call(*call)
        return (time.perf_counter() - start) * 1e3

    def all_at_once(self, sql: str, count: int) -> tuple[float, int]:
        """Send a statement `count` times before the first answer is read.

        Return the milliseconds until the last answer, and by how many later calls the unluckiest was overtaken.
        """
        start = time.perf_counter()
        for _ in range(count):
            self._send("tools/call", {"name": self.side.sql_tool, "arguments": {"sql": sql}})
        order = [json.loads(self._receive())["id"] for _ in range(count)]
        milliseconds = (time.perf_counter() - start) * 1e3
        return milliseconds, max(sum(later > call for later in order[:n]) for n, call in enumerate(order))


def compare(rounds: int, *, rows: int = BIG_ROWS, tables: int = TABLES) -> Comparison:
    """Measure in `rounds` rounds, after one to warm up."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    growth: Growth = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    skipped: dict[str, str] = {}
    with EmbeddedPostgres(None) as server, ExitStack() as stack:
        by_share: dict[int, list[Side]] = {}
        rivals = _Rivals(server.start(), stack, skipped)
        for share in _SHARES:
            name = f"share_{share}"
            asyncio.run(_prepare(server.admin_dsn, name, rows * share // 100, tables * share // 100))
            by_share[share] = rivals.sides(server.start().replace("@/sample?", f"@/{name}?"))
        for number in range(rounds + 1):
            figures = [*asyncio.run(_raw(server.start().replace("@/sample?", f"@/share_{_SHARES[-1]}?")))]
            figures += _select_1(by_share[_SHARES[-1]], skipped)
            for sides in zip(*by_share.values(), strict=True):
                name = sides[0].name
                if name in skipped:
                    continue
                try:
                    figures += [(measure, name, value) for measure, value in _measured(sides[-1])]
                    for share, side in zip(by_share, sides, strict=True):
                        for measure, whole, value in _growing(side, share, rows, tables) if number else ():
                            growth[measure][name][whole * share // 100].append(value)
                except ServerFailed as error:
                    skipped[name] = str(error)
            for measure, name, value in figures if number else ():
                samples[measure][name].append(value)
    return Comparison(OURS, samples, skipped, growth)


def _select_1(sides: list[Side], skipped: dict[str, str]) -> Iterator[tuple[str, str, float]]:
    """Yield what the shortest statement takes of each side, all running, a few statements at a time in turn."""

    def portion(client: Client) -> list[float]:
        return [client.run("select 1") * 1e3 for _ in range(SELECTS // PORTIONS)]

    with ExitStack() as stack:
        clients = {side.name: stack.enter_context(Client(side)) for side in sides if side.name not in skipped}
        for name, client in clients.items():
            try:
                client.open()
            except ServerFailed as error:
                skipped[name] = str(error)
        asked = {name: partial(portion, client) for name, client in clients.items()}
        in_portions(asked, skipped)  # as long a time to warm up
        for name, portions in in_portions(asked, skipped).items():
            for part in portions:
                yield "SELECT 1, p50 (us)", name, median(part)


def _measured(side: Side) -> Iterator[tuple[str, float]]:
    with Client(side) as client:
        client.open()
        yield "tools/list (bytes)", len(client.request("tools/list"))
        for _ in range(20):
            client.run("select 1")
        yield "answer of 10 orders (bytes)", len(client.call(side.sql_tool, {"sql": ORDERS}))
        milliseconds, overtaken = client.all_at_once(SLEEP, CALLERS)
        yield f"{CALLERS} callers at once, 10 ms each (ms)", milliseconds
        yield f"{CALLERS} callers: most that overtook one", overtaken
        if side.search:
            yield "find a table among thousands (ms)", median(client.milliseconds(side.search) for _ in range(5))
        if side.search_columns:
            found = median(client.milliseconds(side.search_columns) for _ in range(5))
            yield "find a column among those of thousands (ms)", found
        if side.describe:
            yield "describe a table among thousands (ms)", median(client.milliseconds(side.describe) for _ in range(5))
        if side.limits_rows:
            yield "first rows of a big table (ms)", median(client.run("select * from big") for _ in range(5))
            yield "first rows of a big table, sorted (ms)", client.run("select * from big order by hash")
        if peak := client.peak_megabytes():
            yield "peak memory after all this (MB)", peak


def _growing(side: Side, share: int, rows: int, tables: int) -> Iterator[tuple[str, int, float]]:
    """Yield what may grow, how much of it there is in the biggest database, and the figure in this one."""
    with Client(side) as client:
        client.open()
        for _ in range(5):
            client.run("select 1")
        callers = CALLERS * share // 100
        yield (
            "SELECT 1, of callers at once (us each)",
            CALLERS,
            client.all_at_once("select 1", callers)[0] * 1e3 / callers,
        )
        if side.search:
            yield "find one of so many tables (ms)", tables, median(client.milliseconds(side.search) for _ in range(5))
        if side.describe:
            described = median(client.milliseconds(side.describe) for _ in range(5))
            yield "describe one of so many tables (ms)", tables, described
        if side.limits_rows:
            yield "first rows of so many (ms)", rows, median(client.run("select * from big") for _ in range(5))
            yield "first of so many rows, sorted (ms)", rows, client.run("select * from big order by hash")
            if peak := client.peak_megabytes():
                yield "peak memory, of so many rows (MB)", rows, peak


async def _raw(url: str) -> list[tuple[str, str, float]]:
    connection = await asyncpg.connect(url)
    try:
        seconds: list[float] = []
        for _ in range(SELECTS):
            start = time.perf_counter()
            await connection.fetch("select 1")
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        async with connection.transaction():
            await (await connection.cursor("select * from big")).fetch(101)
        big = time.perf_counter() - start
    finally:
        await connection.close()
    return [("SELECT 1, p50 (us)", RAW, median(seconds) * 1e6), ("first rows of a big table (ms)", RAW, big * 1e3)]


async def _prepare(admin_url: str, name: str, rows: int, tables: int) -> None:
    server = await asyncpg.connect(admin_url)
    try:
        await server.execute("alter role reader connection limit -1")
        await server.execute(f"create database {name} template sample")
    finally:
        await server.close()
    connection = await asyncpg.connect(admin_url.replace("@/postgres?", f"@/{name}?"))
    try:
        await connection.execute(
            f"create unlogged table big as select n as id, md5(n::text) as hash from generate_series(1, {rows}) n;"
            "grant select on big to reader;"
            f"do $$ begin for n in 1..{tables} loop execute format('create table table_%s (id int primary key, "
            "name text, note text)', to_char(n, 'FM00000')); end loop; end $$"
        )
        for statement in ("vacuum analyze", "checkpoint"):  # or the server would do it while we measure
            await connection.execute(statement)
    finally:
        await connection.close()


class _Rivals:
    """The servers that can be had here, for any database of one PostgreSQL.

    Args:
        url: of one of its databases, over a Unix socket.
        stack: ends what has to be started for them.
        skipped: takes those that cannot be had, and why.
    """

    def __init__(self, url: str, stack: ExitStack, skipped: dict[str, str]) -> None:
        self._sockets = url.partition("host=")[2].partition("&")[0]
        self._port = _relayed(f"{self._sockets}/.s.PGSQL.5432", stack)
        self._python = Path("python")
        if not Path(NODE).exists() or not (NODE_PACKAGES / "@bytebase/dbhub").exists():
            skipped["npm server-postgres"] = skipped["npm dbhub, through a relay"] = "not installed: npm ci"
        try:
            self._python = python_with(_RIVAL, Path(stack.enter_context(tempfile.TemporaryDirectory())), ">=3.12")
        except NotInstalled as error:
            skipped["postgres-mcp"] = str(error)

    def sides(self, url: str) -> list[Side]:
        """Return all of them, for one database."""
        database = url.partition("@/")[2].partition("?")[0]
        by_host = (
            f"postgresql://reader@{quote(self._sockets, safe='')}:5432/{database}"  # as the drivers of Node want it
        )
        by_port = f"postgresql://reader@127.0.0.1:{self._port}/{database}?sslmode=disable"
        dbhub = npm_server("@bytebase/dbhub/dist/index.js")
        return [
            Side(
                name=OURS,
                command=(str(Path(sys.executable).with_name(OURS)), url, "--pool-size", "10"),
                sql_tool="query",
                search=("search_objects", {"pattern": "table_00043", "kinds": ["table"]}),
                search_columns=("search_objects", {"pattern": "hash", "kinds": ["column"]}),
                describe=("describe_table", {"table": "table_00043"}),
                limits_rows=True,
            ),
            Side(
                name="raw asyncpg behind two pipes",
                command=(sys.executable, str(_BENCHMARKS / "servers/raw_postgres.py"), url),
                sql_tool="query",
            ),
            Side(
                name="bare SDK server with asyncpg",
                command=(sys.executable, str(_BENCHMARKS / "servers/sdk_postgres.py"), url),
                sql_tool="query",
            ),
            Side(
                name="npm server-postgres",
                command=(*npm_server("@modelcontextprotocol/server-postgres/dist/index.js"), by_host),
                sql_tool="query",
            ),
            Side(
                name="npm dbhub, through a relay",
                command=(*dbhub, "--transport", "stdio", "--dsn", by_port),
                sql_tool="execute_sql",
                search=("search_objects", {"object_type": "table", "pattern": "table_00043", "schema": "public"}),
            ),
            Side(
                name="postgres-mcp",
                command=(str(self._python.with_name("postgres-mcp")), "--access-mode=restricted", by_host),
                sql_tool="execute_sql",
                search=("list_objects", {"schema_name": "public"}),
                describe=("get_object_details", {"schema_name": "public", "object_name": "table_00043"}),
            ),
        ]


def _relayed(socket_path: str, stack: ExitStack) -> int:
    """Serve the database's Unix socket on a TCP port, for a rival that knows no other way; return the port."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_database, to_database = await asyncio.open_unix_connection(socket_path)
        with suppress(asyncio.CancelledError):  # at the end; it would be reported
            await asyncio.gather(copy(reader, to_database), copy(from_database, writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def close() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        if tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks))
        loop.close()

    stack.callback(close)
    return server.sockets[0].getsockname()[1]

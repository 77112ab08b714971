"""Ways to a database: TLS, service files, several hosts, poolers, restarts; and that the way there stays a secret."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from mcp_server_postgres import writing
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres, system_binaries, wheel_binaries
from mcp_server_postgres.results import Limits
from mcp_server_postgres.settings import Settings
from mcp_server_shared import errors
from other_versions import PACKAGED, is_for_this_platform, linked

pytestmark = pytest.mark.anyio

ONE = Limits(10, 100, 1000)


def sockets_of(dsn: str) -> str:
    return dsn.rpartition("host=")[2].partition("&")[0]


async def answer(database: Database, sql: str = "select 1") -> object:
    try:
        return (await database.query(sql)).rows[0][0]
    finally:
        await database.close()


# TLS


class Certificates:
    """A throwaway authority, a certificate of it for localhost, and one for a client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._openssl("req", "-x509", "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.crt", *EC_KEY)
        for name, common_name, extension in (
            ("server", "localhost", "subjectAltName=DNS:localhost"),
            ("client", "reader", "extendedKeyUsage=clientAuth"),
        ):
            self._openssl(
                "req", "-subj", f"/CN={common_name}", "-keyout", f"{name}.key", "-out", f"{name}.csr", *EC_KEY
            )
            (folder / "extension").write_text(extension)
            signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extension")
            self._openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", "-days", "2", *signing)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl: on Debian, apt-get install openssl")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def tls_server(upstream: str, certificates: Certificates, *, client_needed: bool) -> AsyncGenerator[int]:
    """Serve PostgreSQL's TLS handshake on a port of localhost in front of a real server; yield the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.path("server.crt"), certificates.path("server.key"))
    context.load_verify_locations(certificates.path("ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED if client_needed else ssl.CERT_NONE

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(8)  # SSLRequest
            writer.write(b"S")
            await writer.start_tls(context)
            upstream_reader, upstream_writer = await asyncio.open_unix_connection(f"{upstream}/.s.PGSQL.5432")
            await asyncio.gather(copy(reader, upstream_writer), copy(upstream_reader, writer))
        except (ssl.SSLError, OSError, asyncio.IncompleteReadError):
            writer.close()

    async with await asyncio.start_server(serve, "localhost", 0, family=socket.AF_INET) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("host", "options", "reached"),
    [
        ("localhost", "sslmode=require", True),
        ("localhost", "sslmode=verify-ca&sslrootcert={ca.crt}", True),
        ("localhost", "sslmode=verify-full&sslrootcert={ca.crt}", True),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert={ca.crt}", True),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert={ca.crt}", False),
        ("localhost", "sslmode=verify-full&sslrootcert={client.crt}", False),
        ("localhost", "sslmode=disable", False),
    ],
)
async def test_each_tls_mode_asks_for_what_it_says(
    postgres: EmbeddedPostgres, certificates: Certificates, host: str, options: str, *, reached: bool
) -> None:
    for name in ("ca.crt", "client.crt"):
        options = options.replace(f"{{{name}}}", quote(certificates.path(name), safe=""))
    async with tls_server(sockets_of(postgres.admin_dsn), certificates, client_needed=False) as port:
        database = Database(
            f"postgresql://reader@{host}:{port}/sample?{options}", connect_timeout_s=20 if reached else 2
        )
        if reached:
            assert await answer(database) == 1
        else:
            with pytest.raises(errors.Unavailable):
                await answer(database)


@pytest.mark.parametrize("given", [True, False])
async def test_a_certificate_of_the_client_is_presented(
    postgres: EmbeddedPostgres,
    certificates: Certificates,
    given: bool,  # noqa: FBT001
) -> None:
    own = f"&sslcert={certificates.path('client.crt')}&sslkey={certificates.path('client.key')}" if given else ""
    async with tls_server(sockets_of(postgres.admin_dsn), certificates, client_needed=True) as port:
        database = Database(f"postgresql://reader@localhost:{port}/sample?sslmode=require{own}", connect_timeout_s=20)
        if given:
            assert await answer(database) == 1
        else:
            with pytest.raises(errors.Unavailable):
                await answer(database)


# Where the address comes from


async def test_a_service_file_says_where_the_database_is(
    postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = f"[shop]\nhost={sockets_of(postgres.admin_dsn)}\nport=5432\nuser=reader\ndbname=sample\n"
    (tmp_path / "services").write_text(service)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    assert await answer(Database("postgresql://?service=shop"), "select current_database()") == "sample"


def test_the_name_of_a_service_is_an_address() -> None:
    assert Settings.load([], {"PGSERVICE": "my shop"}).urls() == {"": "postgresql://?service=my%20shop"}


def test_a_url_goes_before_a_service() -> None:
    settings = Settings.load(["postgresql://there/"], {"PGSERVICE": "shop"})
    assert settings.urls() == {"": "postgresql://there/"}


async def test_the_first_of_several_hosts_that_answers_is_used(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    hosts = f"{quote(str(tmp_path), safe='')},{quote(sockets_of(postgres.admin_dsn), safe='')}"
    assert await answer(Database(f"postgresql://reader@/sample?host={hosts}&port=5432,5432")) == 1


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield a folder that the user who stands in for root may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
async def test_after_a_restart_of_the_server_no_call_fails(open_folder: Path, tmp_path: Path) -> None:
    first = EmbeddedPostgres(open_folder / "data")
    dsn = await asyncio.to_thread(first.start)
    link = tmp_path / "s"
    link.symlink_to(sockets_of(dsn))
    database = Database(f"postgresql://reader@/sample?host={link}", pool_size=2)
    await asyncio.gather(*(database.query("select pg_sleep(0.05)") for _ in range(2)))
    await asyncio.to_thread(first.stop)
    second = EmbeddedPostgres(open_folder / "data")
    dsn = await asyncio.to_thread(second.start)
    link.unlink()
    link.symlink_to(sockets_of(dsn))
    assert (await database.query("select 1")).rows == [[1]]
    await database.close()
    await asyncio.to_thread(second.stop)


@pytest.mark.slow
async def test_calls_that_a_restart_cuts_off_are_told_and_later_ones_succeed(open_folder: Path, tmp_path: Path) -> None:
    first = EmbeddedPostgres(open_folder / "data")
    dsn = await asyncio.to_thread(first.start)
    link = tmp_path / "s"
    link.symlink_to(sockets_of(dsn))
    database = Database(f"postgresql://reader@/sample?host={link}", pool_size=4)
    running = [asyncio.create_task(database.query("select pg_sleep(60)")) for _ in range(3)]
    held = await database.query("select generate_series(1, 1000)", max_rows=1, held_for="ann")
    await asyncio.to_thread(first.stop)
    cut_off = await asyncio.gather(*running, return_exceptions=True)
    down = await asyncio.gather(database.query("select 1"), return_exceptions=True)
    second = EmbeddedPostgres(open_folder / "data")
    dsn = await asyncio.to_thread(second.start)
    link.unlink()
    link.symlink_to(sockets_of(dsn))
    back = await asyncio.gather(*(database.query("select 1") for _ in range(8)))
    assert held.resume is not None
    with pytest.raises((errors.Unavailable, errors.NotFound)):
        await database.more(held.resume(1), "ann")
    await database.close()
    await asyncio.to_thread(second.stop)
    assert [type(error) for error in [*cut_off, *down]] == [errors.Unavailable] * 4
    assert [result.rows for result in back] == [[[1]]] * 8


HERE = [wheel_binaries(), system_binaries(), *(PACKAGED if is_for_this_platform() else [])]


@pytest.fixture(params=filter(None, HERE), ids=lambda path: f"{path.parents[1].name}-{path.parent.name}")
def standby(request: pytest.FixtureRequest, postgres: EmbeddedPostgres, open_folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the sockets of a primary of each version and of a standby that follows it; both may be stopped."""
    binaries: Path = linked(request.param) if request.param in PACKAGED else request.param
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = pwd.getpwuid(Path(sockets_of(postgres.admin_dsn)).stat().st_uid)
        account = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        os.chown(open_folder, owner.pw_uid, owner.pw_gid)

    def run(command: str, *arguments: str | Path) -> None:
        subprocess.run(
            [binaries / command, *arguments],
            cwd="/",
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            **account,
        )

    def start(name: str) -> None:
        (folder := open_folder / f"{name}s").mkdir()
        if account:
            os.chown(folder, account["user"], account["group"])
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        run("pg_ctl", "-D", open_folder / name, "-w", "-l", open_folder / f"{name}.log", "-o", options, "start")

    primary, follower = open_folder / "a", open_folder / "b"
    run("initdb", "-D", primary, "-A", "trust", "-U", "postgres", "--no-sync")
    subprocess.run(["cp", "-a", primary, follower], check=True)  # nothing has run yet, so a copy is a base backup
    (follower / "standby.signal").touch()
    with (follower / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"primary_conninfo = 'host={open_folder / 'as'} user=postgres'\n")
    start("a")
    start("b")
    yield str(open_folder / "as"), str(open_folder / "bs")
    for folder in (primary, follower):
        if (folder / "postmaster.pid").exists():
            run("pg_ctl", "-D", folder, "-m", "immediate", "stop")


def stop_at_once(sockets: str) -> None:
    """Kill a server as its machine's end would."""
    pid = Path(sockets[:-1], "postmaster.pid").read_text().split()[0]
    os.kill(int(pid), signal.SIGQUIT)


@pytest.mark.slow
async def test_after_a_failover_calls_go_to_the_new_primary(standby: tuple[str, str]) -> None:
    hosts = ",".join(quote(sockets, safe="") for sockets in standby)
    dsn = f"postgresql://postgres@/postgres?host={hosts}&port=5432,5432&target_session_attrs=primary"
    database = Database(dsn, pool_size=2)
    await writing.execute(database, "create table t as select 1 as n", dry_run=False, limits=ONE, timeout_s=20)
    running = asyncio.create_task(database.query("select pg_sleep(60)"))
    follower = Database(f"postgresql://postgres@/postgres?host={quote(standby[1], safe='')}")
    async with asyncio.timeout(60):
        while not (await follower.query("select to_regclass('t') is not null")).rows[0][0]:
            pass
    await database.query("select 1")
    stop_at_once(standby[0])
    (cut_off,) = await asyncio.gather(running, return_exceptions=True)
    between = await asyncio.gather(database.query("select 1"), return_exceptions=True)
    with pytest.raises(errors.Unsupported, match="standby"):
        await writing.execute(follower, "insert into t values (2)", dry_run=False, limits=ONE, timeout_s=20)
    await follower.query("select pg_promote()")
    after = await database.query("table t")
    await writing.execute(database, "insert into t values (2)", dry_run=False, limits=ONE, timeout_s=20)
    await asyncio.gather(database.close(), follower.close())
    assert [type(error) for error in (cut_off, *between)] == [errors.Unavailable] * 2
    assert after.rows == [[1]]


async def test_two_hundred_callers_share_ten_connections_in_turn(postgres: EmbeddedPostgres) -> None:
    database = Database(postgres.start(), pool_size=10)
    finished: list[int] = []

    async def call(number: int) -> None:
        await database.query("select pg_sleep(0.002)")
        finished.append(number)

    await asyncio.gather(*(call(number) for number in range(200)))
    await database.close()
    # Ten run at a time, so nobody is overtaken by much more than those, even where some connect slowly.
    assert max(abs(place - number) for place, number in enumerate(finished)) < 100


# A pooler in transaction mode


@pytest.fixture(scope="module")
def pgbouncer(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Yield the socket directory of a pgbouncer with two server connections."""
    program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if program is None:
        pytest.skip("no pgbouncer: on Debian, apt-get install pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="pgb"))
    folder.chmod(0o755)
    (folder / "users").write_text('"reader" ""\n"postgres" ""\n')
    (folder / "config").write_text(
        f"""[databases]
* = host={sockets_of(postgres.admin_dsn)} port=5432
[pgbouncer]
unix_socket_dir = {folder}
listen_port = 6432
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 2
server_check_delay = 0
"""
    )
    account: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root, and its server admits the one who owns the sockets alone
        owner = pwd.getpwuid(Path(sockets_of(postgres.admin_dsn)).stat().st_uid)
        account = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    with subprocess.Popen([program, str(folder / "config")], stderr=subprocess.DEVNULL, cwd="/", **account) as process:
        while not (folder / ".s.PGSQL.6432").exists() and process.poll() is None:
            pass
        yield str(folder)
        process.send_signal(signal.SIGTERM)
    shutil.rmtree(folder)


def through(pgbouncer: str, role: str, database: str, **options: Any) -> Database:
    return Database(f"postgresql://{role}@/{database}?host={pgbouncer}&port=6432", **options)


async def test_queries_of_many_callers_pass_a_pooler(pgbouncer: str) -> None:
    database = through(pgbouncer, "reader", "sample", pool_size=6)
    sql = "select $1::int, ordered_at, status from orders limit 1"
    results = await asyncio.gather(*(database.query(sql, [n]) for n in range(40)))
    await database.close()
    assert [result.rows[0][0] for result in results] == list(range(40))


async def test_settings_do_not_pass_from_call_to_call_through_a_pooler(pgbouncer: str) -> None:
    database = through(pgbouncer, "reader", "sample", pool_size=4)
    for _ in range(4):
        await database.query("select set_config('work_mem', '64kB', false), pg_advisory_lock(4712)")
    probe = "select current_setting('work_mem'), (select count(*) from pg_locks where locktype = 'advisory')"
    found = await asyncio.gather(*(database.query(probe) for _ in range(8)))
    await database.close()
    assert {tuple(result.rows[0]) for result in found} == {("4MB", 0)}


async def test_a_held_result_goes_on_through_a_pooler(pgbouncer: str) -> None:
    database = through(pgbouncer, "reader", "sample")
    first = await database.query("select generate_series(1, 1000)", max_rows=3, held_for="ann")
    await database.query("select 1")
    assert first.resume is not None
    rest = await database.more(first.resume(3), "ann", max_rows=2)
    await database.close()
    assert rest.rows == [[4], [5]]


async def test_writes_and_errors_pass_a_pooler(pgbouncer: str, database_url: str) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    database = through(pgbouncer, "postgres", name)
    await writing.execute(database, "create table t as select 1 as n", dry_run=False, limits=ONE, timeout_s=20)
    with pytest.raises(errors.NotFound):
        await database.query("select * from u")
    assert (await database.query("table t")).rows == [[1]]
    with pytest.raises(errors.DeadlineExceeded):
        await database.query("select pg_sleep(60)", timeout_s=0.5)
    assert (await database.query("table t")).rows == [[1]]
    await database.close()


async def test_a_pooler_that_does_not_let_a_parameter_pass_is_named_as_the_cause(pgbouncer: str) -> None:
    database = Database(f"postgresql://reader@/sample?host={pgbouncer}&port=6432&search_path=public")
    with pytest.raises(errors.InvalidArgument, match="a parameter of the URL, search_path") as refused:
        await answer(database)
    assert "pgbouncer" in refused.value.hint


# What goes wrong on the way


@pytest.mark.parametrize(
    "parameter",
    [
        "connect_timeout=10",
        "connect_timeout=0&keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3",
        "channel_binding=prefer&gssencmode=disable&tcp_user_timeout=1000&sslsni=1",
        "application_name=mine&connect_timeout=5&client_encoding=UTF8&options=-c%20work_mem%3D1MB",
    ],
)
async def test_a_parameter_of_libpqs_own_does_no_harm(postgres: EmbeddedPostgres, parameter: str) -> None:
    assert await answer(Database(f"{postgres.start()}&{parameter}")) == 1


async def test_the_timeout_of_the_url_is_kept() -> None:
    async with other_server(SILENT) as port:
        with pytest.raises(errors.Unavailable, match="does not answer in time"):
            await answer(Database(f"postgresql://u@127.0.0.1:{port}/x?connect_timeout=1", connect_timeout_s=600))


@pytest.mark.parametrize("parameter", ["channel_binding=require", "pgbouncer=true", "schema=public", "search_path=%22"])
async def test_a_parameter_that_nobody_knows_is_named(postgres: EmbeddedPostgres, parameter: str) -> None:
    name = parameter.partition("=")[0]
    with pytest.raises(errors.InvalidArgument, match=f"a parameter of the URL, {name}"):
        await answer(Database(f"{postgres.start()}&{parameter}"))


async def test_a_piece_of_a_password_is_not_named_as_a_parameter(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"a parameter of the URL \(SQLSTATE") as refused:
        await answer(Database(f"{postgres.start()}&hunter2=1"))
    assert "hunter2" not in refused.value.text()


HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
SILENT = b""


@asynccontextmanager
async def other_server(says: bytes | None) -> AsyncGenerator[int]:
    """Serve something that is no PostgreSQL: it says this and waits, or closes at once; yield the port."""
    ended: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.Event())
        if says is not None:
            writer.write(says)
            while await reader.read(1024):
                pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        ended[-1].set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*(event.wait() for event in ended))


@pytest.mark.parametrize(
    ("says", "options", "why"),
    [
        (HTTP, "", "does not offer TLS, or is no PostgreSQL"),
        (HTTP, "?sslmode=disable", "does not speak PostgreSQL's protocol|does not answer in time"),
        (SILENT, "", "does not answer in time"),
        (SILENT, "?sslmode=disable", "does not answer in time"),
        (None, "", "closes the connection"),
    ],
)
async def test_a_port_that_is_no_postgresql_is_told_apart(says: bytes | None, options: str, why: str) -> None:
    patience_s = 0.5 if "in time" in why else 20
    async with other_server(says) as port:
        with pytest.raises(errors.Unavailable, match=why):
            await answer(Database(f"postgresql://u:hunter2@127.0.0.1:{port}/x{options}", connect_timeout_s=patience_s))


@pytest.mark.parametrize(
    ("dsn", "why"),
    [
        ("postgresql://u@nowhere.invalid/x", "no host of that name"),
        ("postgresql://u@127.0.0.1:1/x", "nothing listens there"),
        ("postgresql://u@/x?host=/nowhere", "nothing listens there"),
    ],
)
async def test_an_address_where_nobody_is_says_what_is_wrong_with_it(dsn: str, why: str) -> None:
    with pytest.raises(errors.Unavailable, match=why):
        await answer(Database(dsn))


async def test_where_there_is_no_such_host_nobody_is_sent_to_look_for_postgresql() -> None:
    with pytest.raises(errors.Unavailable) as raised:
        await answer(Database("postgresql://u@nowhere.invalid/x"))
    assert raised.value.hint == "Correct its name in the database URL."


# The secret


LEAK = """
import asyncio, logging, sys
from mcp_server_postgres.database import Database
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)

async def main():
    asyncio.get_running_loop().set_debug(True)
    for dsn in sys.stdin.read().split():
        for database in (Database(dsn, connect_timeout_s=2), Database(dsn, connect_timeout_s=2)):
            try:
                print(database, (await database.query("select pg_sleep(0.2)", timeout_s=5)).rows, file=sys.stderr)
                await database.query("select 1/0")
            except Exception as error:
                logging.exception("%s", getattr(error, "text", lambda: "")())
                cause = error
                while cause := cause.__cause__:
                    print(repr(cause), vars(cause), file=sys.stderr)
        # The last one is never closed.
    raise SystemExit

asyncio.run(main())
"""


def test_the_connection_string_appears_nowhere_even_when_everything_is_logged(postgres: EmbeddedPostgres) -> None:
    sockets = quote(sockets_of(postgres.admin_dsn), safe="")
    dsns = [
        f"postgresql://reader:hunter2@/sample?host={sockets}",
        f"postgresql://nobody_here:hunter2@/sample?host={sockets}",
        f"postgresql://reader:hunter2@/nothing_here?host={sockets}",
        "postgresql://reader:hunter2@127.0.0.1:1/sample",
        "postgresql://reader:hunter2@127.0.0.1:hunter2/sample",
        "postgresql://reader:hunter2@127.0.0.1:1/sample?sslmode=hunter2",
        "postgresql://reader:hunter2@127.0.0.1:1/sample?connect_timeout=hunter2",
    ]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", LEAK], input="\n".join(dsns), capture_output=True, text=True, check=False
    )
    assert "hunter2" not in done.stdout + done.stderr
    assert "22012" in done.stderr

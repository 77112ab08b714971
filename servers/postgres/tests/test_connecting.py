"""Ways to a database: TLS, service files, several hosts, poolers, restarts; and that the way there stays a secret."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
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
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.results import Limits
from mcp_server_postgres.settings import Settings
from mcp_server_shared import errors

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
        database = Database(f"postgresql://reader@{host}:{port}/sample?{options}", connect_timeout_s=2)
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
        database = Database(f"postgresql://reader@localhost:{port}/sample?sslmode=require{own}", connect_timeout_s=5)
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
    assert Settings.load([], {"PGSERVICE": "my shop"}).address() == "postgresql://?service=my%20shop"


def test_a_url_goes_before_a_service() -> None:
    settings = Settings.load(["postgresql://there/"], {"PGSERVICE": "shop"})
    assert settings.address() == "postgresql://there/"


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


async def test_two_hundred_callers_share_ten_connections_in_turn(postgres: EmbeddedPostgres) -> None:
    database = Database(postgres.start(), pool_size=10)
    finished: list[int] = []

    async def call(number: int) -> None:
        await database.query("select pg_sleep(0.002)")
        finished.append(number)

    await asyncio.gather(*(call(number) for number in range(200)))
    await database.close()
    # Ten run at a time, so nobody is overtaken by much more than those.
    assert max(abs(place - number) for place, number in enumerate(finished)) < 40


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
        await database.query("select pg_sleep(60)", timeout_s=0.2)
    assert (await database.query("table t")).rows == [[1]]
    await database.close()


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

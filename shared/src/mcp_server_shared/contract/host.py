"""Starts the server under test the way a check wants it, as its real command or on a thread of this process."""

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mcp_server_shared.contract.connection import HANDSHAKE, TIMEOUT_S, Connection, Era
from mcp_server_shared.contract.subject import Subject

if TYPE_CHECKING:
    from mcp_server_shared.server import Server


class Command(Connection):
    """A connection to a server that runs as its own process."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: int, era: Era) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        super().__init__(os.dup(process.stdin.fileno()), os.dup(process.stdout.fileno()), era)
        process.stdin.close()
        process.stdout.close()
        self.process = process
        self._log = log

    def log(self) -> str:
        """Return what the process has written to stderr so far; all of it once it has ended."""
        size = os.fstat(self._log).st_size
        return os.pread(self._log, size, 0).decode()  # the position is the process's, too

    def wait(self) -> int:
        """Return the exit code."""
        return self.process.wait(TIMEOUT_S)


class Host:
    """What a host application does: starts servers and connects to them.

    Each way to start is started once and shared by the checks; a check that may damage its server starts another.

    Args:
        subject: the server.
        stack: what is started ends with it.
    """

    def __init__(self, subject: Subject, stack: ExitStack) -> None:
        self.subject = subject
        self._stack = stack
        self._shared: dict[Any, Connection] = {}

    def connect(self, era: Era, *flags: str, ready: bool = True) -> Connection:
        """Return the shared connection to a server of these flags, on a thread of this process.

        Args:
            era: how requests are made.
            flags: what to add to the command line.
            ready: whether the upstream is there.
        """
        return self._share((era, flags, ready), lambda: self.connect_anew(era, *flags, ready=ready))

    def connect_anew(self, era: Era, *flags: str, ready: bool = True, initialized: bool = True) -> Connection:
        """Start a server on a thread, for one check."""
        connection = self._stack.enter_context(_served(self.build(*flags, ready=ready), era))
        if era == HANDSHAKE and initialized:
            connection.initialize()
        return connection

    def start(self, era: Era, *flags: str, ready: bool = True) -> Command:
        """Return the shared connection to a process of the real command."""
        return self._share(("process", era, flags, ready), lambda: self.start_anew(era, *flags, ready=ready))

    def start_anew(self, era: Era, *flags: str, ready: bool = True, initialized: bool = True) -> Command:
        """Start a process for one check."""
        arguments = [*self.subject.command_line, *(self.subject.arguments if ready else ()), *flags]
        environment = {"PATH": os.defpath, **(self.subject.environment if ready else {})}
        command = self._stack.enter_context(_running(arguments, environment, era))
        if era == HANDSHAKE and initialized:
            command.initialize()
        return command

    def build(self, *flags: str, ready: bool = True) -> "Server[Any]":
        """Build the server of these flags."""
        program = self.subject.program()
        arguments = [*(self.subject.arguments if ready else ()), *flags]
        environment = self.subject.environment if ready else dict[str, str]()
        return program.build_server(program.settings_type.load(arguments, environment))

    def _share(self, key: Any, start: Callable[[], Any]) -> Any:
        if key not in self._shared:
            self._shared[key] = start()
        return self._shared[key]


@contextmanager
def _served(server: "Server[Any]", era: Era) -> Generator[Connection]:
    import anyio

    stdin, to_server = os.pipe()
    from_server, stdout = os.pipe()
    connection = Connection(to_server, from_server, era)
    thread = threading.Thread(target=anyio.run, args=(_serve, server, stdin, stdout), daemon=True)
    thread.start()
    try:
        yield connection
    finally:
        connection.close()
        thread.join(TIMEOUT_S)


async def _serve(server: "Server[Any]", stdin: int, stdout: int) -> None:
    from mcp_server_shared.stdio import stdio_streams

    try:
        limit = server.settings.max_message_bytes
        async with stdio_streams(stdin, stdout, max_message_bytes=limit) as (read_stream, write_stream):
            await server.run(read_stream, write_stream, server.create_initialization_options())
    finally:
        os.close(stdin)
        os.close(stdout)


@contextmanager
def _running(arguments: list[str], environment: dict[str, str], era: Era) -> Generator[Command]:
    with tempfile.TemporaryFile() as log:
        pipe = subprocess.PIPE
        process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=log, env=environment)
        command = Command(process, log.fileno(), era)
        try:
            yield command
        finally:
            command.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(TIMEOUT_S)
            process.kill()
            process.wait()

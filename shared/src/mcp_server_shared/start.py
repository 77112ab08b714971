"""Where a server's command begins: serve over stdio, or run one of the other commands.

Hosts start all their servers at once, so serving imports no more than it needs, and this module next to nothing.
"""

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from mcp_server_shared.on_demand import initialise_on_demand
from mcp_server_shared.standard_streams import claim_stdout

if TYPE_CHECKING:
    from mcp_server_shared.catalog import About
    from mcp_server_shared.server import Server
    from mcp_server_shared.serving.settings import ServingSettings
    from mcp_server_shared.settings import ServerSettings

SettingsT = TypeVar("SettingsT", bound="ServerSettings")

COMMANDS = ("call", "check", "install", "token", "tools", "uninstall")
USAGE_ERROR = 2

Command = Callable[[list[str]], int]


@dataclass(frozen=True)
class Program(Generic[SettingsT]):
    """One server as its command sees it."""

    about: "About"
    settings_type: type[SettingsT]
    build_server: Callable[[SettingsT], "Server[Any]"]

    def decided(self, arguments: list[str]) -> "tuple[SettingsT, ServingSettings | None]":
        """Read the settings, and those of serving over a network where the operator asks for that."""
        from mcp_server_shared.settings import names_transport, read_settings

        if not names_transport(arguments):
            return self.settings_type.load(arguments), None
        from mcp_server_shared.serving.settings import ServingSettings

        return read_settings(self.settings_type, arguments, beside=ServingSettings)


def start(load: Callable[[], Program[Any]], **commands: Command) -> None:
    """Run the command line; returns when the client has left.

    Args:
        load: imports the server and returns it; called once stdout is kept for the protocol, so that nothing
            an import prints can reach the client.
        commands: what this server's command can do besides: each takes the arguments after its name and returns the
            exit code; `install_browser` is called `install-browser`, its docstring is its help.
    """
    arguments = sys.argv[1:]
    own = {name.replace("_", "-"): command for name, command in commands.items()}
    if arguments[:1] and (arguments[0] in (*COMMANDS, *own) or {"--help", "-h", "--version"} & set(arguments)):
        from mcp_server_shared.commands.dispatch import run_command

        sys.exit(run_command(load(), arguments, own))
    try:
        claim_stdout()
    except OSError:
        sys.exit("stdout is closed: a client has to be there to serve")
    _serve(load, arguments)


def _serve(load: Callable[[], Program[Any]], arguments: list[str]) -> None:
    # Nothing that is imported or built here is ever garbage; looking for some costs a tenth of the start.
    gc.disable()
    initialise_on_demand("mcp", "mcp.server")
    program = load()

    from mcp_server_shared import logs
    from mcp_server_shared.settings import SettingsProblem

    try:
        settings, serving = program.decided(arguments)
        logs.configure(settings.log_level, settings.log_file)
    except SettingsProblem as problem:
        refuse(program.about.package, str(problem))
    except OSError as error:
        refuse(program.about.package, f"cannot open the log file: {error.strerror}")
    if serving is not None and settings.transport != "stdio":
        gc.enable()
        from mcp_server_shared.serving.listening import serve_network

        serve_network(program, settings, serving)
        return
    server = program.build_server(settings)
    gc.freeze()
    gc.enable()
    if sys.stdin is not None and sys.stdin.isatty():  # closed by whoever started us, it is None
        _greet(program.about.package)

    import anyio

    from mcp_server_shared.stdio import serve_stdio

    anyio.run(lambda: serve_stdio(server, max_message_bytes=settings.max_message_bytes))


def refuse(package: str, problem: str) -> NoReturn:
    """End with the one line that says what to change; nothing was served."""
    from mcp_server_shared.redaction import redact_text

    sys.stderr.write(f"{package}: {redact_text(problem)}\n")
    sys.exit(USAGE_ERROR)


def _greet(package: str) -> None:
    sys.stderr.write(
        f"{package} waits for an MCP client on stdin. To look around yourself: {package} tools, {package} --help. "
        "Ctrl-C ends it.\n"
    )

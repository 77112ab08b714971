"""The `--help` of a server, from its facts and settings."""

import inspect
import json
import shutil
import textwrap
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from mcp_server_shared.commands.clients import known_clients
from mcp_server_shared.commands.console import paint
from mcp_server_shared.commands.entry import source_of
from mcp_server_shared.commands.install import OPTIONS as INSTALL_OPTIONS
from mcp_server_shared.commands.remote_settings import RemoteSettings
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.settings import ServerSettings, Setting
from mcp_server_shared.start import Command, Program

_INDENT = 30


def help_text(program: Program[Any], commands: Mapping[str, Command]) -> str:
    """Return the help: what it is, how to start it, what can be set, what it never does.

    Args:
        program: the server.
        commands: those that this server alone has.
    """
    about = program.about
    settings = program.settings_type.settings()
    own = [setting for setting in settings if setting.field not in ServerSettings.model_fields]
    shared = [setting for setting in settings if setting.field in ServerSettings.model_fields]
    operand = "".join(f" [{s.positional}{'…' if s.many else ''}]" for s in settings if s.positional)
    sections = [
        f"{paint(about.package, 'bold')} {version(about.package)}\n{_wrapped(about.purpose)}",
        _usage(about.package, operand, commands),
        f"{paint('In the configuration of a client', 'bold')} (Claude Desktop, Claude Code, Cursor, VS Code, …)\n"
        f"  {_client_entry(program)}",
        f"{paint('Settings', 'bold')}\n" + "\n".join(_setting(setting) for setting in own),
        f"{paint('Settings of every server of this family', 'bold')}\n" + "\n".join(_setting(s) for s in shared),
        f"{paint('Settings of --transport http, sse and websocket', 'bold')}\n"
        + "\n".join(_setting(setting) for setting in ServingSettings.settings()),
        f"{paint('Settings of tools and call with a server at an address', 'bold')}\n"
        + "\n".join(_setting(setting) for setting in RemoteSettings.settings()),
        f"{paint('Options of install and uninstall', 'bold')}\n" + "\n".join(_row(*row) for row in INSTALL_OPTIONS),
        f"{paint('What the credential needs', 'bold')}\n{_wrapped(about.reading_needs)}",
        f"{paint('What it never does', 'bold')}\n" + "\n".join(_wrapped(f"- {never}") for never in about.never),
    ]
    return "\n\n".join(sections) + "\n"


def _usage(package: str, operand: str, commands: Mapping[str, Command]) -> str:
    clients = ", ".join(known_clients())
    rows = [
        (f"{package}{operand} [OPTION…]", "serve an MCP client over stdin and stdout"),
        (f"{package} tools", "list the tools, and what they cost a model"),
        (f"{package} check{operand}", "try the configuration and the credential; --json for scripts"),
        (f"{package} call TOOL name=value…{operand}", "run one tool and print its result"),
        (f"{package} tools|call … --url URL", "the same with any MCP server at an address"),
        (
            f"{package} install CLIENT{operand} [OPTION…]",
            f"add it to {clients}; --print for any other",
        ),
        (f"{package} uninstall CLIENT", "take it out again"),
        (f"{package} token NAME [GRANT…] [--days=N]", "make a bearer token for the file of --tokens"),
        *((f"{package} {name}", _help_of(command)) for name, command in commands.items()),
    ]
    width = max(len(command) for command, _ in rows) + 2
    return "\n".join([paint("Usage", "bold"), *(f"  {command:<{width}}{what}" for command, what in rows)])


def _help_of(command: Command) -> str:
    first_line = (inspect.getdoc(command) or "").partition("\n")[0].rstrip(".")
    return first_line[:1].lower() + first_line[1:]


def _client_entry(program: Program[Any]) -> str:
    about = program.about
    source = source_of(about.package)
    words = [*(("--from", source) if source else ()), about.package, *about.example]
    return f'"mcpServers": {{"{about.name}": {{"command": "uvx", "args": {json.dumps(words, ensure_ascii=False)}}}}}'


def _setting(setting: Setting) -> str:
    placeholder = f"[{setting.placeholder}]" if setting.value_optional else setting.placeholder
    name = setting.positional or (setting.flag if setting.switch else f"{setting.flag} {placeholder}")
    notes = [f"env {', '.join(setting.env)}" + (" or …_FILE, …_KEYRING" if setting.secret else "")]
    if setting.many:
        notes.append("repeatable")
    if setting.default not in (None, False, (), ""):
        notes.append(f"default {', '.join(setting.default) if setting.many else setting.default}")
    return _row(name, f"{setting.description} {paint('(' + '; '.join(notes) + ')', 'dim')}")


def _row(name: str, text: str) -> str:
    lines = textwrap.wrap(text, _width(), initial_indent=" " * _INDENT, subsequent_indent=" " * _INDENT)
    first = f"  {name}"
    if len(first) < _INDENT - 1:
        lines[0] = first.ljust(_INDENT) + lines[0][_INDENT:]
        return "\n".join(lines)
    return "\n".join([first, *lines])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _width(), initial_indent="  ", subsequent_indent="    " if text[:1] == "-" else "  ")


def _width() -> int:
    return min(110, shutil.get_terminal_size((100, 24)).columns)

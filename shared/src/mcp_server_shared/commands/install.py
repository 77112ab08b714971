"""`install CLIENT` and `uninstall CLIENT`: one entry in a client's configuration, everything else left alone."""

import argparse
import difflib
import getpass
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from mcp_server_shared.commands.clients import Client, Scope, known_clients
from mcp_server_shared.commands.console import paint, say
from mcp_server_shared.commands.entry import Launch, launch, secrets_folder
from mcp_server_shared.commands.json_text import JsonText, NotJson
from mcp_server_shared.commands.private_files import replace_file
from mcp_server_shared.commands.secret_places import PrivateFiles, SystemKeyring
from mcp_server_shared.redaction import redact_text
from mcp_server_shared.settings import Setting, SettingsProblem, given_settings, given_variable
from mcp_server_shared.start import Program

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_WARM_UP_S = 300

# For the help.
OPTIONS = (
    ("--yes", "Write without asking."),
    ("--name NAME", "What the client calls it; for a second entry of one server."),
    ("--scope user|project", "For all of your projects, or the one in this folder. (default user)"),
    ("--keyring", "install: keep secrets in the keyring of the system instead of files that only you can read."),
    ("--plain-secrets", "install: write secrets into the entry itself."),
)


def install(program: Program[Any], arguments: list[str]) -> int:
    """Add this server to a client, or print the entry; ask for what is missing where somebody can answer."""
    options, words = _options("install", program, arguments)
    settings = program.settings_type.settings()
    given = given_settings(settings, words)
    if sys.stdin.isatty() and not options.yes:
        _ask(program, settings, given)
    else:
        _take_secrets_from_here(settings, given)
    _check(program, settings, given)
    client = known_clients().get(options.client)
    graphical = client is None or client.graphical
    start = launch(program.about.package, settings, given, graphical=graphical, keyring=options.keyring)
    name: str = options.name
    if client is None:
        return _print_entry(name, start)
    file = _file(client, options.scope)
    folder = secrets_folder(name, file)
    kept = SystemKeyring(folder.name) if options.keyring else PrivateFiles(folder)
    places = {} if options.plain_secrets else {variable: kept.place(variable) for variable in start.secrets}
    before = _read(file)
    entry = client.entry(start.command, start.arguments, start.environment(places, kept.kind))
    after = _edited(file, before or "{}\n", lambda text: text.with_value(entry, client.servers, name))
    if not _agreed(file, before, after, options):
        return 1
    if after != before:
        _refuse_to_write_in_vain(file)
    for variable in places:
        say(kept.keep(variable, start.secrets[variable]))
    _write(file, before, after)
    _forget_secrets(folder, _environment(before, client, name), but=set(places.values()))
    starts = _warm_up(start)
    _say_what_is_not_granted(program, given)
    if not starts:
        say(paint(f"{client.title} has '{name}' now, but cannot start it until that is mended.", "yellow"))
        return 1
    say(paint(f"{client.title} has '{name}' now. {client.afterwards}", "green"))
    return 0


def uninstall(program: Program[Any], arguments: list[str]) -> int:
    """Take this server's entry out of a client again, and the secrets that were stored for it."""
    options, words = _options("uninstall", program, arguments)
    if words:
        raise SettingsProblem(f"uninstall takes no {words[0]}; see --help")
    client = known_clients()[options.client]
    name: str = options.name
    file = _file(client, options.scope)
    before = _read(file)
    after = _edited(file, before or "{}\n", lambda text: text.without(client.servers, name))
    if before is None or after == before:
        say(f"{client.title} has no '{name}' in {file}.")
        return 0
    if not _agreed(file, before, after, options):
        return 1
    _refuse_to_write_in_vain(file)
    _write(file, before, after)
    _forget_secrets(secrets_folder(name, file), _environment(before, client, name), but=())
    say(paint(f"{client.title} has no '{name}' any more. {client.afterwards}", "green"))
    return 0


def _warm_up(start: Launch) -> bool:
    """Run the command once, so that what it has to fetch is there when the client starts it and waits.

    Returns:
        Whether it starts; if not, why was told.
    """
    say("Trying the command; the first time it may have to fetch what it needs…")
    command = [shutil.which(start.command) or start.command, *start.arguments, "--version"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=_WARM_UP_S, check=False)  # noqa: S603
        problem = tried.stderr.strip() if tried.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem:
        say(paint(f"It does not start here, so it will not there: {redact_text(problem)}", "yellow"))
    return not problem


def _say_what_is_not_granted(program: Program[Any], given: Mapping[str, Any]) -> None:
    for grant in program.about.grants:
        if grant.setting not in given:
            say(paint(f"{grant.flag} would also let it {grant.allows}. That needs: {grant.needs}", "dim"))


# What is asked and given


def _options(command: str, program: Program[Any], arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    names = [*known_clients(), *(("--print",) if command == "install" else ())]
    usage = f"{program.about.package} {command} {'|'.join(names)} [--name NAME] [--scope user|project] [--yes]"
    parser = argparse.ArgumentParser(usage=usage, add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--name")
    parser.add_argument("--scope", choices=("user", "project"), default="user")
    parser.add_argument("--yes", action="store_true")
    if command == "install":
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--keyring", action="store_true")
        where.add_argument("--plain-secrets", action="store_true")
    client, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if client not in names:
        unknown = f", and '{client}' is none" if client else ""
        raise SettingsProblem(f"{command} takes a client first{unknown}: {', '.join(names)}")
    try:
        options, words = parser.parse_known_args(rest)
    except argparse.ArgumentError as error:
        raise SettingsProblem(str(error)) from None
    options.client = client
    options.name = options.name or program.about.name
    if not _NAME.fullmatch(options.name):
        raise SettingsProblem("--name takes letters, digits, - and _, at most 64")
    return options, words


def _take_secrets_from_here(settings: Sequence[Setting], given: dict[str, Any]) -> None:
    """Take secrets that this shell has: the client will not have them."""
    for setting in settings:
        if setting.secret and setting.field not in given and (text := given_variable(setting)):
            given[setting.field] = text.split("\n") if setting.many else text


def _ask(program: Program[Any], settings: Sequence[Setting], given: dict[str, Any]) -> None:
    """Ask for what a first run is likely to want: what to work on, the credential, the grants."""
    grants = {grant.setting: grant for grant in program.about.grants}
    for setting in (s for s in settings if s.field not in given and (s.positional or s.secret)):
        found = given_variable(setting) if setting.secret else None
        say(f"\n{paint(setting.positional or setting.flag, 'bold')}  {setting.description}")
        if found and _yes(f"Use the one in {setting.env[0]}?", default=True):
            given[setting.field] = found.split("\n") if setting.many else found
            continue
        prompt = "Value (Enter for none): "
        text = getpass.getpass(prompt) if setting.secret else input(prompt)
        if text.strip():
            given[setting.field] = shlex.split(text) if setting.many else text.strip()
    for setting in (s for s in settings if s.field in grants and s.field not in given and s.switch):
        grant = grants[setting.field]
        say(f"\n{paint(grant.flag, 'bold')} would let it {grant.allows}. That needs: {grant.needs}")
        if _yes("Allow it?", default=False):
            given[setting.field] = "true"


def _check(program: Program[Any], settings: Sequence[Setting], given: dict[str, Any]) -> None:
    """Refuse settings that the server would refuse when the client starts it."""
    words: list[str] = []
    by_field = {setting.field: setting for setting in settings}
    for field, value in given.items():
        setting = by_field[field]
        for text in value if setting.many else [value]:
            words += [text] if setting.positional else [f"{setting.flag}={text}"]
    program.settings_type.load(words, {})


def _yes(question: str, *, default: bool) -> bool:
    answer = input(f"{question} [{'Y/n' if default else 'y/N'}] ").strip().lower()
    return answer.startswith("y") if answer else default


def _agreed(file: Path, before: str | None, after: str, options: argparse.Namespace) -> bool:
    """Show what will change and return whether it should."""
    if after == before:
        return True
    diff = difflib.unified_diff(
        (before or "").splitlines(), after.splitlines(), f"{file} now", f"{file} then", lineterm="", n=2
    )
    for line in map(redact_text, diff):  # other entries around it may have secrets in plain text
        say(paint(line, "green") if line[:1] == "+" else paint(line, "red") if line[:1] == "-" else line)
    if options.yes:
        return True
    if not sys.stdin.isatty():
        sys.stderr.write("Nothing was written: add --yes to do it without being asked.\n")
        return False
    return _yes("Write this?", default=True)


# Files


def _file(client: Client, scope: Scope) -> Path:
    try:
        return client.file(scope)
    except ValueError as error:
        raise SettingsProblem(str(error)) from None


def _print_entry(name: str, start: Launch) -> int:
    """Print the entry in the form that most clients take, secrets left for the person to fill in."""
    environment = {f"{variable}_FILE": "/path/to/a/file/with/it" for variable in start.secrets}
    entry = {"command": start.command, "args": start.arguments, **({"env": environment} if environment else {})}
    say(json.dumps({"mcpServers": {name: entry}}, indent=2, ensure_ascii=False))
    return 0


def _read(file: Path) -> str | None:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsProblem(f"cannot read {file}: {reason}") from None


def _edited(file: Path, text: str, edit: Callable[[JsonText], str]) -> str:
    try:
        return edit(JsonText(text if text.strip() else "{}\n"))
    except NotJson as error:
        raise SettingsProblem(f"{file} is not the JSON it should be, so it is left alone: {error}") from None


def _refuse_to_write_in_vain(file: Path) -> None:
    """Find out whether the file can be replaced, before anything is stored for it."""
    folder = file.resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingsProblem(f"cannot write {file}, so nothing was changed: {error.strerror}") from None


def _write(file: Path, before: str | None, after: str) -> None:
    """Replace the file in one step, with a copy of what was there beside it."""
    if after == before:
        return
    target = file.resolve()  # a link to a file kept elsewhere stays a link
    if before is not None:
        backup = target.with_name(f"{target.name}.{datetime.now(UTC):%Y%m%d-%H%M%S}.bak")
        replace_file(backup, before, mode=target.stat().st_mode)
        say(f"The old one is in {backup}.")
    replace_file(target, after, mode=target.stat().st_mode if before is not None else 0o600)


def _environment(before: str | None, client: Client, name: str) -> dict[str, str]:
    """Return the variables that the entry had."""
    found = JsonText(before).get(client.servers, name, "env") if before and before.strip() else None
    return {name: str(text) for name, text in cast(dict[str, Any], found).items()} if isinstance(found, dict) else {}


def _forget_secrets(folder: Path, environment: Mapping[str, str], but: Container[str]) -> None:
    """Delete the secrets that were stored for an entry before and are no longer what it has."""
    PrivateFiles(folder).forget(but)
    SystemKeyring(folder.name).forget(environment, but)

"""The command line of a server: what it prints where, how it ends, and what it never shows."""

import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Generator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest
from mcp_server_shared.catalog import Finding
from mcp_server_shared.commands.dispatch import run_command
from mcp_server_shared.errors import Unavailable
from mcp_server_shared.server import Server
from mcp_server_shared.start import Program
from notes.server import ABOUT, Settings, build_server
from notes.server import Notes as StoredNotes

TIMEOUT_S = 20
SECRET = "hunter2-do-not-print"  # noqa: S105
HERE = str(Path(__file__).parent)


class Done(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


Notes = Callable[..., Done]


def sign_in(arguments: list[str]) -> int:
    """Sign in.

    This is for those who ask for its own help.
    """
    sys.stdout.write(f"signed in {' '.join(arguments)}\n")
    return 3


@pytest.fixture
def notes(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Generator[Notes]:
    """Run a command of the notes server in this process, where it is quicker."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for name in [name for name in os.environ if name.startswith(("MCP_", "NOTES_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str, **variables: str) -> Done:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        try:
            code: int | str | None = run_command(
                Program(ABOUT, Settings, build_server), list(arguments), {"sign-in": sign_in}
            )
        except SystemExit as exit_:
            code = exit_.code
        assert isinstance(code, int)
        printed = capfd.readouterr()
        return Done(code, printed.out, printed.err)

    yield run
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def environment(**variables: str) -> dict[str, str]:
    """Return no more than a process takes to run, so that no setting of the developer's counts."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": HERE, **variables}


def process_of_notes(*arguments: str, stdin: str = "", **variables: str) -> Done:
    """Run the notes server in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "notes", *arguments],
        input=stdin,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


# Help and version


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["call", "--help"], ["--allow-write", "--help"]])
def test_help_goes_to_stdout(notes: Notes, arguments: list[str]) -> None:
    done = notes(*arguments)
    assert (done.code, done.stderr) == (0, "")
    assert "Notes in memory, for tests." in done.stdout


def test_help_names_every_setting_with_its_variable(notes: Notes) -> None:
    text = notes("--help").stdout
    missing = [
        name
        for name in ("--allow-write", "NOTES_ALLOW_WRITE", "--api-token", "NOTES_API_TOKEN", "--confirm", "MCP_CONFIRM")
        if name not in text
    ]
    assert missing == []


@pytest.mark.parametrize("option", ["--yes", "--name NAME", "--scope user|project", "--keyring", "--plain-secrets"])
def test_help_names_the_options_of_install(notes: Notes, option: str) -> None:
    assert f"\n  {option}" in notes("--help").stdout


def test_help_says_which_settings_may_come_from_a_file(notes: Notes) -> None:
    [line] = [line for line in notes("--help").stdout.splitlines() if "NOTES_API_TOKEN" in line]
    assert "or …_FILE" in line


def test_help_does_not_show_the_value_of_a_variable(notes: Notes) -> None:
    assert SECRET not in notes("--help", NOTES_API_TOKEN=SECRET).stdout


def test_the_version_is_one_line(notes: Notes) -> None:
    assert notes("--version") == (0, f"mcp-server-shared {version('mcp-server-shared')}\n", "")


# tools


def test_tools_shows_what_is_granted_and_what_each_other_tool_needs(notes: Notes) -> None:
    done = notes("tools")
    assert (done.code, done.stderr) == (0, "")
    assert "read_note name [cursor]  ~" in done.stdout
    assert "write_note name text  needs --allow-write" in done.stdout


def test_tools_with_the_grant_shows_what_it_costs(notes: Notes) -> None:
    assert "write_note name text  ~" in notes("tools", "--allow-write").stdout


# check


def test_check_reports_on_stdout(notes: Notes) -> None:
    done = notes("check")
    assert (done.code, done.stderr) == (0, "")
    assert "✓ 2 notes." in done.stdout


def test_check_reports_as_json(notes: Notes) -> None:
    report = json.loads(notes("check", "--json").stdout)
    assert (report["server"], report["usable"]) == ("mcp-server-shared", True)
    assert {"level": "ok", "text": "2 notes.", "advice": ""} in report["findings"]
    tools = {tool["name"]: tool for tool in report["tools"]}
    assert tools["list_notes"] == {"name": "list_notes", "listed": True, "why_not": ""}
    assert (tools["write_note"]["listed"], "--allow-write" in tools["write_note"]["why_not"]) == (False, True)


# call


def test_call_prints_the_result_alone(notes: Notes) -> None:
    done = notes("call", "list_notes", "order=length", "limit=1")
    assert (done.code, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[0])["count"] == 1


def test_call_takes_a_string_as_it_is_written(notes: Notes) -> None:
    assert '["5",3]' in notes("call", "write_note", "name=5", "text=1=1", "--allow-write").stdout


def test_call_takes_settings_beside_the_arguments(notes: Notes) -> None:
    assert notes("call", "write_note", "name=x", "text=y", NOTES_ALLOW_WRITE="1").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent"], "There is no tool 'absent'.\n"),
        (["read_note", "name=x"], "There is no note 'x'.\n"),
        (["list_notes", "limit=x"], "'limit' must be an integer, not a string."),
        (["write_note", "name=x", "text=y"], "with --allow-write.\n"),
        (["delete_note", "name=first", "--allow-write"], "--confirm delete=never.\n"),
    ],
)
def test_a_call_that_fails_says_why_on_stderr(notes: Notes, arguments: list[str], message: str) -> None:
    done = notes("call", *arguments)
    assert (done.code, done.stdout) == (1, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["call"], ["call", "--allow-write"]])
def test_a_call_without_a_tool_is_asked_wrongly(notes: Notes, arguments: list[str]) -> None:
    done = notes(*arguments)
    assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1)


# Wrong settings


@pytest.mark.parametrize("command", ["tools", "check", "call list_notes"])
def test_wrong_settings_of_a_command_are_told_in_one_line_on_stderr(notes: Notes, command: str) -> None:
    done = notes(*command.split(), "--max-message-byte", "9")
    assert done == (
        2,
        "",
        "mcp-server-shared: unknown option --max-message-byte; did you mean --max-message-bytes?\n",
    )


@pytest.mark.parametrize(
    "variables",
    [
        {"MCP_THREADS": SECRET},
        {"MCP_LOG_FILE": f"/absent/{SECRET}"},
        {"NOTES_API_TOKEN": SECRET, "NOTES_API_TOKEN_FILE": "x"},
    ],
)
def test_a_server_with_a_wrong_setting_does_not_start_and_does_not_show_the_value(variables: dict[str, str]) -> None:
    done = process_of_notes(**variables)
    assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert SECRET not in done.stderr


def test_a_secret_may_come_from_a_file(notes: Notes, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    assert notes("check", NOTES_API_TOKEN_FILE=str(tmp_path / "token")).code == 0


# Serving


def test_without_a_command_it_serves_until_stdin_ends() -> None:
    ping = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    done = process_of_notes(stdin=ping + "\n")
    assert (done.code, json.loads(done.stdout)["id"]) == (0, 1)


def test_a_person_at_a_terminal_is_told_what_to_do() -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "notes"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    os.close(terminal)
    with process:
        assert process.stderr is not None
        told = process.stderr.readline().decode()
        os.close(controller)
        process.communicate(timeout=TIMEOUT_S)
    assert "waits for an MCP client on stdin" in told


# Colours


def on_a_terminal(*arguments: str, **variables: str) -> str:
    """Run a command whose stdout is a terminal, and return what it shows."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "notes", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        env=environment(**variables),
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while chunk := os.read(controller, 65_536):
                shown += chunk
        except OSError:  # how Linux says that a terminal has ended
            pass
        finally:
            os.close(controller)
        process.wait(TIMEOUT_S)
    return shown.decode()


def test_a_terminal_shows_colours() -> None:
    assert "\x1b[" in on_a_terminal("tools")


def test_no_color_turns_colours_off() -> None:
    assert "\x1b[" not in on_a_terminal("tools", NO_COLOR="1")


def test_what_is_no_terminal_shows_no_colours() -> None:
    assert "\x1b[" not in process_of_notes("--help").stdout


def test_check_reports_an_expected_failure_as_a_problem(notes: Notes, capfd: pytest.CaptureFixture[str]) -> None:
    async def unreachable(state: object) -> list[Finding]:
        raise Unavailable("Nothing answers.", hint="Is it running?")

    def build(settings: Settings) -> Server[StoredNotes]:
        server = build_server(settings)
        server.findings = unreachable
        return server

    code = run_command(Program(ABOUT, Settings, build), ["check"], {})
    assert (code, "✗ Nothing answers.\n  Is it running?" in capfd.readouterr().out) == (1, True)


def test_check_says_which_tools_the_credential_keeps_from_being_listed(
    notes: Notes, capfd: pytest.CaptureFixture[str]
) -> None:
    async def lacking(state: object) -> dict[str, str]:
        return {"read_note": "It lacks the scope notes.read."}

    def build(settings: Settings) -> Server[StoredNotes]:
        return build_server(settings, unusable=lacking)

    run_command(Program(ABOUT, Settings, build), ["check"], {})
    assert "Not listed: read_note.\n  It lacks the scope notes.read.\n" in capfd.readouterr().out


def test_a_flag_of_call_may_have_a_value_that_looks_like_an_argument(notes: Notes) -> None:
    done = notes("call", "delete_note", "name=first", "--allow-write", "--confirm", "delete=never")
    assert (done.code, done.stderr) == (0, "")


def test_check_names_what_is_not_listed_once_for_each_flag(notes: Notes) -> None:
    assert "✓ Not listed: write_note, delete_note.\n  --allow-write would let it " in notes("check").stdout


def test_a_command_of_the_server_itself_gets_its_arguments_and_gives_the_exit_code(notes: Notes) -> None:
    assert notes("sign-in", "as", "me") == (3, "signed in as me\n", "")


def test_help_names_a_command_of_the_server_itself_with_the_first_line_of_its_docstring(notes: Notes) -> None:
    [line] = [line for line in notes("--help").stdout.splitlines() if "sign-in" in line]
    assert line.endswith("  sign in")


def test_help_of_a_command_of_the_server_itself_is_its_docstring(notes: Notes) -> None:
    assert notes("sign-in", "--help") == (0, "Sign in.\n\nThis is for those who ask for its own help.\n", "")

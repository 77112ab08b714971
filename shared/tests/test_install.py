"""`install` and `uninstall`: what they write into a client's configuration, what they keep out of it, what they ask."""

import contextlib
import json
import logging
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest
from mcp_server_shared.commands.clients import known_clients
from mcp_server_shared.commands.dispatch import run_command
from mcp_server_shared.commands.entry import launch
from mcp_server_shared.settings import ServerSettings, Source
from mcp_server_shared.start import Program
from notes.server import ABOUT, Settings, build_server
from pydantic import Field

HERE = str(Path(__file__).parent)
TOKEN = "tok-3n-do-not-print"  # noqa: S105


class Done(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Desk:
    """A person's home with an editor's configuration, and a uvx that writes down what it is asked to run."""

    def __init__(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.capfd = capfd
        self.claude = home / ".config/Claude/claude_desktop_config.json"
        self.secrets = home / ".config/mcp-servers/secrets"
        (home / "bin").mkdir()
        self.uvx = home / "bin/uvx"
        self.uvx.write_text('#!/bin/sh\necho "$@" >> "$HOME/ran"\n', encoding="utf-8")
        self.uvx.chmod(0o755)

    def run(self, *arguments: str, **variables: str) -> Done:
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("MCP_", "NOTES_", "XDG_"))]:
                patch.delenv(name)
            for name, value in self.environment(**variables).items():
                patch.setenv(name, value)
            patch.chdir(self.home)
            patch.setattr(sys, "argv", [str(self.home / "bin/mcp-server-shared"), *arguments])
            try:
                code: int | str | None = run_command(Program(ABOUT, Settings, build_server), list(arguments), {})
            except SystemExit as exit_:
                code = exit_.code
        assert isinstance(code, int)
        printed = self.capfd.readouterr()
        return Done(code, printed.out, printed.err)

    def environment(self, **variables: str) -> dict[str, str]:
        return {"PATH": f"{self.home / 'bin'}{os.pathsep}{os.defpath}", "HOME": str(self.home), **variables}

    def entry(self, file: Path | None = None, servers: str = "mcpServers", name: str = "shared") -> Any:
        return json.loads((file or self.claude).read_text(encoding="utf-8"))[servers][name]


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Generator[Desk]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Desk(tmp_path, capfd)
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def test_a_client_without_a_configuration_gets_one(desk: Desk) -> None:
    done = desk.run("install", "claude-desktop", "--more-notes", "3", "--yes")
    assert (done.code, done.stderr) == (0, "")
    assert desk.entry()["args"][-3:] == ["mcp-server-shared", "--more-notes", "3"]


@pytest.mark.parametrize(
    ("client", "file", "servers"),
    [
        ("claude-desktop", ".config/Claude/claude_desktop_config.json", "mcpServers"),
        ("claude-code", ".claude.json", "mcpServers"),
        ("cursor", ".cursor/mcp.json", "mcpServers"),
        ("vscode", ".config/Code/User/mcp.json", "servers"),
    ],
)
def test_each_client_has_its_own_file_and_form(desk: Desk, client: str, file: str, servers: str) -> None:
    desk.run("install", client, "--yes")
    assert desk.entry(desk.home / file, servers)["command"].endswith("uvx")


@pytest.mark.parametrize(
    ("system", "folder"), [("darwin", "home/Library/Application Support"), ("win32", "home/AppData/Roaming")]
)
def test_macos_and_windows_have_other_places(
    system: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("APPDATA", "")
    clients = known_clients()
    assert clients["claude-desktop"].user == tmp_path / folder / "Claude/claude_desktop_config.json"
    assert clients["vscode"].user == tmp_path / folder / "Code/User/mcp.json"
    assert clients["claude-code"].user == tmp_path / "home/.claude.json"


@pytest.mark.parametrize(("client", "file"), [("claude-code", ".mcp.json"), ("vscode", ".vscode/mcp.json")])
def test_a_project_may_have_its_own(desk: Desk, client: str, file: str) -> None:
    desk.run("install", client, "--scope", "project", "--yes")
    assert (desk.home / file).exists()


def test_a_client_without_projects_says_so(desk: Desk) -> None:
    done = desk.run("install", "claude-desktop", "--scope", "project", "--yes")
    assert (done.code, "has no configuration for a project" in done.stderr) == (2, True)


def test_everything_else_in_the_file_stays(desk: Desk) -> None:
    desk.claude.parent.mkdir(parents=True)
    text = '{\n\t"theme": "dark", // mine\n\t"mcpServers": {\n\t\t"other": {"command": "x"}\n\t}\n}\n'
    desk.claude.write_text(text, encoding="utf-8")
    desk.run("install", "claude-desktop", "--yes")
    desk.run("uninstall", "claude-desktop", "--yes")
    assert desk.claude.read_text(encoding="utf-8") == text


def test_the_old_file_is_kept_beside_it(desk: Desk) -> None:
    desk.claude.parent.mkdir(parents=True)
    desk.claude.write_text("{ }\n", encoding="utf-8")
    desk.run("install", "claude-desktop", "--yes")
    [backup] = desk.claude.parent.glob("*.bak")
    assert backup.read_text(encoding="utf-8") == "{ }\n"


def test_installing_twice_changes_nothing_more(desk: Desk) -> None:
    desk.run("install", "claude-desktop", "--yes")
    first = desk.claude.read_bytes()
    done = desk.run("install", "claude-desktop", "--yes")
    assert (done.code, desk.claude.read_bytes(), list(desk.claude.parent.glob("*.bak"))) == (0, first, [])


def test_a_link_to_a_file_kept_elsewhere_stays_a_link(desk: Desk) -> None:
    kept = desk.home / "dotfiles.json"
    kept.write_text("{}", encoding="utf-8")
    desk.claude.parent.mkdir(parents=True)
    desk.claude.symlink_to(kept)
    desk.run("install", "claude-desktop", "--yes")
    assert (desk.claude.is_symlink(), "shared" in kept.read_text(encoding="utf-8")) == (True, True)


def test_a_file_that_is_no_json_is_left_alone_and_named_with_the_line(desk: Desk) -> None:
    desk.claude.parent.mkdir(parents=True)
    desk.claude.write_text('{\n  "a": 1\n  "b": 2\n}\n', encoding="utf-8")
    done = desk.run("install", "claude-desktop", "--yes")
    assert (done.code, "claude_desktop_config.json" in done.stderr, "line 3" in done.stderr) == (2, True, True)
    assert desk.claude.read_text(encoding="utf-8") == '{\n  "a": 1\n  "b": 2\n}\n'


def test_without_somebody_to_ask_nothing_is_written(desk: Desk) -> None:
    done = desk.run("install", "claude-desktop")
    assert (done.code, desk.claude.exists(), "--yes" in done.stderr) == (1, False, True)


def test_the_diff_shows_what_would_change(desk: Desk) -> None:
    done = desk.run("install", "claude-desktop")
    assert '+    "shared": {' in done.stdout.splitlines()


def test_the_diff_shows_no_secret_of_the_entries_around(desk: Desk) -> None:
    desk.claude.parent.mkdir(parents=True)
    env = {"GITHUB_TOKEN": f"ghp_{'a1' * 18}", "MY_PASSWORD": "correct horse"}
    text = json.dumps({"mcpServers": {"other": {"command": "x", "env": env}}}, indent=2)
    desk.claude.write_text(text, encoding="utf-8")
    done = desk.run("install", "claude-desktop", "--plain-secrets", "--api-token", TOKEN)
    assert '+    "shared": {' in done.stdout.splitlines()
    assert [secret for secret in (*env.values(), TOKEN) if secret in done.stdout] == []


def test_the_command_is_tried_as_the_client_will_start_it(desk: Desk) -> None:
    desk.run("install", "claude-desktop", "--more-notes=3", "--yes")
    ran = (desk.home / "ran").read_text(encoding="utf-8")
    assert ran.endswith("mcp-server-shared --more-notes 3 --version\n")


def test_a_command_that_does_not_start_is_told(desk: Desk) -> None:
    desk.uvx.write_text("#!/bin/sh\necho no such package >&2\nexit 1\n", encoding="utf-8")
    done = desk.run("install", "claude-desktop", "--yes")
    assert done.code == 1
    assert "does not start here" in done.stdout
    assert "cannot start it until that is mended" in done.stdout


def test_a_client_started_without_a_shell_gets_the_absolute_path_of_uvx(desk: Desk) -> None:
    desk.run("install", "claude-desktop", "--yes")
    desk.run("install", "claude-code", "--yes")
    code = desk.entry(desk.home / ".claude.json")
    assert (desk.entry()["command"], code["command"]) == (str(desk.uvx), "uvx")


def test_without_uvx_this_very_command_is_what_the_client_starts(desk: Desk) -> None:
    desk.uvx.unlink()
    desk.run("install", "claude-desktop", "--yes")
    assert Path(desk.entry()["command"]).is_absolute()


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--more-notes", "many"], ["--confirm", "perhaps"]])
def test_settings_that_the_server_would_refuse_are_not_written(desk: Desk, arguments: list[str]) -> None:
    done = desk.run("install", "claude-desktop", "--yes", *arguments)
    assert (done.code, desk.claude.exists()) == (2, False)


@pytest.mark.parametrize("name", ["../x", "a b", "", "x" * 65])
def test_a_name_that_could_lead_elsewhere_is_refused(desk: Desk, name: str) -> None:
    assert desk.run("install", "claude-desktop", "--yes", "--name", name or "..").code == 2


def test_what_is_not_granted_is_told_with_what_it_needs(desk: Desk) -> None:
    assert "--allow-write would also let it " in desk.run("install", "claude-desktop", "--yes").stdout
    assert "--allow-write would" not in desk.run("install", "cursor", "--yes", "--allow-write").stdout


def test_two_entries_may_differ_in_name(desk: Desk) -> None:
    desk.run("install", "claude-desktop", "--yes")
    desk.run("install", "claude-desktop", "--yes", "--name", "more", "--more-notes=3")
    assert desk.entry(name="more")["args"] != desk.entry()["args"]


def test_an_unknown_client_is_refused_with_the_known_ones(desk: Desk) -> None:
    done = desk.run("install", "netscape")
    assert (done.code, "'netscape' is none: claude-desktop" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_without_a_client_the_known_ones_are_named(desk: Desk, command: str) -> None:
    done = desk.run(command)
    assert (done.code, f"{command} takes a client first: claude-desktop" in done.stderr) == (2, True)


def nobody_may_write(desk: Desk) -> None:
    # Not by its mode, which root does not mind: the folder is a link to one that cannot be made.
    (desk.home / ".cursor").symlink_to("/proc/self/nowhere")


def test_where_nothing_can_be_written_one_line_says_so(desk: Desk) -> None:
    nobody_may_write(desk)
    done = desk.run("install", "cursor", "--yes")
    assert (done.code, done.stderr.count("\n")) == (2, 1)
    assert "mcp.json, so nothing was changed: " in done.stderr


def test_where_nothing_can_be_written_no_secret_is_left_behind(desk: Desk) -> None:
    nobody_may_write(desk)
    desk.run("install", "cursor", "--yes", NOTES_API_TOKEN=TOKEN)
    assert not desk.secrets.exists()


def test_a_secret_that_cannot_be_stored_is_told_in_one_line(desk: Desk) -> None:
    (desk.home / ".config").mkdir()
    (desk.home / ".config/mcp-servers").touch()
    done = desk.run("install", "cursor", "--yes", NOTES_API_TOKEN=TOKEN)
    assert (done.code, done.stderr.count("\n")) == (2, 1)
    assert "cannot keep NOTES_API_TOKEN in " in done.stderr


def test_for_any_other_client_the_entry_is_printed(desk: Desk) -> None:
    done = desk.run("install", "--print", "--allow-write")
    assert json.loads(done.stdout)["mcpServers"]["shared"]["args"][-1] == "--allow-write"


# Secrets


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_secret_goes_into_a_file_for_its_owner_alone(desk: Desk, how: str) -> None:
    arguments, variables = (["--api-token", TOKEN], {}) if how == "flag" else ([], {"NOTES_API_TOKEN": TOKEN})
    done = desk.run("install", "claude-desktop", "--yes", *arguments, **variables)
    file = Path(desk.entry()["env"]["NOTES_API_TOKEN_FILE"])
    assert (file.read_text(encoding="utf-8").strip(), stat.S_IMODE(file.stat().st_mode)) == (TOKEN, 0o600)
    assert TOKEN not in desk.claude.read_text(encoding="utf-8") + done.stdout + done.stderr


def test_a_secret_stands_in_the_entry_only_when_that_was_asked_for(desk: Desk) -> None:
    desk.run("install", "claude-desktop", "--yes", "--plain-secrets", "--api-token", TOKEN)
    assert desk.entry()["env"] == {"NOTES_API_TOKEN": TOKEN}


def test_what_is_printed_has_no_secret_in_it(desk: Desk) -> None:
    assert TOKEN not in desk.run("install", "--print", "--api-token", TOKEN).stdout


def test_uninstalling_takes_the_secrets_along(desk: Desk) -> None:
    desk.run("install", "claude-desktop", "--yes", "--api-token", TOKEN)
    desk.run("uninstall", "claude-desktop", "--yes")
    assert list(desk.secrets.rglob("*")) == []


def test_uninstalling_from_one_client_leaves_the_secrets_of_another(desk: Desk) -> None:
    desk.run("install", "claude-desktop", "--yes", "--api-token", TOKEN)
    desk.run("install", "cursor", "--yes", "--api-token", "another")
    desk.run("uninstall", "cursor", "--yes")
    file = Path(desk.entry()["env"]["NOTES_API_TOKEN_FILE"])
    assert file.read_text(encoding="utf-8").strip() == TOKEN


def test_a_secret_that_an_entry_has_no_longer_is_deleted(desk: Desk) -> None:
    desk.run("install", "claude-desktop", "--yes", "--api-token", TOKEN)
    desk.run("install", "claude-desktop", "--yes")
    assert [path for path in desk.secrets.rglob("*") if path.is_file()] == []


def test_uninstalling_what_is_not_there_says_so(desk: Desk) -> None:
    done = desk.run("uninstall", "claude-desktop")
    assert (done.code, "has no 'shared'" in done.stdout) == (0, True)


# The keyring of the system


def with_keyring(desk: Desk, *command: str, **variables: str) -> Done:
    """Run a command where there is a keyring."""
    keyring = {"PYTHON_KEYRING_BACKEND": "notes.keyring_file.FileKeyring", "NOTES_KEYRING": str(desk.home / "keyring")}
    done = subprocess.run(
        [sys.executable, *command],
        env=desk.environment(PYTHONPATH=HERE, **keyring, **variables),
        cwd=desk.home,
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_secret_may_go_into_the_keyring_and_comes_out_of_it_again(desk: Desk) -> None:
    command = ("-m", "notes", "install", "claude-desktop", "--yes", "--keyring", "--api-token", TOKEN)
    assert with_keyring(desk, *command).code == 0
    assert (list(desk.entry()["env"]), desk.entry()["args"][:2]) == (["NOTES_API_TOKEN_KEYRING"], ["--with", "keyring"])
    assert TOKEN not in desk.claude.read_text(encoding="utf-8")
    code = "from notes.server import Settings; print(Settings.load([]).api_token.get_secret_value())"
    assert with_keyring(desk, "-c", code, **desk.entry()["env"]).stdout == f"{TOKEN}\n"


@pytest.mark.parametrize("command", [["uninstall"], ["install", "--api-token", "another"]])
def test_what_an_entry_has_no_longer_leaves_the_keyring(desk: Desk, command: list[str]) -> None:
    with_keyring(desk, "-m", "notes", "install", "claude-desktop", "--yes", "--keyring", "--api-token", TOKEN)
    done = with_keyring(desk, "-m", "notes", command[0], "claude-desktop", "--yes", *command[1:])
    assert (done.code, (desk.home / "keyring").read_text(encoding="utf-8")) == (0, "{}")


def test_an_entry_that_the_keyring_does_not_have_is_named(desk: Desk) -> None:
    done = with_keyring(desk, "-m", "notes", "check", **{"NOTES_API_TOKEN_KEYRING": "gone/NOTES_API_TOKEN"})
    assert (done.code, "the keyring has no 'gone/NOTES_API_TOKEN'" in done.stderr) == (2, True)


def test_without_a_keyring_nothing_is_written(desk: Desk) -> None:
    command = ("-m", "notes", "install", "claude-desktop", "--yes", "--keyring", "--api-token", TOKEN)
    code = "import sys; sys.modules['keyring'] = None; import runpy; runpy.run_module('notes', run_name='__main__')"
    done = with_keyring(desk, "-c", code, *command[2:])
    assert (done.code, desk.claude.exists(), "uvx --with keyring" in done.stderr) == (2, False, True)


# Somebody to ask


def answered(desk: Desk, command: list[str], *answers: str) -> tuple[int, str]:
    """Run a command on a terminal and answer each of its questions in turn."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "notes", *command],
        env=desk.environment(TERM="dumb", PYTHONPATH=HERE),
        cwd=desk.home,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    ) as process:
        os.close(follower)
        waiting, printed = list(answers), b""
        with contextlib.suppress(OSError):  # what Linux says when the other end is closed
            while piece := os.read(leader, 65_536):
                printed += piece
                if waiting and printed.endswith((b": ", b"] ")):
                    os.write(leader, f"{waiting.pop(0)}\n".encode())
        os.close(leader)
    return process.returncode, printed.decode()


def test_a_person_is_asked_for_the_secret_and_each_grant(desk: Desk) -> None:
    code, printed = answered(desk, ["install", "claude-desktop"], TOKEN, "y", "y")
    assert (code, "--allow-write" in desk.entry()["args"], "change notes" in printed) == (0, True, True)
    assert Path(desk.entry()["env"]["NOTES_API_TOKEN_FILE"]).read_text(encoding="utf-8").strip() == TOKEN


def test_a_person_may_decline_at_the_end(desk: Desk) -> None:
    code, _ = answered(desk, ["install", "claude-desktop"], "", "n", "n")
    assert (code, desk.claude.exists()) == (1, False)


# What stands in an entry


def arguments_of(given: dict[str, Any]) -> list[str]:
    words = launch("mcp-server-shared", Settings.settings(), given, graphical=False).arguments
    return words[words.index("mcp-server-shared") + 1 :] if "mcp-server-shared" in words else words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"allow_write": "true"}, ["--allow-write"]),
        ({"allow_write": "false"}, ["--allow-write=false"]),
        ({"more_notes": "-3"}, ["--more-notes=-3"]),
        ({"confirm": ["ask", "delete=never"]}, ["--confirm", "ask", "--confirm", "delete=never"]),
    ],
)
def test_a_setting_is_written_as_its_flag(given: dict[str, Any], words: list[str]) -> None:
    assert arguments_of(given) == words


class SettingsOfAFork(ServerSettings):
    """Settings as somebody else writes them."""

    env_prefix = "NOTES"

    shelf: Annotated[Path, Source(positional="SHELF"), Field(description="Where the notes are.")] = Path("notes")


def test_a_path_of_a_server_by_others_becomes_one_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = SettingsOfAFork.settings()
    words = launch("mcp-server-shared", settings, {"shelf": "oak"}, graphical=False).arguments
    assert words[-1] == str(tmp_path / "oak")


def test_a_path_from_here_becomes_one_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert arguments_of({"log_file": "logs/x.log"}) == ["--log-file", str(tmp_path / "logs/x.log")]

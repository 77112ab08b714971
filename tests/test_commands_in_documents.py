"""Every command of the documents: run here, or else held to what reads it, for a reason that is given."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import catalog
import pytest
import trustme
from mcp_server_shared.commands.remote import is_remote
from notes.network import Served, launched
from test_documents import DOCUMENTS, ROOT, name_of

BIN = Path(sys.executable).parent
SERVERS = {server.about.package: server for server in catalog.servers()}
STAND_INS = {"mcp-server-notes": "mcp-server-filesystem"}  # examples that are no servers of this repository

# What is not run here, and why, or where it is.
NOT_RUN = {
    r"python3 tests/bootstrap\.py demo": "tests/test_demo.py runs it",
    r"(echo '.*' \| )?python3 tests/bootstrap\.py console .*": "tests/test_demo.py and tests/test_console.py run it",
    r"python3 tests/bootstrap\.py test": "it is what runs this",
    r"python3 tests/bootstrap\.py fork .*": "tests/test_fork.py runs it",
    r"python3\.12 tests/bootstrap\.py demo": "there may be no Python 3.12",
    r"(\.venv/bin/)?python tests/benchmarks/run\.py.*": "it takes minutes; see tests/test_benchmarks.py",
    r"\.venv/bin/python tests/catalog\.py": "tests/test_catalog.py runs it without writing",
    r"\.venv/bin/python tests/pictures\.py": "tests/test_pictures.py runs it into another folder",
    r"\.venv/bin/python -m pytest .*|uv run pytest": "it is what runs this",
    r"\.venv/bin/(ruff check|ruff format|pyright)": "tests/test_style.py runs them",
    r"python -m mcp_server_shared\.serving\.front front\.toml": "shared/tests/serving/test_front.py runs it",
    r"kubectl .*": "it takes a cluster; tests/test_deploy.py checks the recipes",
    r"apt-get install .*|which uvx|npm ci .*": "it is not about this repository",
    r"uvx --from \"mcp-server-notes\[http\]\" …|mcp-server-postgres check URL": "it stands for others",
}
FOLLOWED = {"docs/forking.md": "tests/test_forking.py does what it says"}
ASKS_OUTSIDE = {"github", "search"}  # whose check, without a credential, goes to somebody on the network
OWN = {"auth": "a person has to sign in", "install-browser": "it downloads a browser"}


@dataclass(frozen=True)
class Command:
    """One command, where it stands, and the words of it that are about a server."""

    document: Path
    text: str

    @property
    def id(self) -> str:
        return f"{name_of(self.document)}: {self.text}"

    def server(self) -> tuple[catalog.CataloguedServer, list[str]] | None:
        """Return the server that it starts, and its arguments."""
        words = shlex.split(self.text.partition(" >")[0], comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words[:3] == ["claude", "mcp", "add"]:
            words = words[words.index("--") + 1 :]
        if words[:2] == ["uvx", "--from"]:
            words = words[2:]
            source, words = words[0], words[1:]
            folder = re.sub(r".*servers/(\w+).*", r"\1", source)
            assert SERVERS[words[0]].folder.name == folder, "one server's folder with another one's command"
        elif words[:1] == ["uvx"]:
            words = words[1:]
        package = STAND_INS.get(words[0], words[0]) if words else ""
        if package not in SERVERS:
            return None
        return SERVERS[package], words[1:]


def commands() -> list[Command]:
    """Return every command in a fence for a shell, and those inside a line that begin as one."""
    found: dict[str, Command] = {}
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for fence in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
            for line in fence.replace("\\\n", "").splitlines():
                for part in line.strip().split(" && "):
                    add(found, Command(path, part))
        programs = r"(?:uvx|uv|python[\d.]*|\.venv/bin/\w+|mcp-server-[a-z-]+|npm|apt-get|claude|kubectl|which) "
        for inline in re.findall(rf"`({programs}[^`@]+)`", text):
            add(found, Command(path, inline))
    return list(found.values())


def add(found: dict[str, Command], command: Command) -> None:
    if command.text and not command.text.startswith(("cd ", "#")):
        found.setdefault(command.id, command)


def test_there_are_commands() -> None:
    assert len(commands()) > 80


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.id)
def test_a_command_is_run_or_read_or_there_is_a_reason(command: Command, tmp_path: Path) -> None:
    reasons = [reason for pattern, reason in NOT_RUN.items() if re.fullmatch(pattern, command.text.split("  #")[0])]
    if reasons := reasons or [reason for page, reason in FOLLOWED.items() if name_of(command.document) == page]:
        named: list[str] = re.findall(r"(?:shared/)?tests/[\w/.]+\.py|\.ci/run", reasons[0])
        assert all((ROOT / name).exists() for name in named)
        return
    if command.text.startswith(("mkdir ", "openssl ", "cat ")):
        typed(command.text, tmp_path)
        return
    found = command.server()
    assert found, "nobody tests this command: run it here, or say in NOT_RUN why not"
    server, words = found
    judge = JUDGES.get(words[0] if words else "", served)
    judge(server, words, tmp_path)


def typed(text: str, folder: Path) -> None:
    """Run a command that a shell has, with nothing on stdin."""
    if shutil.which(text.split(maxsplit=1)[0]) is None:
        pytest.skip(f"no {text.split(maxsplit=1)[0]}")
    (folder / "deploy").mkdir()
    subprocess.run(["sh", "-ec", text], cwd=folder, stdin=subprocess.DEVNULL, check=True)


def run(server: catalog.CataloguedServer, words: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    """Run a server's command as nobody in particular, with nothing on stdin."""
    (home / "Documents").mkdir(exist_ok=True)
    (home / "projects").mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    return subprocess.run(
        [BIN / server.about.package, *at_home(words, home)],
        env=kept | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def at_home(words: list[str], home: Path) -> list[str]:
    """Return words with folders that are there."""
    return [re.sub(r"^/path/to/\w+$|^~", str(home), word) for word in words]


def served(server: catalog.CataloguedServer, words: list[str], home: Path) -> None:
    """Start it: over stdio it ends with its client, on a network it says where it listens."""
    if any(word.startswith("--transport") for word in words):
        with listening(server, words, home):
            return
    done = run(server, words, home)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@contextmanager
def listening(server: catalog.CataloguedServer, words: list[str], home: Path) -> Generator[Served]:
    """Serve a network at a free port, with the files that the command names."""
    certificate = trustme.CA().issue_cert("notes.example.com")
    certificate.private_key_pem.write_to_path(home / "key.pem")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(home / "cert.pem", append=True)
    (home / "tokens").write_text(run(server, ["token", "ci"], home).stdout, encoding="utf-8")
    fixed = [re.sub(r"^(tokens|cert\.pem|key\.pem)$", rf"{home}/\1", word) for word in at_home(words, home)]
    if "--port" in fixed:
        fixed[fixed.index("--port") + 1] = "0"
    else:
        fixed += ["--port", "0"]
    with launched([str(BIN / server.about.package), *fixed], r"serves at (\S+);") as serving:
        yield serving


def printed(server: catalog.CataloguedServer, words: list[str], home: Path) -> None:
    """Run it: it prints something."""
    done = run(server, words, home)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def checked(server: catalog.CataloguedServer, words: list[str], home: Path) -> None:
    """Run it, and it says what it found, though there is no upstream; or read its settings."""
    server.program.decided(words[1:])
    if server.about.name not in ASKS_OUTSIDE:
        done = run(server, words, home)
        assert (done.returncode in {0, 1}, done.stderr) == (True, "")
        assert "will be listed" in done.stdout


def called(server: catalog.CataloguedServer, words: list[str], home: Path) -> None:
    """Run what needs no upstream, or one that can be served here; of the others look the tool and its arguments up."""
    if is_remote(words):
        with listening(server, ["--transport", "http", str(home)], home) as serving:
            printed(server, [serving.url if "://" in word else word for word in words], home)
    elif server.about.name == "filesystem":
        printed(server, words, home)
    if words[0] == "call":
        schema = server.registry.tools[words[1]].listed.input_schema["properties"]
        assert {word.partition("=")[0] for word in words[2:] if re.match("[a-z_]+=", word)} <= set(schema)


def installed(server: catalog.CataloguedServer, words: list[str], home: Path) -> None:
    """Run it, without questions, for a home of its own."""
    done = run(server, [*words, "--yes"], home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.about.package in done.stdout


def own(server: catalog.CataloguedServer, words: list[str], home: Path) -> None:
    """Look a command of this server alone up in its help."""
    assert words[0] in OWN
    assert f"{server.about.package} {words[0]}" in run(server, ["--help"], home).stdout


JUDGES: dict[str, Callable[[catalog.CataloguedServer, list[str], Path], None]] = {
    "--help": printed,
    "call": called,
    "check": checked,
    "install": installed,
    "token": printed,
    "tools": called,
    **dict.fromkeys(OWN, own),
}

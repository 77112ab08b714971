"""What may import what, and what may not be in the repository at all."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = ROOT / "shared/src/mcp_server_shared"
SERVERS = [path.parent for path in sorted(ROOT.glob("servers/*/src/*/__init__.py"))]
SOURCES = [path for package in (SHARED, *SERVERS) for path in sorted(package.rglob("*.py"))]

# The modules of a server that speak to a client; all others speak to the outside and know nothing of MCP.
FOR_THE_CLIENT = {"__main__", "server", "settings", "tools", "resources", "prompts"}
NOT_WHILE_SERVING = {
    *("mcp.client", "mcp.server.mcpserver"),
    *(f"{SHARED.name}.{part}" for part in ("commands", "contract", "serving")),
}
NO_NOUNS = {"utils", "util", "helpers", "helper", "common", "consts", "constants", "misc", "base"}
GENERATED = {"node_modules", "__pycache__", "dist", "build", "uv.lock", "package-lock.json"}
# Left behind, these would tell how and where the repository was made.
LEFTOVERS = re.compile("/(?:work|root)/|sub" + "agent|founder-" + "engineer", re.IGNORECASE)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> Iterator[str]:
    """Yield the full name of every module that a source imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def attributes_of(path: Path) -> set[str]:
    """Return every attribute that a source takes of a module or object, as "sys.stdout"."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}


def text_files() -> Iterator[Path]:
    """Yield every file that somebody wrote."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name == ".ci" or (name[0] != "." and name not in GENERATED)]
        yield from (Path(folder, name) for name in names if name[0] != "." and name not in GENERATED)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_server_is_imported_from_outside_it(path: Path) -> None:
    own = path.relative_to(ROOT).parts[:2]
    servers = {package.name for package in SERVERS if package.relative_to(ROOT).parts[:2] != own}
    assert [name for name in imports_of(path) if name.partition(".")[0] in servers] == []


@pytest.mark.parametrize("package", SERVERS, ids=lambda package: package.name)
def test_what_talks_to_the_outside_knows_nothing_of_mcp(package: Path) -> None:
    upwards = {f"{owner}.{module}" for owner in (package.name, SHARED.name) for module in FOR_THE_CLIENT}
    entangled = [
        f"{path.name} imports {name}"
        for path in package.rglob("*.py")
        if not FOR_THE_CLIENT & {path.stem, path.parent.name}
        for name in imports_of(path)
        if {name.partition(".")[0], ".".join(name.split(".")[:2])} & (upwards | {"mcp", "mcp_types"})
    ]
    assert entangled == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_settings_read_the_environment(path: Path) -> None:
    reads = attributes_of(path) & {"os.environ", "os.environb", "os.getenv"}
    assert not reads or path.name == "settings.py"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_the_commands_write_to_stdout(path: Path) -> None:
    writes = attributes_of(path) & {"sys.stdout", "sys.__stdout__"}
    assert not writes or SHARED / "commands" in path.parents


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_is_named_for_what_is_in_it(path: Path) -> None:
    assert not NO_NOUNS & {part.strip("_") for part in (path.stem, *path.relative_to(ROOT).parts)}


def test_the_repository_says_nothing_of_how_it_was_made() -> None:
    told: list[str] = []
    for path in text_files():
        text = path.read_bytes().decode(errors="replace")
        told += [f"{name_of(path)}: {match[0]}" for match in LEFTOVERS.finditer(text) if path != Path(__file__)]
    assert told == []


def imported_by(*command: str) -> set[str]:
    """Return the modules that a Python command imports, tried or found."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command], input="", capture_output=True, text=True, timeout=60, check=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.fixture(scope="module")
def sdk_modules() -> set[str]:
    return {name.partition(".")[0] for name in imported_by("-c", "import mcp.server")}


@pytest.mark.parametrize("package", [package.name for package in SERVERS])
def test_serving_imports_nothing_that_an_empty_server_would_not(package: str, sdk_modules: set[str]) -> None:
    modules = imported_by("-m", package)
    roots = {name.partition(".")[0] for name in modules}
    assert roots - sdk_modules - sys.stdlib_module_names - {package, SHARED.name} == set()
    assert NOT_WHILE_SERVING & modules == set()

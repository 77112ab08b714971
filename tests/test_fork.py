"""A server copied by the command of the README is one that installs, passes its tests, and serves, untouched."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import fork
import pytest
from checkout import copy_checkout
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parents[1]
UV = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools/uv/bin/uv")
# The copy's own environment, coverage and virtual environment are no business of this run's.
FOREIGN = ("COV_", "COVERAGE_", "PYTEST_", "UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def own_environment() -> dict[str, str]:
    """Return the environment without what belongs to this run."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def run(*command: str | Path, folder: Path) -> str:
    """Run a command and return what it printed; a failure shows it."""
    path = f"{Path(UV).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=own_environment() | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


async def tools_of(command: Path, *arguments: str) -> list[str]:
    """Start a server as a host does and return the names of its tools."""
    async with Client(StdioServerParameters(command=str(command), args=list(arguments))) as client:
        return [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_server_in_a_repository_of_its_own_passes_its_tests_and_serves(tmp_path: Path) -> None:
    place = tmp_path / "repository"
    run(sys.executable, ROOT / "tests/bootstrap.py", "fork", "filesystem", "my-notes", "--into", place, folder=ROOT)
    run(UV, "run", "pytest", "-q", "-n", "2", "-m", "not slow", folder=place)
    run(UV, "run", "ruff", "check", folder=place)
    assert "read_text_file" in await tools_of(place / ".venv/bin/mcp-server-my-notes", str(tmp_path))
    assert "Begun as a copy of mcp-server-filesystem" in (place / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_server_in_a_repository_of_its_own_takes_shared_from_git(tmp_path: Path) -> None:
    workspace = copy_checkout(tmp_path / "workspace")
    author = ("-c", "user.name=Tests", "-c", "user.email=tests@localhost")
    run("git", "init", "--quiet", folder=workspace)
    run("git", "add", "--all", folder=workspace)
    run("git", *author, "commit", "--quiet", "--message", "Everything", folder=workspace)
    place, url = tmp_path / "repository", workspace.as_uri()
    fork_command = ["fork", "filesystem", "my-notes", "--into", place, "--shared", url]
    run(sys.executable, workspace / "tests/bootstrap.py", *fork_command, folder=workspace)
    assert f"{url}?subdirectory=shared" in (place / "uv.lock").read_text(encoding="utf-8")
    assert not (place / "vendor").exists()
    assert "read_text_file" in await tools_of(place / ".venv/bin/mcp-server-my-notes", str(tmp_path))


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_server_in_this_workspace_passes_the_contract_and_serves(tmp_path: Path) -> None:
    workspace = copy_checkout(tmp_path / "workspace")
    run(sys.executable, workspace / "tests/bootstrap.py", "fork", "postgres", "warehouse", folder=workspace)
    run(UV, "run", "--no-sync", "pytest", "-q", "servers/warehouse/tests/test_contract.py", folder=workspace)
    run(UV, "run", "--no-sync", "pytest", "-q", "tests/test_check.py", "-k", "warehouse", folder=workspace)
    run(UV, "run", "--no-sync", "ruff", "check", "servers/warehouse", folder=workspace)
    assert "folder: servers/warehouse\n" in (workspace / "catalog.yaml").read_text(encoding="utf-8")
    assert "describe_table" in await tools_of(workspace / ".venv/bin/mcp-server-warehouse")


@pytest.mark.parametrize("name", ["Notes", "my_notes", "-x", "a--b", "../x", ""])
def test_a_name_that_no_package_could_have_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fork.main(["filesystem", "--", name], UV) == 1
    assert "is no name" in capsys.readouterr().err


def test_a_folder_that_is_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    assert fork.main(["filesystem", "notes", "--into", str(tmp_path)], UV) == 1
    assert ("is there already" in capsys.readouterr().err, list(tmp_path.iterdir())) == (True, [tmp_path / "mine"])


def test_the_tests_of_a_copy_look_in_its_own_repository(tmp_path: Path) -> None:
    for name, text in {"tests/test_a.py": "parents[3] parents[1]", "tests/b/c.py": "parents[4] parents[3]"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    fork.lead_to_own_root(tmp_path)
    assert (tmp_path / "tests/test_a.py").read_text(encoding="utf-8") == "parents[1] parents[1]"
    assert (tmp_path / "tests/b/c.py").read_text(encoding="utf-8") == "parents[2] parents[3]"


@pytest.mark.parametrize("folder", sorted(ROOT.glob("servers/*/tests")), ids=lambda folder: folder.parent.name)
def test_what_the_tests_of_a_copy_import_comes_along(folder: Path) -> None:
    elsewhere = {path.stem for place in ("tests", "shared/tests") for path in (ROOT / place).iterdir()}
    needed = {name for path in folder.rglob("*.py") for name in fork.imports(path)} & elsewhere
    assert needed <= {module.stem for module in fork.test_modules(folder)}


@pytest.mark.parametrize("server", sorted(path.parent.name for path in ROOT.glob("servers/*/pyproject.toml")))
def test_no_line_of_a_copy_with_a_longer_name_is_too_long(server: str, tmp_path: Path) -> None:
    old = fork.names_of(server)
    fork.copy(old, fork.names(old.package.replace("mcp-server", "company")), tmp_path / "copy")
    fork.tidy(UV, ROOT, tmp_path / "copy")
    rules = ("--select", "E501", "--config", ROOT / "pyproject.toml")
    run(sys.executable, "-m", "ruff", "check", *rules, ".", folder=tmp_path)


def test_the_variables_of_a_copy_have_its_own_prefix(tmp_path: Path) -> None:
    fork.copy(fork.names_of("postgres"), fork.names("notes"), tmp_path / "copy")
    test = (tmp_path / "copy/tests/test_databases.py").read_text(encoding="utf-8")
    assert ("NOTES_DATABASE_FILE" in test, "POSTGRES_DATABASE" in test) == (True, False)


@pytest.mark.parametrize("server", ["browser", "filesystem", "postgres"])
def test_a_copy_in_this_workspace_is_named_wherever_the_other_one_is(server: str) -> None:
    old, new = fork.names_of(server), fork.names("my-notes")
    workspace = fork.with_member((ROOT / "pyproject.toml").read_text(encoding="utf-8"), old, new)
    tables = tomllib.loads(workspace)
    [installed] = [each for each in tables["dependency-groups"]["servers"] if each.startswith("mcp-server-my-notes")]
    assert installed.partition("[")[1:] in {("", ""), ("[", "embedded]")}
    assert tables["tool"]["uv"]["sources"]["mcp-server-my-notes"] == {"workspace": True}
    assert "mcp_server_my_notes" in tables["tool"]["coverage"]["run"]["source_pkgs"]


@pytest.mark.parametrize("server", ["browser", "filesystem"])
def test_a_copy_in_this_workspace_has_something_for_its_check_to_report(server: str) -> None:
    checks = (ROOT / "tests/test_check.py").read_text(encoding="utf-8")
    changed = fork.with_something_amiss(checks, fork.names_of(server), fork.names("my-notes"))
    [line] = set(changed.splitlines()) - set(checks.splitlines())
    assert re.fullmatch(r'    "my-notes": \[.*\],', line)


def test_the_readme_of_a_copy_claims_no_measurements_and_leads_nowhere_outside() -> None:
    readme = (ROOT / "servers/filesystem/README.md").read_text(encoding="utf-8")
    changed = fork.without_outside(fork.without_measurements(readme), fork.names("my-notes"))
    assert [word for word in ("tests/benchmarks", "<!-- catalog", "](../") if word in changed] == []
    assert re.findall(r"^## (.*)$", changed, re.MULTILINE)[:3] == ["Install", "Settings", "Tools, resources, prompts"]


@pytest.mark.parametrize("there", [True, False])
def test_only_who_has_no_uv_on_the_path_is_told_where_one_is(
    *, there: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if there:
        (tmp_path / "uv").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    text = fork.next_steps(fork.names("notes"), tmp_path, "/somewhere/uv", alone=True)
    assert ('export PATH="/somewhere:$PATH"' in text) != there

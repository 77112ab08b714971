"""Each package stands alone: its wheel installs in an empty environment, starts, and answers a client."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[1]
SERVERS = [
    tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"]
    for path in sorted(ROOT.glob("servers/*/pyproject.toml"))
]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# tests/bootstrap.py says which uv it found or got; a developer has one on PATH.
UV = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools/uv/bin/uv")
# Several versions side by side are often pyenv's, whose own commands run only one of them.
PATH = os.pathsep.join([*map(str, Path("~/.pyenv/versions").expanduser().glob("*/bin")), os.environ["PATH"]])
ENVIRONMENT = {"PATH": PATH, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def uv(*arguments: str | Path) -> str:
    """Run uv and return what it printed; its own messages are shown when it fails."""
    command = [UV, *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build every package of the workspace; return the folder of the wheels."""
    folder = tmp_path_factory.mktemp("wheels")
    uv("build", "--all-packages", "--wheel", "--quiet", "--directory", ROOT, "--out-dir", folder)
    return folder


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """Return a version of Python that is installed here."""
    version: str = request.param
    find = [UV, "python", "find", "--system", version]
    found = subprocess.run(find, env=os.environ | ENVIRONMENT, capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"platform: there is no Python {version} here")
    return version


def isolated(python: str, wheels: Path, *packages: str) -> list[str]:
    """Return the arguments of uv that run something where these wheels and what they depend on are, and nothing else.

    The wheels are named one by one, so that no index is asked for a package of ours.
    """
    files = [str(wheel) for name in packages for wheel in wheels.glob(f"{name.replace('-', '_')}-*.whl")]
    return ["run", "--isolated", "--no-project", "--python", python, *(f"--with={file}" for file in files)]


@pytest.mark.parametrize("package", SERVERS)
async def test_the_wheel_of_a_server_starts_alone(package: str, python: str, wheels: Path) -> None:
    command = [*isolated(python, wheels, "mcp-server-shared", package), package]
    server = StdioServerParameters(command=UV, args=command, env=dict(os.environ) | ENVIRONMENT)
    async with Client(server) as client:
        assert (await client.list_tools()).tools


def test_the_wheel_of_shared_imports_alone(python: str, wheels: Path) -> None:
    uv(*isolated(python, wheels, "mcp-server-shared"), "python", "-c", "import mcp_server_shared.server")


@pytest.mark.parametrize("package", SERVERS)
def test_uvx_runs_a_server_from_the_checkout(package: str) -> None:
    folder = ROOT / "servers" / package.removeprefix("mcp-server-")
    assert uv("tool", "run", "--from", folder, package, "--version").split()[0] == package

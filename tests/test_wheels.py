"""Each package stands alone, with the newest and the oldest of what it says it needs, on every Python found here."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from packaging.requirements import Requirement
from publishing.packages import SHARED, Package, Repository, away_from_here, build, uv, uv_program, wheel_of, workspace

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PACKAGES = workspace()
SERVERS = {name: package for name, package in PACKAGES.items() if name != SHARED}
PYTHONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]
OLDEST = PYTHONS[0]
# Several versions side by side are often pyenv's, whose own commands run only one of them.
PATH = os.pathsep.join([*map(str, Path("~/.pyenv/versions").expanduser().glob("*/bin")), os.environ["PATH"]])
ENVIRONMENT = {"PATH": PATH, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist of every package and from that its wheel; return the folder."""
    folder = tmp_path_factory.mktemp("wheels")
    build(PACKAGES.values(), Repository("example", "mcp-servers"), folder)
    return folder


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """Return a version of Python that is installed here."""
    version: str = request.param
    try:
        uv("python", "find", "--system", version, variables=ENVIRONMENT)
    except RuntimeError:
        pytest.skip(f"platform: there is no Python {version} here")
    return version


def isolated(python: str, wheels: Path, *packages: str) -> list[str]:
    """Return the arguments of uv that run something where these wheels and what they depend on are, and nothing else.

    The wheels are named one by one, so that no index is asked for a package of ours.
    """
    files = [wheel_of(PACKAGES[name], wheels) for name in packages]
    return ["run", "--isolated", "--no-project", "--python", python, *(f"--with={file}" for file in files)]


def oldest(*packages: str) -> list[str]:
    """Return the arguments of uv that take the oldest versions of what packages and their extras say they need."""
    needed = {str(need) for name in packages for need in needs_of(PACKAGES[name]) if need.name not in PACKAGES}
    return ["--resolution", "lowest-direct", *(f"--with={need}" for need in sorted(needed))]


def needs_of(package: Package) -> list[Requirement]:
    project: dict[str, Any] = tomllib.loads((package.folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project.get("optional-dependencies", {})
    return [Requirement(text) for texts in (project["dependencies"], *extras.values()) for text in texts]


async def lists_tools(command: list[str]) -> bool:
    """Start a server as a host does."""
    server = StdioServerParameters(command=uv_program(), args=command, env=away_from_here() | ENVIRONMENT)
    async with Client(server) as client:
        return bool((await client.list_tools()).tools)


@pytest.mark.parametrize("package", SERVERS)
async def test_the_wheel_of_a_server_starts_alone(package: str, python: str, wheels: Path) -> None:
    assert await lists_tools([*isolated(python, wheels, SHARED, package), package])


@pytest.mark.parametrize("package", SERVERS)
async def test_a_server_starts_with_the_oldest_versions_it_says_it_needs(package: str, wheels: Path) -> None:
    assert await lists_tools([*isolated(OLDEST, wheels, SHARED, package), *oldest(SHARED, package), package])


def test_the_wheel_of_shared_imports_alone(python: str, wheels: Path) -> None:
    uv(*isolated(python, wheels, SHARED), "python", "-c", "import mcp_server_shared.server", variables=ENVIRONMENT)


def test_shared_serves_a_network_with_the_oldest_versions_it_says_it_needs(wheels: Path) -> None:
    modules = ("contract", "serving.listening", "serving.redis_state", "serving.tracing")
    code = f"import {', '.join(f'mcp_server_shared.{module}' for module in modules)}"
    uv(*isolated(OLDEST, wheels, SHARED), *oldest(SHARED), "python", "-c", code, variables=ENVIRONMENT)


@pytest.mark.parametrize("package", SERVERS)
def test_uvx_runs_a_server_from_the_checkout(package: str) -> None:
    printed = uv("tool", "run", "--from", PACKAGES[package].folder, package, "--version", variables=ENVIRONMENT)
    assert printed.split()[0] == package

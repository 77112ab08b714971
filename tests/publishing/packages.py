"""The packages of the workspace as they are published: sources that stand alone, sdists and wheels."""

import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap import find_uv

ROOT = Path(__file__).parents[2]
SHARED = "mcp-server-shared"
_LEFT_BEHIND = shutil.ignore_patterns("__pycache__")
_LICENCE = 'license = "MIT"\n'
# How a README starts a server from a checkout; who reads it on the package index takes it from there.
_FROM_CHECKOUT = re.compile(r'uvx --from "?\./servers/\w+(\[\w+\])?"? (mcp-server-[a-z-]+)')
_UNPUBLISHED = re.compile(r"^From the root of a checkout \(\[it is not published yet\]\([^)]*\)\):\n", re.MULTILINE)
_RELATIVE_LINK = re.compile(r"(!?)(\[[^\]]*\]\()(?![a-z]+:|#)([^)#]+)")


@dataclass(frozen=True)
class Package:
    """One package of the workspace, as its `pyproject.toml` states it."""

    name: str
    version: str
    folder: Path

    @property
    def tag(self) -> str:
        """The Git tag that publishes it: "mcp-server-postgres-0.1.0"."""
        return f"{self.name}-{self.version}"

    @property
    def changelog(self) -> Path:
        """What changed, by version."""
        return self.folder / "CHANGELOG.md"


@dataclass(frozen=True)
class Repository:
    """The repository on GitHub that publishes; its owner is the namespace in the MCP registry."""

    owner: str
    name: str

    @classmethod
    def named(cls, text: str) -> "Repository":
        """Read "OWNER/NAME".

        Raises:
            ValueError: it is something else.
        """
        if not (found := re.fullmatch(r"([A-Za-z0-9-]+)/([A-Za-z0-9._-]+)", text)):
            raise ValueError(f"'{text}' is no OWNER/NAME of a repository on GitHub")
        return cls(found[1], found[2])

    @property
    def url(self) -> str:
        """Where a person finds it."""
        return f"https://github.com/{self.owner}/{self.name}"

    def registry_name(self, package: Package) -> str:
        """Return what a server is called in the MCP registry, which asks for it in the README on the package index."""
        return f"io.github.{self.owner}/{package.name}"

    def image(self, package: Package) -> str:
        """Return the container image of a package, as the workflow pushes it."""
        return f"ghcr.io/{self.owner.lower()}/{package.name}:{package.version}"

    def address(self, package: Package, path: Path, *, kind: str = "blob") -> str:
        """Return where a file is to be seen at the version of a package."""
        return f"{self.url}/{kind}/{package.tag}/{path.relative_to(ROOT).as_posix()}"


def workspace(root: Path = ROOT) -> dict[str, Package]:
    """Return the packages by name."""
    found: dict[str, Package] = {}
    for path in [root / "shared/pyproject.toml", *sorted(root.glob("servers/*/pyproject.toml"))]:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        found[project["name"]] = Package(project["name"], project["version"], path.parent)
    return found


def build(packages: Iterable[Package], repository: Repository, out: Path) -> None:
    """Build the sdist of each package, and the wheel from that sdist, away from the workspace."""
    for package in packages:
        with tempfile.TemporaryDirectory() as folder:
            uv("build", "--quiet", "--out-dir", out, prepared(package, repository, Path(folder) / package.name))
    (out / ".gitignore").unlink(missing_ok=True)


def wheel_of(package: Package, folder: Path) -> Path:
    """Return the wheel of a package among those built."""
    return folder / f"{package.name.replace('-', '_')}-{package.version}-py3-none-any.whl"


def prepared(package: Package, repository: Repository, place: Path) -> Path:
    """Copy what is published of a package, with what only the whole repository has: licence and addresses."""
    place.mkdir(parents=True)
    shutil.copytree(package.folder / "src", place / "src", ignore=_LEFT_BEHIND)
    shutil.copy(ROOT / "LICENSE", place)
    project = (package.folder / "pyproject.toml").read_text(encoding="utf-8")
    if _LICENCE not in project:
        raise RuntimeError(f"{package.name} has no {_LICENCE.strip()}")
    project = project.replace(_LICENCE, f'{_LICENCE}license-files = ["LICENSE"]\n')
    (place / "pyproject.toml").write_text(f"{project}\n{_urls(package, repository)}", encoding="utf-8")
    (place / "README.md").write_text(readme(package, repository), encoding="utf-8")
    return place


def readme(package: Package, repository: Repository) -> str:
    """Return the README as the package index shows it: links lead to the repository, commands take the package."""

    def published(command: re.Match[str]) -> str:
        return f'uvx --from "{command[2]}{command[1]}" {command[2]}' if command[1] else f"uvx {command[2]}"

    def absolute(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(package.folder / link[3]))
        return f"{link[1]}{link[2]}{repository.address(package, target, kind='raw' if link[1] else 'blob')}"

    text = _UNPUBLISHED.sub("", (package.folder / "README.md").read_text(encoding="utf-8"))
    text = _FROM_CHECKOUT.sub(published, _RELATIVE_LINK.sub(absolute, text))
    # How the MCP registry knows that whoever publishes the entry also publishes the package.
    return text if package.name == SHARED else f"{text}\n<!-- mcp-name: {repository.registry_name(package)} -->\n"


def _urls(package: Package, repository: Repository) -> str:
    urls = {
        "Homepage": repository.address(package, package.folder, kind="tree"),
        "Source": repository.url,
        "Changelog": repository.address(package, package.changelog),
        "Issues": f"{repository.url}/issues",
    }
    return "[project.urls]\n" + "".join(f'{label} = "{url}"\n' for label, url in urls.items())


def uv_program() -> str:
    """Return the uv that the tests were told to use, else one that is new enough."""
    return os.environ.get("UV") or find_uv()


def away_from_here() -> dict[str, str]:
    """Return the variables of this process but those that would have uv change the environment it runs in."""
    ours = {"UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def uv(*words: str | Path, folder: Path = ROOT, variables: Mapping[str, str] | None = None) -> str:
    """Run uv and return what it printed.

    Raises:
        RuntimeError: it failed; the text has what it said.
    """
    command = [uv_program(), *map(str, words)]
    environment = away_from_here() | dict(variables or {})
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(map(str, words))} failed:\n{done.stderr[-4000:]}")
    return done.stdout

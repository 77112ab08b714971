"""Releases: `prepare` a version, `build` everything that is published of it, print its `notes`.

    .venv/bin/python tests/release.py prepare mcp-server-postgres --bump minor
    .venv/bin/python tests/release.py build --repository OWNER/NAME
    .venv/bin/python tests/release.py notes mcp-server-postgres-0.2.0

How the parts go together is in `tests/publishing/README.md`.
"""

import argparse
import hashlib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import catalog
from publishing.bills import bill_of_materials
from publishing.bundles import bundle
from publishing.changelogs import released, sections
from publishing.packages import ROOT, SHARED, Package, Repository, build, uv, workspace
from publishing.registry_entries import registry_entry


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        match options.command:
            case "prepare":
                prepare(options.package, options.bump)
            case "build":
                build_all(options.tag, Repository.named(options.repository), options.out.resolve())
            case _:
                sys.stdout.write(f"{notes(tagged(options.tag))}\n")
    except (ValueError, RuntimeError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    whole = argparse.ArgumentParser(prog="release.py", description=(__doc__ or "").split("\n")[0])
    commands = whole.add_subparsers(dest="command", required=True)
    command = commands.add_parser("prepare", help="give a package the version that its changes are released as")
    command.add_argument("package", choices=sorted(workspace()))
    command.add_argument("--bump", choices=["patch", "minor", "major"], help="without it, the version stays")
    command = commands.add_parser("build", help="make wheels, sdists, bundles, registry entries, bills of materials")
    command.add_argument("--repository", required=True, metavar="OWNER/NAME", help="on GitHub, that publishes")
    command.add_argument("--tag", help="one package, at the version that the tag names; without it, all as they are")
    command.add_argument("--out", type=Path, default=ROOT / "dist", metavar="FOLDER")
    command = commands.add_parser("notes", help="print what changed in the version that a tag names")
    command.add_argument("tag")
    return whole


def prepare(name: str, bump: str | None, root: Path = ROOT) -> None:
    """Set the version of a package wherever one stands: its own, in ranges, recipes of deployment and the changelog.

    Raises:
        ValueError: there is nothing to release; nothing was changed.
    """
    old = workspace(root)[name]
    changes = old.changelog
    before = changes.read_text(encoding="utf-8")
    released(before, "", "")  # refuses what cannot be released before anything is written
    if bump:
        uv("version", "--package", name, "--bump", bump, "--frozen", "--quiet", folder=root)
    package = workspace(root)[name]
    for recipe in (root / "deploy").rglob("*.yaml"):
        text = recipe.read_text(encoding="utf-8")
        recipe.write_text(text.replace(f"{name}:{old.version}", f"{name}:{package.version}"), encoding="utf-8")
    if name == SHARED:
        for other in workspace(root).values():
            _need(other, compatible(package.version))
    changes.write_text(released(before, package.version, f"{datetime.now(UTC):%Y-%m-%d}"), encoding="utf-8")
    uv("lock", "--quiet", folder=root)


def compatible(version: str) -> str:
    """Return the range of versions that keep what a version promises: of 0.x, those of the same x."""
    major, minor = map(int, version.split(".")[:2])
    return f">=0.{minor},<0.{minor + 1}" if major == 0 else f">={major}.{minor},<{major + 1}"


def _need(package: Package, versions: str) -> None:
    project = package.folder / "pyproject.toml"
    text = re.sub(rf'("{SHARED}(\[[^\]]*\])?)>=[^"]+', rf"\g<1>{versions}", project.read_text(encoding="utf-8"))
    project.write_text(text, encoding="utf-8")


def tagged(tag: str) -> Package:
    """Return the package that a tag publishes.

    Raises:
        ValueError: no package has that version.
    """
    tags = {package.tag: package for package in workspace().values()}
    if tag not in tags:
        raise ValueError(f"no package has the version of the tag '{tag}'; they are at {', '.join(sorted(tags))}")
    return tags[tag]


def notes(package: Package) -> str:
    """Return what changed in the version of a package.

    Raises:
        ValueError: its changelog does not have that version.
    """
    known = sections(package.changelog.read_text(encoding="utf-8"))
    if package.version not in known:
        raise ValueError(
            f"the changelog of {package.name} has no {package.version}; run: release.py prepare {package.name}"
        )
    return known[package.version]


def build_all(tag: str | None, repository: Repository, out: Path) -> None:
    """Make what is published of one package, or of all: `packages/` for the index, `files/` and the notes for GitHub.

    Raises:
        ValueError: no package has the version of the tag, or its changelog has not.
        RuntimeError: a tool refused; the text has what it said.
    """
    packages = [tagged(tag)] if tag else list(workspace().values())
    for folder in ("files", "packages"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    if tag:
        (out / "notes.md").write_text(f"{notes(packages[0])}\n", encoding="utf-8")
    servers = {server.about.package: server for server in catalog.servers()}
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder)
        build({workspace()[SHARED], *packages}, repository, wheels)  # a bundle has the shared package in any case
        for package in packages:
            for path in wheels.glob(f"{package.name.replace('-', '_')}-*"):
                shutil.copy(path, out / "packages")
            (out / "files" / f"{package.tag}.cdx.json").write_text(bill_of_materials(package), encoding="utf-8")
            if server := servers.get(package.name):
                _build_bundle(server, package, repository, wheels, out / "files")


def _build_bundle(
    server: catalog.CataloguedServer, package: Package, repository: Repository, wheels: Path, out: Path
) -> None:
    """Make the bundle of a server, and its entry of the registry, which has the hash of the bundle."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(shutil.copy(bundle(server, repository, wheels, Path(folder)), out))
    entry = registry_entry(server, package, repository, packed, hashlib.sha256(packed.read_bytes()).hexdigest())
    (out / f"{package.tag}.server.json").write_text(json.dumps(entry, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())

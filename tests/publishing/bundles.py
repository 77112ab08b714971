"""MCP bundles (`.mcpb`): a server that desktop hosts install by one click, packed by the official tool.

A bundle has the wheels of the server and of the shared package, and a lock file with the versions of everything else
that the tests ran with; the host's uv fetches those. What the host asks a person for is made from the settings.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalog import CataloguedServer, variables
from mcp_server_shared.commands.entry import names_path
from mcp_server_shared.settings import Setting
from node import NODE, PEERS

from publishing.packages import SHARED, Package, Repository, uv, wheel_of, workspace
from publishing.registry_entries import own_settings

MANIFEST_VERSION = "0.4"
_MCPB = PEERS / "node_modules/@anthropic-ai/mcpb/dist/cli/cli.js"
_FOLDERS = {"dir", "directory", "directories", "folder", "folders"}
_START = '''"""Start the server of this bundle."""

from {module}.__main__ import main

main()
'''


def bundle(server: CataloguedServer, repository: Repository, wheels: Path, place: Path) -> Path:
    """Pack a server; return the bundle.

    Args:
        server: of the catalog.
        repository: that publishes it.
        wheels: the folder that has its wheel and that of the shared package.
        place: an empty folder for the bundle and what goes into it.

    Raises:
        RuntimeError: a tool refused; the text has what it said.
    """
    packages = workspace()
    package = packages[server.about.package]
    content = place / "content"
    (content / "wheels").mkdir(parents=True)
    (content / "src").mkdir()
    needed = {each.name: wheel_of(each, wheels) for each in (package, packages[SHARED])}
    for wheel in needed.values():
        shutil.copy(wheel, content / "wheels")
    module = package.name.replace("-", "_")
    (content / "src/server.py").write_text(_START.format(module=module), encoding="utf-8")
    (content / "pyproject.toml").write_text(_project(package, needed), encoding="utf-8")
    (content / "manifest.json").write_text(json.dumps(manifest(server, package, repository), indent=2))
    uv("lock", "--quiet", folder=content)
    packed = place / f"{package.tag}.mcpb"
    mcpb("pack", content, packed)
    return packed


def mcpb(*words: str | Path) -> str:
    """Run the official tool and return what it printed.

    Raises:
        RuntimeError: it failed; the text has what it said.
    """
    command = [NODE, str(_MCPB), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mcpb {' '.join(map(str, words))} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def _project(package: Package, wheels: Mapping[str, Path]) -> str:
    """Return the pyproject.toml of a bundle: these wheels, and of all else the versions that were tested."""
    sources = "".join(f'{name} = {{ path = "wheels/{wheel.name}" }}\n' for name, wheel in wheels.items())
    locked = uv(
        "export", "--quiet", "--package", package.name, "--no-dev", "--no-emit-workspace", "--no-hashes", "--no-header",
        "--no-annotate", "--format", "requirements.txt",
    )  # fmt: skip
    constraints = "".join(f"    {json.dumps(line)},\n" for line in locked.splitlines())
    return (
        f'[project]\nname = "{package.name}-bundle"\nversion = "{package.version}"\nrequires-python = ">=3.11"\n'
        f"dependencies = {json.dumps(list(wheels))}\n\n"
        f"[tool.uv]\npackage = false\nconstraint-dependencies = [\n{constraints}]\n\n[tool.uv.sources]\n{sources}"
    )


def manifest(server: CataloguedServer, package: Package, repository: Repository) -> dict[str, Any]:
    """Return what a host shows of a server, asks for it, and starts."""
    own = own_settings(server.settings)
    positional = [setting for setting in own if setting.positional and not setting.secret]
    # A list can be expanded among the arguments alone; all else goes into variables, where an empty text means unset.
    arguments = [f"${{user_config.{setting.field}}}" for setting in positional]
    environment = {variables(s)[0]: f"${{user_config.{s.field}}}" for s in own if s not in positional}
    return {
        "manifest_version": MANIFEST_VERSION,
        "name": package.name,
        "display_name": server.about.title,
        "version": package.version,
        "description": server.about.purpose,
        "long_description": _long_description(server),
        "author": {"name": repository.owner, "url": f"https://github.com/{repository.owner}"},
        "repository": {"type": "git", "url": repository.url},
        "homepage": repository.address(package, package.folder, kind="tree"),
        "documentation": repository.address(package, package.folder / "README.md"),
        "support": f"{repository.url}/issues",
        "license": "MIT",
        "server": {
            "type": "uv",
            "entry_point": "src/server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--frozen", "--directory", "${__dirname}", "src/server.py", *arguments],
                "env": environment,
            },
        },
        "tools": [
            {"name": name, "description": entry.listed.title or name}
            for name, entry in server.registry.tools.items()
            if server.server.is_granted(entry.grant)
        ],
        "tools_generated": bool(server.about.grants),
        "prompts_generated": bool(server.registry.prompts),
        "compatibility": {"platforms": ["darwin", "linux", "win32"], "runtimes": {"python": ">=3.11"}},
        "user_config": {setting.field: _question(server, setting) for setting in own},
    }


def _long_description(server: CataloguedServer) -> str:
    about = server.about
    grants = [f"- {grant.flag} lets it {grant.allows}. {grant.needs}" for grant in about.grants]
    never = [f"- {text}" for text in about.never]
    return "\n".join([about.purpose, "", f"Reading needs: {about.reading_needs}", *grants, "", "It never", *never])


def _question(server: CataloguedServer, setting: Setting) -> dict[str, Any]:
    """Return how a host asks for one setting; all may be left as they are."""
    grant = next((grant for grant in server.about.grants if grant.setting == setting.field), None)
    kind = _kind(setting)
    several = setting.many and kind in {"directory", "file"}
    separated = f" Several are separated by '{setting.separator}'." if setting.many and not several else ""
    question: dict[str, Any] = {
        "type": kind,
        "title": setting.field.replace("_", " ").capitalize(),
        "description": setting.description + separated + (f" {grant.needs}" if grant else ""),
        "required": setting.required,
        # A value that is not set would leave its placeholder where it stands.
        "default": [] if several else setting.default if setting.switch else "",
    }
    return question | ({"multiple": True} if several else {}) | ({"sensitive": True} if setting.secret else {})


def _kind(setting: Setting) -> str:
    if setting.switch:
        return "boolean"
    if not names_path(setting):
        return "string"
    return "directory" if setting.field in _FOLDERS or setting.field.rpartition("_")[2] in _FOLDERS else "file"

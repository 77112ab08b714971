"""The checks, one file for each of the promises that the README of the project lists."""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules


def checks() -> dict[str, Callable[..., None]]:
    """Return every check by name, for `globals().update(checks())` in the module that defines `subject`."""
    files = [import_module(f"{__name__}.{file.name}") for file in iter_modules(__path__)]
    return {name: check for file in files for name, check in vars(file).items() if name.startswith("test_")}

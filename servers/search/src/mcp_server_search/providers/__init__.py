"""Who can be asked: one file a provider, all behind the interface in `provider.py`.

Each file is a choice of `--provider`, by its name; its function `configured` makes the provider that the settings want.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_server_search.providers.provider import Provider

_INTERFACE = "provider"


def names() -> list[str]:
    """Return the names of all providers."""
    return sorted(module.name for module in iter_modules(__path__) if module.name != _INTERFACE)


def configured(name: str, settings: object, user_agent: str) -> "Provider":
    """Return the provider of a name; no other is imported, and nobody is connected to yet.

    Args:
        name: of the file.
        settings: with what its own `Configuration` says.
        user_agent: how this server introduces itself.
    """
    return import_module(f"{__name__}.{name}").configured(settings, user_agent)

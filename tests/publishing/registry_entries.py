"""A server's entry in the MCP registry (`server.json`), from what the catalog is made of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalog import CataloguedServer, variables
from mcp_server_shared.commands.entry import names_path
from mcp_server_shared.settings import ServerSettings, Setting

from publishing.packages import Package, Repository

# Left out where a container has not what the server works on: the folders of this machine, a person's login kept on it.
# Nor, as most are started, the right to the sandbox of a browser.
_NOT_AS_IMAGE = {"mcp-server-drive", "mcp-server-filesystem", "mcp-server-web-browser"}
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"


def registry_entry(
    server: CataloguedServer, package: Package, repository: Repository, bundle: Path, bundle_sha256: str
) -> dict[str, Any]:
    """Return the entry: the package on the index, the bundle among the files of the release, and the image."""
    return {
        "$schema": SCHEMA,
        "name": repository.registry_name(package),
        "title": server.about.title,
        "description": server.about.purpose,
        "version": package.version,
        "repository": {
            "url": repository.url,
            "source": "github",
            "subfolder": server.folder.relative_to(server.folder.parents[1]).as_posix(),
        },
        "websiteUrl": repository.address(package, server.folder / "README.md"),
        "packages": [
            {
                "registryType": "pypi",
                "identifier": package.name,
                "version": package.version,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "packageArguments": _arguments(server),
                "environmentVariables": [_variable(setting) for setting in asked(server)],
            },
            {
                "registryType": "mcpb",
                "identifier": f"{repository.url}/releases/download/{package.tag}/{bundle.name}",
                "fileSha256": bundle_sha256,
                "transport": {"type": "stdio"},
            },
            *([] if package.name in _NOT_AS_IMAGE else [_image(server, package, repository)]),
        ],
    }


def _image(server: CataloguedServer, package: Package, repository: Repository) -> dict[str, Any]:
    """Return the image, which serves over HTTP unless it is told to speak to the client that starts it."""
    transport = {"name": "MCP_TRANSPORT", "description": "How the client speaks to the container.", "value": "stdio"}
    return {
        "registryType": "oci",
        "identifier": repository.image(package),
        "runtimeHint": "docker",
        "transport": {"type": "stdio"},
        "environmentVariables": [transport, *(_variable(setting) for setting in asked(server))],
    }


def asked(server: CataloguedServer) -> list[Setting]:
    """Return what a first run is likely to need besides its arguments: credentials and grants."""
    grants = {grant.setting for grant in server.about.grants}
    return [setting for setting in server.settings if setting.secret or setting.field in grants]


def own_settings(settings: Sequence[Setting]) -> list[Setting]:
    """Return the settings that this server has and others do not."""
    return [setting for setting in settings if setting.field not in ServerSettings.model_fields]


def _arguments(server: CataloguedServer) -> list[dict[str, Any]]:
    """Return the positional arguments; one that holds a secret goes into a variable instead."""
    example = " ".join(server.about.example)
    return [
        {
            "type": "positional",
            "valueHint": setting.field,
            "description": setting.description,
            "isRequired": setting.required,
            "isRepeated": setting.many,
            "format": "filepath" if names_path(setting) else "string",
            **({"placeholder": example} if example else {}),
        }
        for setting in server.settings
        if setting.positional and not setting.secret
    ]


def _variable(setting: Setting) -> dict[str, Any]:
    entry = {
        "name": variables(setting)[0],
        "description": setting.description,
        "isRequired": setting.required,
        "isSecret": setting.secret,
        "format": "boolean" if setting.switch else "string",
    }
    return entry | ({"default": str(setting.default).lower()} if setting.switch else {})

"""Generate `catalog.yaml` and the tables of the READMEs from the servers' code.

`python tests/catalog.py` writes them; with `--check` it says which are out of date, and the exit code is 1.
"""

import importlib
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from mcp_server_shared.catalog import About, Grant
from mcp_server_shared.commands.clients import known_clients
from mcp_server_shared.commands.tools import CHARACTERS_PER_TOKEN, tokens
from mcp_server_shared.registry import Registry
from mcp_server_shared.server import Server
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.settings import ServerSettings, Setting
from mcp_server_shared.start import Program

ROOT = Path(__file__).parents[1]
CATALOG = ROOT / "catalog.yaml"
HEADER = "# Generated from the servers' code by `python tests/catalog.py`; a test fails when it is out of date.\n"


@dataclass(frozen=True)
class CataloguedServer:
    """One server of the catalog: where it is, and its program with the settings of its example."""

    folder: Path
    program: Program[Any]
    server: Server[Any]

    @property
    def about(self) -> About:
        """The facts that its code states."""
        return self.program.about

    @property
    def registry(self) -> Registry:
        """Everything it offers, granted or not."""
        return self.server.registry

    @property
    def settings(self) -> list[Setting]:
        """Its settings, its own first."""
        return self.program.settings_type.settings()

    def tokens(self, *, granted: bool) -> int:
        """Estimate what a model pays for the instructions and tools, as they are by default or with every grant."""
        entries = [entry for entry in self.registry.tools.values() if granted or self.server.is_granted(entry.grant)]
        return sum(map(tokens, entries)) + len(self.server.instructions or "") // CHARACTERS_PER_TOKEN


def servers() -> list[CataloguedServer]:
    """Load every server under `servers/`, in the order of the folders' names."""
    return [_load(pyproject) for pyproject in sorted(ROOT.glob("servers/*/pyproject.toml"))]


def _load(pyproject: Path) -> CataloguedServer:
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    module, _, _ = project["scripts"][project["name"]].partition(":")
    program: Program[Any] = importlib.import_module(module).program()
    settings = program.settings_type.load(program.about.example, environment={})
    return CataloguedServer(pyproject.parent, program, program.build_server(settings))


# catalog.yaml


class Line(dict[str, Any]):
    """A mapping that is written on one line."""


class Dumper(yaml.SafeDumper):
    """Writes `Line` as it says, and indents lists as people do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002
        """Indent the items of a list below its key."""
        super().increase_indent(flow, indentless=False)


def _on_one_line(dumper: Dumper, line: Line) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", line.items(), flow_style=True)


Dumper.add_representer(Line, _on_one_line)


def catalog_yaml(catalog: Iterable[CataloguedServer]) -> str:
    """Return the text of `catalog.yaml`."""
    entries = {"servers": [_entry(server) for server in catalog]}
    body = yaml.dump(entries, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1_000)
    return HEADER + body.replace("\n  - package:", "\n\n  - package:")


def _entry(server: CataloguedServer) -> dict[str, Any]:
    about, registry = server.about, server.registry
    return {
        "package": about.package,
        "command": about.package,
        "folder": server.folder.relative_to(ROOT).as_posix(),
        "title": about.title,
        "purpose": about.purpose,
        "arguments": [_setting_entry(setting) for setting in server.settings if setting.positional],
        "settings": [_setting_entry(setting) for setting in server.settings if not setting.positional],
        "least_privilege": {
            "reading": about.reading_needs,
            "grants": [{"flag": g.flag, "allows": g.allows, "needs": g.needs} for g in about.grants],
        },
        "state": about.state,
        "confidentiality": about.confidentiality,
        "never": list(about.never),
        "tools": [
            Line(name=name, title=entry.listed.title, needs=entry.grant.flag if entry.grant else "reading")
            for name, entry in registry.tools.items()
        ],
        "resources": [Line(uri=uri, title=entry.listed.title) for uri, entry in registry.resources.items()],
        "prompts": [
            Line(name=name, title=entry.listed.title, arguments=list(entry.arguments.names))
            for name, entry in registry.prompts.items()
        ],
        "tokens": Line(reading=server.tokens(granted=False), every_grant=server.tokens(granted=True)),
        "links": about.links,
    }


def _setting_entry(setting: Setting) -> Line:
    name = {"argument": setting.positional} if setting.positional else {"flag": setting.flag}
    return Line(
        **name,
        env=variables(setting),
        secret=setting.secret,
        required=setting.required,
        repeatable=setting.many,
        default=_plain(setting.default),
        description=setting.description,
    )


def variables(setting: Setting) -> list[str]:
    """Return the environment variables that a setting is read from."""
    return [*setting.env, *(f"{name}_FILE" for name in setting.env if setting.secret)]


def _plain(default: Any) -> Any:
    if isinstance(default, tuple | list):
        return [_plain(item) for item in cast(Sequence[Any], default)]
    return default if isinstance(default, str | int | float | bool | None) else str(default)


# README tables


def servers_table(catalog: Iterable[CataloguedServer]) -> str:
    """Return the servers, what each needs and what a model pays for it."""
    rows = [
        [
            f"[{server.about.name}](servers/{server.folder.name}/README.md)",
            server.about.purpose,
            server.about.reading_needs,
            "<br>".join(f"`{g.flag}` to {g.allows}" for g in server.about.grants) or "none",
            f"{server.tokens(granted=False):,}",
        ]
        for server in catalog
    ]
    return _table(["Server", "For", "Reading needs", "More by grant", "Tokens"], rows)


def client_entries(catalog: Iterable[CataloguedServer]) -> str:
    """Return the entries of all servers for the configuration files of clients."""
    commands = {server.about.name: _uvx(server) for server in catalog}
    entries = {name: Line(command=words[0], args=words[1:]) for name, words in commands.items()}
    vscode = {name: Line(type="stdio", **entry) for name, entry in entries.items()}
    return "\n\n".join(
        [
            "Claude Desktop (`claude_desktop_config.json`) and Cursor (`.cursor/mcp.json`):",
            _fenced("json", _json("mcpServers", entries)),
            "VS Code (`.vscode/mcp.json`):",
            _fenced("json", _json("servers", vscode)),
            "Claude Code:",
            _fenced("sh", "\n".join(f"claude mcp add {name} -- {' '.join(words)}" for name, words in commands.items())),
        ]
    )


def _uvx(server: CataloguedServer) -> list[str]:
    folder = f"/path/to/mcp-servers/servers/{server.folder.name}"
    return ["uvx", "--from", folder, server.about.package, *server.about.example]


def _json(key: str, entries: Mapping[str, Any]) -> str:
    """Return the configuration with one line for each server."""
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    return f'{{\n  "{key}": {{\n{lines}\n  }}\n}}'


_SHARED = frozenset(ServerSettings.model_fields) - {"confirm"}  # its kinds are of one server


def settings_table(server: CataloguedServer) -> str:
    """Return the settings that one server has of its own, and what of it is confirmed."""
    return _settings([setting for setting in server.settings if setting.field not in _SHARED])


def shared_settings_table(_catalog: Iterable[CataloguedServer]) -> str:
    """Return the settings that every server has."""
    return _settings([setting for setting in ServerSettings.settings() if setting.field in _SHARED])


def serving_settings_table(_catalog: Iterable[CataloguedServer]) -> str:
    """Return the settings of serving over a network."""
    return _settings(ServingSettings.settings())


def _settings(settings: Iterable[Setting]) -> str:
    rows = [
        [
            f"`{setting.positional or setting.flag}`" + (" (several)" if setting.many else ""),
            "<br>".join(f"`{name}`" for name in variables(setting)),
            _default(setting),
            setting.description,
        ]
        for setting in settings
    ]
    return _table(["Argument or flag", "Environment variable", "Default", "What it decides"], rows)


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    default = _plain(setting.default)
    text = ", ".join(map(str, cast(list[Any], default))) if isinstance(default, list) else str(default)
    return "" if default in (None, False, "", []) else f"`{text}`"


def install_section(server: CataloguedServer) -> str:
    """Return how one server is put into each client, from the root of a checkout."""
    source = f"uvx --from ./servers/{server.folder.name} {server.about.package}"
    operands = "".join(f" {shlex.quote(word)}" for word in server.about.example)
    titles = {client.name: client.title for client in known_clients().values()}
    rows = [[title, f"`{source} install {name}{operands}`"] for name, title in titles.items()]
    rows.append(["any other", f"`{source} install --print{operands}`"])
    return _table(["Client", "Command"], rows)


def tools_table(server: CataloguedServer) -> str:
    """Return what one server offers to a model: tools, resources and prompts."""
    rows = [
        [
            f"`{name}`",
            entry.listed.description or "",
            f"`{entry.grant.flag}`" if entry.grant else "reading",
            str(tokens(entry)),
        ]
        for name, entry in server.registry.tools.items()
    ]
    others = [["resource", f"`{uri}`", e.listed.description or ""] for uri, e in server.registry.resources.items()]
    others += [["prompt", f"`{name}`", e.listed.description or ""] for name, e in server.registry.prompts.items()]
    tools = _table(["Tool", "What a model is told of it", "Needs", "Tokens"], rows)
    return f"{tools}\n\n{_table(['Kind', 'Address or name', 'What it is'], others)}" if others else tools


def privilege_section(server: CataloguedServer) -> str:
    """Return the least privilege of one server, and what it never does."""
    about = server.about
    grants = [f"- `{g.flag}` lets it {g.allows}. {_needs(g)}" for g in about.grants]
    return "\n".join(
        [f"- Reading: {about.reading_needs}", *grants, "", "It never", "", *(f"- {n}" for n in about.never)]
    )


def _needs(grant: Grant) -> str:
    return "It takes nothing more." if grant.needs == "nothing" else grant.needs


def _table(heading: list[str], rows: list[list[str]]) -> str:
    cells = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in row) + " |" for row in cells)


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


SECTIONS: dict[str, Callable[[list[CataloguedServer]], str]] = {
    "servers": servers_table,
    "client-entries": client_entries,
    "shared-settings": shared_settings_table,
    "serving-settings": serving_settings_table,
}
SERVER_SECTIONS: dict[str, Callable[[CataloguedServer], str]] = {
    "install": install_section,
    "settings": settings_table,
    "tools": tools_table,
    "privilege": privilege_section,
}


def filled(text: str, sections: dict[str, str]) -> str:
    """Return a README's text with the part between each pair of markers made anew.

    Raises:
        KeyError: a marker names no section.
    """

    def fill(match: re.Match[str]) -> str:
        return f"<!-- catalog:{match[1]} -->\n\n{sections[match[1]]}\n\n<!-- /catalog -->"

    return re.sub(r"<!-- catalog:([a-z-]+) -->\n.*?<!-- /catalog -->", fill, text, flags=re.DOTALL)


def generated() -> dict[Path, str]:
    """Return every generated file with the text that it should have."""
    catalog = servers()
    files = {CATALOG: catalog_yaml(catalog)}
    of_all = {name: section(catalog) for name, section in SECTIONS.items()}
    readmes = {ROOT / "README.md": of_all, ROOT / "shared/README.md": of_all}
    for server in catalog:
        readmes[server.folder / "README.md"] = {name: section(server) for name, section in SERVER_SECTIONS.items()}
    for path, sections in readmes.items():
        files[path] = filled(path.read_text(encoding="utf-8"), sections)
    return files


def out_of_date() -> list[str]:
    """Return the generated files that do not say what the code says, as paths in the repository."""
    return [
        path.relative_to(ROOT).as_posix()
        for path, text in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write the files, or with `--check` say which would change."""
    if "--check" not in sys.argv[1:]:
        for path, text in generated().items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = out_of_date()
    for name in stale:
        sys.stderr.write(f"{name} is out of date; run: python tests/catalog.py\n")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())

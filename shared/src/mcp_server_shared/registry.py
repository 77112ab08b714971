"""The tools, resources and prompts of a server: what is listed, what is granted, what is called."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from mcp.shared.uri_template import UriTemplate
from mcp.types import Prompt, PromptArgument, ResourceTemplate, Tool, ToolAnnotations

from mcp_server_shared.arguments import Arguments
from mcp_server_shared.call import Call
from mcp_server_shared.catalog import Grant
from mcp_server_shared.output import RECORDS_SCHEMA, Attached, Blob, Document, Output, Records, Said

READ_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
READ_ONLY_WORLD = READ_ONLY.model_copy(update={"open_world_hint": True})
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
DESTROYS = ADDS.model_copy(update={"destructive_hint": True})

ToolFunction = Callable[..., Awaitable[Output]]
ResourceFunction = Callable[..., Awaitable[Document | Blob]]
PromptFunction = Callable[..., Awaitable[Sequence[Said | Attached]]]
Completer = Callable[[Call[Any], str, Mapping[str, str]], Awaitable[list[str]]]
Watcher = Callable[..., AsyncGenerator[None]]


@dataclass(frozen=True)
class ToolEntry:
    """One tool; `grant` is what the operator must have given, None for reading."""

    listed: Tool
    fn: ToolFunction
    arguments: Arguments
    grant: Grant | None


@dataclass(frozen=True)
class ResourceEntry:
    """One resource template; `watch` yields whenever the resource at some parameters has changed."""

    listed: ResourceTemplate
    template: UriTemplate
    fn: ResourceFunction
    arguments: Arguments
    complete: Mapping[str, Completer]
    watch: Watcher | None
    grant: Grant | None


@dataclass(frozen=True)
class PromptEntry:
    """One prompt."""

    listed: Prompt
    fn: PromptFunction
    arguments: Arguments
    complete: Mapping[str, Completer]


@dataclass
class Registry:
    """Everything registered, by name and in order of registration; grants decide what of it a caller may see."""

    structured: bool
    tools: dict[str, ToolEntry] = field(default_factory=dict[str, ToolEntry])
    resources: dict[str, ResourceEntry] = field(default_factory=dict[str, ResourceEntry])
    prompts: dict[str, PromptEntry] = field(default_factory=dict[str, PromptEntry])

    def add_tool(
        self,
        fn: ToolFunction,
        title: str,
        annotations: ToolAnnotations,
        grant: Grant | None,
        choices: Mapping[str, Sequence[str]] | None,
    ) -> None:
        """Register a tool under its function's name, described by its docstring."""
        if annotations.read_only_hint is (grant is not None):
            raise ValueError(f"{fn.__name__}: a tool needs a grant exactly when it is not read-only")
        arguments = Arguments(fn, choices)
        has_records = self.structured and get_type_hints(fn).get("return") is Records
        listed = Tool(
            name=fn.__name__,
            title=title,
            description=_prose(fn),
            input_schema=arguments.schema,
            output_schema=RECORDS_SCHEMA if has_records else None,
            annotations=annotations,
        )
        _put(self.tools, fn.__name__, ToolEntry(listed, fn, arguments, grant))

    def add_resource(
        self,
        uri_template: str,
        fn: ResourceFunction,
        title: str,
        complete: Mapping[str, Completer],
        watch: Watcher | None,
        grant: Grant | None,
    ) -> None:
        """Register a resource template; the function takes the call and the template's variables."""
        listed = ResourceTemplate(uri_template=uri_template, name=fn.__name__, title=title, description=_prose(fn))
        entry = ResourceEntry(listed, UriTemplate.parse(uri_template), fn, Arguments(fn), complete, watch, grant)
        _put(self.resources, uri_template, entry)

    def add_prompt(
        self,
        fn: PromptFunction,
        title: str,
        complete: Mapping[str, Completer],
        choices: Mapping[str, Sequence[str]] | None,
    ) -> None:
        """Register a prompt; its arguments are strings."""
        arguments = Arguments(fn, choices)
        properties: dict[str, dict[str, Any]] = arguments.schema["properties"]
        listed_arguments = [
            PromptArgument(name=n, description=properties[n].get("description"), required=n in arguments.required)
            for n in arguments.names
        ]
        listed = Prompt(name=fn.__name__, title=title, description=_prose(fn), arguments=listed_arguments)
        _put(self.prompts, fn.__name__, PromptEntry(listed, fn, arguments, complete))

    def find_resource(self, uri: str) -> tuple[ResourceEntry, dict[str, str]] | None:
        """Return the template that a URI matches and its variables, percent-decoded."""
        for entry in self.resources.values():
            variables = entry.template.match(uri)
            if variables is not None:
                return entry, {name: value for name, value in variables.items() if isinstance(value, str)}
        return None


def _prose(fn: Callable[..., Any]) -> str:
    """Return the docstring with its line breaks undone: it is a prompt, and blanks cost too."""
    paragraphs = (fn.__doc__ or "").strip().split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _put(entries: dict[str, Any], name: str, entry: Any) -> None:
    if name in entries:
        raise ValueError(f"{name} is registered twice")
    entries[name] = entry

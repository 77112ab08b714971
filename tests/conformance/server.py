"""What the conformance suite looks for, by the names that it prescribes.

Most of it is registered as any server's tools are. What our servers never do, but clients and transports must carry
all the same, is in `FREELY_ANSWERED` and past the pipeline: content blocks of other kinds, forms with fields, several
rounds of questions.
"""

import base64
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    GetPromptRequestParams,
    GetPromptResult,
    ImageContent,
    InputRequiredResult,
    PromptMessage,
    TextContent,
    TextResourceContents,
)
from mcp_server_shared.call import Call
from mcp_server_shared.catalog import About, Finding
from mcp_server_shared.errors import Unsupported
from mcp_server_shared.output import Attached, Blob, Document, Media, Records, Said
from mcp_server_shared.registry import READ_ONLY
from mcp_server_shared.server import Server
from mcp_server_shared.settings import ServerSettings
from pydantic import Field

Context = ServerRequestContext[Any, Any]
Answer = Callable[[Context, CallToolRequestParams], Awaitable[CallToolResult | InputRequiredResult]]

ABOUT = About(
    package="mcp-server-shared",
    title="Conformance fixtures",
    purpose="What the conformance suite looks for.",
    reading_needs="nothing",
)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="

# Every keyword of JSON Schema 2020-12 that has to arrive at the client.
SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
DEFAULTS_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
}
ENUMS_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {
            "type": "string",
            "oneOf": [{"const": "value1", "title": "First"}, {"const": "value2", "title": "Second"}],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {
            "type": "array",
            "items": {"anyOf": [{"const": "value1", "title": "First"}, {"const": "value2", "title": "Second"}]},
        },
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option one", "Option two"]},
    },
}


# Tools as any server has them


async def test_simple_text(call: Call[None]) -> Document:
    """Return text."""
    return Document(text="This is a simple text response for testing.")


async def test_image_content(call: Call[None]) -> Media:
    """Return an image."""
    return Media(data=base64.b64decode(PNG), mime_type="image/png")


async def test_audio_content(call: Call[None]) -> Media:
    """Return a sound."""
    return Media(data=base64.b64decode(WAV), mime_type="audio/wav")


async def test_error_handling(call: Call[None]) -> Records:
    """Fail as expected."""
    raise Unsupported("This tool intentionally returns an error for testing.")


async def test_tool_with_progress(call: Call[None]) -> Records:
    """Tell how far it is."""
    for done in (0, 50, 100):
        await call.progress(done, 100)
    return Records(columns=["progress"], rows=[[100]])


async def endless_progress(call: Call[None]) -> Records:
    """Tell how far it is until it is cancelled; for clients that forget a call's progress when it ends."""
    done = 0
    while True:
        done += 1
        await call.progress(done)
        await anyio.sleep(0.01)


async def test_elicitation(call: Call[None], message: str) -> Records:
    """Ask a person."""
    await call.confirm("test", message)
    return Records(columns=["agreed"], rows=[[True]])


async def test_streaming_elicitation(call: Call[None]) -> Records:
    """Tell how far it is, then ask a person."""
    await call.progress(1, 2)
    await call.confirm("test", "Go on?")
    return Records(columns=["agreed"], rows=[[True]])


async def test_input_required_result_tampered_state(call: Call[None]) -> Records:
    """Ask a person, which leaves state with the client."""
    await call.confirm("test", "Go on?")
    return Records(columns=["agreed"], rows=[[True]])


async def test_logging_tool(call: Call[None]) -> Records:
    """Do what a tool does that sends no log messages."""
    return Records(columns=["logged"], rows=[[False]])


async def test_x_mcp_header(
    call: Call[None],
    region: Annotated[str, Field(description="In a header too.", json_schema_extra={"x-mcp-header": "Region"})] = "",  # noqa: PT028
) -> Records:
    """Take an argument that clients repeat in a header."""
    return Records(columns=["region"], rows=[[region]])


async def test_missing_capability(call: Call[None]) -> Records:
    """Refuse a client that cannot do something, as the protocol says it."""
    needed: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
    raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This takes a client that samples.", needed)


async def json_schema_2020_12_tool(call: Call[None]) -> Records:
    """Have a schema with everything."""
    return Records(columns=[], rows=[])


# Tools that answer freely


async def embedded_resource(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    return CallToolResult(content=[_embedded("test://embedded-resource")])


async def multiple_content_types(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    image = ImageContent(type="image", data=PNG, mime_type="image/png")
    return CallToolResult(content=[_text("Several kinds:"), image, _embedded("test://mixed-content-resource")])


async def elicit_defaults(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    answer = await ctx.session.elicit_form("Please say who you are", DEFAULTS_FORM, ctx.request_id)
    return _told(f"{answer.action}: {answer.content}")


async def elicit_enums(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    answer = await ctx.session.elicit_form("Please choose", ENUMS_FORM, ctx.request_id)
    return _told(f"{answer.action}: {answer.content}")


async def input_elicitation(ctx: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    name = _answer(params, "user_name", "name")
    return _told(f"Hello, {name}!") if name else _asking("user_name", "name")


async def input_request_state(ctx: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    agreed = params.request_state == "asked" and _answer(params, "confirm", "ok")
    return _told("state-ok") if agreed else _asking("confirm", "ok", "asked", kind="boolean")


async def input_multi_round(ctx: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    state: dict[str, Any] = json.loads(params.request_state or "{}")
    if state and (colour := _answer(params, "step2", "color")):
        return _told(f"{state['name']} likes {colour}.")
    if name := _answer(params, "step1", "name"):
        return _asking("step2", "color", json.dumps({"name": name}))
    return _asking("step1", "name", "{}")


FREELY_ANSWERED: Mapping[str, Answer] = {
    "test_embedded_resource": embedded_resource,
    "test_multiple_content_types": multiple_content_types,
    "test_elicitation_sep1034_defaults": elicit_defaults,
    "test_elicitation_sep1330_enums": elicit_enums,
    "test_input_required_result_elicitation": input_elicitation,
    "test_input_required_result_request_state": input_request_state,
    "test_input_required_result_multi_round": input_multi_round,
}


def _text(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _told(text: str) -> CallToolResult:
    return CallToolResult(content=[_text(text)])


def _embedded(uri: str) -> EmbeddedResource:
    contents = TextResourceContents(uri=uri, mime_type="text/plain", text="This is an embedded resource content.")
    return EmbeddedResource(type="resource", resource=contents)


def _asking(key: str, field: str, state: str | None = None, kind: str = "string") -> InputRequiredResult:
    form = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    question = ElicitRequest(params=ElicitRequestFormParams(message=f"Which {field}?", requested_schema=form))
    return InputRequiredResult(input_requests={key: question}, request_state=state)


def _answer(params: CallToolRequestParams | GetPromptRequestParams, key: str, field: str) -> Any:
    answer = (params.input_responses or {}).get(key)
    return (answer.content or {}).get(field) if isinstance(answer, ElicitResult) else None


# Resources and prompts


async def static_text(call: Call[None]) -> Document:
    """Text at a fixed address."""
    return Document(text="This is the content of the static text resource.")


async def static_binary(call: Call[None]) -> Blob:
    """Bytes at a fixed address."""
    return Blob(data=base64.b64decode(PNG), mime_type="image/png")


async def template(call: Call[None], id: str) -> Document:  # noqa: A002 - the suite's name
    """Text at an address with a variable."""
    return Document(text=json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"}))


async def watched(call: Call[None]) -> Document:
    """Text that can be subscribed to."""
    return Document(text="Watched resource content")


async def watch(state: None) -> AsyncGenerator[None]:
    """Yield after each change; there is none."""
    await anyio.sleep_forever()
    yield


async def test_simple_prompt(call: Call[None]) -> list[Said]:
    """Say something."""
    return [Said("This is a simple prompt for testing.")]


async def test_prompt_with_arguments(
    call: Call[None],
    arg1: Annotated[str, Field(description="First.")],
    arg2: Annotated[str, Field(description="Second.")],
) -> list[Said]:
    """Say its arguments."""
    return [Said(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]


async def test_prompt_with_embedded_resource(
    call: Call[None],
    resourceUri: Annotated[str, Field(description="Of the resource.")],  # noqa: N803 - the suite's name
) -> list[Said | Attached]:
    """Attach a resource."""
    attached = Attached(resourceUri, Document(text="Embedded resource content for testing."))
    return [attached, Said("Please process the embedded resource above.")]


async def test_prompt_with_image(call: Call[None]) -> list[Said]:
    """Show an image."""
    return []


async def test_input_required_result_prompt(call: Call[None]) -> list[Said]:
    """Ask a person first."""
    return []


class FixtureServer(Server[None]):
    """A server of ours, with room for what ours never answer."""

    async def _call_tool(self, ctx: Context, params: CallToolRequestParams) -> dict[str, Any] | InputRequiredResult:
        if params.name == "test_trigger_tool_change":
            await self._subscriptions.bus.publish(ToolsListChanged())
        if params.name == "test_trigger_prompt_change":
            await self._subscriptions.bus.publish(PromptsListChanged())
        if params.name in FREELY_ANSWERED:
            answer = await FREELY_ANSWERED[params.name](ctx, params)
            return answer.model_dump(by_alias=True, mode="json", exclude_none=True)
        return await super()._call_tool(ctx, params)

    async def _get_prompt(self, ctx: Context, params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
        if params.name == "test_prompt_with_image":
            image = ImageContent(type="image", data=PNG, mime_type="image/png")
            return GetPromptResult(messages=[PromptMessage(role="user", content=image)])
        if params.name == "test_input_required_result_prompt":
            said = _answer(params, "user_context", "context")
            if said is None:
                return _asking("user_context", "context")
            return GetPromptResult(messages=[PromptMessage(role="user", content=_text(f"Use this: {said}"))])
        return await super()._get_prompt(ctx, params)


class Settings(ServerSettings):
    """Nothing to decide, but whether a person is asked."""

    confirmations = ("test",)


async def findings(state: None) -> list[Finding]:
    return []


@asynccontextmanager
async def opened() -> AsyncGenerator[None]:
    yield


def build_server(settings: Settings) -> FixtureServer:
    """Build the server."""
    server = FixtureServer(ABOUT, settings, opened, findings=findings)
    for tool in (
        test_simple_text,
        test_image_content,
        test_audio_content,
        test_error_handling,
        test_tool_with_progress,
        endless_progress,
        test_elicitation,
        test_streaming_elicitation,
        test_input_required_result_tampered_state,
        test_logging_tool,
        test_x_mcp_header,
        test_missing_capability,
        json_schema_2020_12_tool,
        *map(_named, (*FREELY_ANSWERED, "test_trigger_tool_change", "test_trigger_prompt_change")),
    ):
        server.add_tool(tool, title=tool.__name__, annotations=READ_ONLY)
    server.registry.tools["json_schema_2020_12_tool"].listed.input_schema = SCHEMA_2020_12
    server.add_resource("test://static-text", static_text, title="Text")
    server.add_resource("test://static-binary", static_binary, title="Bytes")
    server.add_resource("test://template/{id}/data", template, title="Template")
    server.add_resource("test://watched-resource", watched, title="Watched", watch=watch)
    for prompt in (
        test_simple_prompt,
        test_prompt_with_arguments,
        test_prompt_with_embedded_resource,
        test_prompt_with_image,
        test_input_required_result_prompt,
    ):
        server.add_prompt(prompt, title=prompt.__name__)
    return server


def _named(name: str) -> Callable[[Call[None]], Awaitable[Records]]:
    """Return a tool of a name, to be listed."""

    async def tool(call: Call[None]) -> Records:
        """Answer freely."""
        return Records(columns=[], rows=[])

    tool.__name__ = name
    return tool

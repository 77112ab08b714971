"""The server that all of ours are made of: registration with grants, and one pipeline for every request.

It stands on the SDK's low-level `Server` rather than on `MCPServer`: validation, grants, errors and output are
ours, so the upper layer would only do the same work twice, at start and on every call.
"""

import hmac
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from importlib.metadata import version
from typing import Any, Generic, TypeVar, cast

import anyio
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server as ProtocolServer
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    PromptReference,
    ReadResourceRequestParams,
    ReadResourceResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    ToolAnnotations,
    UnsubscribeRequestParams,
)
from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider

from mcp_server_shared.audit import Audit
from mcp_server_shared.call import Call
from mcp_server_shared.callers import caller, caller_has
from mcp_server_shared.catalog import About, Finding, Grant
from mcp_server_shared.confirmation import InputNeeded
from mcp_server_shared.cursors import Cursors
from mcp_server_shared.deadlines import Deadlines
from mcp_server_shared.errors import (
    DeadlineExceeded,
    ExpectedError,
    InternalError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unsupported,
    did_you_mean,
    sentence,
)
from mcp_server_shared.hosting import Hosting
from mcp_server_shared.limits import Limits
from mcp_server_shared.output import Rendering, complete, labels, text_block
from mcp_server_shared.redaction import redact_text
from mcp_server_shared.registry import (
    Completer,
    PromptFunction,
    Registry,
    ResourceEntry,
    ResourceFunction,
    ToolFunction,
    Watcher,
)
from mcp_server_shared.settings import ServerSettings
from mcp_server_shared.store import MemoryStore, Store
from mcp_server_shared.subscriptions import Subscriptions, can_be_told
from mcp_server_shared.untrusted import SENTENCE

logger = logging.getLogger(__name__)

StateT = TypeVar("StateT")
ResultT = TypeVar("ResultT")
Context = ServerRequestContext[Any, Any]

_CACHEABLE: tuple[CacheableMethod, ...] = (
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "server/discover",
)
_LIST_TTL_MS = 300_000
_MOST_COMPLETIONS = 100
_ASKED_AT_MOST_S = 2.0


class Server(ProtocolServer[StateT], Generic[StateT]):
    """One MCP server: register tools, resources and prompts, then hand it to a transport.

    Args:
        about: what the server is; its package names the server and gives the version.
        settings: what the operator decided.
        opened: opens the server's state when serving starts and closes it at the end. It must not reach for
            the network or fail: connect on first use.
        findings: tries the state for `check`: whether the credential works and what it may do.
        unusable: asks the upstream once which tools the credential cannot use, and what each of them lacks; those are
            not listed. For an operator who chose `--match-credential`.
        instructions: what a model should know before it calls anything; it is paid for in every conversation.
    """

    def __init__(
        self,
        about: About,
        settings: ServerSettings,
        opened: Callable[[], AbstractAsyncContextManager[StateT]],
        *,
        findings: Callable[[StateT], Awaitable[list[Finding]]],
        unusable: Callable[[StateT], Awaitable[Mapping[str, str]]] | None = None,
        instructions: str = "",
    ) -> None:
        self.about = about
        self.findings = findings
        self.settings = settings
        self.registry = Registry(structured=settings.results == "both")
        self._opened = opened
        self._ask_unusable = unusable
        self._unusable: Mapping[str, str] = {}
        self._usable_known = anyio.Event()
        self._limiter = anyio.CapacityLimiter(settings.threads)
        package_version = version(about.package)
        super().__init__(
            about.package,
            title=about.title,
            description=about.purpose,
            version=package_version,
            instructions=f"{instructions} {SENTENCE}".strip(),
            lifespan=lambda _: self._running(),
            cache_hints=dict.fromkeys(_CACHEABLE, CacheHint(ttl_ms=_LIST_TTL_MS, scope="private")),
            on_list_tools=self._list_tools,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_resource_templates,
            on_read_resource=self._read_resource,
            on_subscriptions_listen=self._listen,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
            get_tool_input_schema=self._input_schema,
        )
        self.add_request_handler("tools/call", CallToolRequestParams, self._call_tool)
        self._tracing = tuple(self.middleware)  # the SDK's: a span for every message
        self._audit = Audit(about.package, package_version, settings.log_results)
        self.host(Hosting())

    def host(self, hosting: Hosting) -> None:
        """Take over what the process that serves has for its servers; before anything is served."""
        key = hosting.key or secrets.token_bytes(32)
        self._cursors = Cursors(hmac.digest(key, f"cursors of {self.about.package}".encode(), "sha256"))
        self._store: Store = hosting.store or MemoryStore()
        self._limits = hosting.limits or Limits(self.settings.max_calls)
        self._subscriptions = Subscriptions(self._watch, hosting.bus)
        self._listen_handler = ListenHandler(self._subscriptions.bus)
        boundary = RequestStateBoundary(RequestStateSecurity(keys=[key]), default_audience=self.about.package)
        nobody_traces = isinstance(get_tracer_provider(), ProxyTracerProvider)  # then its spans go nowhere
        tracing = () if nobody_traces else self._tracing
        self.middleware[:] = [*hosting.middleware, *tracing, self._audit, boundary]

    @property
    def state(self) -> StateT:
        """What is open while the server serves."""
        return self._state

    @property
    def server_info_stamp(self) -> dict[str, Any]:
        """What every answer of 2026-07-28 says of the server; texts alone, so that it takes no deep copy."""
        return {**self._server_info_stamp_source}

    async def probe(self) -> list[Finding]:
        """Return the findings about the state that is being served."""
        return await self.findings(self._state)

    def end_listening(self) -> None:
        """End the streams of `subscriptions/listen`, which would not end by themselves."""
        self._listen_handler.close()

    # Registration

    def add_tool(
        self,
        fn: ToolFunction,
        *,
        title: str,
        annotations: ToolAnnotations,
        grant: Grant | None = None,
        choices: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Register a tool: name and description are the function's, arguments are its parameters after the call.

        Args:
            fn: `async def name(call: Call[State], …) -> Records | Document | Media`.
            title: for people.
            annotations: what it risks; anything but read-only needs a grant.
            grant: what the operator must have given.
            choices: for a parameter that picks one of what the operator configured, the names there are; with less
                than two, there is no such argument.
        """
        self.registry.add_tool(fn, title, annotations, grant, choices)

    def add_resource(
        self,
        uri_template: str,
        fn: ResourceFunction,
        *,
        title: str,
        complete: Mapping[str, Completer] | None = None,
        watch: Watcher | None = None,
        grant: Grant | None = None,
    ) -> None:
        """Register a resource template (RFC 6570).

        Args:
            uri_template: its variables are the function's arguments after the call.
            fn: `async def name(call: Call[State], …) -> Document | Blob`.
            title: for people.
            complete: completes a variable's value.
            watch: `async def name(state, …)` that yields after each change; without it nobody can subscribe.
            grant: what the operator must have given.
        """
        self.registry.add_resource(uri_template, fn, title, complete or {}, watch, grant)
        if watch is not None:  # handshake-era clients are told whether anything can be subscribed to
            self.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
            self.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    def add_prompt(
        self,
        fn: PromptFunction,
        *,
        title: str,
        complete: Mapping[str, Completer] | None = None,
        choices: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Register a prompt: `async def name(call: Call[State], …: str) -> list[Said | Attached]`."""
        self.registry.add_prompt(fn, title, complete or {}, choices)

    # Lists: they depend on the configuration alone, so they need no state, network or credential

    async def _list_tools(self, ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        _first_page_only(params)
        await self._usable_known.wait()
        usable = (e for e in self.registry.tools.values() if e.listed.name not in self._unusable)
        return ListToolsResult(tools=[entry.listed for entry in usable if self.is_granted(entry.grant)])

    async def _list_resources(self, ctx: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        _first_page_only(params)
        return ListResourcesResult(resources=[])

    async def _list_resource_templates(
        self, ctx: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        _first_page_only(params)
        granted = [e.listed for e in self.registry.resources.values() if self.is_granted(e.grant)]
        return ListResourceTemplatesResult(resource_templates=granted)

    async def _list_prompts(self, ctx: Context, params: PaginatedRequestParams | None) -> ListPromptsResult:
        _first_page_only(params)
        return ListPromptsResult(prompts=[e.listed for e in self.registry.prompts.values()])

    # Requests

    async def _call_tool(self, ctx: Context, params: CallToolRequestParams) -> dict[str, Any] | InputRequiredResult:
        try:
            entry = self._known("tool", params.name, self.registry.tools)
            self._require(entry.grant)
            self._require_usable(params.name)
            arguments = entry.arguments.validate(params.arguments or {})

            async def work(call: Call[StateT]) -> dict[str, Any]:
                return await self._rendering(call).tool_result(await entry.fn(call, **arguments))

            return await self._served(ctx, params.name, arguments, work)
        except ExpectedError as error:
            quotes = labels(untrusted=True, confidentiality=self.about.confidentiality) if error.untrusted else {}
            return complete([text_block(error.text())], error.meta() | quotes, is_error=True)
        except InputNeeded as needed:
            return needed.result

    async def _read_resource(
        self, ctx: Context, params: ReadResourceRequestParams
    ) -> ReadResourceResult | InputRequiredResult:
        async def work(call: Call[StateT]) -> ReadResourceResult:
            output = await entry.fn(call, **variables)
            return ReadResourceResult(contents=[await self._rendering(call).resource_contents(params.uri, output)])

        try:
            entry, variables = self._resource(params.uri)
            return await self._served(ctx, entry.listed.uri_template, variables, work)
        except ExpectedError as error:
            raise protocol_error(error, uri=params.uri) from error
        except InputNeeded as needed:
            return needed.result

    async def _get_prompt(self, ctx: Context, params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
        try:
            entry = self._known("prompt", params.name, self.registry.prompts)
            arguments = entry.arguments.validate(params.arguments or {})

            async def work(call: Call[StateT]) -> GetPromptResult:
                messages = await self._rendering(call).prompt_messages(await entry.fn(call, **arguments))
                return GetPromptResult(description=entry.listed.description, messages=messages)

            return await self._served(ctx, params.name, arguments, work)
        except ExpectedError as error:
            raise protocol_error(error) from error
        except InputNeeded as needed:
            return needed.result

    async def _complete(self, ctx: Context, params: CompleteRequestParams) -> CompleteResult:
        try:
            completer = self._completer(params)
            others = (params.context.arguments or {}) if params.context else {}

            async def work(call: Call[StateT]) -> list[str]:
                return await completer(call, params.argument.value, others) if completer else []

            values = await self._served(ctx, params.argument.name, {}, work)
        except ExpectedError as error:
            raise protocol_error(error) from error
        first = values[:_MOST_COMPLETIONS]
        return CompleteResult(completion=Completion(values=first, has_more=len(values) > len(first)))

    def _completer(self, params: CompleteRequestParams) -> Completer | None:
        if isinstance(params.ref, PromptReference):
            prompt = self._known("prompt", params.ref.name, self.registry.prompts)
            names, completers = prompt.arguments.names, prompt.complete
        else:
            resource = self._known("resource template", params.ref.uri, self.registry.resources)
            self._require(resource.grant)
            names, completers = tuple(resource.template.variable_names), resource.complete
        if params.argument.name not in names:
            raise InvalidArgument(f"There is no argument '{params.argument.name}' here.", hint=_known_names(names))
        return completers.get(params.argument.name)

    # Subscriptions

    async def _subscribe(self, ctx: Context, params: SubscribeRequestParams) -> EmptyResult:
        self._require_watchable([params.uri])
        if not can_be_told(ctx.session):
            hint = "Connect over stdio or a stateful session, or speak protocol 2026-07-28."
            raise protocol_error(Unsupported("This connection carries no notifications.", hint=hint))
        self._subscriptions.subscribe(params.uri, ctx.session, caller())
        return EmptyResult()

    async def _unsubscribe(self, ctx: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        self._subscriptions.unsubscribe(params.uri, ctx.session)
        return EmptyResult()

    async def _listen(self, ctx: Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        uris = params.notifications.resource_subscriptions or []
        self._require_watchable(uris)
        async with self._subscriptions.listening(uris, caller()):
            return await self._listen_handler(ctx, params)

    def _require_watchable(self, uris: list[str]) -> None:
        for uri in uris:
            try:
                entry, _ = self._resource(uri)
                if entry.watch is None:
                    raise Unsupported(
                        f"Changes of {entry.listed.uri_template} are not reported.", hint="Read it again."
                    )
            except ExpectedError as error:
                raise protocol_error(error, uri=uri) from error
        try:
            self._subscriptions.require_room(uris, caller())
        except RateLimited as error:
            raise protocol_error(error) from error

    async def _watch(self, uri: str) -> AsyncGenerator[None]:
        entry, variables = self._resource(uri)
        if entry.watch is not None:
            async with aclosing(entry.watch(self._state, **variables)) as changes:
                async for _ in changes:
                    yield

    # The pipeline

    async def _served(
        self,
        ctx: Context,
        target: str,
        arguments: dict[str, Any],
        work: Callable[[Call[StateT]], Awaitable[ResultT]],
    ) -> ResultT:
        """Run one request's work within its deadline; whatever goes wrong leaves as an `ExpectedError`."""
        who, deadlines, scope = caller(), self._deadlines, anyio.CancelScope()
        await self._limits.enter(who)
        try:
            call = Call(
                state=ctx.lifespan_context,
                caller=who,
                target=target,
                arguments=arguments,
                budget=self.settings.max_output_characters,
                settings=self.settings,
                request=ctx,
                cursors=self._cursors,
                store=self._store,
                limiter=self._limiter,
                deadlines=deadlines,
                scope=scope,
                deadline=deadlines.start(scope),
            )
            with scope:
                return await _failing_as_expected(call, work)
        finally:
            deadlines.stop(scope)
            self._limits.leave(who)
        raise DeadlineExceeded(
            f"The call took longer than {self.settings.deadline_s:g} seconds and was stopped.",
            hint="Ask for less at a time, or the operator for a longer --deadline-s.",
        )

    def _rendering(self, call: Call[StateT]) -> Rendering:
        return Rendering(
            budget=self.settings.max_output_characters,
            structured=self.settings.results == "both",
            confidentiality=self.about.confidentiality,
            mint=call.mint_cursor,
        )

    def is_granted(self, grant: Grant | None) -> bool:
        """Whether the operator and the caller's token give this grant; reading needs none."""
        return grant is None or (self.settings.gives(grant) and caller_has(grant))

    def _require(self, grant: Grant | None) -> None:
        if grant is None or self.is_granted(grant):
            return
        if not self.settings.gives(grant):
            raise PermissionDenied(
                f"This server may not {grant.allows}.",
                hint=f"The operator can allow it by starting {self.about.package} with {grant.flag}.",
            )
        raise PermissionDenied(
            f"This caller may not {grant.allows}.", hint=f"It takes a token with the grant '{grant.name}'."
        )

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        entry = self.registry.tools.get(name)
        return entry.arguments.schema if entry else None

    def _require_usable(self, tool: str) -> None:
        if (lacks := self._unusable.get(tool)) is not None:
            raise PermissionDenied("The credential does not allow this.", hint=lacks)

    def _known(self, kind: str, name: str, entries: Mapping[str, ResultT]) -> ResultT:
        if name not in entries:
            raise NotFound(f"There is no {kind} '{name[:100]}'.", hint=sentence(did_you_mean(name[:100], entries)))
        return entries[name]

    def _resource(self, uri: str) -> tuple[ResourceEntry, dict[str, Any]]:
        found = self.registry.find_resource(uri)
        if found is None:
            raise NotFound(f"No resource has the address {uri[:200]!r}.", hint=_known_names(self.registry.resources))
        entry, variables = found
        self._require(entry.grant)
        return entry, entry.arguments.validate(variables)

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[StateT]:
        self._deadlines = Deadlines(self.settings.deadline_s, _stop)
        async with self._opened() as self._state, self._subscriptions.running(), self._learning_unusable():
            yield self._state

    async def unusable_tools(self) -> Mapping[str, str]:
        """Return the tools that are not listed since the credential cannot use them, and what each lacks.

        For the time of the lifespan; empty unless the operator chose `--match-credential`.
        """
        await self._usable_known.wait()
        return self._unusable

    @asynccontextmanager
    async def _learning_unusable(self) -> AsyncGenerator[None]:
        """Ask, beside serving, what the credential cannot do; lists wait for the answer."""
        if self._ask_unusable is None:
            self._usable_known.set()
            yield
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._learn_unusable, self._ask_unusable)
            yield
            tasks.cancel_scope.cancel()

    async def _learn_unusable(self, asked: Callable[[StateT], Awaitable[Mapping[str, str]]]) -> None:
        try:
            with anyio.move_on_after(_ASKED_AT_MOST_S):
                self._unusable = await asked(self._state)
        except ExpectedError as error:  # then everything granted is listed
            logger.warning("what the credential can do is not known: %s", redact_text(str(error)))
        finally:
            self._usable_known.set()


def _stop(scope: anyio.CancelScope) -> None:
    scope.cancel("deadline exceeded")


async def _failing_as_expected(call: Call[StateT], work: Callable[[Call[StateT]], Awaitable[ResultT]]) -> ResultT:
    """Do the work; a failure that nobody expected is logged, and told under a reference alone."""
    try:
        return await work(call)
    except (ExpectedError, InputNeeded, MCPError):
        raise
    except Exception as error:
        if (expected := _expected_in(error)) is not None:
            raise expected from error
        reference = secrets.token_hex(4)
        logger.exception("%s failed unexpectedly, reference %s", call.target, reference)
        raise InternalError(reference) from error


def _expected_in(error: BaseException) -> ExpectedError | None:
    """Return the expected failure that a task group wrapped, if there is one."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return next(filter(None, map(_expected_in, group.exceptions)), None)
    return error if isinstance(error, ExpectedError) else None


def _known_names(names: Any) -> str:
    return f"There is: {', '.join(names) or 'none'}."


def _first_page_only(params: PaginatedRequestParams | None) -> None:
    if params is not None and params.cursor is not None:
        raise protocol_error(InvalidArgument("This list has one page.", hint="Leave 'cursor' out."))


def protocol_error(error: ExpectedError, **data: str) -> MCPError:
    """Return the error as JSON-RPC has it; for a request whose result has no room for error content."""
    code = INVALID_PARAMS if error.code in {"invalid_argument", "not_found"} else INTERNAL_ERROR
    return MCPError(code=code, message=error.text(), data=data | error.meta())

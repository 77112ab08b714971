"""The contract suite, proven: a good server passes it whole, and each promise that is broken is noticed."""

import inspect
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.server.context import CallNext, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_server_shared.arguments import Arguments
from mcp_server_shared.contract import Example, Subject, checks, connection
from mcp_server_shared.contract.connection import HANDSHAKE, MODERN, Era, Message
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.promises import (
    arguments,
    audit,
    deadlines,
    eras,
    failures,
    grants,
    output,
    prose,
    start,
    stdio,
    untrusted,
)
from mcp_server_shared.cursors import Cursors
from mcp_server_shared.errors import InvalidArgument, NotFound, PermissionDenied
from mcp_server_shared.output import Records
from mcp_server_shared.registry import READ_ONLY
from mcp_server_shared.server import Server
from mcp_server_shared.start import Program
from notes.__main__ import program
from notes.server import Notes, Settings, build_server

globals().update(checks())

TESTS = str(Path(__file__).parent)
RUN_NOTES = f"import runpy, sys; sys.path.insert(0, {TESTS!r}); runpy.run_module('notes', run_name='__main__')"

GOOD = Subject(
    program=program,
    command=[sys.executable, "-c", RUN_NOTES],
    environment={"PYTHONPATH": TESTS},
    arguments=["--more-notes", "100"],
    examples=[
        Example("list_notes", paged=True, needs_upstream=False),
        Example("list_notes", {"order": "length"}, paged=True, needs_upstream=False),
        Example("read_note", {"name": "note-60"}, paged=True),
        Example("chatter", needs_upstream=False),
        Example("crash", needs_upstream=False),
        Example("running", needs_upstream=False),
        Example("count", {"to": 3}, needs_upstream=False),
    ],
    resources=["note:///note-90"],
    prompts=[Example("review_note", {"name": "first"})],
    slow=[Example("wait"), Example("work")],
    upstream_hint="There is no note",
)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return GOOD


Context = ServerRequestContext[Any, Any]
Edit = Callable[[Context, Message], object]
Change = Callable[[Server[Notes]], None]
Check = Callable[..., None]


@dataclass
class Broken:
    """The good server with one fault, and the checks that have to notice it.

    Attributes:
        edit: changes a result on its way out.
        change: changes the server before it serves.
    """

    noticed_by: Sequence[Check]
    edit: Edit = lambda ctx, result: None
    change: Change = lambda server: None
    era: Era = MODERN

    def program(self) -> Program[Settings]:
        return replace(program(), build_server=self._build)

    def _build(self, settings: Settings) -> Server[Notes]:
        server = build_server(settings)

        async def edited(ctx: Context, call_next: CallNext) -> Any:
            result: Any = await call_next(ctx)
            self.edit(ctx, result)
            return result

        server.middleware.append(edited)
        self.change(server)
        return server


# --- Edits of what is sent ---


def only(method: str, edit: Callable[[Message], object]) -> Edit:
    """Return an edit of the results of one method."""
    return lambda ctx, result: edit(result) if ctx.method == method else None


def tools(edit: Callable[[Message], object]) -> Edit:
    """Return an edit of every tool that is listed."""
    return only("tools/list", lambda result: [edit(tool) for tool in result["tools"]])


def structured(edit: Callable[[Message], object]) -> Edit:
    """Return an edit of the structured form."""
    return only("tools/call", lambda result: edit(result.get("structuredContent", {})))


def texts(change: Callable[[str], str]) -> Edit:
    """Return an edit of the text of each call, errors included."""
    return only("tools/call", lambda result: result["content"][0].update(text=change(result["content"][0]["text"])))


def without_truncated(ctx: Context, result: Message) -> None:
    structured(lambda form: form.pop("truncated", None))(ctx, result)
    texts(lambda text: text.replace('"truncated":true,', ""))(ctx, result)


def without_delimiters(text: str) -> str:
    return re.sub("</?untrusted-[0-9a-f]+>\n?", "", text)


def reversed_after_a_call() -> Edit:
    called: list[str] = []

    def edit(ctx: Context, result: Message) -> None:
        if ctx.method == "tools/call":
            called.append("once")
        elif ctx.method == "tools/list" and called:
            result["tools"].reverse()

    return edit


# --- Changes of what is done; they reach for what is private, since no server could ask for them ---


def private(server: Server[Notes]) -> Any:
    return server


def validated_by(validate: Callable[[Arguments, Message], Message]) -> Change:
    def change(server: Server[Notes]) -> None:
        for entry in [*server.registry.tools.values(), *server.registry.prompts.values()]:
            setattr(entry.arguments, "validate", partial(validate, entry.arguments))  # noqa: B010

    return change


def known_arguments(arguments: Arguments, given: Message) -> Message:
    return Arguments.validate(arguments, {name: value for name, value in given.items() if name in arguments.names})


def no_null(arguments: Arguments, given: Message) -> Message:
    if None in given.values():
        names = [f"'{name}'" for name in given]
        raise InvalidArgument(f"{names} must not be null.")
    return Arguments.validate(arguments, given)


def refused_as(text: str) -> Callable[[Arguments, Message], Message]:
    def validate(arguments: Arguments, given: Message) -> Message:
        try:
            return Arguments.validate(arguments, given)
        except InvalidArgument as error:
            raise InvalidArgument(text.format(error.message)) from None

    return validate


def tool(name: str, fn: Callable[..., Any]) -> Change:
    """Return a change of what a tool does."""

    def change(server: Server[Notes]) -> None:
        server.registry.tools[name] = replace(server.registry.tools[name], fn=fn)

    return change


def unreadable(error: Callable[[str], Exception]) -> Change:
    async def read_note(call: Any, name: str, **_: Any) -> Any:
        raise error(name)

    return tool("read_note", read_note)


class Unredacted(NotFound):
    def text(self) -> str:
        return self.message


async def block(call: Any, **_: Any) -> Records:
    time.sleep(0.6)  # noqa: ASYNC251
    return Records(columns=[], rows=[])


async def outlast(call: Any, **_: Any) -> Records:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(0.6)
    return Records(columns=[], rows=[])


async def work_on(call: Any, **_: Any) -> Records:
    await call.in_thread(time.sleep, 5)
    return Records(columns=[], rows=[])


async def untried(call: Any) -> Records:
    """Do nothing."""
    return Records(columns=[], rows=[])


async def untried_prompt(call: Any) -> list[Any]:
    """Say nothing."""
    return []


async def report(call: Any, **_: Any) -> Records:
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await call.request.session.send_resource_updated("note:///first")
    return Records(columns=[], rows=[])


def grant_everything(server: Server[Notes]) -> None:
    def is_granted(grant: Any) -> bool:
        return True

    private(server).is_granted = is_granted


def never_refuse(server: Server[Notes]) -> None:
    def require(grant: Any) -> None:
        pass

    private(server)._require = require


def refuse_without_a_flag(server: Server[Notes]) -> None:
    def require(grant: Any) -> None:
        if not server.is_granted(grant):
            raise PermissionDenied("No.")

    private(server)._require = require


def rendered_with(**changes: Any) -> Change:
    def change(server: Server[Notes]) -> None:
        good = private(server)._rendering

        def rendering(call: Any) -> Any:
            return replace(good(call), **changes)

        private(server)._rendering = rendering

    return change


def with_cursors(cursors: type[Cursors]) -> Change:
    def change(server: Server[Notes]) -> None:
        private(server)._cursors = cursors()

    return change


class Unbound(Cursors):
    def mint(self, position: Any, *, bound_to: tuple[Any, ...]) -> str:
        return super().mint(position, bound_to=())

    def open(self, cursor: str, *, bound_to: tuple[Any, ...]) -> Any:
        return super().open(cursor, bound_to=())


class Unsigned(Cursors):
    def mint(self, position: Any, *, bound_to: tuple[Any, ...]) -> str:
        return f"{position}-{'x' * 20}"

    def open(self, cursor: str, *, bound_to: tuple[Any, ...]) -> Any:
        return int(re.sub(r"\D", "", cursor) or 0)


class OffByOne(Cursors):
    def open(self, cursor: str, *, bound_to: tuple[Any, ...]) -> Any:
        return super().open(cursor, bound_to=bound_to) + 1


def strip_protocol_errors(server: Server[Notes]) -> None:
    async def stripped(ctx: Context, call_next: CallNext) -> Any:
        try:
            return await call_next(ctx)
        except MCPError as error:
            raise MCPError(error.error.code, error.error.message) from None

    server.middleware.append(stripped)


tampered = partial(output.test_a_cursor_that_was_tampered_with_is_refused, change="head")
github_token = partial(failures.test_an_error_does_not_repeat_a_secret, secret="ghp_" + "a1B2" * 9)

BROKEN: dict[str, Broken] = {
    # grants
    "writes without a grant": Broken(
        [
            grants.test_without_a_grant_only_tools_that_read_are_listed,
            grants.test_without_any_grant_no_tool_that_changes_something_can_be_called,
        ],
        change=grant_everything,
    ),
    "writes when called by name": Broken(
        [
            grants.test_without_any_grant_no_tool_that_changes_something_can_be_called,
            grants.test_a_tool_that_is_not_granted_is_refused_by_the_name_of_its_flag,
        ],
        change=never_refuse,
    ),
    "refuses without a flag": Broken(
        [grants.test_a_tool_that_is_not_granted_is_refused_by_the_name_of_its_flag], change=refuse_without_a_flag
    ),
    "hides a tool": Broken(
        [
            grants.test_with_every_grant_every_tool_is_listed,
            partial(eras.test_both_eras_list_the_same, method="tools/list"),
        ],
        edit=lambda ctx, result: "ttlMs" in result and result.get("tools", [0]).pop(),
    ),
    "reorders its list": Broken([grants.test_a_call_does_not_change_the_lists], edit=reversed_after_a_call()),
    # arguments
    "ignores unknown arguments": Broken(
        [
            arguments.test_an_unknown_argument_is_refused_with_the_nearest_name,
            arguments.test_a_tool_without_arguments_refuses_any,
            arguments.test_a_name_or_argument_of_a_prompt_that_does_not_exist_is_refused,
        ],
        change=validated_by(known_arguments),
    ),
    "does not say which argument is wrong": Broken(
        [
            arguments.test_an_unknown_argument_is_refused_with_the_nearest_name,
            arguments.test_a_missing_argument_is_named,
            arguments.test_a_value_of_another_type_than_listed_is_refused,
            arguments.test_a_value_just_outside_its_limits_is_refused,
        ],
        change=validated_by(refused_as("Something is wrong.")),
    ),
    "repeats pydantic's text": Broken(
        [arguments.test_a_missing_argument_is_named],
        change=validated_by(refused_as("{} For further information visit https://errors.pydantic.dev/2/v/missing")),
    ),
    "lists another limit than it enforces": Broken(
        [arguments.test_a_value_just_outside_its_limits_is_refused],
        edit=tools(lambda tool: tool["inputSchema"]["properties"].get("limit", {}).update(maximum=100)),
    ),
    "lists another type than it enforces": Broken(
        [arguments.test_a_value_of_another_type_than_listed_is_refused],
        edit=tools(lambda tool: tool["inputSchema"]["properties"].get("limit", {}).update(type="string")),
    ),
    "takes null for a value": Broken(
        [arguments.test_null_for_an_optional_argument_counts_as_absent], change=validated_by(no_null)
    ),
    # failures
    "offers no candidates": Broken(
        [failures.test_an_unknown_tool_is_not_found_and_near_names_are_offered], edit=texts(lambda text: "No.")
    ),
    "returns errors as success": Broken(
        [
            failures.test_an_unknown_tool_is_not_found_and_near_names_are_offered,
            failures.test_no_error_is_returned_as_success,
        ],
        edit=only("tools/call", lambda result: result.pop("isError")),
        change=unreadable(lambda name: NotFound(f"No {name}.")),
    ),
    "has no machine-readable errors": Broken(
        [failures.test_an_unknown_tool_is_not_found_and_near_names_are_offered],
        edit=only("tools/call", lambda result: result["_meta"].clear()),
    ),
    "shows tracebacks": Broken(
        [failures.test_hostile_values_are_answered_with_a_result_or_a_readable_error],
        change=unreadable(lambda name: NotFound('Traceback (most recent call last):\n  File "notes.py"')),
    ),
    "fails outside of results": Broken(
        [failures.test_hostile_values_are_answered_with_a_result_or_a_readable_error],
        change=unreadable(lambda name: MCPError(-32603, "Internal error")),
    ),
    "writes long errors": Broken(
        [failures.test_hostile_names_and_addresses_are_answered_with_a_readable_error],
        edit=texts(lambda text: text * 100),
    ),
    "repeats a secret": Broken([github_token], change=unreadable(lambda name: Unredacted(f"No {name}."))),
    "has bare protocol errors": Broken(
        [
            failures.test_other_requests_carry_the_same_machine_readable_error,
            failures.test_hostile_names_and_addresses_are_answered_with_a_readable_error,
            failures.test_a_list_has_one_page_and_refuses_a_cursor,
        ],
        change=strip_protocol_errors,
    ),
    # output
    "has the cursor in the text alone": Broken(
        [output.test_the_text_alone_says_everything_that_the_structured_form_says],
        edit=structured(lambda form: form.pop("cursor", None)),
    ),
    "has a fact in the structured form alone": Broken(
        [output.test_the_text_alone_says_everything_that_the_structured_form_says],
        edit=structured(lambda form: form.update(fact=1)),
    ),
    "has a structured form without a schema": Broken(
        [output.test_a_result_has_the_structured_form_exactly_when_its_tool_lists_a_schema],
        edit=tools(lambda tool: tool.pop("outputSchema", None)),
    ),
    "has another structured form than its schema": Broken(
        [output.test_a_result_has_the_structured_form_exactly_when_its_tool_lists_a_schema],
        edit=structured(lambda form: form.update(count="many")),
    ),
    "always has both forms": Broken(
        [output.test_results_as_text_have_no_structured_form_and_say_as_much], change=rendered_with(structured=True)
    ),
    "exceeds the budget": Broken(
        [
            output.test_no_result_is_larger_than_the_budget_in_either_form,
            output.test_no_resource_is_larger_than_the_budget,
        ],
        change=rendered_with(budget=25_000),
    ),
    "cuts in silence": Broken(
        [output.test_a_result_that_is_not_whole_says_so, output.test_the_pages_of_a_result_make_up_the_whole],
        edit=without_truncated,
    ),
    "loses a row between pages": Broken(
        [output.test_the_pages_of_a_result_make_up_the_whole], change=with_cursors(OffByOne)
    ),
    "takes any cursor": Broken(
        [tampered, output.test_a_cursor_of_another_process_is_refused], change=with_cursors(Unsigned)
    ),
    "takes the cursor of another call": Broken(
        [output.test_a_cursor_of_another_call_is_refused], change=with_cursors(Unbound)
    ),
    # untrusted
    "has no labels": Broken(
        [untrusted.test_every_result_says_who_wrote_it_and_who_may_see_it],
        edit=only("tools/call", lambda result: result["_meta"].clear()),
    ),
    "does not mark": Broken(
        [untrusted.test_text_by_third_parties_stands_between_delimiters_and_other_text_does_not],
        edit=texts(without_delimiters),
    ),
    "has the same delimiters each time": Broken(
        [untrusted.test_nobody_can_guess_a_delimiter],
        edit=texts(lambda text: re.sub("untrusted-[0-9a-f]+>", "untrusted-000000000000>", text)),
    ),
    "does not mark resources": Broken(
        [untrusted.test_a_resource_is_marked_text_with_labels],
        edit=only("resources/read", lambda result: result["contents"][0].update(text='{"name":"first"}\none')),
    ),
    "does not mark what it attaches": Broken(
        [untrusted.test_a_resource_attached_to_a_prompt_is_marked_too],
        edit=only("prompts/get", lambda result: result["messages"][1]["content"]["resource"].update(text="{}\none")),
    ),
    # deadlines
    "blocks the event loop": Broken(
        [deadlines.test_others_are_answered_while_a_call_takes_its_time_until_its_deadline], change=tool("wait", block)
    ),
    "outlasts its deadline": Broken(
        [deadlines.test_others_are_answered_while_a_call_takes_its_time_until_its_deadline],
        change=tool("wait", outlast),
    ),
    "speaks after it was cancelled": Broken(
        [deadlines.test_a_cancelled_call_is_never_answered], change=tool("wait", report), era=HANDSHAKE
    ),
    "works on past its deadline": Broken(
        [deadlines.test_a_call_past_its_deadline_leaves_no_work_behind], change=tool("work", work_on)
    ),
    # prose
    "has a tool that is not tried": Broken(
        [prose.test_every_tool_that_reads_has_an_example],
        change=lambda server: server.add_tool(untried, title="x", annotations=READ_ONLY),
    ),
    "has a prompt that is not tried": Broken(
        [prose.test_every_prompt_and_kind_of_resource_has_an_example],
        change=lambda server: server.add_prompt(untried_prompt, title="x"),
    ),
    "says too much": Broken(
        [prose.test_what_a_model_reads_stays_within_its_budget],
        edit=tools(lambda tool: tool.update(description="words " * 500)),
    ),
    "lacks a hint": Broken(
        [prose.test_every_tool_has_a_title_a_description_and_all_four_hints],
        edit=tools(lambda tool: tool["annotations"].pop("idempotentHint")),
    ),
    "lacks the description of an argument": Broken(
        [prose.test_every_argument_has_a_description],
        edit=tools(lambda tool: tool["inputSchema"]["properties"].get("name", {}).pop("description", None)),
    ),
    "lists titles of arguments": Broken(
        [prose.test_schemas_have_nothing_that_a_model_pays_for_in_vain],
        edit=tools(lambda tool: tool["inputSchema"]["properties"].get("name", {}).update(title="Name")),
    ),
    "lists null": Broken(
        [prose.test_schemas_have_nothing_that_a_model_pays_for_in_vain],
        edit=tools(lambda tool: tool["inputSchema"]["properties"].get("name", {}).update(anyOf=[{"type": "null"}])),
    ),
    "lists a prompt without a title": Broken(
        [prose.test_prompts_and_resources_have_titles_and_descriptions],
        edit=only("prompts/list", lambda result: result["prompts"][0].pop("title")),
    ),
    "has names of another style": Broken(
        [prose.test_names_are_short_and_in_snake_case], edit=tools(lambda tool: tool.update(name="readNote"))
    ),
    # eras
    "shakes hands in a version of its own": Broken(
        [
            partial(eras.test_a_client_of_each_handshake_version_is_served_in_it, version="2025-03-26"),
            eras.test_a_handshake_in_an_unknown_version_is_answered_with_the_latest,
        ],
        edit=only("initialize", lambda result: result.update(protocolVersion="2025-06-18")),
    ),
    "does not introduce itself": Broken(
        [eras.test_the_handshake_introduces_the_server],
        edit=only("initialize", lambda result: result["serverInfo"].clear()),
    ),
    "is discovered without versions": Broken(
        [eras.test_the_server_can_be_discovered_without_a_handshake],
        edit=only("server/discover", lambda result: result.update(supportedVersions=[])),
    ),
    "lets callers share its lists": Broken(
        [eras.test_lists_may_be_cached_but_not_shared_between_callers],
        edit=only("tools/list", lambda result: result.update(cacheScope="public")),
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_server_is_caught_that(fault: str) -> None:
    broken = BROKEN[fault]
    subject = replace(GOOD, program=broken.program)
    for check in broken.noticed_by:
        assert notices(check, subject, broken.era), f"{check} passes"
    unrelated = partial(eras.test_both_eras_list_the_same, method="resources/templates/list")
    assert not notices(unrelated, subject, broken.era), "a check of something else fails"


def notices(check: Check, subject: Subject, era: Era) -> bool:
    """Tell whether a check fails, and fails as checks do."""
    with ExitStack() as stack:
        fixtures = {"host": Host(subject, stack), "subject": subject, "era": era}
        try:
            check(**{name: fixtures[name] for name in inspect.signature(check).parameters.keys() & fixtures.keys()})
        except (AssertionError, KeyError):
            return True
    return False


# --- Servers that only a process can be ---

SCRIPT = f"""
import sys
sys.path.insert(0, {TESTS!r})
import atexit, functools, logging, os, random, time
from mcp.shared.exceptions import MCPError
from mcp_server_shared import logs
from mcp_server_shared.start import Program, start
import notes.server
from notes.server import ABOUT, NotFound, Notes, Settings

def change(server):
    pass

def line(record):
    pass

%s

def build_server(settings):
    server = notes.server.build_server(settings)
    written = logs.audit
    logs.audit = lambda said: (line(said), written(said))
    change(server)
    return server

start(lambda: Program(ABOUT, Settings, build_server))
"""
YES_MAN = """
import json, sys
for line in sys.stdin:
    try:
        message = json.loads(line)
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": {}}) + "\\n")
        sys.stdout.flush()
    except (ValueError, AttributeError):
        pass
"""
no_json = partial(stdio.test_what_is_no_message_is_refused_and_serving_goes_on, line=b"no json", code=-32700)
preview = partial(audit.test_the_operator_decides_how_much_of_a_result_is_logged, setting="preview", most=200)
no_secret = partial(audit.test_no_secret_reaches_stderr, secret="ghp_" + "a1B2" * 9)

SCRIPTS: dict[str, tuple[str, Sequence[Check]]] = {
    "prints before it serves": (
        SCRIPT % "print('ready', flush=True)",
        [
            stdio.test_stdout_carries_nothing_but_messages_until_the_end,
            start.test_without_upstream_or_credential_everything_is_listed,
        ],
    ),
    "needs its upstream to start": (
        SCRIPT % "sys.exit('no notes' if len(sys.argv) < 2 else None)",
        [start.test_without_upstream_or_credential_everything_is_listed],
    ),
    "does not say what is missing": (
        SCRIPT % "def read(self, name): raise NotFound('No.')\nNotes.read = read",
        [
            start.test_the_first_call_says_how_to_supply_what_is_missing,
            start.test_with_its_upstream_every_example_succeeds,
        ],
    ),
    "lists at random": (
        SCRIPT
        % "def change(server): server.registry.tools = dict(random.sample(list(server.registry.tools.items()), 8))",
        [grants.test_two_processes_send_the_same_lists_in_the_same_order],
    ),
    "ends with another code": (
        SCRIPT % "atexit.register(os._exit, 1)",
        [
            stdio.test_the_process_ends_with_code_0_and_without_a_word_on_a_signal,
            stdio.test_a_request_followed_by_the_end_of_stdin_is_answered_before_the_process_ends,
        ],
    ),
    "ends with words": (
        SCRIPT % "atexit.register(sys.stderr.write, 'bye')",
        [stdio.test_the_process_ends_with_code_0_and_without_a_word_on_a_signal],
    ),
    "answers everything with nothing": (
        YES_MAN,
        [
            no_json,
            stdio.test_an_oversized_request_is_refused_by_its_id,
            stdio.test_an_unknown_method_is_not_found,
            stdio.test_a_request_before_the_handshake_is_refused_and_the_handshake_still_works,
            eras.test_a_version_of_the_future_is_refused_with_those_that_are_spoken,
        ],
    ),
    "logs nothing": (
        SCRIPT % "logging.getLogger('audit').disabled = True",
        [
            audit.test_every_request_leaves_one_line,
            audit.test_a_line_tells_who_called_what_with_which_outcome,
            audit.test_a_line_of_a_failed_call_has_its_error_code,
            audit.test_a_large_argument_is_cut_and_identified_by_its_digest,
            eras.test_the_client_is_known_by_name_in_both_eras,
            preview,
        ],
    ),
    "logs everything twice": (
        SCRIPT
        % "def change(server): server.middleware += [m for m in server.middleware if type(m).__name__ == 'Audit']",
        [audit.test_every_request_leaves_one_line],
    ),
    "logs no outcome": (
        SCRIPT % "def line(fields): fields.update(outcome='ok', error=None)",
        [audit.test_a_line_of_a_failed_call_has_its_error_code],
    ),
    "logs no trace": (
        SCRIPT % "def line(fields): fields.update(trace_id=None)",
        [audit.test_a_line_tells_who_called_what_with_which_outcome],
    ),
    "logs no digest": (
        SCRIPT % "def line(fields): fields.get('arguments', {}).get('padding', {}).pop('sha256', None)",
        [audit.test_a_large_argument_is_cut_and_identified_by_its_digest],
    ),
    "logs whole results": (SCRIPT % "def line(fields): fields.update(output='x' * 300)", [preview]),
    "logs secrets": (
        SCRIPT
        % """
async def printed(ctx, call_next):
    print(ctx.params, file=sys.stderr, flush=True)
    return await call_next(ctx)

def change(server): server.middleware.append(printed)
""",
        [no_secret, audit.test_a_value_under_the_name_of_a_secret_does_not_reach_stderr],
    ),
}


@pytest.mark.parametrize("fault", SCRIPTS)
def test_a_process_is_caught_that(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "TIMEOUT_S", 3)  # one of them does not answer at all
    script, noticed_by = SCRIPTS[fault]
    (tmp_path / "server.py").write_text(script)
    subject = replace(GOOD, command=[sys.executable, str(tmp_path / "server.py")])
    for check in noticed_by:
        assert notices(check, subject, MODERN), f"{check} passes"


def test_a_server_is_caught_that_imports_what_it_does_not_need(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "__init__.py").write_text(f"import iniconfig\n__path__.append({TESTS + '/notes'!r})\n")
    subject = replace(GOOD, environment={"PYTHONPATH": str(tmp_path)})
    check = start.test_serving_imports_nothing_but_the_protocol_and_the_server_itself
    with pytest.raises(AssertionError, match="iniconfig"):
        check(subject)


def test_no_two_checks_share_a_name() -> None:
    files = (arguments, audit, deadlines, eras, failures, grants, output, prose, start, stdio, untrusted)
    assert sum(name.startswith("test_") for file in files for name in dir(file)) == len(checks())


def test_every_check_is_proven_to_notice_something() -> None:
    proven = [check for broken in BROKEN.values() for check in broken.noticed_by]
    proven += [check for _, noticed_by in SCRIPTS.values() for check in noticed_by]
    names = {getattr(check, "func", check).__name__ for check in proven}
    assert checks().keys() - names == {
        "test_serving_imports_nothing_but_the_protocol_and_the_server_itself",
        "test_check_without_upstream_says_what_is_wrong_and_shows_no_traceback",
    }

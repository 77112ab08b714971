"""The promises that every server makes, for this one."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from mcp_server_shared.contract import Example, Subject, checks
from mcp_server_shared.contract.connection import Connection, Era, Message
from mcp_server_shared.contract.forms import failure
from mcp_server_shared.contract.host import Command, Host
from mcp_server_shared.contract.values import fitting
from mcp_server_web_browser.__main__ import program
from site_on_loopback import Reply, Site

globals().update(checks())

ConnectionT = TypeVar("ConnectionT", bound=Connection)


class PagesHost(Host):
    """Opens the pages of the examples once on each connection, so that not every call has to."""

    def connect_anew(self, era: Era, *flags: str, ready: bool = True, initialized: bool = True) -> Connection:
        return with_pages(super().connect_anew(era, *flags, ready=ready, initialized=initialized))

    def start_anew(self, era: Era, *flags: str, ready: bool = True, initialized: bool = True) -> Command:
        return with_pages(super().start_anew(era, *flags, ready=ready, initialized=initialized))


def with_pages(connection: ConnectionT) -> ConnectionT:
    """Replace "open …" as a page by the handle of a page that is open there."""
    handles: dict[str, str] = {}
    post = connection.post

    def handle_of(url: str) -> str:
        while url not in handles:  # the deadlines of some checks are short, and the browser has to start
            request = post("tools/call", {"name": "open_page", "arguments": {"url": url}})
            opened: Message = connection.answer(request)["result"]
            if not opened.get("isError"):
                shown: str = opened["content"][0]["text"]
                handles[url] = json.loads(shown.partition("\n")[0])["page"]
                if "Chatty" in shown:  # what is compared is all that it says, not as much as there was time for
                    said = {"page": handles[url], "text": "Said all"}
                    connection.answer(post("tools/call", {"name": "wait_for", "arguments": said}))
            elif failure(opened).code != "timeout":
                return url  # without upstream, it answers alike
        return handles[url]

    def posted(method: str, params: Mapping[str, Any] | None = None) -> int:
        arguments: dict[str, Any] = (params or {}).get("arguments") or {}
        page = str(arguments.get("page", ""))
        if page.startswith("open "):
            params = {**(params or {}), "arguments": {**arguments, "page": handle_of(page.removeprefix("open "))}}
        return post(method, params)

    connection.post = posted
    return connection


@pytest.fixture(scope="module")
def host(subject: Subject) -> Iterator[Host]:
    with ExitStack() as stack:
        yield PagesHost(subject, stack)


NO_ACTIONS = "--allow-actions=false"
FORM = """
<h1>Form</h1><form><input aria-label=Name value=Ada><select aria-label=Size><option>S<option selected>M</select>
<input type=checkbox aria-label=Gift><button type=button>Send</button></form>
<div draggable=true tabindex=0>Bring</div><div tabindex=0>Here</div>
"""
LONG = "".join(f"<p>Paragraph {n} of many, \u202e with a mark.</p>" for n in range(60))
CHATTY = """<h1>Chatty</h1><p id=last></p><script>
for (let n = 0; n < 40; n++) console.log('message ' + n);
(async () => {
  for (let n = 0; n < 20; n++) await fetch('/data?' + n + 'x'.repeat(50));
  last.textContent = 'Said all';
})()
</script>"""


@pytest.fixture(scope="module")
def never() -> Iterator[Event]:
    """Yield what ends the waiting for the site, at the end."""
    event = Event()
    yield event
    event.set()


@pytest.fixture(scope="module")
def subject(chromium: Path, site: Site, never: Event) -> Subject:
    form, long, chatty = site.page(FORM), site.page(LONG), site.page(CHATTY)
    other = site.page("Elsewhere")
    dialog = site.page("<script>alert('Hello')</script>")
    site.put(Reply("{}"), "/data")
    silent = site.put(Reply(wait=never))
    return Subject(
        program=program,
        arguments=["--executable", str(chromium), "--allow-host", f"127.0.0.1:{site.port}"],
        examples=[
            Example("snapshot", {"page": f"open {long}", "find": "Paragraph"}, paged=True),
            Example("snapshot", {"page": f"open {long}"}, paged=True),
            Example("read_page_text", {"page": f"open {long}"}, paged=True),
            Example("screenshot", {"page": f"open {form}"}),
            Example("navigate", {"page": f"open {other}", "url": long}),
            Example("click", {"page": f"open {form}", "target": "text=Send"}),
            Example("type_text", {"page": f"open {form}", "target": "label=Name", "text": "Ada"}),
            Example("fill_form", {"page": f"open {form}", "fields": [{"target": "label=Size", "value": "M"}]}),
            Example("select_option", {"page": f"open {form}", "target": "label=Size", "values": ["M"]}),
            Example("press_key", {"page": f"open {form}", "key": "Escape"}),
            Example("hover", {"page": f"open {form}", "target": "text=Send"}),
            Example("drag", {"page": f"open {form}", "target": "text=Bring", "to": "text=Here"}),
            Example("answer_dialog", {"page": dialog, "accept": True}),
            Example("list_console_messages", {"page": f"open {chatty}"}, paged=True),
            Example("list_requests", {"page": f"open {chatty}"}, paged=True),
            Example("read_request", {"page": f"open {form}", "number": 1, "part": "response_body"}),
            Example("list_downloads", {"page": f"open {form}"}),
            Example("list_pages", {"page": form}),
            Example("close_page", {"page": "p_unknown"}, needs_upstream=False),
        ],
        slow=[
            Example("open_page", {"url": silent}),
            Example("save_pdf", {"page": silent}),
            Example("wait_for", {"page": form, "text": "Never shown"}),
        ],
        resources=[
            *(f"browser://pages/{quote(page, safe='')}/snapshot" for page in (form, long)),
            f"browser://pages/{quote(form, safe='')}/screenshot",
        ],
        prompts=[
            Example("test_web_page", {"page": form}),
            Example("extract_web_table", {"page": long, "what": "the paragraphs"}),
            Example("fill_web_form", {"page": form, "values": "I am Ada."}),
        ],
        upstream_hint="--allow-host",
        most_tokens=(3_200, 4_200),
    )


# The one exception of the first promise: clicking and typing is granted unless the operator takes it back.


def test_without_a_grant_only_tools_that_read_are_listed(host: Host, era: Era) -> None:
    listed = host.connect(era, NO_ACTIONS, ready=False).tools().values()
    assert [tool["name"] for tool in listed if not tool["annotations"]["readOnlyHint"]] == []


def test_without_any_grant_no_tool_that_changes_something_can_be_called(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect(era, NO_ACTIONS, ready=False)
    for name, tool in host.connect(era, *subject.every_grant, ready=False).tools().items():
        if not tool["annotations"]["readOnlyHint"]:
            refusal = failure(server.call(name, fitting(tool, {})))
            assert refusal.code == "permission_denied", f"{name}: {refusal}"

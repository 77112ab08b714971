"""What a client of the browser server can see and do. Start reading here."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from mcp_server_shared.catalog import About, Finding
from mcp_server_shared.egress import Egress
from mcp_server_shared.errors import ExpectedError
from mcp_server_shared.registry import ADDS, DESTROYS, READ_ONLY, READ_ONLY_WORLD
from mcp_server_shared.server import Server

from mcp_server_web_browser.artifacts import Artifacts
from mcp_server_web_browser.contexts import Contexts, Limits
from mcp_server_web_browser.launching import BrowserChoice, runs_without_sandbox
from mcp_server_web_browser.prompts import extract_web_table, fill_web_form, test_web_page
from mcp_server_web_browser.resources import (
    artifact,
    complete_artifact,
    complete_page,
    page_screenshot,
    page_snapshot,
)
from mcp_server_web_browser.secret_values import Secrets
from mcp_server_web_browser.settings import ACT, EMULATE, GRANTS, RECORD, ROUTE, SCRIPT, SECRET, STORE, UPLOAD, Settings
from mcp_server_web_browser.tools.acting import (
    answer_dialog,
    click,
    drag,
    fill_form,
    hover,
    press_key,
    select_option,
    type_text,
)
from mcp_server_web_browser.tools.controlling import (
    emulate,
    evaluate,
    fill_secret,
    load_state,
    read_storage,
    record,
    route_requests,
    save_state,
    upload_files,
    write_storage,
)
from mcp_server_web_browser.tools.inspecting import list_console_messages, list_downloads, list_requests, read_request
from mcp_server_web_browser.tools.looking import read_page_text, save_pdf, screenshot, snapshot, wait_for
from mcp_server_web_browser.tools.opening import close_page, list_pages, navigate, open_page

OPENS = READ_ONLY_WORLD.model_copy(update={"idempotent_hint": False})
ACTS = DESTROYS.model_copy(update={"open_world_hint": True})

ABOUT = About(
    package="mcp-server-web-browser",
    title="Browser",
    purpose="A real browser in fenced-off, logged-out contexts.",
    reading_needs="No credential: a Chromium, and the network.",
    grants=GRANTS,
    state="process",
    never=(
        "reaches a private address that the operator did not name, whatever a page, redirect or name server says",
        "opens file: URLs, or writes and uploads files outside its own folders",
        "shows what is in password, one-time-code and card fields",
    ),
    example=(),
    confidentiality="public",
)


def build_server(settings: Settings) -> Server[Contexts]:
    """Build the server; the browser starts with the first page."""
    server = Server(ABOUT, settings, lambda: opened_contexts(settings), findings=findings)
    server.add_tool(open_page, title="Open a page", annotations=OPENS)
    server.add_tool(navigate, title="Navigate", annotations=OPENS)
    server.add_tool(snapshot, title="Snapshot", annotations=READ_ONLY_WORLD)
    server.add_tool(read_page_text, title="Read the text", annotations=READ_ONLY_WORLD)
    server.add_tool(screenshot, title="Screenshot", annotations=READ_ONLY_WORLD)
    server.add_tool(wait_for, title="Wait", annotations=READ_ONLY_WORLD)
    server.add_tool(click, title="Click", annotations=ACTS, grant=ACT)
    server.add_tool(type_text, title="Type", annotations=ACTS, grant=ACT)
    server.add_tool(fill_form, title="Fill a form", annotations=ACTS, grant=ACT)
    server.add_tool(select_option, title="Choose in a list", annotations=ACTS, grant=ACT)
    server.add_tool(press_key, title="Press a key", annotations=ACTS, grant=ACT)
    server.add_tool(hover, title="Hover", annotations=ACTS, grant=ACT)
    server.add_tool(drag, title="Drag", annotations=ACTS, grant=ACT)
    server.add_tool(answer_dialog, title="Answer a dialog", annotations=ACTS, grant=ACT)
    server.add_tool(list_console_messages, title="List console messages", annotations=READ_ONLY_WORLD)
    server.add_tool(list_requests, title="List requests", annotations=READ_ONLY_WORLD)
    server.add_tool(read_request, title="Read a request", annotations=READ_ONLY_WORLD)
    server.add_tool(list_downloads, title="List downloads", annotations=READ_ONLY_WORLD)
    server.add_tool(save_pdf, title="Save as PDF", annotations=READ_ONLY_WORLD)
    server.add_tool(list_pages, title="List pages", annotations=READ_ONLY)
    server.add_tool(close_page, title="Close a page", annotations=READ_ONLY)
    server.add_tool(evaluate, title="Evaluate JavaScript", annotations=ACTS, grant=SCRIPT)
    server.add_tool(route_requests, title="Route requests", annotations=ACTS, grant=ROUTE)
    server.add_tool(read_storage, title="Read storage", annotations=ACTS, grant=STORE)
    server.add_tool(write_storage, title="Write storage", annotations=ACTS, grant=STORE)
    server.add_tool(save_state, title="Save the state", annotations=ADDS, grant=STORE)
    server.add_tool(load_state, title="Load a state", annotations=ADDS, grant=STORE)
    server.add_tool(record, title="Record", annotations=ADDS, grant=RECORD)
    server.add_tool(emulate, title="Emulate", annotations=ADDS, grant=EMULATE)
    server.add_tool(fill_secret, title="Fill in a secret", annotations=ACTS, grant=SECRET)
    server.add_tool(upload_files, title="Upload files", annotations=ACTS, grant=UPLOAD)
    pages = {"page": complete_page}
    server.add_resource("browser://artifacts/{name}", artifact, title="A file", complete={"name": complete_artifact})
    server.add_resource("browser://pages/{page}/snapshot", page_snapshot, title="A page", complete=pages)
    server.add_resource("browser://pages/{page}/screenshot", page_screenshot, title="A picture", complete=pages)
    server.add_prompt(test_web_page, title="Test this page", complete=pages)
    server.add_prompt(extract_web_table, title="Extract a table", complete=pages)
    server.add_prompt(fill_web_form, title="Fill this form", complete=pages)
    return server


@asynccontextmanager
async def opened_contexts(settings: Settings) -> AsyncGenerator[Contexts]:
    """Yield what serves pages, which expire meanwhile; close them all at the end."""
    contexts = contexts_for(settings)
    sweeping = asyncio.create_task(contexts.sweep())
    try:
        yield contexts
    finally:
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
        await contexts.close()


def contexts_for(settings: Settings) -> Contexts:
    """Return what serves pages as the operator decided; nothing is started."""
    return Contexts(
        BrowserChoice(
            kind=settings.browser,
            executable=settings.executable,
            headed=settings.headed,
            cdp_endpoint=settings.address("cdp_endpoint"),
            playwright_server=settings.address("playwright_server"),
            grid=settings.address("grid"),
        ),
        Limits(
            pages=settings.max_pages,
            memory_mb=settings.max_memory_mb,
            idle_s=settings.idle_s,
            lifetime_s=settings.lifetime_s,
        ),
        egress=Egress(allowed=settings.allow_host, blocked=settings.block_host, only=settings.only_host),
        proxy_host=settings.proxy_host,
        artifacts=Artifacts(settings.artifacts_dir, settings.max_download_bytes),
        secrets=Secrets(settings.secrets_file if settings.allow_secrets else None),
    )


async def findings(contexts: Contexts) -> list[Finding]:
    """Start the browser, and say what it runs without."""
    try:
        browser = await contexts.process.get()
    except ExpectedError as error:
        return [Finding("problem", error.text(), "Install one: mcp-server-web-browser install-browser")]
    found = [Finding("ok", f"{browser.browser_type.name} {browser.version} starts.")]
    if contexts.process.is_remote:
        found.append(
            Finding(
                "warning",
                "The browser runs elsewhere: what it does past its proxy (WebRTC, names) is not ours to forbid.",
                "Start it with --webrtc-ip-handling-policy=disable_non_proxied_udp.",
            )
        )
    elif runs_without_sandbox():
        found.append(
            Finding("warning", "As root, Chromium runs without its sandbox.", "Run the server as an ordinary user.")
        )
    return found

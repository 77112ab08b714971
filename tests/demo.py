"""The demo of the README: all servers, started as an MCP host would, find out why order 140 was charged twice."""

import re
import sys
import tempfile
import textwrap
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
from console.host import Host
from console.rendering import (
    WIDTH,
    heading,
    show_messages,
    show_missing,
    show_resource,
    show_result,
    show_running,
    spinner,
)
from mcp.types import CallToolResult, TextContent
from mcp_server_shared.commands.console import paint, say

T = TypeVar("T")

MOST_LINES = 12
LONGEST_LINE = 400
CHARGES = """select o.id, c.name, c.city, o.status, sum(i.quantity * i.unit_price) as total
from orders o join customers c on c.id = o.customer_id join order_items i on i.order_id = o.id
where o.id between $1 and $2 group by 1, 2, 3, 4 order by 1"""


async def demo(folder: Path) -> None:
    """Run the demo; what the upstreams hold and the servers' logs are put in `folder`."""
    began = time.monotonic()
    async with Host(folder) as host:
        heading("Seven MCP servers, started as a host would", "child processes that speak over stdin and stdout")
        with spinner("Starting"):
            missing = await host.start_samples(PARTS)
        show_running(host.running)
        show_missing(missing)
        for name, part in PARTS.items():
            if name in host.running:
                await part(host)
        await prompt(host)
        heading("The log", "one line on stderr for every call, secrets redacted; this is the last one of postgres")
        say(paint((folder / "postgres.log").read_text(encoding="utf-8").splitlines()[-1][: 3 * WIDTH], "dim"))
    show_missing(missing)
    say(f"\n{paint('✓', 'green')} Done in {time.monotonic() - began:.1f} s. Your turn: {CONSOLE}")


CONSOLE = paint("python3 tests/bootstrap.py console", "bold")


async def slack(host: Host) -> None:
    """Find a message that asks for help, and the thread below it."""
    heading("Slack", "somebody asks for help")
    await call(host, "search_messages", query="charged")
    await call(host, "read_channel", channel="#support")


async def github(host: Host) -> None:
    """Read the issue and the code that it is about."""
    heading("GitHub", "there is an issue; text by strangers is marked, and nothing is written without a grant")
    await call(host, "list_issues", repo="acme/shop")
    await call(host, "read_repo_file", repo="acme/shop", path="src/checkout.py")
    await call(host, "write_issue", fails=True, repo="acme/shop", title="Refund 140")


async def postgres(host: Host) -> None:
    """Look the order up, and see what is refused."""
    heading("PostgreSQL", "a read-only session; the first call starts the database")
    await call(host, "search_objects", pattern="order*", kinds=["table", "view"])
    await call(host, "query", sql=CHARGES, params=[139, 141])
    await call(host, "query", fails=True, sql="select * from ordrs")
    await call(host, "query", fails=True, sql="delete from orders")
    result = await timed(
        "resource",
        " postgres:///public/order_items",
        host.running["postgres"].client.read_resource("postgres:///public/order_items"),
    )
    show_resource(result, most_lines=MOST_LINES)


async def drive(host: Host) -> None:
    """Read the books."""
    heading("Google Drive", "the books have the payment twice; a Sheet is read as CSV, by tab")
    await call(host, "search_drive", text="payments")
    await call(host, "read_drive_file", file_id="payments")


async def filesystem(host: Host) -> None:
    """Edit a file, and see what stays closed."""
    heading("Files", "nothing outside the directory named, and no secrets inside it")
    await call(host, "list_directory", path=".")
    await call(host, "read_text_file", path="notes.txt")
    say(paint("  Text by others is marked, and what is invisible in it is shown.", "dim"))
    edit = {"old_text": "charge(order.total)", "new_text": "charge(order.total, key=order.id)"}
    await call(host, "edit_file", path="src/checkout.py", edits=[edit])
    await call(host, "read_text_file", fails=True, path=".env")
    await call(host, "read_text_file", fails=True, path="../postgres.log")


async def search(host: Host) -> None:
    """Ask what others say about it."""
    heading("Search", "Wikipedia and a folder of documents, without a key")
    await call(host, "search_wikipedia", query="twice")
    await call(host, "search_local", query="payment refunded")


async def browser(host: Host) -> None:
    """Fill in a form on a page, and look at it."""
    heading("A browser", "logged out, fenced off; every action answers with what it changed")
    page = host.running["web-browser"].upstream.page
    opened = await call(host, "open_page", may_lack=True, url=page)
    if opened.is_error:
        return
    handle = found(r'"page":"([^"]+)"', opened)
    order, amount, reason = (found(rf'"{label}" .*\[(\w+)\]', opened) for label in ("Order", "Amount", "Reason"))
    fields = [
        {"target": order, "value": "140"},
        {"target": amount, "value": "358.75"},
        {"target": reason, "value": "Charged twice"},
    ]
    await call(host, "fill_form", page=handle, fields=fields)
    await call(host, "click", page=handle, target=found(r'button "Refund" \[(\w+)\]', opened))
    await call(host, "screenshot", page=handle)
    await call(host, "open_page", fails=True, url="http://127.0.0.2:8080/admin")


PARTS = {
    "slack": slack,
    "github": github,
    "postgres": postgres,
    "drive": drive,
    "filesystem": filesystem,
    "search": search,
    "web-browser": browser,
}


async def prompt(host: Host) -> None:
    """Show a prompt, which is what starts a conversation."""
    heading("A prompt", "what starts a conversation, with what it needs attached")
    client = host.running["postgres"].client
    result = await timed(
        "prompt", " explore_table table=orders", client.get_prompt("explore_table", {"table": "orders"})
    )
    show_messages(result.messages, most_lines=MOST_LINES)


def found(pattern: str, result: CallToolResult) -> str:
    """Return what a pattern finds in a result."""
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"there is no {pattern} in: {text}")
    return match[1]


async def call(
    host: Host, tool: str, *, fails: bool = False, may_lack: bool = False, **arguments: Any
) -> CallToolResult:
    """Call a tool and print what it answers.

    Args:
        host: who runs the server that has the tool.
        tool: its name; a name that is not listed goes to the server of the current part all the same.
        fails: whether an error is what is to be shown.
        may_lack: whether this machine may lack what it takes.
        arguments: of the tool.
    """
    given = ", ".join(f"{name}={value}" for name, value in arguments.items())
    owner = host.tool(tool)
    client = owner[0].client if owner else host.running["github"].client
    result = await timed(tool, f"({given})", client.call_tool(tool, arguments))
    if result.is_error is not fails and not may_lack:
        raise RuntimeError(f"{tool} answered: {result.content}")
    show_result(result, most_lines=MOST_LINES)
    return result


async def timed(what: str, details: str, answer: Awaitable[T]) -> T:
    """Wait for an answer, then say what it answers and how long it took."""
    began = time.monotonic()
    with spinner(what):
        result = await answer
    milliseconds = f"{(time.monotonic() - began) * 1_000:.0f} ms"
    line = textwrap.shorten(what + details, WIDTH - 12, placeholder=" …)")
    say(f"\n{paint('>', 'green')} {paint(line, 'cyan')}  {paint(milliseconds, 'dim')}")
    return result


def main() -> int:
    """Run the demo in a temporary folder; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="mcp-demo-") as name:
        try:
            anyio.run(demo, Path(name))
        except Exception as error:  # noqa: BLE001 - whatever it is, a person reads it
            while isinstance(error, ExceptionGroup):  # what task groups wrap around the cause
                error = cast(Exception, error.exceptions[0])
            sys.stderr.write(f"\nThe demo failed: {error}\n")
            for log in Path(name).glob("*.log"):
                last = log.read_text(encoding="utf-8").splitlines()[-1:]
                sys.stderr.write("".join(f"The last of {log.name}: {line[:LONGEST_LINE]}\n" for line in last))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

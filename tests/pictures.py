"""The pictures of the documents, made from real runs: `python tests/pictures.py [FOLDER]`, by default docs/pictures.

Each is a session at the console in a terminal; the one of the browser has beside it what that browser showed.
"""

import base64
import os
import re
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from pseudo_terminal import CTRL_D, TAB, PseudoTerminal, in_terminal
from pyte.screens import Char

ROOT = Path(__file__).parents[1]
COLUMNS = 104
WIDTH, HEIGHT, MARGIN = 7.8, 18, 16  # of a cell, and around all, in pixels
BAR = 34  # the upper edge of the window
COLOURS = {
    "default": "#d8dee9",
    "brightblack": "#7b8794",
    "red": "#ff7b72",
    "green": "#7ee787",
    "brown": "#f2cc60",
    "cyan": "#79c0ff",
}
HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{label}">
<style>text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; \
white-space: pre }}</style>
<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="#10151c"/>
<g fill="#3b4452"><circle cx="22" cy="18" r="6"/><circle cx="42" cy="18" r="6"/><circle cx="62" cy="18" r="6"/></g>
"""


def console(terminal: PseudoTerminal) -> None:
    """Complete, call, be refused, be asked."""
    terminal.type(f"list_dir{TAB}")
    terminal.wait_for("list_directory")
    terminal.type("path=.\r")
    terminal.wait_for("denied 1")
    terminal.type(f"query {TAB}{TAB}")
    terminal.wait_for("sql=")
    terminal.type("sql='select city, count(*) from customers group by 1 order by 2 desc, 1 limit 3'\r")
    terminal.wait_for("Lisbon")
    for line, answer in (
        ("query sql='select * from ordrs'", "Did you mean"),
        ("query sql='delete from orders'", "[permission_denied]"),
        ("read_text_file path=.env", "deny pattern"),
    ):
        terminal.type(f"{line}\r")
        terminal.wait_for(answer)
    terminal.type("delete_path path=notes.txt permanent=true\r")
    terminal.wait_for("[y/N]:")
    terminal.type("n\r")
    terminal.wait_for("[confirmation_required]")
    terminal.type(f"/read postgres:///pub{TAB}")
    terminal.wait_for("/read postgres:///public")


def browser(terminal: PseudoTerminal) -> None:
    """Fill in a form and send it, then look at the page."""
    page = found(r"(http://127\.0\.0\.1:\d+/refunds)", terminal.text)
    terminal.type(f"open_page url={page}\r")
    opened = terminal.wait_for('button "Refund"')
    handle = found(r'"page":"([^"]+)"', opened)
    order, amount, reason = (found(rf'"{name}" .*\[(\w+)\]', opened) for name in ("Order", "Amount", "Reason"))
    fields = [(order, "140"), (amount, "358.75"), (reason, "Charged twice")]
    listed = ", ".join(f'{{"target": "{target}", "value": "{value}"}}' for target, value in fields)
    terminal.type(f"fill_form page={handle} fields='[{listed}]'\r")
    terminal.wait_for('"filled":3')
    button = found(r'button "Refund" \[(\w+)\]', opened)
    terminal.type(f"click page={handle} target={button}\r")
    terminal.wait_for("Refunded 358.75")
    terminal.type(f"screenshot page={handle}\r")
    terminal.wait_for("picture-1")
    terminal.type("open_page url=http://127.0.0.2:8080/admin\r")
    terminal.wait_for("[permission_denied]")


def found(pattern: str, text: str) -> str:
    """Return the part of a text that a pattern is looking for."""
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"there is no {pattern} in:\n{text}")
    return match[1]


PICTURES: dict[str, tuple[Callable[[PseudoTerminal], None], list[str], str]] = {
    "console": (console, ["filesystem", "postgres"], "A session at the console: files and a database"),
    "browser": (browser, ["web-browser"], "The browser server fills in a form, and what its page then looks like"),
}


def picture(name: str) -> str:
    """Run a session and return the picture of it, as SVG."""
    play, servers, label = PICTURES[name]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    with in_terminal([sys.executable, "-m", "console", *servers], environment, columns=COLUMNS, lines=120) as terminal:
        terminal.wait_for("/help has the rest.")
        play(terminal)
        kept = re.search(r"(\S*/picture-1\.\w+)", terminal.text)
        shown = Path(kept[1]).read_bytes() if kept else b""
        rows = [[terminal.screen.buffer[y][x] for x in range(COLUMNS)] for y in range(len(terminal.text.splitlines()))]
        terminal.type(f"\x15{CTRL_D}")
        terminal.wait_for_end()
    return drawn([*command(servers), *rows], shown, label)


def command(servers: list[str]) -> list[list[Char]]:
    """Return the line that starts it all."""
    return [[Char(character) for character in f"$ python3 tests/bootstrap.py console {' '.join(servers)}"]]


def drawn(rows: list[list[Char]], shown: bytes, label: str) -> str:
    """Return a terminal's rows as SVG, and below them a JPEG if there is one."""
    bottom = BAR + len(rows) * HEIGHT + MARGIN
    width, height = COLUMNS * WIDTH + 2 * MARGIN, bottom + (PAGE_HEIGHT + MARGIN if shown else 0)
    parts = [HEAD.format(width=width, height=height, label=escape(label))]
    for number, row in enumerate(rows):
        parts += runs(row, BAR + (number + 1) * HEIGHT)
    if shown:
        data = base64.b64encode(shown).decode()
        place = f'x="{MARGIN}" y="{bottom:.0f}" width="{width - 2 * MARGIN:.0f}" height="{PAGE_HEIGHT}"'
        parts.append(f'<image {place} preserveAspectRatio="xMidYMin slice" href="data:image/jpeg;base64,{data}"/>')
    return "\n".join([*parts, "</svg>", ""])


PAGE_HEIGHT = 280


def runs(row: list[Char], y: float) -> list[str]:
    """Return one row, a text for each run of cells that look the same, each kept in its columns."""
    texts: list[str] = []
    x = 0
    for (colour, bold), cells in groupby(row, lambda cell: (cell.fg, cell.bold)):
        run = [cell.data for cell in cells]
        text = "".join(run)
        if text.strip():
            look = f'fill="{COLOURS[colour]}"' + (' font-weight="bold"' if bold else "")
            place = f'x="{MARGIN + x * WIDTH:.1f}" y="{y:.0f}" textLength="{len(run) * WIDTH:.1f}"'
            texts.append(f"<text {place} {look}>{escape(text)}</text>")
        x += len(run)
    return texts


def main() -> int:
    """Make all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        (folder / f"{name}.svg").write_text(picture(name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The console: every server by hand, with completion, in a terminal and from a pipe."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest
from console.completion import Completer
from console.host import Host, Running
from console.upstreams import Upstream
from console.words import quoted, split
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client
from mcp.server import MCPServer
from notes.network import served
from pseudo_terminal import CTRL_C, CTRL_D, TAB, PseudoTerminal, in_terminal

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "console"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "tests"), "COLUMNS": "110"}
HINT = "/help has the rest."


@given(st.lists(st.text(st.characters(exclude_characters="\\", exclude_categories=["Cc", "Cs"]), min_size=1)))
def test_words_that_are_quoted_are_read_as_they_were(words: list[str]) -> None:
    assert split(" ".join(map(quoted, words))) == words


def test_of_an_argument_the_value_alone_is_quoted() -> None:
    assert quoted("sql=select 1") == 'sql="select 1"'
    assert split("""query sql="select \\"id\\" from t" params='[1, 2]'""") == [
        "query",
        'sql=select "id" from t',
        "params=[1, 2]",
    ]


def test_a_quotation_mark_that_is_left_open_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="left open"):
        split('query sql="select')


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def piped(lines: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the console on lines from a pipe."""
    return subprocess.run(
        [*COMMAND, *arguments], input=lines, capture_output=True, text=True, env=ENVIRONMENT, timeout=300, check=False
    )


def test_from_a_pipe_it_says_what_it_runs_and_exits_with_0() -> None:
    done = piped(
        "list_directory path=.\n# a remark\n\nread_text_file path=notes.txt\n/quit\nnever read\n", "filesystem"
    )
    assert done.returncode == 0, done.stderr
    assert "mcp> list_directory path=." in done.stdout
    assert "notes.txt  file" in done.stdout
    assert "Call the courier" in done.stdout
    assert "\x1b" not in done.stdout
    assert "never read" not in done.stdout


def test_from_a_pipe_it_exits_with_1_when_a_line_failed_but_goes_on() -> None:
    done = piped("read_text_file path=.env\nquery sql=1\nlist_directory path=.\n", "filesystem")
    assert done.returncode == 1
    assert "closed by the deny pattern '**/.env'" in done.stdout
    assert "[permission_denied]" in done.stdout
    assert "No server that runs lists a tool query." in done.stdout
    assert "notes.txt" in done.stdout


def test_a_person_is_asked_in_a_pipe_too_and_the_next_line_is_the_answer() -> None:
    done = piped("delete_path path=src permanent=true\nn\nlist_directory path=src\n", "filesystem")
    assert "Go ahead [y/N]: n" in done.stdout
    assert "checkout.py" in done.stdout


def test_a_server_takes_its_own_settings_and_the_whole_environment_after_two_hyphens(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("hello")
    done = piped("list_directory path=.\n", "filesystem", "--", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "real      as its settings say" in done.stdout
    assert "mine.txt" in done.stdout


def test_settings_that_a_server_refuses_are_told_in_its_words() -> None:
    done = piped("", "filesystem", "--", "--allow-wrte")
    assert done.returncode == 1
    assert "--allow-wrte" in done.stdout
    assert "did you mean --allow-write" in done.stdout


def test_a_server_at_an_address_is_used_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "far.txt").write_text("hello")
    with served(str(tmp_path), module="mcp_server_filesystem") as server:
        done = piped("list_directory path=.\n/tools\n", server.url)
    assert done.returncode == 0, done.stderr
    assert "far.txt" in done.stdout
    assert "read_text_file" in done.stdout


def test_an_address_where_nobody_is_and_a_server_that_there_is_not_are_mistakes() -> None:
    assert "cannot be reached" in piped("", "http://127.0.0.1:9/mcp").stdout
    done = piped("", "filesytem")
    assert done.returncode == 2
    assert "there is no server filesytem; there is web-browser, drive, filesystem" in done.stderr


def test_servers_are_listed_started_and_stopped_while_it_runs() -> None:
    lines = "/catalog\n/start search\n/tools search\n/stop filesystem\nlist_directory path=.\n/log search\n"
    done = piped(lines, "filesystem")
    assert "PostgreSQL database" in done.stdout
    assert "search_wikipedia query" in done.stdout
    assert "No server that runs lists a tool list_directory." in done.stdout
    assert '"method":"tools/list"' in done.stdout


def test_what_a_model_is_told_and_the_answer_as_it_came_can_be_seen() -> None:
    done = piped("/show edit_file\n/show review_file\nget_file_info path=notes.txt\n/json\n/resources\n", "filesystem")
    assert done.returncode == 0, done.stdout
    assert '"additionalProperties": false' in done.stdout
    assert '"structuredContent"' in done.stdout or '"content"' in done.stdout
    assert "file:///{+path}" in done.stdout


@pytest.fixture
def console() -> Generator[PseudoTerminal]:
    with in_terminal([*COMMAND, "filesystem", "postgres"], ENVIRONMENT, lines=100) as terminal:
        terminal.wait_for(HINT)
        yield terminal


def test_the_tabulator_completes_tools_their_arguments_and_values(console: PseudoTerminal) -> None:
    console.type(f"list_dir{TAB}")
    console.wait_for("mcp> list_directory")
    console.type(f"so{TAB}")
    console.wait_for("list_directory sort=")
    console.type(f"{TAB}{TAB}")
    shown = console.wait_for("sort=modified")
    assert "sort=size" in shown
    console.type(f"n{TAB}path=.\r")
    console.wait_for("reports    directory")


def test_the_tabulator_asks_servers_about_resources_and_prompts(console: PseudoTerminal) -> None:
    console.type(f"/read post{TAB}pub{TAB}")
    console.wait_for("/read postgres:///public")
    console.type(f"/order_i{TAB}\r")
    console.wait_for("The lines of an order.")
    console.type(f"/prompt explore_t{TAB}")
    console.wait_for("/prompt explore_table")
    console.type(f"ta{TAB}order_i{TAB}\r")
    console.wait_for("Explore public.order_items.")


def test_a_word_in_quotation_marks_is_completed_inside_them(console: PseudoTerminal) -> None:
    console.type('/prompt explore_table table="order_i' + TAB)
    console.wait_for('table="order_items"')


def test_candidates_are_shown_with_what_they_are(console: PseudoTerminal) -> None:
    console.type(f"/st{TAB}{TAB}")
    shown = console.wait_for("stop one")
    assert "/start" in shown
    console.type("\x15/show edit_" + TAB + "\r")
    console.wait_for("Replace exact pieces of a text file")


def test_a_person_is_asked_in_the_middle_of_a_call(console: PseudoTerminal) -> None:
    console.type("delete_path path=notes.txt permanent=true\r")
    console.wait_for("Go ahead [y/N]:")
    console.type("y\r")
    console.wait_for("deleted")


def test_ctrl_c_cancels_a_call_and_not_the_console(console: PseudoTerminal) -> None:
    console.type("query sql='select 40 + 2'\r")
    console.wait_for("42")
    console.type("query sql='select pg_sleep(50)'\r")
    console.wait_for("⠹")  # it waits
    console.type(CTRL_C)
    console.wait_for("Cancelled.")
    console.type("query sql='select 50 + 6'\r")
    console.wait_for("56")
    console.type(CTRL_D)
    assert console.wait_for_end() == 0


def test_ctrl_c_drops_a_line_and_ctrl_d_leaves(console: PseudoTerminal) -> None:
    console.type("list_directory path=nowhere")
    console.wait_for("path=nowhere")
    console.type(CTRL_C)
    console.wait_for("path=nowhere\nmcp>")
    console.type("/catalog\r")
    console.wait_for("PostgreSQL database")
    console.type(CTRL_D)
    assert console.wait_for_end() == 0


@pytest.mark.anyio
async def test_names_that_would_do_something_to_a_terminal_are_no_candidates(tmp_path: Path) -> None:
    server = MCPServer("strange")
    for name in ("clear\x1b[2J", "plain"):
        server.add_tool(lambda: "", name=name)
    host = Host(tmp_path)
    async with Client(server) as client:
        running = Running(client, Upstream("real", ""))
        await running.look()
        host.running["strange"] = running
        assert list(running.tools) == ["clear\x1b[2J", "plain"]
        assert list(await Completer(host, {}, {}).lines("")) == ["plain "]


def test_a_server_that_dies_takes_nothing_with_it(console: PseudoTerminal) -> None:
    [server] = [
        process
        for process in psutil.Process(console.process.pid).children(recursive=True)
        if "mcp-server-filesystem" in " ".join(process.cmdline())
    ]
    server.send_signal(signal.SIGKILL)
    console.type("list_directory path=.\r")
    console.wait_for("closed")
    console.type("/stop filesystem\r/start filesystem\r")
    console.wait_for("Together they cost")
    console.type("list_directory path=.\r")
    console.wait_for("reports    directory")

"""One address for several servers, each a process with credentials of its own."""

import json
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import psutil
import pytest
from mcp_server_shared.serving.front import Backend, ServerEntry, read_front
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.serving.tokens import new_token
from mcp_server_shared.settings import SettingsProblem
from notes.network import TESTS, Served, call, client_of, headers_for, launched, post

pytestmark = pytest.mark.anyio
LIST = call("list_notes")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def front_file(folder: Path, serving: str = "", **environments: dict[str, str]) -> Path:
    """Write the file of a front with notes servers of some names, each with variables of its own."""
    lines = ["[serving]", "port = 0", serving]
    for name, variables in environments.items():
        environment = json.dumps({"PYTHONPATH": str(TESTS), **variables}).replace('": "', '" = "')
        lines += [f"[servers.{name}]", f"command = {json.dumps([sys.executable, '-m', 'notes'])}"]
        lines += ['arguments = ["--allow-write"]', f"environment = {environment}"]
    path = folder / "front.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@contextmanager
def fronted(file: Path) -> Generator[Served]:
    words = [sys.executable, "-m", "mcp_server_shared.serving.front", str(file)]
    with launched(words, r"the front is at 127\.0\.0\.1, port (\d+)", {"NOTES_MORE_NOTES": "1"}) as front:
        front.url = f"http://127.0.0.1:{front.url}/"
        yield front


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    folder = tmp_path_factory.mktemp("front")
    with fronted(front_file(folder, one={"NOTES_MORE_NOTES": "5"}, two={})) as front:
        yield front


def total(response: httpx2.Response) -> int:
    return response.json()["result"]["structuredContent"]["total"]


def test_each_server_has_an_environment_of_its_own(front: Served) -> None:
    assert total(post(front.url + "one/mcp", LIST)) == 7
    assert total(post(front.url + "two/mcp", LIST)) == 2  # not even that of the front


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_clients_of_both_eras_are_served(front: Served, era: str) -> None:
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with client_of(front.url + "one/mcp", era) as client:
        await client.call_tool("count", {"to": 3}, progress_callback=on_progress)
    assert seen == [1, 2, 3]


async def test_who_leaves_stops_the_call_at_the_server(front: Served) -> None:
    url = front.url + "two/mcp"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_wait, url)
        while "[1]" not in post(url, call("running")).text:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    while "[0]" not in post(url, call("running")).text:
        await anyio.lowlevel.checkpoint()


async def _wait(url: str) -> None:
    message = call("wait")
    async with httpx2.AsyncClient(timeout=None) as http:
        await http.post(url, json=message, headers=headers_for(message))


def test_one_page_tells_how_all_are(front: Served) -> None:
    response = httpx2.get(front.url + "readyz", timeout=60)
    assert (response.status_code, response.json()) == (200, {"servers": {"one": "ready", "two": "ready"}})
    assert httpx2.get(front.url + "healthz", timeout=60).json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["", "mcp", "three/mcp", "one/mcp/", "one/healthz"])
def test_there_is_nothing_else(front: Served, path: str) -> None:
    with httpx2.Client(timeout=60) as http:
        request = http.build_request("POST", front.url)
        request.url = request.url.copy_with(raw_path=f"/{path}".encode())
        assert http.send(request).status_code == 404


def test_what_is_meant_for_the_front_alone_is_not_passed_on(front: Served) -> None:
    assert post(front.url + "one/mcp", LIST, connection="keep-alive, Mcp-Method").status_code == 400


def test_other_hosts_are_refused_by_the_front(front: Served) -> None:
    assert post(front.url + "one/mcp", LIST, host="evil.example").status_code == 421


def test_a_server_that_dies_is_started_again_and_the_other_goes_on(tmp_path: Path) -> None:
    with fronted(front_file(tmp_path, one={}, two={"NOTES_MORE_NOTES": "2"})) as front:
        [pid] = [
            c.pid for c in psutil.Process(front.process.pid).children() if c.environ().get("NOTES_MORE_NOTES") is None
        ]
        os.kill(pid, signal.SIGKILL)
        front.logged("one ended with -9")
        assert total(post(front.url + "two/mcp", LIST)) == 4
        while (status := post(front.url + "one/mcp", LIST).status_code) != 200:
            assert status in {502, 503}


@contextmanager
def killed(file: Path) -> Generator[list[psutil.Process]]:
    """Yield the processes behind a front that has been killed."""
    with fronted(file) as front:
        servers = psutil.Process(front.process.pid).children(recursive=True)
        front.process.kill()
        front.process.wait()
        yield servers
        front.process.returncode = 0  # it was meant to be killed


def test_a_server_whose_front_was_killed_stops_as_if_it_had_been_asked_to(tmp_path: Path) -> None:
    file, code = front_file(tmp_path, one={}), tmp_path / "code"
    shell = ["sh", "-c", f'{sys.executable} -m notes "$@"; echo $? >{code}', "sh"]
    told = file.read_text(encoding="utf-8").replace(json.dumps([sys.executable, "-m", "notes"]), json.dumps(shell))
    file.write_text(told, encoding="utf-8")
    with killed(file) as servers:
        assert len(psutil.wait_procs(servers, timeout=60)[0]) == 2
    assert code.read_text(encoding="utf-8") == "0\n"


def test_no_worker_of_a_server_outlives_the_front(tmp_path: Path) -> None:
    with killed(front_file(tmp_path, one={"MCP_WORKERS": "2"})) as servers:
        gone, alive = psutil.wait_procs(servers, timeout=60)
    assert (len(gone), alive) == (3, [])


FAILS = [sys.executable, "-c", "import sys; sys.stderr.write('fails: no --such-flag'); sys.exit(3)"]


async def test_a_server_that_fails_at_start_is_started_after_longer_and_longer_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            backend.stop()

    backend = Backend("one", ServerEntry(command=FAILS), ServingSettings(), pause)
    await backend.run()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert "one ended with 3, saying: fails: no --such-flag; it is started again in 60 s" in caplog.text
    assert backend.trouble == "ended with 3, short runs in a row: 8; the log says more"


async def test_a_command_that_is_not_there_is_looked_for_again(tmp_path: Path) -> None:
    there = tmp_path / "server"

    async def pause(seconds: float) -> None:
        troubles.append(backend.trouble)
        if there.exists():
            backend.stop()
        else:
            there.symlink_to("/bin/true")

    troubles: list[str | None] = []
    backend = Backend("one", ServerEntry(command=[str(there)]), ServingSettings(), pause)
    with anyio.fail_after(60):
        await backend.run()
    assert [trouble and trouble.partition(",")[0] for trouble in troubles] == [
        "cannot be started: No such file or directory",
        "ended with 0",
    ]


def test_the_page_tells_why_a_server_does_not_run(tmp_path: Path) -> None:
    with fronted(front_file(tmp_path, one={}, two={"NOTES_MORE_NOTES": "many"})) as front:
        response = httpx2.get(front.url + "readyz", timeout=60)
        told = response.json()["servers"]
        assert (response.status_code, told["one"]) == (503, "ready")
        assert told["two"].startswith("not running: ended with 2, short runs in a row: ")
        assert post(front.url + "two/mcp", LIST).status_code == 503
        assert post(front.url + "one/mcp", LIST).status_code == 200


async def test_calls_in_flight_are_finished_before_the_end(tmp_path: Path) -> None:
    with fronted(front_file(tmp_path, one={})) as front:
        url = front.url + "one/mcp"
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                message = call("wait", seconds=2)
                async with httpx2.AsyncClient(timeout=60) as http:
                    response = await http.post(url, json=message, headers=headers_for(message), timeout=60)
                assert not response.json()["result"]["isError"]

            tasks.start_soon(wait)
            while "[1]" not in post(url, call("running")).text:
                await anyio.lowlevel.checkpoint()
            front.signal(signal.SIGTERM)


def test_tokens_are_asked_for_by_each_server(tmp_path: Path) -> None:
    token, line = new_token("ci", ["read"], None)
    (tmp_path / "tokens").write_text(line, encoding="utf-8")
    with fronted(front_file(tmp_path, f'tokens = "{tmp_path / "tokens"}"', one={})) as front:
        assert post(front.url + "one/mcp", LIST).status_code == 401
        assert post(front.url + "one/mcp", LIST, token=token).status_code == 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "servers is missing"),
        ("[servers]", "servers"),
        ("[servers.UP]", "UP is no name"),
        ("[servers.a]\ncomand = []", "comand"),
        ('[serving]\nhost = "0.0.0.0"\n[servers.a]', "--tokens"),
        ("[serving]\nworkers = 2\n[servers.a]", "for single servers"),
        ("[serving", "front.toml: "),
        ('[servers.a]\narguments = ["--log-file=x"]', "a: the front hears of a server by its stderr"),
        ('[servers.a]\nenvironment = {MCP_LOG_FILE = "x"}', "a: the front hears of a server by its stderr"),
    ],
)
def test_a_file_that_will_not_do_is_refused(tmp_path: Path, text: str, said: Any) -> None:
    path = tmp_path / "front.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsProblem) as caught:
        read_front(path)
    assert said in str(caught.value)

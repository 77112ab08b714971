"""Three replicas behind nginx, which asks them in turn, are one server; losing one makes no answer wrong."""

import signal
import socket
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from balancer import Front, balanced, front
from mcp.types import ElicitRequestParams, ElicitResult
from notes.client import ERAS, structure_of, text_of
from notes.network import TIMEOUT_S, Served, call, client_of, headers_for, post, served
from notes.redis_server import redis_in

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

REPLICAS = 3
RETRYABLE = {502, 503, 504}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Deployment:
    """Replicas and what is in front of them."""

    front: Front
    replicas: list[Served]

    def client(self, era: str = "2026-07-28", **options: Any) -> Any:
        """Connect a client through nginx."""
        return client_of(self.front.url, era, verify=self.front.trusting, **options)


@contextmanager
def deployed(folder: Path, changed: Mapping[str, str] | None = None) -> Generator[Deployment]:
    with ExitStack() as stack:
        entrance = stack.enter_context(front(folder))
        words = ["--allow-write", "--state-key", "k" * 32, "--shared-state", stack.enter_context(redis_in(folder))]
        words += ["--public-url", entrance.url, "--behind-proxy", "127.0.0.1"]
        replicas = [stack.enter_context(served(*words)) for _ in range(REPLICAS)]
        stack.enter_context(balanced(entrance, [replica.port for replica in replicas], changed))
        yield Deployment(entrance, replicas)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Generator[Deployment]:
    with deployed(tmp_path_factory.mktemp("deployment")) as deployment:
        yield deployment


async def agree(context: Any, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={"confirm": True})


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_is_served_by_all_replicas(deployment: Deployment, era: str) -> None:
    async with deployment.client(era) as client:
        assert "read_note" in [tool.name for tool in (await client.list_tools()).tools]
        for _ in range(REPLICAS * 2):
            assert "one" in text_of(await client.call_tool("read_note", {"name": "first"}))
    for replica in deployment.replicas:
        replica.logged(r'"read_note"')


@pytest.mark.parametrize("era", ERAS)
async def test_a_cursor_of_one_replica_is_good_at_the_others(deployment: Deployment, era: str) -> None:
    async with deployment.client(era) as client:
        cursor = structure_of(await client.call_tool("list_notes", {"limit": 1}))["cursor"]
        for _ in range(REPLICAS * 2):
            page = await client.call_tool("list_notes", {"limit": 1, "cursor": cursor})
            assert structure_of(page)["untrusted"]["rows"][0][0] == "second"


async def test_a_question_of_one_replica_is_answered_at_another(deployment: Deployment) -> None:
    for number in range(REPLICAS * 2):
        name = f"doomed {number}"
        for replica in deployment.replicas:  # each has notes of its own
            async with client_of(replica.url) as client:
                await client.call_tool("write_note", {"name": name, "text": "x"})
        async with deployment.client(elicitation_callback=agree) as client:
            assert not (await client.call_tool("delete_note", {"name": name})).is_error


async def test_changes_at_every_replica_are_heard_of_at_one(deployment: Deployment) -> None:
    changes = {f"note:///of-{number}": replica for number, replica in enumerate(deployment.replicas)}
    heard: set[str] = set()

    async def change(uri: str, replica: Served) -> None:
        async with client_of(replica.url) as client, client.listen(resource_subscriptions=[uri]):
            for number in count():  # a server may begin to watch after it has said yes
                if uri in heard:
                    return
                await client.call_tool("write_note", {"name": uri.removeprefix("note:///"), "text": f"{number}"})

    async with (
        deployment.client() as listener,
        listener.listen(resource_subscriptions=list(changes)) as events,
        anyio.create_task_group() as tasks,
    ):
        for uri, replica in changes.items():
            tasks.start_soon(change, uri, replica)
        async for event in events:
            heard |= {uri for uri in changes if uri in str(event)}
            if len(heard) == REPLICAS:
                break


async def test_a_replica_that_is_killed_under_load_costs_only_errors_that_can_be_retried(tmp_path: Path) -> None:
    with deployed(tmp_path, {r"rate=\d+r/s": "rate=100000r/s"}) as deployment:
        victim = deployment.replicas[0]
        message = call("read_note", name="first")
        statuses: list[int] = []

        async def ask(http: httpx2.AsyncClient) -> int:
            response = await http.post(deployment.front.url, json=message, headers=headers_for(message))
            if response.status_code == 200:
                assert "one\\ntwo" in response.text
            return response.status_code

        async def keep_asking(http: httpx2.AsyncClient) -> None:
            for _ in range(60):
                statuses.append(await ask(http))
                if len(statuses) == 200:
                    victim.signal(signal.SIGKILL)

        async with httpx2.AsyncClient(verify=deployment.front.trusting, timeout=TIMEOUT_S) as http:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(keep_asking, http)
            victim.process.wait()
            assert [await ask(http) for _ in range(REPLICAS * 4)] == [200] * REPLICAS * 4
        victim.process.returncode = 0  # it was meant to be killed
    assert set(statuses) <= {200} | RETRYABLE
    assert statuses.count(200) > 500


# What nginx itself keeps off


@contextmanager
def limited(folder: Path) -> Generator[tuple[Front, Served]]:
    """Yield nginx with limits that are reached soon, and little patience, in front of one server."""
    changed = {
        r"rate=\d+r/s": "rate=1r/m",
        r"burst=\d+": "burst=20",
        r"limit_conn mcp_open \d+": "limit_conn mcp_open 4",
        r"((?:client|send)_\w*timeout) \d+s": r"\1 3s",
    }
    with ExitStack() as stack:
        entrance = stack.enter_context(front(folder))
        words = ["--allow-write", "--public-url", entrance.url, "--behind-proxy", "127.0.0.1"]
        server = stack.enter_context(served(*words))
        stack.enter_context(balanced(entrance, [server.port], changed))
        yield entrance, server


def through(front: Front) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(verify=front.trusting, timeout=TIMEOUT_S)


async def test_a_flood_is_refused_when_to_come_back_is_told_and_streams_go_on(tmp_path: Path) -> None:
    message = call("read_note", name="first")
    with limited(tmp_path) as (entrance, server):
        async with (
            client_of(entrance.url, verify=entrance.trusting) as listener,
            listener.listen(resource_subscriptions=["note:///first"]) as events,
            through(entrance) as http,
        ):
            answers = [await http.post(entrance.url, json=message, headers=headers_for(message)) for _ in range(30)]
            for number in count():  # a server may begin to watch after it has said yes
                post(server.url, call("write_note", name="first", text=f"{number}"))
                with anyio.move_on_after(0.1):
                    assert "note:///first" in str(await anext(events))
                    break
    statuses = [answer.status_code for answer in answers]
    assert statuses == sorted(statuses)
    assert set(statuses) == {200, 429}
    assert (answers[-1].headers["retry-after"], answers[-1].json()["error"]) == ("1", "too_many_requests")


async def test_one_address_has_so_many_requests_open_at_a_time(tmp_path: Path) -> None:
    message, running = call("wait"), call("running")
    with limited(tmp_path) as (entrance, server):
        async with through(entrance) as http, anyio.create_task_group() as tasks:

            async def wait() -> None:
                await http.post(entrance.url, json=message, headers=headers_for(message), timeout=None)

            for _ in range(4):
                tasks.start_soon(wait)
            while "[4]" not in (await http.post(server.url, json=running, headers=headers_for(running))).text:
                pass
            refused = await http.post(entrance.url, json=message, headers=headers_for(message))
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            tasks.cancel_scope.cancel()


async def test_a_body_that_stops_is_given_up_while_an_answer_that_takes_longer_is_waited_for(tmp_path: Path) -> None:
    message = call("wait", seconds=6)
    with (
        limited(tmp_path) as (entrance, server),
        socket.create_connection(entrance.listening.getsockname()) as plain,
        entrance.trusting.wrap_socket(plain, server_hostname="localhost") as stalled,
    ):
        stalled.sendall(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        async with through(entrance) as http:
            answered = await http.post(entrance.url, json=message, headers=headers_for(message))
        stalled.settimeout(TIMEOUT_S)
        assert not stalled.recv(1_000).startswith(b"HTTP/1.1 2")
    assert answered.json()["result"]["isError"] is False
    assert sum('"method":' in line for line in server.lines) == 1

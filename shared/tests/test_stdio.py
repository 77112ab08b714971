"""The stdio transport: what reaches the wire, what does not, and how a connection ends."""

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tty
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.message import SessionMessage
from mcp.types.jsonrpc import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from mcp_server_shared.stdio import MAX_OUTPUT_BYTES, ReadStream, WriteStream, stdio_streams

pytestmark = pytest.mark.anyio

TIMEOUT_S = 20
LIMIT = 1000
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def request(request_id: int | str, method: str, params: dict[str, Any] | None = None) -> bytes:
    message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params or {}}
    return json.dumps(message).encode() + b"\n"


def call(request_id: int, tool: str) -> bytes:
    return request(request_id, "tools/call", {"name": tool, "arguments": {}, "_meta": ENVELOPE})


async def turns() -> None:
    """Let the event loop look at every descriptor and run what is ready, until nothing is."""
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


# --- The streams, in this process, over pipes ---


class Pipes:
    """Both ends of a connection: the server's streams and the client's raw bytes."""

    def __init__(
        self,
        to_server: int,
        client: asyncio.ReadTransport,
        answers: asyncio.StreamReader,
        read: ReadStream,
        write: WriteStream,
    ) -> None:
        self.to_server = to_server
        self.client = client
        self.answers = answers
        self.read = read
        self.write = write

    def send(self, data: bytes) -> None:
        assert os.write(self.to_server, data) == len(data)

    def close(self) -> None:
        """End the server's stdin."""
        os.close(self.to_server)
        self.to_server = -1

    async def answer(self) -> dict[str, Any]:
        with anyio.fail_after(TIMEOUT_S):
            return cast("dict[str, Any]", json.loads(await self.answers.readline()))

    async def request(self) -> JSONRPCRequest:
        with anyio.fail_after(TIMEOUT_S):
            message = (await self.read.receive()).message
        assert isinstance(message, JSONRPCRequest)
        return message


@asynccontextmanager
async def connected(*, eof_grace_s: float = TIMEOUT_S) -> AsyncGenerator[Pipes]:
    stdin, to_server = os.pipe()
    from_server, stdout = os.pipe()
    answers = asyncio.StreamReader(limit=2**24)
    client, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(answers), os.fdopen(from_server, "rb", buffering=0)
    )
    async with stdio_streams(stdin, stdout, max_message_bytes=LIMIT, eof_grace_s=eof_grace_s) as (read, write):
        pipes = Pipes(to_server, client, answers, read, write)
        try:
            yield pipes
        finally:
            client.close()
            if pipes.to_server >= 0:
                pipes.close()
    assert os.get_blocking(stdin)
    assert os.get_blocking(stdout)
    os.close(stdin)
    os.close(stdout)


async def test_a_message_split_over_several_writes_arrives_whole() -> None:
    async with connected() as pipes:
        line = request(1, "ping")
        pipes.send(line[:10])
        await turns()
        pipes.send(line[10:] + request(2, "ping"))
        assert [(await pipes.request()).id for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("noise", [b"\n", b"  \r\n", b"\r\n\n"])
async def test_blank_lines_are_passed_over(noise: bytes) -> None:
    async with connected() as pipes:
        pipes.send(noise + request(1, "ping"))
        pipes.close()
        assert (await pipes.request()).id == 1


async def test_lines_may_end_in_carriage_return_and_line_feed() -> None:
    async with connected() as pipes:
        pipes.send(request(1, "ping").replace(b"\n", b"\r\n"))
        assert (await pipes.request()).id == 1


async def test_the_last_line_needs_no_line_end() -> None:
    async with connected() as pipes:
        pipes.send(request(1, "ping").rstrip())
        pipes.close()
        assert (await pipes.request()).id == 1


@pytest.mark.parametrize(
    ("line", "code", "answered_id"),
    [
        (b"no json\n", -32700, None),
        (b'{"jsonrpc":"2.0","id":7,"method":"ping",\n', -32700, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"\xff"}\n', -32700, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"\\ud800"}\n', -32700, 7),
        (b"[" * 900 + b"\n", -32700, None),
        (b"[]\n", -32600, None),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}\n', -32600, None),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}\n', -32600, None),
        (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}\n', -32600, None),
        (b'{"jsonrpc":"2.0","id":"seven","method":"ping","params":[]}\n', -32600, "seven"),
        (b'{"method":"ping","params":[],"jsonrpc":"2.0","id":7}\n', -32600, 7),
        (b'{"jsonrpc":"2.0","id":7,"result":7}\n', -32600, None),
        (request(7, "ping", {"text": "x" * LIMIT}), -32600, 7),
        (b'{"method":"ping","params":{"id":1,"text":"%s"},"jsonrpc":"2.0","id":7}\n' % (b"x" * LIMIT), -32600, 7),
        (b'{"method":"ping","params":{"text":"%s","id":1}}\n' % (b"x" * LIMIT), -32600, None),
        (b'{"jsonrpc":"2.0","id":7,"result":{"text":"%s"}}\n' % (b"x" * LIMIT), -32600, None),
        (b"x" * 20 * LIMIT + b"\n", -32600, None),
    ],
)
async def test_what_is_no_message_is_answered_with_an_error_and_serving_goes_on(
    line: bytes, code: int, answered_id: int | str | None
) -> None:
    async with connected() as pipes:
        pipes.send(line + request(8, "ping"))
        assert (await pipes.request()).id == 8
        refusal = await pipes.answer()
        assert (refusal["error"]["code"], refusal["id"]) == (code, answered_id)


async def test_a_line_of_exactly_the_limit_is_accepted() -> None:
    async with connected() as pipes:
        padding = LIMIT - len(request(1, "ping", {"text": ""}).rstrip())
        pipes.send(request(1, "ping", {"text": "x" * padding}))
        assert (await pipes.request()).id == 1


@pytest.mark.parametrize(
    ("text", "arrives"), [("a\ud800b", "a\ufffdb"), ("\ud83d\ude00", "😀"), ("a\u2028\nb", "a\u2028\nb")]
)
async def test_any_text_is_sent_as_one_line_of_valid_json(text: str, arrives: str) -> None:
    async with connected() as pipes:
        await pipes.write.send(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=1, result={"text": text})))
        assert (await pipes.answer())["result"] == {"text": arrives}


async def test_absent_members_are_not_sent_as_null() -> None:
    async with connected() as pipes:
        await pipes.write.send(SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/x")))
        assert await pipes.answer() == {"jsonrpc": "2.0", "method": "notifications/x"}


# --- A client that does not read ---

NOTE = SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/x", params={"text": "x" * 1000}))


async def fill(pipes: Pipes) -> int:
    """Send until the stream holds the sender back; return the number of messages taken."""
    taken = 0
    pipes.client.pause_reading()

    async def send() -> None:
        nonlocal taken
        while True:
            await pipes.write.send(NOTE)
            taken += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await turns()
        tasks.cancel_scope.cancel()
    return taken


async def test_a_sender_waits_until_the_client_reads_again() -> None:
    async with connected() as pipes:
        assert await fill(pipes) * len(NOTE.message.model_dump_json()) < MAX_OUTPUT_BYTES + 2**17
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pipes.write.send, NOTE)
            await turns()
            pipes.client.resume_reading()


async def test_requests_stay_in_the_pipe_until_the_client_reads_again() -> None:
    async with connected() as pipes:
        await fill(pipes)
        pipes.send(request(1, "ping"))
        received: list[JSONRPCRequest] = []

        async def receive() -> None:
            received.append(await pipes.request())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await turns()
            assert received == []
            pipes.client.resume_reading()
        assert len(received) == 1


# --- The end of a connection, with a server behind the streams ---


async def list_tools(_: ServerRequestContext[Any], __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool(name="any", input_schema={"type": "object"})])


async def call_tool(_: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
    if params.name == "slow":
        await anyio.sleep(0.05)
    elif params.name == "endless":
        await anyio.sleep_forever()
    return types.CallToolResult(content=[types.TextContent(text=params.name)])


@asynccontextmanager
async def served(*, eof_grace_s: float = TIMEOUT_S) -> AsyncGenerator[Pipes]:
    """Connect to a server, which has to end by itself before the block is left."""
    listen = ListenHandler(InMemorySubscriptionBus())
    server = Server("test", on_list_tools=list_tools, on_call_tool=call_tool, on_subscriptions_listen=listen)
    with anyio.fail_after(TIMEOUT_S):
        async with connected(eof_grace_s=eof_grace_s) as pipes, anyio.create_task_group() as tasks:
            tasks.start_soon(server.run, pipes.read, pipes.write, server.create_initialization_options())
            yield pipes


async def test_requests_received_before_the_end_of_stdin_are_answered() -> None:
    async with served() as pipes:
        pipes.send(b"".join(call(number, "slow") for number in range(10)))
        pipes.close()
        answers = [await pipes.answer() for _ in range(10)]
    assert sorted(answer["id"] for answer in answers if "result" in answer) == list(range(10))


async def test_an_endless_call_holds_the_end_no_longer_than_the_grace() -> None:
    async with served(eof_grace_s=0.05) as pipes:
        pipes.send(call(1, "endless"))
        pipes.close()
        assert (await pipes.answer())["error"]["message"] == "Connection closed"


async def test_a_subscription_does_not_hold_the_end() -> None:
    async with served() as pipes:
        pipes.send(request(1, "subscriptions/listen", {"notifications": {"toolsListChanged": True}, "_meta": ENVELOPE}))
        assert (await pipes.answer())["method"] == "notifications/subscriptions/acknowledged"
        pipes.close()


async def test_a_cancelled_call_does_not_hold_the_end() -> None:
    async with served() as pipes:
        pipes.send(call(1, "endless"))
        pipes.send(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"1"}}\n')
        pipes.close()


async def test_an_ended_stream_does_not_wait_for_running_calls() -> None:
    async with served() as pipes:
        pipes.send(call(1, "endless") + call(2, "any"))
        assert (await pipes.answer())["id"] == 2
        pipes.read.end()


async def test_serving_ends_when_the_client_closes_its_reading_end() -> None:
    async with served() as pipes:
        pipes.client.close()
        pipes.send(call(1, "any"))


# --- Whole processes ---

SERVER = """
import atexit, os, subprocess, sys, time
from mcp_server_shared.standard_streams import claim_stdout
claim_stdout()
import anyio
import mcp.types as types
from mcp.server import Server
from mcp_server_shared.stdio import serve_stdio

async def call_tool(ctx, params):
    if params.name == "noise":
        print("noise", "print", flush=True)
        print("noise", "unflushed")
        os.write(1, b"noise descriptor\\n")
        subprocess.run([sys.executable, "-c", "print('noise child')"], check=True)
        subprocess.run(["cat"], check=True)
        atexit.register(print, "noise exit")
    elif params.name == "endless":
        await anyio.sleep_forever()
    elif params.name == "stuck":
        await anyio.to_thread.run_sync(time.sleep, 60)
    return types.CallToolResult(content=[types.TextContent(text=params.name)])

anyio.run(serve_stdio, Server("test", on_call_tool=call_tool))
"""


@contextmanager
def process(
    stdin: Any = subprocess.PIPE, stdout: Any = subprocess.PIPE, unbuffered: str = ""
) -> Generator[subprocess.Popen[bytes]]:
    """Start a serving process, which is gone at the end of the block."""
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, env=environment) as running:
        try:
            yield running
        finally:
            running.kill()


def answers_of(stdout: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_whatever_is_printed_goes_to_stderr_and_not_onto_the_wire(unbuffered: str) -> None:
    with process(unbuffered=unbuffered) as server:
        stdout, stderr = server.communicate(call(1, "noise"), timeout=TIMEOUT_S)
    assert [answer["id"] for answer in answers_of(stdout)] == [1]
    noise = {line.split()[1] for line in stderr.decode().splitlines() if line.startswith("noise")}
    assert noise == {"print", "unflushed", "descriptor", "child", "exit"}


@pytest.mark.parametrize(("method", "params"), [("initialize", INITIALIZE), ("server/discover", {"_meta": ENVELOPE})])
def test_both_protocol_eras_are_served(method: str, params: dict[str, Any]) -> None:
    with process() as server:
        stdout, _ = server.communicate(request(1, method, params), timeout=TIMEOUT_S)
    assert "capabilities" in answers_of(stdout)[0]["result"]


def test_files_serve_as_stdin_and_stdout(tmp_path: Path) -> None:
    (tmp_path / "requests").write_bytes(b"".join(call(number, "any") for number in range(100)))
    stdin, stdout = (tmp_path / "requests").open("rb"), (tmp_path / "answers").open("wb")
    with stdin, stdout, process(stdin=stdin, stdout=stdout) as server:
        assert server.wait(TIMEOUT_S) == 0
    assert len(answers_of((tmp_path / "answers").read_bytes())) == 100


def test_a_socket_serves_as_stdin_and_stdout() -> None:
    ours, theirs = socket.socketpair()
    with ours, process(stdin=theirs, stdout=theirs) as server:
        theirs.close()
        ours.sendall(call(1, "any"))
        ours.shutdown(socket.SHUT_WR)
        with ours.makefile("rb") as answers:
            assert len(answers_of(answers.read())) == 1
        assert server.wait(TIMEOUT_S) == 0


def test_a_terminal_serves_as_stdin() -> None:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with process(stdin=theirs) as server:
        os.close(theirs)
        os.write(ours, call(1, "any"))
        assert server.stdout is not None
        assert json.loads(server.stdout.readline())["id"] == 1
        os.close(ours)
        assert server.wait(TIMEOUT_S) == 0


def test_empty_stdin_ends_the_process_quietly() -> None:
    with process(stdin=subprocess.DEVNULL) as server:
        assert server.communicate(timeout=TIMEOUT_S) == (b"", b"")
        assert server.returncode == 0


def test_a_client_that_is_gone_ends_the_process_quietly() -> None:
    with process() as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdout.close()
        server.stdin.write(call(1, "any"))
        server.stdin.flush()
        assert server.wait(TIMEOUT_S) == 0
        assert server.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("tool", ["endless", "stuck"])
def test_a_signal_ends_the_process_quietly_with_code_0(number: signal.Signals, tool: str) -> None:
    with process() as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(call(1, tool) + call(2, "any"))
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["id"] == 2
        server.send_signal(number)
        _, stderr = server.communicate(timeout=TIMEOUT_S)
    assert (server.returncode, stderr) == (0, b"")


def test_stdout_can_be_claimed_before_any_library_is_imported() -> None:
    script = """
import sys
from mcp_server_shared.standard_streams import claim_stdout
claim_stdout()
sys.exit(sorted({"mcp", "pydantic", "anyio", "asyncio"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)
    assert (done.stdout, done.stderr.strip()) == ("", "[]")

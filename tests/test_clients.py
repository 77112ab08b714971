"""Other people's clients over every transport: the SDKs for Python and TypeScript, and the Inspector."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

import anyio
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import (
    ElicitRequestParams,
    ElicitResult,
    EmptyResult,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
)
from node import NODE, PEERS, installed
from notes.client import error_of, text_of
from notes.network import client_of, command, environment, served

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MODULE = "mcp_server_filesystem"
MODERN = "2026-07-28"
HERE = str(Path(__file__).parent)
TRANSPORTS = ("stdio", "http", "sse")
TYPESCRIPT = [(1, None), (2, "legacy"), (2, "auto"), (2, {"pin": MODERN})]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Files:
    """The filesystem server where it is reached, and the folder that it serves.

    Attributes:
        folder: on this machine.
        url: None over stdio; then each client starts a server of its own.
        log: takes what such a server says on stderr.
    """

    folder: Path
    url: str | None
    log: TextIO

    @property
    def command(self) -> list[str]:
        """What a client starts over stdio."""
        return command("--allow-write", str(self.folder), module=MODULE)

    def new(self, name: str) -> str:
        """Return the path of a file of this name with a line in it, in a folder of its own."""
        path = self.folder / f"{len(list(self.folder.iterdir()))}" / name
        path.parent.mkdir()
        path.write_text("hello\n")
        return str(path)


@pytest.fixture(scope="module", params=TRANSPORTS)
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Files]:
    folder = tmp_path_factory.mktemp("files")
    with ExitStack() as stack:
        url = None
        if request.param != "stdio":
            options = ["--stateful"] if request.param == "http" else []
            words = ["--allow-write", *options, str(folder)]
            url = stack.enter_context(served(*words, module=MODULE, transport=request.param)).url
        log = tmp_path_factory.mktemp("log") / "stderr"
        yield Files(folder, url, stack.enter_context(log.open("w")))


# Python


@asynccontextmanager
async def python_client(files: Files, mode: str, **options: Any) -> AsyncGenerator[Client]:
    if files.url:
        async with client_of(files.url, mode, **options) as client:
            yield client
        return
    first, *arguments = files.command
    parameters = StdioServerParameters(command=first, args=arguments)
    with anyio.fail_after(60):
        async with Client(stdio_client(parameters, errlog=files.log), mode=mode, **options) as client:
            yield client


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
async def test_the_python_client_lists_calls_and_reads(files: Files, mode: str) -> None:
    path = files.new("greeting.txt")
    async with python_client(files, mode) as client:
        assert client.protocol_version == ("2025-11-25" if mode == "legacy" else MODERN)
        assert "read_text_file" in [tool.name for tool in (await client.list_tools()).tools]
        assert "hello" in text_of(await client.call_tool("read_text_file", {"path": path}))
        assert (await client.read_resource(Path(path).as_uri())).contents
        failed = await client.call_tool("read_text_file", {"path": path + "x"})
        assert (failed.is_error, error_of(failed.meta)["code"]) == (True, "not_found")


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
async def test_the_python_client_asks_its_user(files: Files, mode: str) -> None:
    asked: list[str] = []

    async def agree(context: Any, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    path = files.new("doomed.txt")
    async with python_client(files, mode, elicitation_callback=agree) as client:
        result = await client.call_tool("delete_path", {"path": path, "permanent": True})
    assert (result.is_error, len(asked), await anyio.Path(path).exists()) == (False, 1, False)


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
async def test_the_python_client_hears_of_changes(files: Files, mode: str) -> None:
    path = anyio.Path(files.new("watched.txt"))
    updated = anyio.Event()

    async def on_message(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            updated.set()

    async def listen(client: Client, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with client.listen(resource_subscriptions=[path.as_uri()]) as changes:
            task_status.started()
            async for _ in changes:
                updated.set()
                return

    async with python_client(files, mode, message_handler=on_message) as client, anyio.create_task_group() as tasks:
        if mode == "legacy":
            request = SubscribeRequest(params=SubscribeRequestParams(uri=path.as_uri()))
            await client.session.send_request(request, EmptyResult)
        else:
            await tasks.start(listen, client)
        changes = 0
        while not updated.is_set():  # the server may begin to watch after it has said yes
            changes += 1
            await path.write_text(f"change {changes}")
            with anyio.move_on_after(0.1):
                await updated.wait()
        tasks.cancel_scope.cancel()


# TypeScript


def typescript(sdk: Literal[1, 2], mode: Any, where: dict[str, Any], steps: list[dict[str, Any]]) -> list[Any]:
    """Have a client on the TypeScript SDK take steps; return what came of each."""
    installed("@modelcontextprotocol/sdk" if sdk == 1 else "@modelcontextprotocol/client")
    job = json.dumps({"sdk": sdk, "mode": mode, "steps": steps, **where})
    done = subprocess.run(
        [NODE, str(PEERS / "client.mjs"), job], cwd=HERE, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("sdk", "mode"), TYPESCRIPT)
def test_the_typescript_client_does_everything(files: Files, sdk: Literal[1, 2], mode: Any) -> None:
    path, doomed = files.new("greeting.txt"), files.new("doomed.txt")
    where = {"url": files.url} if files.url else {"command": files.command}
    names, read, failed, resource, deleted, changed = typescript(
        sdk,
        mode,
        where,
        [
            {"take": "list"},
            {"take": "call", "name": "read_text_file", "args": {"path": path}},
            {"take": "call", "name": "read_text_file", "args": {"path": path + "x"}},
            {"take": "read", "uri": Path(path).as_uri()},
            {"take": "call", "name": "delete_path", "args": {"path": doomed, "permanent": True}},
            {"take": "watch", "uri": Path(path).as_uri(), "change": {"name": "write_file", "args": {"path": path}}},
        ],
    )
    assert "read_text_file" in names
    assert "hello" in read["content"][0]["text"]
    assert (failed["isError"], error_of(failed["_meta"])["code"]) == (True, "not_found")
    assert "hello" in resource[0]["text"]
    assert (len(deleted["questions"]), Path(doomed).exists()) == (1, False)
    assert changed == Path(path).as_uri()


@pytest.fixture(scope="module", params=TRANSPORTS)
def fixtures(request: pytest.FixtureRequest) -> Generator[dict[str, Any]]:
    """Say where the server of the conformance suite is reached."""
    if request.param == "stdio":
        yield {"command": [sys.executable, "-m", "conformance"]}
        return
    with served(transport=request.param, module="conformance", variables={"PYTHONPATH": HERE}) as server:
        yield {"url": server.url}


@pytest.mark.parametrize(("sdk", "mode"), TYPESCRIPT)
def test_the_typescript_client_hears_of_progress_and_cancels(
    fixtures: dict[str, Any], sdk: Literal[1, 2], mode: Any
) -> None:
    [outcome] = typescript(sdk, mode, fixtures, [{"take": "progress", "name": "endless_progress"}])
    assert outcome == {"told": [1, 2, 3], "cancelled": True}


# The Inspector


def inspect(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the Inspector's command line."""
    launcher = installed("@modelcontextprotocol/inspector") / "clients/launcher/build/index.js"
    words = [NODE, str(launcher), "--cli", *arguments, "--format", "json", "-q"]
    return subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_and_calls(files: Files, era: str) -> None:
    path = files.new("greeting.txt")
    transport = ["--transport", "sse" if files.url.endswith("/sse") else "http"] if files.url else []
    where = [files.url, *transport] if files.url else files.command
    listed = inspect(*where, "--method", "tools/list", "--strict", "--protocol-era", era)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert "read_text_file" in listed.stdout
    tool = ["--method", "tools/call", "--tool-name", "read_text_file", "--tool-arg"]
    called = inspect(*where, *tool, f"path={path}", "--protocol-era", era)
    assert (called.returncode, "hello" in called.stdout) == (0, True), called.stdout + called.stderr
    failed = inspect(*where, *tool, f"path={path}x", "--protocol-era", era)
    assert failed.returncode == 5

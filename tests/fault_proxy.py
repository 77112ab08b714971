"""A TCP proxy in this process that passes on what it gets, until it is told to do it badly."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from anyio.from_thread import start_blocking_portal

Fault = Literal["delay", "reset", "truncate", "black hole"]
FAULTS: tuple[Fault, ...] = ("delay", "reset", "truncate", "black hole")
DELAY_S = 0.05

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class FaultProxy:
    """What it does with answers; the port that it listens at.

    Attributes:
        fault: holds for every connection, also those that are open: answers are delayed; the connection is reset in
            place of the answer; it ends amid the answer; or there is no answer and no end.
    """

    connect: Callable[[], Awaitable[Streams]]
    port: int = 0
    fault: Fault | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one connection until either side ends it."""
        try:
            upstream_reader, upstream_writer = await self.connect()
        except OSError:
            writer.transport.abort()
            return
        directions = (_pass_on(reader, upstream_writer), self._answer(upstream_reader, writer))
        tasks = [asyncio.create_task(direction) for direction in directions]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            upstream_writer.close()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            if self.fault == "black hole":
                continue
            if self.fault == "delay":
                await asyncio.sleep(DELAY_S)
            if self.fault == "reset":
                writer.transport.abort()
                return
            writer.write(chunk[: len(chunk) * 3 // 4] if self.fault == "truncate" else chunk)
            with suppress(ConnectionError):
                await writer.drain()
            if self.fault == "truncate":
                return


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()


@contextmanager
def fault_proxy(connect: Callable[[], Awaitable[Streams]]) -> Generator[FaultProxy]:
    """Run a proxy at a free port of loopback, on a thread of its own.

    Args:
        connect: opens a connection to what is behind it.
    """
    proxy = FaultProxy(connect)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_listening(proxy)):
        yield proxy


@asynccontextmanager
async def _listening(proxy: FaultProxy) -> AsyncGenerator[None]:
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(proxy.serve(reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)
        connection.add_done_callback(lambda _: writer.close())  # also of one that is cancelled before it begins

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        while connections:  # one that was accepted just before may still come
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

"""Subscriptions: both eras hear of every change they asked for, and nothing is watched for nobody."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp.types import (
    EmptyResult,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)
from mcp_server_shared.call import Call
from mcp_server_shared.output import Document
from mcp_server_shared.server import Server
from mcp_server_shared.subscriptions import MOST_WATCHED
from notes.client import connected, error_of, until
from notes.server import Notes, Settings, build_server

pytestmark = pytest.mark.anyio

FIRST = "note:///first"
SECOND = "note:///second"
MODERN = "2026-07-28"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Updates:
    """The updates that a handshake-era client hears of."""

    def __init__(self) -> None:
        self.uris: list[str] = []

    async def __call__(self, message: Any) -> None:
        """Note one message."""
        if isinstance(message, ResourceUpdatedNotification):
            self.uris.append(message.params.uri)


def server_with(notes: Notes) -> Server[Notes]:
    return build_server(Settings(), notes)


async def subscribe(client: Client, uri: str) -> None:
    request = SubscribeRequest(params=SubscribeRequestParams(uri=uri))
    await client.session.send_request(request, EmptyResult)


async def unsubscribe(client: Client, uri: str) -> None:
    request = UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri))
    await client.session.send_request(request, EmptyResult)


# Handshake era


async def test_a_change_is_reported_to_a_handshake_era_client() -> None:
    notes, updates = Notes(), Updates()
    async with connected(server_with(notes), "legacy", message_handler=updates) as client:
        await subscribe(client, FIRST)
        await until(lambda: notes.watched)
        notes.write("first", "new")
        await until(lambda: updates.uris == [FIRST])


async def test_every_change_is_reported() -> None:
    notes, updates = Notes(), Updates()
    async with connected(server_with(notes), "legacy", message_handler=updates) as client:
        await subscribe(client, FIRST)
        await until(lambda: notes.watched)
        for count in range(1, 4):
            notes.write("first", "new")
            await until(lambda count=count: len(updates.uris) == count)


async def test_a_change_of_something_else_is_not_reported() -> None:
    notes, updates = Notes(), Updates()
    async with connected(server_with(notes), "legacy", message_handler=updates) as client:
        await subscribe(client, SECOND)
        await until(lambda: notes.watched)
        notes.write("first", "new")
        notes.write("second", "new")
        await until(lambda: updates.uris)
    assert updates.uris == [SECOND]


async def test_to_subscribe_twice_is_to_subscribe_once() -> None:
    notes, updates = Notes(), Updates()
    async with connected(server_with(notes), "legacy", message_handler=updates) as client:
        await subscribe(client, FIRST)
        await subscribe(client, FIRST)
        await until(lambda: notes.watched)
        await unsubscribe(client, FIRST)
        await until(lambda: not notes.watched)


async def test_after_unsubscribing_nothing_is_reported() -> None:
    notes, updates = Notes(), Updates()
    async with connected(server_with(notes), "legacy", message_handler=updates) as client:
        await subscribe(client, FIRST)
        await subscribe(client, SECOND)
        await until(lambda: len(notes.watched) == 2)
        await unsubscribe(client, FIRST)
        notes.write("first", "new")
        notes.write("second", "new")
        await until(lambda: updates.uris)
    assert updates.uris == [SECOND]


async def test_to_unsubscribe_from_what_was_not_subscribed_to_changes_nothing() -> None:
    async with connected(server_with(Notes()), "legacy") as client:
        await unsubscribe(client, FIRST)


async def test_a_server_that_watches_something_declares_it_to_handshake_era_clients() -> None:
    async with connected(server_with(Notes()), "legacy") as client:
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.resources.subscribe is True


# 2026-07-28


async def test_a_change_is_reported_to_a_listen_stream() -> None:
    notes = Notes()
    async with (
        connected(server_with(notes), MODERN) as client,
        client.listen(resource_subscriptions=[FIRST, SECOND]) as subscription,
    ):
        await until(lambda: len(notes.watched) == 2)
        notes.write("second", "new")
        assert await anext(subscription) == ResourceUpdated(uri=SECOND)


async def test_several_streams_share_one_watcher() -> None:
    notes = Notes()
    async with (
        connected(server_with(notes), MODERN) as client,
        client.listen(resource_subscriptions=[FIRST]) as one,
        client.listen(resource_subscriptions=[FIRST]) as other,
    ):
        await until(lambda: notes.watched)
        notes.write("first", "new")
        assert [await anext(one), await anext(other)] == [ResourceUpdated(uri=FIRST)] * 2
        assert notes.watched == ["first"]


async def test_the_watcher_stays_until_the_last_stream_has_ended() -> None:
    notes = Notes()
    async with connected(server_with(notes), MODERN) as client:
        async with client.listen(resource_subscriptions=[FIRST]) as last:
            async with client.listen(resource_subscriptions=[FIRST]):
                await until(lambda: notes.watched)
            notes.write("first", "new")
            assert await anext(last) == ResourceUpdated(uri=FIRST)
        await until(lambda: not notes.watched)


async def test_a_stream_that_names_a_resource_twice_is_one_listener() -> None:
    notes = Notes()
    async with connected(server_with(notes), MODERN) as client:
        async with client.listen(resource_subscriptions=[FIRST, FIRST]):
            await until(lambda: notes.watched)
        await until(lambda: not notes.watched)


async def test_a_resource_is_watched_again_after_everybody_had_left() -> None:
    notes = Notes()
    async with connected(server_with(notes), MODERN) as client:
        async with client.listen(resource_subscriptions=[FIRST]):
            await until(lambda: notes.watched)
        async with client.listen(resource_subscriptions=[FIRST]) as subscription:
            await until(lambda: notes.watched == ["first"])
            notes.write("first", "new")
            assert await anext(subscription) == ResourceUpdated(uri=FIRST)


# Both


@pytest.mark.parametrize("era", ["legacy", MODERN])
async def test_when_the_server_stops_nothing_is_watched_any_more(era: str) -> None:
    notes = Notes()
    async with connected(server_with(notes), era) as client, anyio.create_task_group() as tasks:
        if era == MODERN:
            await tasks.start(_listen_for_ever, client)
        else:
            await subscribe(client, FIRST)
        await until(lambda: notes.watched)
        tasks.cancel_scope.cancel()
    assert notes.watched == []


async def _listen_for_ever(client: Client, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    async with client.listen(resource_subscriptions=[FIRST]):
        task_status.started()
        await anyio.sleep_forever()


async def test_a_server_that_is_run_again_watches_again() -> None:
    notes, updates = Notes(), Updates()
    server = server_with(notes)
    async with connected(server, "legacy") as client:
        await subscribe(client, FIRST)
        await until(lambda: notes.watched)
    async with connected(server, "legacy", message_handler=updates) as client:
        await subscribe(client, FIRST)
        await until(lambda: notes.watched)
        notes.write("first", "new")
        await until(lambda: updates.uris)


async def attempt(client: Client, era: str, uri: str) -> None:
    if era == "legacy":
        await subscribe(client, uri)
    else:
        async with client.listen(resource_subscriptions=[uri]):
            pass


def with_unwatched(notes: Notes) -> Server[Notes]:
    async def log(call: Call[Notes], name: str) -> Document:
        """Return a log."""
        return Document(text=name)

    server = server_with(notes)
    server.add_resource("log:///{name}", log, title="A log")
    return server


@pytest.mark.parametrize("era", ["legacy", MODERN])
@pytest.mark.parametrize(("uri", "code"), [("unknown:///x", "not_found"), ("log:///x", "unsupported")])
async def test_what_cannot_be_watched_is_refused(era: str, uri: str, code: str) -> None:
    async with connected(with_unwatched(Notes()), era) as client:
        with pytest.raises(MCPError) as caught:
            await attempt(client, era, uri)
    data: dict[str, Any] = caught.value.error.data
    assert (data["uri"], error_of(data)["code"]) == (uri, code)


async def test_a_stream_with_one_address_that_cannot_be_watched_watches_none() -> None:
    notes = Notes()
    async with connected(server_with(notes), MODERN) as client:
        mixed = client.listen(resource_subscriptions=[FIRST, "unknown:///x"])
        with pytest.raises(MCPError):
            await mixed.__aenter__()
    assert notes.watched == []


def with_failing_watcher(notes: Notes, attempts: list[str]) -> Server[Notes]:
    async def log(call: Call[Notes], name: str) -> Document:
        """Return a log."""
        return Document(text=name)

    async def watch(state: Notes, name: str) -> AsyncGenerator[None]:
        attempts.append(name)
        raise OSError("gone")
        yield

    server = server_with(notes)
    server.add_resource("log:///{name}", log, title="A log", watch=watch)
    return server


@pytest.mark.parametrize("era", ["legacy", MODERN])
async def test_a_watcher_that_fails_does_not_end_the_server(era: str, caplog: pytest.LogCaptureFixture) -> None:
    async with connected(with_failing_watcher(Notes(), []), era) as client:
        await attempt(client, era, "log:///x")
        await until(lambda: "watching a resource failed" in caplog.text)
        assert not (await client.call_tool("list_notes")).is_error


async def test_after_a_watcher_has_failed_the_next_subscriber_starts_it_again() -> None:
    attempts: list[str] = []
    async with (
        connected(with_failing_watcher(Notes(), attempts), MODERN) as client,
        client.listen(resource_subscriptions=["log:///x"]),
    ):
        await until(lambda: attempts)
        async with client.listen(resource_subscriptions=["log:///x"]):
            await until(lambda: len(attempts) == 2)


async def test_a_resource_can_be_watched_while_it_does_not_exist() -> None:
    notes = Notes()
    async with (
        connected(server_with(notes), MODERN) as client,
        client.listen(resource_subscriptions=["note:///new"]) as subscription,
    ):
        await until(lambda: notes.watched)
        notes.write("new", "text")
        assert await anext(subscription) == ResourceUpdated(uri="note:///new")


@pytest.mark.parametrize("era", ["legacy", MODERN])
async def test_more_resources_than_the_limit_are_not_watched(era: str) -> None:
    notes = Notes()
    uris = [f"note:///{number}" for number in range(MOST_WATCHED)]
    async with connected(server_with(notes), era) as client:
        if era == MODERN:
            async with client.listen(resource_subscriptions=uris):
                with pytest.raises(MCPError) as caught:
                    await attempt(client, era, FIRST)
        else:
            for uri in uris:
                await subscribe(client, uri)
            with pytest.raises(MCPError) as caught:
                await attempt(client, era, FIRST)
    assert error_of(caught.value.error.data)["code"] == "rate_limited"

"""What happened in a channel: one call of this server, what the npm server takes for the same, and Slack's own client.

All talk to `emulate` through the proxy of `slack_gaps`, whose messages have all that the real Slack's have, and which
counts the requests. The npm server is pointed there by replacing its `fetch`; it returns Slack's JSON, a call for each
thread, and ids for names. Slack's client (slack-sdk on one session, in a process of its own) makes the same requests
without shaping anything: the difference is what this server costs.
"""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from client import ServerFailed, StdioClient
from emulator import NODE
from slack_gaps import USER, SlackProxy, slack
from slack_workspace import Workspace

from comparisons import Comparison, taken_in_turn

OURS, NPM, SDK = "mcp-server-slack", "npm slack-mcp-server of zencoder", "slack-sdk itself"
PEER = Path(__file__).parents[2] / "peers/node_modules/@zencoderai/slack-mcp-server/dist/index.js"
GENERAL = "C000000001"
MESSAGES, THREADS, REPLIES = 30, 6, 2
QUESTION = "what happened in a channel"
IN_FLIGHT, UPSTREAM_S, REPEATED = 64, 0.2, 20
CHANNELS = {"C0LONG00001": 1_000, "C0LONG00002": 10_000, "C0LONG00003": 100_000}
_BESIDE = f"{IN_FLIGHT} calls in flight, upstream {UPSTREAM_S} s"
_SMALL = "the newest message, one upstream request (ms)"  # what is known of the channel is known from before

# Slack's client in a process of its own, as ours is: url, token, what to do, channel, how often. It prints the seconds.
_RAW = """
import asyncio, json, sys, time
import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

url, token, job, channel, count = sys.argv[1:]

async def week(client):
    page = await client.conversations_history(channel=channel, limit=100)
    roots = [message for message in page["messages"] if message.get("reply_count")]
    replies = (client.conversations_replies(channel=channel, ts=root["ts"], limit=200) for root in roots)
    await asyncio.gather(*replies)
    people = {message["user"] for message in page["messages"]}
    await asyncio.gather(*(client.users_info(user=person) for person in people))

async def small(client):
    await client.conversations_history(channel=channel, limit=1)

async def main():
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token, base_url=url, session=session)
        await client.auth_test()
        seconds = []
        if job == "at_once":
            start = time.perf_counter()
            await asyncio.gather(*(small(client) for _ in range(int(count))))
            return [time.perf_counter() - start]
        for _ in range(int(count)):
            start = time.perf_counter()
            await {"week": week, "small": small}[job](client)
            seconds.append(time.perf_counter() - start)
        return seconds

print(json.dumps(asyncio.run(main())))
"""

Figures = Mapping[str, float]


def compare(rounds: int, *, messages: int = MESSAGES) -> Comparison:
    """Let all of them read a channel of so many messages, some of which have replies."""
    skipped: dict[str, str] = {}
    with slack() as (proxy, _):
        workspace = Workspace(proxy, {}, {})
        workspace.ask("conversations.join", channel=GENERAL)
        threads = _conversation(workspace, messages)
        proxy.whole = True
        proxy.long |= CHANNELS
        sides: dict[str, Callable[[], Figures]] = {
            OURS: lambda: _ours(proxy),
            SDK: lambda: _sdk(proxy),
            NPM: lambda: _npm(proxy, threads),
        }
        samples = taken_in_turn(sides, rounds, skipped)
    return Comparison(OURS, samples, skipped)


def _conversation(workspace: Workspace, messages: int) -> list[str]:
    """Post what people say in a week; return the threads."""
    threads: list[str] = []
    for number in range(messages):
        text = f"Update {number}: the migration of the orders table is at step {number}, see the plan for what is next."
        ts = workspace.post(GENERAL, text)
        if number % (messages // THREADS or 1) == 0:
            threads.append(ts)
            for reply in range(REPLIES):
                workspace.post(GENERAL, f"Reply {reply}: agreed, I will look at it after lunch.", thread_ts=ts)
    return threads


def _ours(proxy: SlackProxy) -> Figures:
    script = str(Path(sys.executable).with_name("mcp-server-slack"))
    command = ("env", f"SLACK_USER_TOKEN={USER}", script, "--api-url", f"{proxy.url}/api/")
    newest = {"channel": GENERAL, "limit": 1, "replies": 0}
    with StdioClient(command, "handshake") as client:
        client.open()
        figures = _asked(
            client, proxy, lambda: [client.call("read_channel", {"channel": GENERAL, "since": "7d", "limit": 100})]
        )
        figures[_SMALL] = _middle(lambda: client.call("read_channel", newest)) * 1e3
        for channel, count in CHANNELS.items():
            seconds = _middle(lambda channel=channel: client.call("read_channel", {"channel": channel}))
            figures[f"a channel of {count:,} messages (ms)"] = seconds * 1e3
        with _slow(proxy):
            beside, whole = client.answered_beside("tools/list", "read_channel", [newest] * IN_FLIGHT)
    figures[f"{_BESIDE}: all of them (ms)"] = whole * 1e3
    figures[f"{_BESIDE}: tools/list beside them (ms)"] = beside * 1e3
    least, *_, most = CHANNELS.values()
    times = [figures[f"a channel of {count:,} messages (ms)"] for count in (least, most)]
    return figures | {"a channel (growth, as a power)": math.log(times[1] / times[0]) / math.log(most / least)}


def _asked(client: StdioClient, proxy: SlackProxy, read: Callable[[], list[bytes]]) -> dict[str, float]:
    """Return what a server's answers to the question take, at first and asked again."""
    tools = json.loads(client.request("tools/list"))["result"]["tools"]
    before = len(proxy.asked)
    read()  # connects, and learns names
    first = len(proxy.asked) - before
    start = time.perf_counter()
    answers = read()
    return {
        f"{QUESTION} (ms)": (time.perf_counter() - start) * 1e3,
        f"{QUESTION} (calls)": len(answers),
        f"{QUESTION}, at first (upstream requests)": first,
        f"{QUESTION} (upstream requests)": len(proxy.asked) - before - first,
        f"{QUESTION} (bytes a model reads)": sum(map(_size, answers)),
        "tools/list (bytes)": len(json.dumps(tools)),
    }


def _sdk(proxy: SlackProxy) -> Figures:
    before = len(proxy.asked)
    seconds = _raw(proxy, "week", 2)[1]
    requests = (len(proxy.asked) - before - 1) / 2  # it said once who it is
    with _slow(proxy):
        at_once = _raw(proxy, "at_once", IN_FLIGHT)[0]
    return {
        f"{QUESTION} (ms)": seconds * 1e3,
        f"{QUESTION} (upstream requests)": requests,
        _SMALL: median(_raw(proxy, "small", REPEATED)) * 1e3,
        f"{_BESIDE}: all of them (ms)": at_once * 1e3,
    }


def _raw(proxy: SlackProxy, job: str, count: int) -> list[float]:
    command = [sys.executable, "-c", _RAW, f"{proxy.url}/api/", USER, job, GENERAL, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(done.stderr.strip().rpartition("\n")[2][:200])
    return json.loads(done.stdout)


def _npm(proxy: SlackProxy, threads: list[str]) -> Figures:
    there = json.dumps(f"{proxy.url}/api/")
    preload = f"const real = fetch; globalThis.fetch = (a, o) => real(a.replace('https://slack.com/api/', {there}), o);"
    variables = (f"SLACK_BOT_TOKEN={USER}", "SLACK_TEAM_ID=T000000001")
    command = ("env", *variables, os.fspath(NODE), "--import", f"data:text/javascript,{preload}", os.fspath(PEER))
    with StdioClient(command, "handshake") as client:
        client.open()
        return _asked(client, proxy, lambda: _read_as_npm(client, threads))


def _read_as_npm(client: StdioClient, threads: list[str]) -> list[bytes]:
    answers = [client.call("slack_get_channel_history", {"channel_id": GENERAL, "limit": 100})]
    answers += [client.call("slack_get_thread_replies", {"channel_id": GENERAL, "thread_ts": ts}) for ts in threads]
    return [*answers, client.call("slack_get_users", {"limit": 100})]


def _middle(work: Callable[[], object]) -> float:
    """Return the seconds that something takes mostly."""
    taken: list[float] = []
    for _ in range(REPEATED):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken)


@contextmanager
def _slow(proxy: SlackProxy) -> Generator[None]:
    proxy.delay_s = UPSTREAM_S
    try:
        yield
    finally:
        proxy.delay_s = 0


def _size(answer: bytes) -> int:
    result: Mapping[str, Any] = json.loads(answer)["result"]
    return sum(len(part.get("text", "").encode()) for part in result["content"])

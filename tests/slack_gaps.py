"""What `emulate` lacks of Slack, in front of it: a proxy that answers that itself and passes everything else on.

Added: search, canvases, the lists of one's own channels, scopes in the headers, channels shared with other
companies, unread marks, history between two moments and in pages, threads that do not exist, 429 with Retry-After, and
channels of any length. What only the proxy proves is listed in the README of the Slack server.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, cast

from aiohttp import ClientSession, web
from anyio.from_thread import start_blocking_portal
from emulator import Emulator, emulated

Form = dict[str, str]
Json = dict[str, Any]

BOT, USER = "xoxb-test-helper", "xoxp-test-alice"
PUBLIC_ONLY, STRANGER = "xoxb-test-public", "xoxp-test-nobody"  # who may do less
READING = (
    "channels:read channels:history groups:read groups:history im:read im:history mpim:read mpim:history users:read "
    "files:read canvases:read"
)
WRITING = (
    "chat:write reactions:write files:write canvases:write channels:manage channels:write groups:write im:write "
    "mpim:write"
)
SCOPES = {
    BOT: f"{READING} {WRITING}".split(),
    USER: f"{READING} {WRITING} search:read users:read.email".split(),
    PUBLIC_ONLY: ["channels:read", "channels:history", "users:read"],
    STRANGER: ["users:read"],
}
# The emulator turns a token away after 5,000 requests: the proxy uses several for each.
TOKENS_OF_EACH, REQUESTS_OF_EACH = 20, 4_500
SEED: Json = {
    "slack": {
        "team": {"name": "Acme", "domain": "acme"},
        "strict_scopes": True,
        "users": [
            {"name": "alice", "real_name": "Alice Doe", "profile": {"title": "Engineer"}},
            {"name": "bob", "real_name": "Bob <b> & Sons"},
            {"name": "helper", "real_name": "Helper"},
        ],
        "channels": [
            {"name": "eng-api", "topic": "The API & its <users>"},
            {"name": "eng-secrets", "is_private": True},
            {"name": "vendor"},
        ],
        "tokens": [
            {"token": f"{token}-{number}", "user": user, "scopes": SCOPES[token]}
            for token, user in ((BOT, "helper"), (USER, "alice"), (PUBLIC_ONLY, "helper"), (STRANGER, "bob"))
            for number in range(TOKENS_OF_EACH)
        ],
    }
}
ONLY_READS = {
    "conversations.history",
    "conversations.replies",
    "conversations.list",
    "conversations.info",
    "users.info",
}
ARRANGING = "X-Arranging"  # a header of requests that are the test's own
NEVER_ANSWERED = "F0SLOW00001"


@dataclass
class SlackProxy:
    """Slack while it runs.

    Attributes:
        url: where it listens; the API is below "/api/".
        asked: every request of the server: method of the API, form, and Authorization header.
        spoken: every method with every argument that it was ever given.
        turned_away: by method, the seconds of Retry-After of the next answers.
        broken: by method, HTTP statuses of the next answers.
        refused: by method, the channels for which the token is said not to be in them.
        external: ids of channels shared with another company.
        long: by id, channels of so many messages, made up as they are read.
        last_read: by channel, up to where the user has read it.
        redirects: by method, where its next answers send the client to.
        whole: whether messages have everything that those of the real Slack have, as their text once more in blocks.
        delay_s: how long each answer takes besides.
        answering: cleared, it keeps answers back.
        terse: whether matches of a search say no more of their channel than its id.
        elsewhere: Authorization headers that reached "another" host: the same proxy under its other name.
    """

    url: str = ""
    elsewhere_url: str = ""
    emulator_url: str = ""
    asked: list[tuple[str, Form, str]] = field(default_factory=list[tuple[str, Form, str]])
    spoken: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    turned_away: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    broken: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    external: set[str] = field(default_factory=set[str])
    long: dict[str, int] = field(default_factory=dict[str, int])
    last_read: dict[str, str] = field(default_factory=dict[str, str])
    refused: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    redirects: dict[str, str] = field(default_factory=dict[str, str])
    changed: dict[str, Json] = field(default_factory=dict[str, Json])
    canvases: dict[str, str] = field(default_factory=dict[str, str])
    whole: bool = False
    terse: bool = False
    delay_s: float = 0
    answering: Event = field(default_factory=Event)
    elsewhere: list[str] = field(default_factory=list[str])

    def forms(self, method: str) -> list[Form]:
        """Return what was sent to one method."""
        return [form for name, form, _ in self.asked if name == method]

    def methods(self) -> list[str]:
        """Return the methods that were asked, in order."""
        return [name for name, _, _ in self.asked]


class Gaps:
    """The handlers."""

    def __init__(self, proxy: SlackProxy, session: ClientSession) -> None:
        self.proxy = proxy
        self.session = session
        self.passed = 0
        self.kept: dict[str, Json] = {}  # of what only reads, until something is written
        self.own: dict[str, Callable[[Form, str], Awaitable[Json]]] = {
            "users.conversations": self.joined,
            "conversations.list": self.listed,
            "conversations.info": self.info,
            "conversations.history": self.history,
            "conversations.replies": self.replies,
            "search.messages": self.search,
            "canvases.create": self.create_canvas,
            "canvases.edit": self.edit_canvas,
            "canvases.getContent": self.read_canvas,
            "files.info": self.file,
        }

    async def method(self, request: web.Request) -> web.StreamResponse:
        """Answer a method of the API."""
        name, auth = request.match_info["method"], request.headers.get("Authorization", "")
        if request.host != self.proxy.url.partition("://")[2]:
            self.proxy.elsewhere.append(auth)
        form = {key: str(value) for key, value in (*request.query.items(), *(await request.post()).items())}
        if ARRANGING not in request.headers:
            self.proxy.asked.append((name, form, auth))
            self.proxy.spoken |= {(name, argument) for argument in form}
            await asyncio.sleep(self.proxy.delay_s)
            if not self.proxy.answering.is_set():
                await asyncio.to_thread(self.proxy.answering.wait, 30)
        if name == "canvases.getContent" and form.get("canvas_id") == NEVER_ANSWERED:
            await asyncio.sleep(3_600)
        if self.proxy.redirects.get(name):
            return web.Response(status=307, headers={"Location": self.proxy.redirects[name]})
        if self.proxy.turned_away.get(name):
            wait = str(self.proxy.turned_away[name].pop(0))
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": wait})
        if self.proxy.broken.get(name):
            return web.Response(status=self.proxy.broken[name].pop(0), text="<html>Bad Gateway</html>")
        if form.get("channel") in self.proxy.refused.get(name, []):
            return web.json_response({"ok": False, "error": "not_in_channel"})
        handler = self.own.get(name)
        answer = await (handler(form, auth) if handler else self.passed_on(name, form, auth))
        if self.proxy.whole and "messages" in answer and name != "search.messages":
            answer = answer | {"messages": [whole(message) for message in answer["messages"]]}
        scopes = SCOPES.get(auth.removeprefix("Bearer "), [])
        return web.json_response(answer, headers={"x-oauth-scopes": ",".join(scopes)})

    async def other(self, request: web.Request) -> web.StreamResponse:
        """Pass on what is no method: files."""
        headers = {key: value for key, value in request.headers.items() if key == "Content-Type"}
        if "Authorization" in request.headers:
            headers["Authorization"] = self.one_of(request.headers["Authorization"])
        if request.host != self.proxy.url.partition("://")[2]:
            self.proxy.elsewhere.append(request.headers.get("Authorization", ""))
        url = self.proxy.emulator_url + request.path_qs
        async with self.session.request(request.method, url, headers=headers, data=await request.read()) as answer:
            body = await answer.read()
            kind = answer.headers.get("Content-Type", "text/plain")
            return web.Response(status=answer.status, body=body, headers={"Content-Type": kind})

    async def passed_on(self, name: str, form: Form, auth: str) -> Json:
        """Ask the emulator."""
        question = json.dumps([name, form, auth])
        if name not in ONLY_READS:
            self.kept.clear()
        elif question in self.kept:
            return self.kept[question]
        url = f"{self.proxy.emulator_url}/api/{name}"
        async with self.session.post(url, data=form, headers={"Authorization": self.one_of(auth)}) as answer:
            text = (await answer.text()).replace(self.proxy.emulator_url, self.proxy.url)
        loaded: Json = json.loads(text)
        if name in ONLY_READS:
            self.kept[question] = loaded
        return loaded

    def one_of(self, auth: str) -> str:
        self.passed += 1
        known = auth.removeprefix("Bearer ") in SCOPES
        return f"{auth}-{self.passed // REQUESTS_OF_EACH % TOKENS_OF_EACH}" if known else auth

    async def listed(self, form: Form, auth: str) -> Json:
        """List channels, refusing a cursor that is none."""
        answer = await self.passed_on("conversations.list", form, auth)
        known = {"", *(channel["id"] for channel in answer.get("channels", []))}
        if form.get("cursor", "") not in known:
            return {"ok": False, "error": "invalid_cursor"}
        channels = [self.completed(channel) for channel in answer.get("channels", [])]
        return answer | ({"channels": channels} if answer["ok"] else {})

    async def joined(self, form: Form, auth: str) -> Json:
        """List the token's own channels."""
        answer = await self.listed(form, auth)
        if not answer["ok"]:
            return answer
        own = [channel for channel in answer["channels"] if channel.get("is_member")]
        long = [self.completed(self.made_up(channel)) for channel in self.proxy.long]
        return answer | {"channels": [*own, *(long if not form.get("cursor") else [])]}

    async def info(self, form: Form, auth: str) -> Json:
        """Describe a channel, with its unread mark."""
        channel = form.get("channel", "")
        if channel in self.proxy.long:
            return {"ok": True, "channel": self.completed(self.made_up(channel))}
        answer = await self.passed_on("conversations.info", form, auth)
        return answer | ({"channel": self.completed(answer["channel"])} if answer["ok"] else {})

    def made_up(self, channel: str) -> Json:
        name = f"long-{channel.lower()}"
        return {"id": channel, "name": name, "is_channel": True, "is_member": True, "num_members": 9}

    def completed(self, channel: Json) -> Json:
        added: Json = {"is_ext_shared": channel["id"] in self.proxy.external}
        if channel["id"] in self.proxy.last_read:
            added["last_read"] = self.proxy.last_read[channel["id"]]
        return channel | added | self.proxy.changed.get(channel["id"], {})

    async def history(self, form: Form, auth: str) -> Json:
        """Read a channel between two moments, the newest first."""
        if form.get("channel") in self.proxy.long:
            return self.long_history(form)
        found = await self.all_messages("conversations.history", form, auth)
        if isinstance(found, dict):
            return found
        roots = sorted((m for m in found if within(m, form)), key=lambda m: m["ts"], reverse=True)
        limit = int(form.get("limit", 100))
        page = [await self.with_latest_reply(m, form, auth) for m in roots[:limit]]
        return {"ok": True, "messages": page, "has_more": len(roots) > limit}

    async def with_latest_reply(self, message: Json, form: Form, auth: str) -> Json:
        if not message.get("reply_count"):
            return message
        thread = {"channel": form["channel"], "ts": message["ts"]}
        replies = (await self.passed_on("conversations.replies", thread, auth))["messages"]
        return message | {"latest_reply": max(reply["ts"] for reply in replies), "thread_ts": message["ts"]}

    def long_history(self, form: Form) -> Json:
        count, limit = self.proxy.long[form["channel"]], int(form.get("limit", 100))
        included = form.get("inclusive") == "true"
        newest = min(count, int(float(form.get("latest", "9999999999")) - LONG_BEGINS) + included)
        oldest = max(0, int(float(form.get("oldest", 0)) - LONG_BEGINS) + (not included))
        numbers = range(newest - 1, max(oldest, newest - limit) - 1, -1)
        page = [long_message(number) for number in numbers]
        return {"ok": True, "messages": page, "has_more": newest - limit > oldest}

    async def all_messages(self, method: str, form: Form, auth: str) -> list[Json] | Json:
        found: list[Json] = []
        cursor = ""
        while True:
            asked = {"channel": form["channel"], "ts": form.get("ts", ""), "limit": "1000", "cursor": cursor}
            answer = await self.passed_on(method, asked, auth)
            if not answer["ok"]:
                return answer
            found += answer["messages"]
            cursor = answer.get("response_metadata", {}).get("next_cursor", "")
            if not cursor:
                return found

    async def replies(self, form: Form, auth: str) -> Json:
        """Read a thread between two moments, the oldest first, its root always there."""
        if form.get("channel") in self.proxy.long:
            number = int(float(form["ts"]) - LONG_BEGINS)
            return {"ok": True, "messages": [long_message(number)], "has_more": False}
        found = await self.all_messages("conversations.replies", form, auth)
        if isinstance(found, dict):
            return found
        if not found:
            return NO_THREAD
        root, *replies = sorted(found, key=lambda message: message["ts"])
        shown = [reply for reply in replies if within(reply, form)]
        limit = int(form.get("limit", 1000))
        page = [root | ({"thread_ts": root["ts"]} if replies else {}), *shown[: limit - 1]]
        return {"ok": True, "messages": page, "has_more": len(shown) > limit - 1}

    async def search(self, form: Form, auth: str) -> Json:
        """Find messages with all words of a query; in:, from:, after: and before: are understood."""
        if not auth.startswith("Bearer xoxp-"):
            return {"ok": False, "error": "not_allowed_token_type"}
        types = {"types": "public_channel,private_channel,im,mpim", "limit": "1000"}
        channels: list[Json] = (await self.joined(types, auth))["channels"]
        words = form["query"].lower().split()
        matches: list[Json] = []
        for channel in channels:
            found = await self.everything(channel["id"], auth)
            fitting = [message for message in found if all(fits(word, message, channel) for word in words)]
            matches += [match_of(message, channel, terse=self.proxy.terse) for message in fitting]
        matches.sort(key=lambda match: match["ts"], reverse=form.get("sort") == "timestamp")
        count, page = int(form.get("count", 20)), int(form.get("page", 1))
        shown = matches[(page - 1) * count : page * count]
        paging = {"count": count, "page": page, "pages": -(-len(matches) // count), "total": len(matches)}
        return {"ok": True, "messages": {"matches": shown, "total": len(matches), "paging": paging}}

    async def everything(self, channel: str, auth: str) -> list[Json]:
        if channel in self.proxy.long:
            return []
        roots = await self.all_messages("conversations.history", {"channel": channel}, auth)
        found: list[Json] = []
        for root in cast(list[Json], roots):
            thread = {"channel": channel, "ts": root["ts"]}
            found += (await self.passed_on("conversations.replies", thread, auth))["messages"]
        return found

    async def file(self, form: Form, auth: str) -> Json:
        """Describe a file; a canvas is one, shared in the channel that was named for it or in #general."""
        file = form["file"]
        if file not in {*self.proxy.canvases, NEVER_ANSWERED}:
            answer = await self.passed_on("files.info", form, auth)
            return answer | ({"file": answer["file"] | self.proxy.changed.get(file, {})} if answer["ok"] else {})
        canvas: Json = {"id": file, "mimetype": "application/vnd.slack-docs", "channels": ["C000000001"]}
        return {"ok": True, "file": canvas | self.proxy.changed.get(file, {})}

    async def create_canvas(self, form: Form, auth: str) -> Json:
        """Make a canvas of Markdown."""
        canvas = f"F0CANVAS{len(self.proxy.canvases):03}"
        self.proxy.canvases[canvas] = markdown_in(form.get("document_content", ""))
        return {"ok": True, "canvas_id": canvas}

    async def edit_canvas(self, form: Form, auth: str) -> Json:
        """Add to a canvas, or replace all of it."""
        canvas = form["canvas_id"]
        if canvas not in self.proxy.canvases:
            return {"ok": False, "error": "canvas_not_found"}
        text, before = markdown_in(form["changes"]), self.proxy.canvases[canvas]
        kept = {"insert_at_end": before + text, "insert_at_start": text + before, "replace": text}
        self.proxy.canvases[canvas] = next(new for name, new in kept.items() if f'"{name}"' in form["changes"])
        return {"ok": True}

    async def read_canvas(self, form: Form, auth: str) -> Json:
        """Return the text of a canvas."""
        canvas = form["canvas_id"]
        if canvas not in self.proxy.canvases:
            return {"ok": False, "error": "canvas_not_found"}
        return {"ok": True, "content": self.proxy.canvases[canvas]}


LONG_BEGINS = 1_700_000_000
NO_THREAD = {"ok": False, "error": "thread_not_found"}


def long_message(number: int) -> Json:
    """Return a message of a channel of any length; each is a second after the one before."""
    return {
        "type": "message",
        "ts": f"{LONG_BEGINS + number}.000000",
        "user": "U000000001",
        "text": f"Message {number}",
    }


def whole(message: Json) -> Json:
    """Return a message with what the real Slack adds to it, in the shapes of its documentation."""
    text = {"type": "rich_text_section", "elements": [{"type": "text", "text": message["text"]}]}
    added: Json = {
        "client_msg_id": "8f3c1f2e-5a3d-4b57-9a0f-6f1f3e0f7a11",
        "team": "T000000001",
        "blocks": [{"type": "rich_text", "block_id": "xK9q", "elements": [text]}],
    }
    if message.get("reply_count"):
        added |= {"reply_users_count": 1, "is_locked": False, "subscribed": True, "last_read": message["ts"]}
    elif message.get("thread_ts"):
        added |= {"parent_user_id": message["user"]}
    return message | added


def within(message: Json, form: Form) -> bool:
    """Whether a message is between the moments that were asked for."""
    ts, oldest, latest = float(message["ts"]), float(form.get("oldest", 0)), float(form.get("latest", 1e12))
    return oldest <= ts <= latest if form.get("inclusive") == "true" else oldest < ts < latest


def fits(word: str, message: Json, channel: Json) -> bool:
    """Whether a message fits a word of a query."""
    operator, _, value = word.partition(":")
    if operator in {"in", "-in"}:
        return (value.strip("<>#") in {channel["id"].lower(), channel["name"]}) == (operator == "in")
    if operator == "from":
        return value.strip("<>@") == message["user"].lower()
    if operator in {"after", "before"}:
        return True
    return word in message["text"].lower()


def match_of(message: Json, channel: Json, *, terse: bool) -> Json:
    """Return a message as a search has it."""
    kept = ("id",) if terse else ("id", "name", "is_private", "is_im", "is_mpim", "is_ext_shared")
    return message | {"channel": {key: channel.get(key) for key in kept}, "username": "somebody"}


def markdown_in(document: str) -> str:
    """Return the Markdown of a canvas' content or of a change to it."""
    loaded: Any = json.loads(document)
    content = cast(list[Any], loaded)[0]["document_content"] if isinstance(loaded, list) else loaded
    return str(content["markdown"])


@contextmanager
def slack(seed: Mapping[str, Any] | None = None) -> Generator[tuple[SlackProxy, Emulator]]:
    """Run the emulator and the proxy in front of it."""
    with emulated("slack", seed or SEED) as emulator, start_blocking_portal() as portal:
        proxy = SlackProxy(emulator_url=emulator.url)
        proxy.answering.set()
        with portal.wrap_async_context_manager(_serving(proxy)):
            yield proxy, emulator


@asynccontextmanager
async def _serving(proxy: SlackProxy) -> AsyncGenerator[None]:
    async with ClientSession() as session:
        gaps = Gaps(proxy, session)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/api/{method}", gaps.method)
        app.router.add_route("*", "/{path:.*}", gaps.other)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        proxy.url, proxy.elsewhere_url = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
        try:
            yield
        finally:
            await runner.cleanup()

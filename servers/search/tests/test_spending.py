"""What searching costs: the month's budget, the provider's own limits, and what is kept instead of asked again."""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from fake_web.providers import FakeBrave
from fake_web.server import Web
from fake_web.session import session
from mcp_server_search.cache import Cache
from mcp_server_search.pace import Pace, retry_after_s
from mcp_server_search.usage import Usage
from mcp_server_shared.errors import InvalidArgument, RateLimited, Unavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def brave(web: Web) -> FakeBrave:
    return FakeBrave(web)


@pytest.fixture
def flags(web: Web, tmp_path: Path) -> list[str]:
    return ["--brave-url", web.url, "--brave-api-key", "BSA-key", "--data-directory", str(tmp_path / "data")]


# The budget


async def test_the_budget_is_never_crossed_and_outlives_the_process(
    web: Web, brave: FakeBrave, flags: list[str]
) -> None:
    flags += ["--monthly-budget", "3"]
    async with session(*flags) as client:
        await client.read("search_web", query="one")
        await client.read("search_web", query="two")
    async with session(*flags) as client:
        await client.read("search_web", query="three")
        refusal = await client.refusal("search_web", query="four")
    assert (refusal.code, "--monthly-budget" in refusal.text) == ("rate_limited", True)
    assert len(web.requests("/res/v1")) == 3


async def test_searches_at_the_same_time_do_not_cross_it_together(web: Web, brave: FakeBrave, flags: list[str]) -> None:
    codes: list[str | None] = []
    async with session(*flags, "--monthly-budget", "5") as client, anyio.create_task_group() as tasks:

        async def search(number: int) -> None:
            result = await client.call("search_web", query=f"query {number}")
            codes.append(result["_meta"].get("mcp-servers/error", {}).get("code"))

        for number in range(12):
            tasks.start_soon(search, number)
    assert sorted(map(str, codes)) == ["None"] * 5 + ["rate_limited"] * 7
    assert len(web.requests("/res/v1")) == 5


async def test_what_the_provider_refused_is_not_counted(brave: FakeBrave, flags: list[str]) -> None:
    brave.refusals = [422, 422]
    async with session(*flags, "--monthly-budget", "1") as client:
        await client.refusal("search_web", query="refused")
        await client.refusal("search_web", query="refused again")
        await client.read("search_web", query="answered")
        [usage] = await client.rows("get_usage")
    assert usage["requests"] == 1


async def test_what_nobody_knows_to_be_unbilled_stays_counted(tmp_path: Path) -> None:
    usage = Usage(tmp_path / "usage.sqlite3", 10)
    for error, kind in ((Unavailable("broke off"), Unavailable), (InvalidArgument("refused"), InvalidArgument)):
        with pytest.raises(kind):
            async with usage.spent("Brave Search"):
                raise error
    assert await usage.counts(datetime.now(UTC).strftime("%Y-%m")) == {"Brave Search": 1}


async def test_a_new_month_begins_with_nothing_spent(tmp_path: Path) -> None:
    usage = Usage(tmp_path / "usage.sqlite3", 1)
    async with usage.spent("Brave Search"):
        pass
    with sqlite3.connect(tmp_path / "usage.sqlite3") as database:
        database.execute("update requests set month = '2020-01'")
    database.close()
    async with usage.spent("Brave Search"):
        pass


async def test_a_budget_of_nothing_allows_nothing(web: Web, brave: FakeBrave, flags: list[str]) -> None:
    async with session(*flags, "--monthly-budget", "0") as client:
        assert (await client.refusal("search_web", query="x")).code == "rate_limited"
    assert not web.asked


async def test_spending_that_cannot_be_kept_is_not_begun(web: Web, brave: FakeBrave, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    flags = ["--brave-url", web.url, "--brave-api-key", "BSA-key", "--data-directory", str(tmp_path / "file")]
    async with session(*flags) as client:
        refusal = await client.refusal("search_web", query="x")
    assert (refusal.code, "--data-directory" in refusal.text) == ("unavailable", True)
    assert not web.asked


async def test_usage_says_what_was_spent_and_what_the_provider_has_left(brave: FakeBrave, flags: list[str]) -> None:
    brave.limits = limits("50;w=1, 15000;w=2592000", "49, 14321", "1, 1419704")
    async with session(*flags) as client:
        await client.read("search_web", query="one")
        [usage] = await client.rows("get_usage")
    month = datetime.now(UTC).strftime("%Y-%m")
    assert usage == {
        "provider": "Brave Search",
        "month": month,
        "requests": 1,
        "budget": 1_000,
        "left_at_provider": 14_321,
    }


# What is kept


async def test_the_same_search_is_asked_once(web: Web, brave: FakeBrave, flags: list[str]) -> None:
    async with session(*flags) as client:
        for _ in range(3):
            await client.read("search_web", query="same")
        await client.read("search_web", query="same", freshness="day")
    assert len(web.requests("/res/v1")) == 2


async def test_nothing_is_kept_when_the_operator_says_so(web: Web, brave: FakeBrave, flags: list[str]) -> None:
    async with session(*flags, "--cache-s", "0") as client:
        for _ in range(2):
            await client.read("search_web", query="same")
    assert len(web.requests("/res/v1")) == 2


def test_a_cache_forgets_what_is_old_and_what_was_not_used() -> None:
    cache: Cache[str, str] = Cache(ttl_s=60, most_characters=10)
    cache.put("a", "aaaa", 4)
    cache.put("b", "bbbb", 4)
    assert cache.get("a") == "aaaa"
    cache.put("c", "cccc", 4)
    assert (cache.get("b"), cache.kept()) == (None, ["c", "a"])
    cache.put("huge", "h" * 11, 11)
    assert cache.get("huge") is None
    expired: Cache[str, str] = Cache(ttl_s=1e-9, most_characters=10)
    expired.put("a", "a", 1)
    assert expired.get("a") is None


# The provider's limits


def limits(policy: str, remaining: str, reset: str) -> dict[str, str]:
    return {"X-RateLimit-Policy": policy, "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the waits of a pace, whose clock goes on by them alone."""
    waits: list[float] = []
    now = 1_000.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(round(seconds, 3))
        now += seconds

    monkeypatch.setattr("mcp_server_search.pace.anyio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr("mcp_server_search.pace.time", SimpleNamespace(monotonic=lambda: now))
    return waits


async def test_requests_are_as_far_apart_as_the_answers_ask_for(waited: list[float]) -> None:
    pace = Pace(interval_s=0)
    await pace.turn()
    pace.learn(lower(limits("2;w=1, 0;w=2592000", "1, 0", "1, 100")))
    for _ in range(3):
        await pace.turn()
    assert waited == [0, 0, 0.5, 0.5]


async def test_a_second_that_is_used_up_is_waited_for(waited: list[float]) -> None:
    pace = Pace(interval_s=0)
    pace.learn(lower(limits("1;w=1, 2000;w=2592000", "0, 1999", "1, 86400")))
    await pace.turn()
    assert waited == [1]


async def test_a_month_that_is_used_up_is_not_waited_for(waited: list[float]) -> None:
    pace = Pace(interval_s=0)
    pace.learn(lower(limits("1;w=1, 2000;w=2592000", "1, 0", "1, 86400")))
    with pytest.raises(RateLimited) as refused:
        await pace.turn()
    assert (refused.value.retry_after_s, waited) == (86_400, [])


async def test_a_queue_that_has_become_too_long_refuses_more(waited: list[float]) -> None:
    pace = Pace(interval_s=100)
    await pace.turn()
    with pytest.raises(RateLimited):
        await pace.turn()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        limits("", "", ""),
        limits("nonsense", "1", "1"),
        limits("1;w=0", "0", "0"),
        limits("1;w=1", "0, 0, 0", "9"),
        limits("9" * 300 + ";w=1", "0", "1"),
    ],
)
async def test_odd_limits_hold_nobody_up(waited: list[float], headers: dict[str, str]) -> None:
    pace = Pace(interval_s=0)
    pace.learn(lower(headers))
    await pace.turn()
    await pace.turn()
    assert sum(waited) == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("", None), ("soon", None), ("-1", None), ("1e9", None), ("9" * 20, None), ("999999999", 31 * 86_400)],
)
def test_retry_after_is_read_as_seconds(text: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": text}) == seconds


def test_retry_after_is_read_as_a_date() -> None:
    date = format_datetime(datetime.fromtimestamp(4_000_000_000, UTC), usegmt=True)
    assert retry_after_s({"retry-after": date}) == 31 * 86_400
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


async def test_too_many_requests_are_repeated_when_the_provider_says(
    web: Web, brave: FakeBrave, flags: list[str]
) -> None:
    brave.refusals = [429]
    brave.limits = limits("1;w=1, 2000;w=2592000", "0, 1999", "1, 86400")
    async with session(*flags) as client:
        await client.read("search_web", query="x")
        [usage] = await client.rows("get_usage")
    assert len(web.requests("/res/v1")) == 2
    assert usage["requests"] == 1


async def test_a_wait_longer_than_a_call_is_reported(web: Web, brave: FakeBrave, flags: list[str]) -> None:
    brave.refusals = [429]
    brave.limits = limits("1;w=1, 2000;w=2592000", "1, 0", "1, 86400")
    async with session(*flags) as client:
        result = await client.call("search_web", query="x")
    assert result["_meta"]["mcp-servers/error"] == {
        "code": "rate_limited",
        "retryable": True,
        "retry_after_s": 86_400.0,
    }
    assert len(web.requests("/res/v1")) == 1

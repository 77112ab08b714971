"""What may be read and written follows from the operator's words, for every channel and all of them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_slack.channel_policy import KINDS, ChannelPolicy, Right
from mcp_server_slack.channels import Channel
from mcp_server_slack.settings import READ_BY_DEFAULT, WRITE_BY_DEFAULT

IDS: st.SearchStrategy[str] = st.from_regex(r"[CDG][A-Z0-9]{8}", fullmatch=True)
NAMES: st.SearchStrategy[str] = st.text(alphabet="abcdeé-_1", min_size=1, max_size=12)


@st.composite
def channels(draw: Any) -> Channel:
    kind = draw(st.sampled_from(KINDS))
    name = "" if kind == "dm" else draw(NAMES)
    user = draw(st.sampled_from(["U12345678", "U87654321"])) if kind == "dm" else ""
    return Channel(id=draw(IDS), name=name, kind=kind, shared=draw(st.booleans()), user=user)


OTHERS: st.SearchStrategy[str] = st.one_of(st.sampled_from(KINDS), IDS, NAMES, NAMES.map(lambda name: f"{name[:2]}*"))
WORDS: st.SearchStrategy[str] = st.one_of(OTHERS, st.just("shared"))
ALLOWING: st.SearchStrategy[str] = st.one_of(WORDS, WORDS.map(lambda word: f"reply:{word}"))
ENTRIES: st.SearchStrategy[str] = st.one_of(ALLOWING, WORDS.map(lambda word: f"!{word}"))


def policy(*entries: str, default: tuple[str, ...] = READ_BY_DEFAULT) -> ChannelPolicy:
    return ChannelPolicy(entries, default=default)


@settings(deadline=None)
@given(channels())
def test_by_default_direct_messages_are_closed_and_channels_open_to_reading(channel: Channel) -> None:
    assert policy().allows(channel) == (channel.kind in {"public", "private"})


@settings(deadline=None)
@given(channels())
def test_by_default_nothing_is_written_to_strangers_or_into_direct_messages(channel: Channel) -> None:
    allowed = policy(default=WRITE_BY_DEFAULT).allows(channel)
    assert allowed == (channel.kind in {"public", "private"} and not channel.shared)


@settings(deadline=None)
@given(channels(), st.lists(ENTRIES, max_size=6), WORDS)
def test_a_denial_wins_wherever_it_stands(channel: Channel, entries: list[str], word: str) -> None:
    alone = policy(word, "shared").allows(channel)  # whether the word speaks of the channel
    denied = policy(f"!{word}", *entries), policy(*entries, f"!{word}")
    if alone and (word != "shared" or channel.shared):
        assert not any(each.allows(channel) for each in denied)


@settings(deadline=None)
@given(channels(), st.lists(ENTRIES, max_size=6), WORDS)
def test_a_further_denial_never_opens_anything(channel: Channel, entries: list[str], word: str) -> None:
    assert policy(*entries, f"!{word}").right(channel) <= policy(*entries).right(channel)


@settings(deadline=None)
@given(channels(), st.lists(ALLOWING, min_size=1, max_size=6), WORDS)
def test_a_further_permission_never_closes_anything(channel: Channel, entries: list[str], word: str) -> None:
    assert policy(*entries, word).right(channel) >= policy(*entries).right(channel)


@settings(deadline=None)
@given(channels(), st.lists(ENTRIES, min_size=1, max_size=6), st.randoms())
def test_the_order_of_the_words_does_not_matter(channel: Channel, entries: list[str], random: Any) -> None:
    shuffled = random.sample(entries, len(entries))
    assert policy(*entries).right(channel) == policy(*shuffled).right(channel)


@settings(deadline=None)
@given(channels(), NAMES)
def test_a_list_of_names_allows_these_channels_and_no_others(channel: Channel, name: str) -> None:
    expected = channel.kind in {"public", "private"} and channel.name == name and not channel.shared
    assert policy(name).allows(channel) == expected


@settings(deadline=None)
@given(channels())
def test_an_id_allows_one_conversation_of_any_kind(channel: Channel) -> None:
    assert policy(channel.id).allows(channel) == (not channel.shared)
    assert policy(channel.id, "shared").allows(channel)
    assert not policy(channel.id, "shared").allows(replace(channel, id=channel.id + "X"))


@settings(deadline=None)
@given(channels(), st.lists(OTHERS, min_size=1, max_size=6))
def test_no_name_and_no_id_opens_a_channel_that_was_shared_since(channel: Channel, entries: list[str]) -> None:
    closed = policy(*entries, default=WRITE_BY_DEFAULT)
    assert not closed.allows(replace(channel, shared=True))


@settings(deadline=None)
@given(channels(), st.lists(WORDS, min_size=1, max_size=6))
def test_replies_alone_allow_no_more_than_replies(channel: Channel, words: list[str]) -> None:
    full, replies = policy(*words).right(channel), policy(*(f"reply:{word}" for word in words)).right(channel)
    assert replies == min(full, Right.REPLY)


@settings(deadline=None)
@given(channels(), NAMES)
def test_no_pattern_speaks_of_direct_messages(channel: Channel, name: str) -> None:
    assert not policy("*", "shared").allows(replace(channel, kind="group-dm", name=name))


@settings(deadline=None)
@given(channels(), st.lists(ENTRIES, max_size=6))
def test_no_kind_is_left_out_of_a_listing_that_may_hold_something_allowed(channel: Channel, entries: list[str]) -> None:
    asked = policy(*entries)
    assert channel.kind in asked.kinds() or not asked.allows(channel)


def test_names_are_compared_as_people_see_them() -> None:
    channel = Channel(id="C12345678", name="cafe\u0301-eng", kind="public")
    assert policy("CAFÉ-*").allows(channel)


def test_a_direct_message_is_opened_by_who_is_in_it() -> None:
    channel = Channel(id="D12345678", name="", kind="dm", user="U12345678")
    assert policy("U12345678").allows(channel)
    assert not policy("U87654321").allows(channel)


@pytest.mark.parametrize("entry", ["", "!", "reply:", "!reply:public", "two words", "#"])
def test_a_word_that_says_nothing_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        policy(entry)

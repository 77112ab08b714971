"""Which pages may be read: what was shown or named, what is public, and what a site allows."""

import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from fake_web.documents import article
from fake_web.providers import FakeWikipedia
from fake_web.server import Web
from fake_web.session import session
from mcp import types
from mcp_server_search import http_client

pytestmark = pytest.mark.anyio

ANY = ("--confirm", "open=never", "--ignore-robots")


@pytest.fixture
def flags(web: Web, tmp_path: Path) -> list[str]:
    """Return the flags of a server that may reach the fake web, which is on loopback, and asks Wikipedia there."""
    FakeWikipedia(web)
    return ["--data-directory", str(tmp_path), "--allow-host", "127.0.0.0/8"]


@pytest.fixture
def fenced(web: Web, tmp_path: Path) -> list[str]:
    """Return the flags of a server to which the fake web is a private network like any other."""
    return ["--data-directory", str(tmp_path), "--wikipedia-url", FakeWikipedia(web).setting, *ANY]


def resolving(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[list[str]]]) -> list[str]:
    """Let a name server of our own answer, one answer after another; return the list of what it is asked."""
    asked: list[str] = []

    def look_up(host: Any, port: int, *_: Any, **__: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        asked.append(name)
        if name not in answers:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (name, port))]
        addresses = answers[name].pop(0) if len(answers[name]) > 1 else answers[name][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


# Provenance


async def test_an_address_from_a_search_result_is_read_without_a_question(
    web: Web, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    resolving(monkeypatch, {"wiki.example": [["127.0.0.1"]]})
    web.page("/en/wiki/Article_0", article(3))
    async with session(*flags, "--wikipedia-url", f"http://wiki.example:{web.server_port}/{{language}}") as client:
        [first, *_] = await client.rows("search_wikipedia", query="a")
        assert (await client.refusal("read_page", url=first["url"])).code == "confirmation_required"
        assert "Paragraph 1" in await client.whole("read_page", url=first["url"], ref=first["ref"])


async def test_a_reference_outlives_the_process(web: Web, flags: list[str]) -> None:
    web.page("/en/wiki/Article_0", article(3))
    flags += ["--wikipedia-url", f"{web.url}/{{language}}"]
    async with session(*flags) as client:
        [first, *_] = await client.rows("search_wikipedia", query="a")
    async with session(*flags) as client:
        assert await client.whole("read_page", url=first["url"], ref=first["ref"])


async def test_a_reference_opens_its_own_address_alone(web: Web, flags: list[str]) -> None:
    async with session(*flags, "--wikipedia-url", f"{web.url}/{{language}}") as client:
        first, second, *_ = await client.rows("search_wikipedia", query="a")
        refusal = await client.refusal("read_page", url=second["url"], ref=first["ref"])
        assert (refusal.code, "'ref'" in refusal.text) == ("invalid_argument", True)
        assert not web.requests("/en/wiki")


async def test_an_address_without_a_reference_needs_a_person(web: Web, tmp_path: Path) -> None:
    url = web.page("/secret-in-the-address", "x")
    async with session("--data-directory", str(tmp_path), "--allow-host", "localhost:1") as client:
        refusal = await client.refusal("read_page", url=url.replace("127.0.0.1", "93.184.215.14"))
        assert (refusal.code, "ref" in refusal.text) == ("confirmation_required", True)
        assert "open=never" in refusal.text
        assert not web.asked


@pytest.mark.parametrize("agrees", [True, False])
async def test_a_person_can_open_an_address(
    web: Web,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    *,
    agrees: bool,
) -> None:
    url = web.page("/page", article(3)).replace("127.0.0.1", "site.example")
    resolving(monkeypatch, {"site.example": [["127.0.0.1"]]})
    asked: list[str] = []

    async def answer(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept" if agrees else "decline", content={"confirm": agrees})

    async with session(*flags, elicitation_callback=answer) as client:
        result = await client.call("read_page", url=url)
    assert [url in question for question in asked] == [True]
    assert bool(web.requests("/page")) is agrees
    assert bool(result.get("isError")) is not agrees


async def test_a_host_that_the_operator_names_needs_no_reference(web: Web, flags: list[str]) -> None:
    async with session(*flags) as client:
        assert "Paragraph 1" in await client.whole("read_page", url=web.page("/page", article(3)))


# Private addresses


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254", "0.0.0.0", "[64:ff9b::7f00:1]"],  # noqa: S104
)
async def test_a_private_address_is_not_requested(web: Web, fenced: list[str], host: str) -> None:
    async with session(*fenced) as client:
        refusal = await client.refusal("read_page", url=f"http://{host}:{web.server_port}/")
        assert (refusal.code, "not on the public internet" in refusal.text) == ("permission_denied", True)
        assert not web.asked


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://0x7f.1:{port}/",
        "http://127.1:{port}/",
        "http://user:pass@127.0.0.1:{port}/",
        "http://good.example\\@127.0.0.1:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
    ],
)
async def test_an_odd_spelling_of_an_address_is_refused(web: Web, flags: list[str], url: str) -> None:
    async with session(*flags, *ANY) as client:
        refusal = await client.refusal("read_page", url=url.format(port=web.server_port))
        assert refusal.code == "invalid_argument"
        assert not web.asked


@pytest.mark.parametrize("name", ["intranet.example", "INTRANET.example.", "\u24d8ntranet.example"])
async def test_a_name_for_a_private_address_is_refused(
    web: Web, monkeypatch: pytest.MonkeyPatch, fenced: list[str], name: str
) -> None:
    resolving(monkeypatch, {"intranet.example": [["127.0.0.1"]]})
    async with session(*fenced) as client:
        refusal = await client.refusal("read_page", url=f"http://{name}:{web.server_port}/")
        assert refusal.code == "permission_denied"
        assert not web.asked


async def test_one_private_address_among_public_ones_is_enough(
    web: Web, monkeypatch: pytest.MonkeyPatch, fenced: list[str]
) -> None:
    resolving(monkeypatch, {"mixed.example": [["93.184.215.14", "127.0.0.1"]]})
    async with session(*fenced) as client:
        refusal = await client.refusal("read_page", url=f"http://mixed.example:{web.server_port}/")
        assert refusal.code == "permission_denied"


async def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_that_is_used(
    web: Web, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    web.page("/page", article(3))
    asked = resolving(monkeypatch, {"changing.example": [["127.0.0.1"], ["127.0.0.2"]]})
    async with session(*flags, *ANY) as client:
        text = await client.whole("read_page", url=f"http://changing.example:{web.server_port}/page")
    assert "Paragraph 1" in text
    assert [name for name in asked if name == "changing.example"] == ["changing.example"]
    assert [request.headers["host"] for request in web.asked] == [f"changing.example:{web.server_port}"]


# Redirects


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "//192.168.0.1/",
        "http://localhost/",
    ],
)
async def test_a_redirect_to_a_private_address_is_refused(
    web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, location: str
) -> None:
    resolving(monkeypatch, {"localhost": [["127.0.0.1"]]})
    url = web.redirect("/away", location)
    flags = ["--data-directory", str(tmp_path), "--allow-host", web.host, "--ignore-robots"]
    async with session(*flags) as client:
        refusal = await client.refusal("read_page", url=url)
        assert (refusal.code, "not on the public internet" in refusal.text) == ("permission_denied", True)


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://a:b@example.org/", "http://2130706433/"]
)
async def test_a_redirect_to_something_else_than_a_page_is_refused(web: Web, flags: list[str], location: str) -> None:
    async with session(*flags) as client:
        refusal = await client.refusal("read_page", url=web.redirect("/away", location))
        assert refusal.code == "invalid_argument"


@pytest.mark.parametrize("location", ["http://[broken", "", "   ", "http://"])
async def test_a_redirect_to_nothing_is_an_error_of_the_site(web: Web, flags: list[str], location: str) -> None:
    async with session(*flags, "--ignore-robots") as client:
        refusal = await client.refusal("read_page", url=web.redirect("/away", location))
        assert refusal.code in {"unavailable", "invalid_argument"}


async def test_a_redirect_is_followed_and_the_page_says_where_it_is(web: Web, flags: list[str]) -> None:
    web.page("/new/page", article(3))
    async with session(*flags) as client:
        text = await client.whole("read_page", url=web.redirect("/old", "new/page"))
    assert f"{web.url}/new/page" in text


async def test_redirects_without_end_are_not_followed(web: Web, flags: list[str]) -> None:
    async with session(*flags, "--ignore-robots", "--deadline-s", "5") as client:
        refusal = await client.refusal("read_page", url=web.redirect("/round", "/round"))
    assert "redirects" in refusal.text
    assert len(web.requests("/round")) <= 18  # three tries of six


# What goes out


async def test_nothing_of_ours_goes_out_with_a_request(web: Web, flags: list[str]) -> None:
    first = web.page("/first", article(3), headers={"Set-Cookie": "id=1; Path=/"})
    second = web.page("/second", article(3))
    async with session(*flags) as client:
        await client.read("read_page", url=first)
        await client.read("read_page", url=second)
    sent = {name for request in web.asked for name in request.headers}
    assert sent == {"host", "accept", "accept-encoding", "connection", "user-agent"}


# robots.txt


async def test_what_robots_txt_disallows_is_not_read(web: Web, flags: list[str]) -> None:
    url = web.page("/private/page", article(3))
    web.page("/robots.txt", "User-agent: *\nDisallow: /private/\n", "text/plain")
    async with session(*flags) as client:
        refusal = await client.refusal("read_page", url=url)
    assert (refusal.code, "robots.txt" in refusal.text) == ("permission_denied", True)
    assert not web.requests("/private")


async def test_robots_txt_is_obeyed_after_a_redirect_too(web: Web, flags: list[str]) -> None:
    web.page("/private/page", article(3))
    web.page("/robots.txt", "User-agent: mcp-server-search\nDisallow: /private/\n", "text/plain")
    async with session(*flags) as client:
        refusal = await client.refusal("read_page", url=web.redirect("/open", "/private/page"))
    assert refusal.code == "permission_denied"
    assert not web.requests("/private")


async def test_robots_txt_that_cannot_be_read_now_counts_as_a_no(web: Web, flags: list[str]) -> None:
    url = web.page("/page", article(3))
    web.page("/robots.txt", "", status=503)
    async with session(*flags) as client:
        refusal = await client.refusal("read_page", url=url)
    assert refusal.code == "unavailable"
    assert not web.requests("/page")


async def test_the_operator_can_ignore_robots_txt(web: Web, flags: list[str]) -> None:
    url = web.page("/private/page", article(3))
    web.page("/robots.txt", "User-agent: *\nDisallow: /\n", "text/plain")
    async with session(*flags, "--ignore-robots") as client:
        assert "Paragraph 1" in await client.whole("read_page", url=url)
    assert not web.requests("/robots.txt")


async def test_robots_txt_is_asked_for_once_a_site(web: Web, flags: list[str]) -> None:
    urls = [web.page(f"/page{number}", article(3)) for number in range(3)]
    async with session(*flags) as client:
        for url in urls:
            await client.read("read_page", url=url)
    assert len(web.requests("/robots.txt")) == 1


# TLS


@pytest.mark.parametrize(("certified", "read"), [("site.example", True), ("other.example", False)])
async def test_the_certificate_has_to_be_for_the_name_although_the_connection_is_to_an_address(
    web: Web, monkeypatch: pytest.MonkeyPatch, flags: list[str], tmp_path: Path, certified: str, *, read: bool
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certified).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    web.socket = context.wrap_socket(web.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    http_client.trusted.cache_clear()
    resolving(monkeypatch, {"site.example": [["127.0.0.1"]]})
    web.page("/page", article(3))
    async with session(*flags, *ANY, "--deadline-s", "5") as client:
        result = await client.call("read_page", url=f"https://site.example:{web.server_port}/page")
    http_client.trusted.cache_clear()
    assert bool(result.get("isError")) is not read
    assert bool(web.requests("/page")) is read


# Links


LINKED = """
<html><head><title>Index</title><base href="/docs/"></head><body><article>
<p>A page about many things, each of them told on a page of its own, as the list below has it.</p>
<ul><li><a href="cats">Of <b>cats</b></a></li><li><a href="/dogs#top">Of dogs</a></li>
<li><a href="cats#tail">Again</a></li><li><a href="#here">Here</a></li>
<li><a href="javascript:go()">Run</a></li><li><a href="mailto:a@b.example">Write</a></li>
<li><a href="//other.example/x?y=1">Elsewhere</a></li><li><a href="http://[broken">Broken</a></li>
<li style="display:none"><a href="/hidden">Hidden</a></li></ul></article></body></html>
"""


async def test_the_links_of_a_page_are_shown_whole_and_once(web: Web, flags: list[str]) -> None:
    url = web.page("/docs/index", LINKED)
    async with session(*flags) as client:
        read = await client.read("read_page", url=url, view="links")
        found = await client.read("read_page", url=url, view="links", find="OTHER elsewhere")
    assert [json.loads(line) for line in read.body.splitlines()] == [
        ["Of cats", f"{web.url}/docs/cats"],
        ["Of dogs", f"{web.url}/dogs"],
        ["Elsewhere", "http://other.example/x?y=1"],
    ]
    assert found.body == '["Elsewhere","http://other.example/x?y=1"]'
    assert read.facts["links"] == 3


@pytest.mark.parametrize("lets", [(), ("--follow-links",)], ids=["by default", "with --follow-links"])
async def test_a_link_is_followed_unasked_only_where_the_operator_lets_links_be(
    web: Web, monkeypatch: pytest.MonkeyPatch, flags: list[str], lets: tuple[str, ...]
) -> None:
    resolving(monkeypatch, {"wiki.example": [["127.0.0.1"]]})
    web.page("/en/wiki/Article_0", LINKED)
    web.page("/docs/cats", "<p>All there is to know of cats, on a page that a link leads to.</p>")
    at = ("--wikipedia-url", f"http://wiki.example:{web.server_port}/{{language}}")
    async with session(*flags, *at, *lets) as client:
        [first, *_] = await client.rows("search_wikipedia", query="a")
        read = await client.read("read_page", url=first["url"], ref=first["ref"], view="links")
        _, to, *references = json.loads(read.body.splitlines()[0])
        assert to == f"http://wiki.example:{web.server_port}/docs/cats"
        assert len(references) == len(lets)
        for reference in references:
            refusal = await client.refusal("read_page", url=f"{to}?told=secret", ref=reference)
            assert refusal.code == "invalid_argument"
            assert "All there is to know" in await client.whole("read_page", url=to, ref=reference)
        if not references:
            assert (await client.refusal("read_page", url=to)).code == "confirmation_required"

"""Which addresses may be reached: what an attacker writes into a URL or answers as a name server."""

import asyncio
import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_server_shared.egress import Destination, Egress, Rule, destination_of, is_public
from mcp_server_shared.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104
        "192.0.0.192",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.5",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fec0::1]",
        "[ff02::1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::808:808]",
        "[2002:7f00:1::]",
        "[2001:0:53aa:64c::f5ff:fffe]",
        "[fe80::1%25eth0]",
        "[2001:4860::5efe:10.0.0.1]",
        "[2001:db8::1]",
        "[3fff::1]",
        "[5f00::1]",
    ],
)
def test_an_address_that_is_not_public_is_refused(host: str) -> None:
    with pytest.raises(PermissionDenied, match="not on the public internet"):
        Egress().check_url(f"http://{host}/")


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]", "[64:ff9b::808:808]", "[::ffff:8.8.8.8]"])
def test_a_public_address_may_be_reached(host: str) -> None:
    assert Egress().check_url(f"https://{host}/").port == 443


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://0/",
        "http://127.0.0.1.:80.1/",
        "http://\uff11\uff12\uff17.0.0.1.5/",
        "http://%31%32%37.0.0.1/",
        "http://good.example\\@evil.example/",
        "http://good.example@evil.example/",
        "http://:pass@evil.example/",
        "http://exa\tmple.org/",
        "http://example.org\r\nHost:x/",
        " http://example.org/",
        "http:///path",
        "http://a..b/",
        "http://-a.example/",
        "http://example.org:99999/",
        f"http://{'a' * 64}.example/",
        f"http://{'a.' * 127}example/",
        "http://[::1/",
        "//example.org/",
        "example.org",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "gopher://example.org/",
        "",
    ],
)
def test_a_url_that_readers_take_differently_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument):
        Egress().check_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://EXAMPLE.org./a", "example.org", 80),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example", 443),
        ("https://stra\u00dfe.example/", "xn--strae-oqa.example", 443),
        ("http://\u24dbocal.example/", "local.example", 80),
        ("HTTP://a.example:8080", "a.example", 8080),
    ],
)
def test_a_host_is_compared_in_one_form(url: str, host: str, port: int) -> None:
    destination = destination_of(url)
    assert (destination.host, destination.port) == (host, port)


def test_other_schemes_are_for_those_who_ask_for_them() -> None:
    assert destination_of("wss://a.example/x", ("ws", "wss")) == Destination("wss", "a.example", 443)


# What the operator allows and blocks


@pytest.mark.parametrize(
    ("rule", "url"),
    [
        ("localhost:3000", "http://localhost:3000/"),
        ("localhost:3000", "http://127.0.0.1:3000/"),
        ("localhost", "http://[::1]:9/"),
        ("127.0.0.1", "http://127.0.0.1/"),
        ("10.0.0.0/8", "http://10.9.8.7/"),
        ("[::1]:80", "http://[::1]/"),
        ("192.168.1.7:8080", "http://[::ffff:192.168.1.7]:8080/"),
    ],
)
def test_what_is_allowed_by_name_may_be_reached(rule: str, url: str) -> None:
    assert Egress(allowed=[rule]).check_url(url)


@pytest.mark.parametrize(
    ("rule", "url"),
    [
        ("localhost:3000", "http://127.0.0.1:3001/"),
        ("127.0.0.1:80", "http://127.0.0.2/"),
        ("10.0.0.0/8", "http://11.0.0.1.example:80/"),
        ("*.example.org", "http://10.0.0.1/"),
    ],
)
def test_an_allowance_goes_no_further_than_it_says(rule: str, url: str) -> None:
    egress = Egress(allowed=[rule], only=["10.0.0.0/7"])
    with pytest.raises(PermissionDenied):
        egress.check_url(url)


def test_what_is_blocked_is_not_reached_even_if_it_is_allowed() -> None:
    with pytest.raises(PermissionDenied, match="operator"):
        Egress(allowed=["localhost"], blocked=["localhost:22"]).check_url("http://localhost:22/")


@pytest.mark.parametrize("rule", ["evil.example", "*.evil.example"])
@pytest.mark.parametrize("host", ["evil.example", "a.evil.example", "b.a.evil.example"])
def test_a_domain_is_blocked_with_all_below_it(rule: str, host: str) -> None:
    with pytest.raises(PermissionDenied, match="operator"):
        Egress(blocked=[rule]).check_url(f"http://{host}/")


@pytest.mark.parametrize("port", [0, 22, 25, 53, 6379, 6667])
def test_a_port_of_another_protocol_is_refused(port: int) -> None:
    with pytest.raises(PermissionDenied, match="another protocol"):
        Egress().check_url(f"http://example.org:{port}/")


def test_a_port_of_another_protocol_may_be_allowed() -> None:
    assert Egress(allowed=["example.org:6667"]).check_url("http://example.org:6667/").port == 6667


def test_nothing_else_is_reached_than_the_only_ones() -> None:
    egress = Egress(only=["*.example.org", "example.org"])
    egress.check_url("http://a.example.org/")
    with pytest.raises(PermissionDenied, match="operator"):
        egress.check_url("http://notexample.org/")


def test_being_the_only_one_does_not_make_an_address_public() -> None:
    with pytest.raises(PermissionDenied, match="public"):
        Egress(only=["127.0.0.1"]).check_url("http://127.0.0.1/")


def test_the_refusal_names_the_flag_that_would_allow_it() -> None:
    with pytest.raises(PermissionDenied) as refused:
        Egress(flag="--allow-origin").check_url("http://[::1]:3000/")
    assert "--allow-origin [::1]:3000" in refused.value.hint


@pytest.mark.parametrize("entry", ["", "*", "a b", "http://a.example/", "1.2.3", "a.example:99999", "10.0.0.0/33"])
def test_a_rule_that_means_nothing_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Rule.parse(entry)


@given(st.ip_addresses())
def test_whatever_the_address_it_is_judged_the_same_in_a_url_and_as_a_host(address: Any) -> None:
    shown = f"[{address}]" if address.version == 6 else str(address)
    url_refused = refused(lambda: Egress().check_url(f"http://{shown}/"))
    host_refused = refused(lambda: asyncio.run(Egress().addresses(str(address), 80)))
    assert url_refused == host_refused == (not is_public(getattr(address, "ipv4_mapped", None) or address))


def refused(attempt: Any) -> bool:
    try:
        attempt()
    except PermissionDenied:
        return True
    return False


# Names: the resolver is the wire


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str] | socket.gaierror]:
    """Answer for the resolver; what stands here can be changed between two questions."""
    zone: dict[str, list[str] | socket.gaierror] = {}

    def getaddrinfo(host: str, port: int, *rest: Any, **options: Any) -> list[Any]:
        found = zone[host]
        if isinstance(found, socket.gaierror):
            raise found
        family = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [(family[ipaddress.ip_address(a).version], socket.SOCK_STREAM, 6, "", (a, port)) for a in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return zone


async def test_a_name_gives_the_addresses_to_connect_to(answers: dict[str, Any]) -> None:
    answers["a.example"] = ["93.184.216.34", "2606:4700::1111"]
    assert await Egress().addresses("A.example.", 80) == ["93.184.216.34", "2606:4700::1111"]


@pytest.mark.parametrize("private", ["127.0.0.1", "10.0.0.1", "::ffff:127.0.0.1", "fe80::1"])
async def test_a_name_with_one_private_address_is_refused(answers: dict[str, Any], private: str) -> None:
    answers["rebind.example"] = ["93.184.216.34", private]
    with pytest.raises(PermissionDenied):
        await Egress().addresses("rebind.example", 80)


async def test_the_refusal_does_not_tell_the_private_address(answers: dict[str, Any]) -> None:
    answers["rebind.example"] = ["10.20.30.40"]
    with pytest.raises(PermissionDenied) as error:
        await Egress().addresses("rebind.example", 80)
    assert "10.20" not in error.value.text()


async def test_an_allowed_name_may_have_private_addresses(answers: dict[str, Any]) -> None:
    answers["wiki.corp.example"] = ["10.0.0.1"]
    assert await Egress(allowed=["*.corp.example"]).addresses("wiki.corp.example", 80) == ["10.0.0.1"]


async def test_a_blocked_network_is_not_reached_by_name(answers: dict[str, Any]) -> None:
    answers["a.example"] = ["93.184.216.34"]
    with pytest.raises(PermissionDenied):
        await Egress(blocked=["93.184.0.0/16"]).addresses("a.example", 80)


async def test_a_name_that_does_not_exist_is_not_found(answers: dict[str, Any]) -> None:
    answers["no.example"] = socket.gaierror(socket.EAI_NONAME, "unknown")
    with pytest.raises(NotFound, match=r"no\.example"):
        await Egress().addresses("no.example", 80)


async def test_a_resolver_that_does_not_answer_is_unavailable(answers: dict[str, Any]) -> None:
    answers["slow.example"] = socket.gaierror(socket.EAI_AGAIN, "again")
    with pytest.raises(Unavailable):
        await Egress().addresses("slow.example", 80)

"""The one place that decides which network addresses a server may reach on behalf of a model.

Only public addresses, unless the operator names others. A name is resolved once and every address it has is judged;
connect to the addresses returned, never to the name again, or its owner could answer differently the second time.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from mcp_server_shared.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable

Address = IPv4Address | IPv6Address

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: how an IPv6-only network reaches IPv4
_AZURE_HOST = IPv4Address("168.63.129.16")  # answers as the machine's host although the range is public
# Special by IANA's registries, and not known as such by every `ipaddress` that this runs with.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16"),
    )
)
_ISATAP = {0x5EFE, 0x0200_5EFE}  # RFC 5214: what stands before the IPv4 address at the end
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MOST_HOST_CHARACTERS = 253
_MOST_PORT = 65_535
# "Bad ports" of the Fetch standard: what listens there could take a request for its own protocol.
# fmt: off
_BAD_PORTS = frozenset({
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526,
    530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045,
    4190, 5060, 5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
})
# fmt: on


@dataclass(frozen=True)
class Destination:
    """Where a URL leads: the host as it is resolved, lower-case ASCII without a final dot, and the port."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True)
class Rule:
    """One entry of an operator's list: a host, `*.` and a domain, an address or a network; with a port or for all."""

    domain: str = ""
    subdomains: bool = False
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None

    @classmethod
    def parse(cls, entry: str) -> "Rule":
        """Read "example.org", "*.example.org:8443", "localhost:3000", "10.0.0.0/8", "192.168.1.7:80" or "[::1]:80".

        Raises:
            ValueError: it is none of these.
        """
        text, port = _without_port(entry.strip().lower())
        try:
            return cls(network=ipaddress.ip_network(text.strip("[]")), port=port)
        except ValueError:
            domain = _host(text.removeprefix("*."))
        return cls(domain=domain, subdomains=text.startswith("*."), port=port)

    def names(self, host: str, port: int, *, widely: bool = False) -> bool:
        """Whether the rule is about a host of this name; `widely`, also about all below and above its `*`."""
        if self.network is not None or self.port not in {None, port}:
            return False
        below = host.endswith(f".{self.domain}")
        return below or host == self.domain if widely else below if self.subdomains else host == self.domain

    def covers(self, address: Address, port: int) -> bool:
        """Whether the rule is about this address; "localhost" stands for the loopback addresses."""
        if self.port not in {None, port}:
            return False
        return address in self.network if self.network else self.domain == "localhost" and address.is_loopback


class Egress:
    """Which hosts may be reached.

    Args:
        allowed: hosts and networks that may be reached although they are not public.
        blocked: what may not be reached in any case; a domain with all below it.
        only: when not empty, nothing else may be reached; being named here does not make a private address allowed.
        flag: the operator's flag for `allowed`, for the hint of a refusal.
    """

    def __init__(
        self,
        *,
        allowed: Sequence[str] = (),
        blocked: Sequence[str] = (),
        only: Sequence[str] = (),
        flag: str = "--allow-host",
    ) -> None:
        self._allowed = [Rule.parse(entry) for entry in allowed]
        self._blocked = [Rule.parse(entry) for entry in blocked]
        self._only = [Rule.parse(entry) for entry in only]
        self._flag = flag

    def check_url(self, url: str, *, schemes: Sequence[str] = ("http", "https")) -> Destination:
        """Return where a URL leads; only what can be told without resolving the name is judged.

        Raises:
            InvalidArgument: not an absolute URL of these schemes, or one that readers take differently.
            PermissionDenied: its host or address may not be reached.
        """
        destination = destination_of(url, schemes)
        address = _literal(destination.host)
        self._require(destination.host, destination.port, [] if address is None else [address])
        return destination

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to, in the resolver's order.

        Raises:
            PermissionDenied: one of them may not be reached.
            NotFound: there is no such host.
            Unavailable: the resolver does not answer.
        """
        address = _literal(host)
        found = [address] if address is not None else await _resolved(host, port)
        self._require(host, port, found)
        return [str(each) for each in found]

    def _require(self, host: str, port: int, addresses: list[Address]) -> None:
        def match(rules: list[Rule], *, widely: bool = False) -> bool:
            return any(r.names(host, port, widely=widely) or any(r.covers(a, port) for a in addresses) for r in rules)

        if match(self._blocked, widely=True) or (self._only and not match(self._only)):
            raise PermissionDenied(f"The operator does not let this server reach {host}.", hint="Use another address.")
        if any(rule.names(host, port) for rule in self._allowed):
            return
        if port in _BAD_PORTS and not match(self._allowed):
            raise PermissionDenied(
                f"Port {port} belongs to another protocol than the web's.",
                hint=f"If that is meant, the operator can allow it by {self._flag} {_shown(host)}:{port}.",
            )
        private = [each for each in addresses if not is_public(each)]
        if any(not any(rule.covers(each, port) for rule in self._allowed) for each in private):
            raise PermissionDenied(
                f"{host} is not on the public internet; this server reaches nothing else.",
                hint=f"If that is meant, the operator can allow it by {self._flag} {_shown(host)}:{port}.",
            )


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also what it stands for when it wraps another one."""
    if isinstance(address, IPv6Address):
        wrapped = _wrapped(address)
        if wrapped is not None:
            return is_public(wrapped)
        if address.is_site_local or address.scope_id:
            return False
    if address == _AZURE_HOST or any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64 or int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def destination_of(url: str, schemes: Sequence[str] = ("http", "https")) -> Destination:
    """Return where a URL leads.

    Raises:
        InvalidArgument: it is not an absolute URL of these schemes, has a user name in it, or its host is written so
            that readers take it differently (backslashes, control characters, octal or decimal addresses).
    """
    # Browsers drop tabs and line breaks and read a backslash as a slash; urlsplit does not, so neither may be there.
    if re.search(r"[\x00-\x20\\\x7f]", url):
        raise InvalidArgument("The URL has blanks, control characters or backslashes in it.", hint="Encode them.")
    if url.partition(":")[0].lower() not in schemes:
        raise InvalidArgument(f"Only {' and '.join(schemes)} URLs can be opened.", hint="Give the whole URL.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _host(parts.hostname or "")
    except ValueError as error:
        raise InvalidArgument(f"The URL has no usable host: {error}.", hint="Give scheme://host/path.") from None
    if "@" in parts.netloc:
        raise InvalidArgument("The URL has a user name in it.", hint="Leave it out.")
    return Destination(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port)


def _host(text: str) -> str:
    """Return a host in the one form in which it is compared and resolved."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        pass
    host = (text if text.isascii() else _ascii(text)).lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > _MOST_HOST_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("it is no host name")
    # "0x7f.1", "2130706433" and "127.1" are addresses to some and names to others (URL Standard, "ends in a number").
    if labels[-1].isdigit() or re.fullmatch("0x[0-9a-f]*", labels[-1]):
        raise ValueError("an address is written as four decimal numbers")
    return host


def _ascii(name: str) -> str:
    import idna  # the tables take a while to load, and few names need them

    try:
        return idna.encode(name, uts46=True).decode()  # as browsers do, so that both mean the same host
    except idna.IDNAError:
        raise ValueError("its name is no internationalised domain name") from None


def _without_port(text: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(\[.*\]|[^:]*):(\d{1,5})", text)
    if not found:
        return text, None
    if int(found[2]) > _MOST_PORT:
        raise ValueError("a port is at most 65535")
    return found[1], int(found[2])


def _literal(host: str) -> Address | None:
    try:
        return _unwrapped(host)
    except ValueError:
        return None


def _unwrapped(text: str) -> Address:
    address = ipaddress.ip_address(text.strip("[]"))
    # An IPv4-mapped address is the IPv4 address to the operating system, so it is to every rule.
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


async def _resolved(host: str, port: int) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(_host(host), port, type=socket.SOCK_STREAM)
    except ValueError as error:
        raise InvalidArgument(f"'{host}' is no host: {error}.") from None
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise Unavailable(f"The name {host} could not be looked up now.") from error
        raise NotFound(f"There is no host {host}.", hint="Check the spelling.") from error
    return list(dict.fromkeys(_unwrapped(str(entry[4][0])) for entry in found))


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host

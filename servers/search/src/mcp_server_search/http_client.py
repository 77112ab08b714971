"""HTTP clients as this server uses them: nothing from the environment, no cookies, bodies bounded while unpacked."""

import ssl
import zlib
from functools import cache
from typing import TYPE_CHECKING

from mcp_server_shared.errors import TooLarge, Unavailable, Unsupported

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 20.0


def new_client(*, user_agent: str, keep_alive: bool) -> "httpx.AsyncClient":
    """Return a client that follows no redirect, and takes no proxy, password or cookie from anywhere."""
    from http.cookiejar import DefaultCookiePolicy

    import httpx

    client = httpx.AsyncClient(
        headers={"user-agent": user_agent, "accept-encoding": "gzip"},
        timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(max_connections=20, max_keepalive_connections=5 if keep_alive else 0),
        verify=trusted(),
        trust_env=False,
        follow_redirects=False,
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


@cache
def trusted() -> ssl.SSLContext:
    """Return a context that trusts what the system trusts (SSL_CERT_FILE too) and, where that is nothing, certifi."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


async def body_of(response: "httpx.Response", *, most: int) -> bytes:
    """Read a body, unpacked as far as it is sent packed, and no more than `most` bytes of it.

    Raises:
        TooLarge: there is more, however small it is packed.
        Unsupported: packed in a way that was not asked for.
        Unavailable: it broke off.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip", "deflate"}:
        raise Unsupported("The page is packed in a way that was not asked for.", untrusted=encoding[:100])
    unpack = None if encoding in {"identity", ""} else zlib.decompressobj(zlib.MAX_WBITS | 32)
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk if unpack is None else unpack.decompress(chunk, most + 1 - len(body))
            if len(body) > most:
                raise TooLarge(f"It has more than the {most:,} bytes that are read.")
    except zlib.error:
        raise Unavailable("What was sent is not packed as it says.") from None
    if unpack is not None and body and not unpack.eof:
        raise Unavailable("The transfer broke off.")
    return bytes(body)

"""Cursors: where a result goes on, signed so that nobody can write their own, and bound to who asked for what."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

from mcp_server_shared.errors import InvalidArgument, NotFound

LIFETIME_S = 3_600
_MAC_BYTES = 16


class Cursors:
    """Mints and opens cursors with one key.

    A cursor is base64url of an expiry, a JSON position and a MAC over both together with the caller, the
    tool and the arguments that led to it. It is readable, not secret: put nothing in it that the caller may not see.

    Args:
        key: at least 32 bytes, the same in every replica; left out, cursors end with the process.
        lifetime_s: how long a cursor is good for, in whole seconds.
    """

    def __init__(self, key: bytes | None = None, *, lifetime_s: int = LIFETIME_S) -> None:
        self._key = key or secrets.token_bytes(32)
        self._lifetime_s = lifetime_s

    def mint(self, position: Any, *, bound_to: tuple[Any, ...]) -> str:
        """Return a cursor for a JSON position, good for its lifetime and for the same `bound_to` alone."""
        body = json.dumps([int(time.time()) + self._lifetime_s, position], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(body, bound_to) + body).decode().rstrip("=")

    def open(self, cursor: str, *, bound_to: tuple[Any, ...]) -> Any:
        """Return the position of a cursor.

        Raises:
            InvalidArgument: not one of ours, or made for another caller, tool or set of arguments.
            NotFound: expired.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not body or not hmac.compare_digest(mac, self._mac(body, bound_to)):
            raise InvalidArgument(
                "'cursor' does not belong to this call.",
                hint="Pass it back unchanged with the same other arguments, or leave it out to start again.",
            )
        expires, position = json.loads(body)
        if expires < time.time():
            raise NotFound("'cursor' has expired.", hint="Leave it out to start again.")
        return position

    def _mac(self, body: bytes, bound_to: tuple[Any, ...]) -> bytes:
        binding = json.dumps(bound_to, sort_keys=True, separators=(",", ":"), default=str).encode()
        message = len(binding).to_bytes(8, "big") + binding + body
        return hmac.new(self._key, message, hashlib.sha256).digest()[:_MAC_BYTES]

"""References: proof that this server itself showed an address to this caller a while ago."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from anyio.to_thread import run_sync
from mcp_server_shared.errors import InvalidArgument, NotFound

LIFETIME_DAYS = 2  # a conversation goes on the next morning
_DAY_S = 86_400
_DAY_BYTES = 2
_MAC_BYTES = 8
_KEY_BYTES = 32


class References:
    """Signs addresses for a caller. Fourteen characters each, since a model reads one for every result.

    Args:
        key_file: keeps the key, so that references outlive the process; without one, or where it cannot be
            written, they do not.
    """

    def __init__(self, key_file: Path | None = None) -> None:
        self._key_file = key_file
        self._key = b""

    async def load(self) -> None:
        """Read the key, or make one; before anything is minted or checked."""
        if not self._key:
            self._key = await run_sync(_key, self._key_file) if self._key_file else secrets.token_bytes(_KEY_BYTES)

    def mint(self, url: str, caller: str) -> str:
        """Return a reference to an address, good for two days and for this caller alone."""
        last_day = (_today() + LIFETIME_DAYS).to_bytes(_DAY_BYTES, "big")
        return base64.urlsafe_b64encode(last_day + self._mac(last_day, url, caller)).decode().rstrip("=")

    def check(self, reference: str, url: str, caller: str) -> None:
        """Return if the reference was minted for this address and caller.

        Raises:
            InvalidArgument: it was not.
            NotFound: it has expired.
        """
        try:
            raw = base64.b64decode(reference + "=" * (-len(reference) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        last_day, mac = raw[:_DAY_BYTES], raw[_DAY_BYTES:]
        if not hmac.compare_digest(mac, self._mac(last_day, url, caller)):
            raise InvalidArgument(
                "'ref' does not belong to this 'url'.",
                hint="Pass both unchanged, as they stand beside each other in a search result.",
            )
        if int.from_bytes(last_day, "big") < _today():
            raise NotFound("'ref' has expired.", hint="Search again and use the new one.")

    def _mac(self, last_day: bytes, url: str, caller: str) -> bytes:
        message = last_day + json.dumps([caller, url]).encode()
        return hmac.new(self._key, message, hashlib.sha256).digest()[:_MAC_BYTES]


def _today() -> int:
    return int(time.time()) // _DAY_S


def _key(path: Path) -> bytes:
    """Return the key of a file, which is made if it is not there; a new one where that cannot be."""
    new = secrets.token_bytes(_KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(new)
            with suppress(FileExistsError):
                os.link(draft, path)  # nobody reads half a key, and the first process wins
            draft.unlink()
        kept = path.read_bytes()
    except OSError:
        return new
    return kept if len(kept) == _KEY_BYTES else new

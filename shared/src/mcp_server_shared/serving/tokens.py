"""Bearer tokens of a file: one line each with a name, the token's hash, when it ends, and what it grants.

    # name   sha256 of the token     until        grants
    ci       5e884898da280471…       2027-01-31   read
    alice    9f86d081884c7d65…       never        read,write

The file holds no secret that is worth stealing: a token has 256 random bits, which no hash gives away.
"""

import hashlib
import logging
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from mcp_server_shared.callers import CallerToken
from mcp_server_shared.serving.exposure import readable
from mcp_server_shared.settings import SettingsProblem

logger = logging.getLogger(__name__)

PREFIX = "mcp_"
READ = "read"
METRICS = "metrics"
NEVER = "never"
LOOKED_AT_EVERY_S = 1.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class _Line:
    name: str
    until: float | None
    grants: frozenset[str]


def new_token(name: str, grants: Iterable[str], until: date | None) -> tuple[str, str]:
    """Return a new token, to be shown once, and the line for the file.

    Raises:
        SettingsProblem: the name will not do.
    """
    if not _NAME.fullmatch(name):
        raise SettingsProblem("a token's name has letters, digits and . _ @ - and begins with a letter or digit")
    token = PREFIX + secrets.token_urlsafe(32)
    return token, f"{name} {_hash(token)} {until or NEVER} {','.join(grants)}"


class TokenFile:
    """Verifies tokens against a file, which is read again when it changes.

    A change that cannot be read or understood is logged, and what was known stays.

    Args:
        file: the lines.
        grants: the names that may stand in it.

    Raises:
        SettingsProblem: the file cannot be read or understood.
    """

    def __init__(self, file: Path, grants: Iterable[str]) -> None:
        self._file = file
        self._grants = {READ, METRICS, *grants}
        self._looked = time.monotonic()
        self._seen = self._version()
        self._lines = self._parse(readable(file, "--tokens"))

    async def verify(self, token: str) -> CallerToken | None:
        """Return whose token it is; None for one that is unknown or has ended."""
        if time.monotonic() - self._looked > LOOKED_AT_EVERY_S:
            self._look()
        line = self._lines.get(_hash(token))
        if line is None or (line.until is not None and line.until <= time.time()):
            return None
        expires = None if line.until is None else int(line.until)
        return CallerToken(
            token=token, client_id=line.name, scopes=sorted(line.grants), grants=line.grants, expires_at=expires
        )

    def reload(self) -> None:
        """Read the file again."""
        try:
            self._lines = self._parse(readable(self._file, "--tokens"))
        except SettingsProblem as problem:
            logger.error("the tokens stay as they were: %s", problem)  # noqa: TRY400 - a typing error needs no traceback
        else:
            logger.info("read %d tokens", len(self._lines))

    def _look(self) -> None:
        self._looked = time.monotonic()
        version = self._version()
        if version != self._seen:
            self._seen = version
            self.reload()

    def _version(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _parse(self, text: str) -> dict[str, _Line]:
        lines: dict[str, _Line] = {}
        names: set[str] = set()
        for number, line in enumerate(text.splitlines(), 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            try:
                digest, parsed = self._parse_line(words, names)
            except ValueError as error:
                raise SettingsProblem(f"line {number} of the file of --tokens: {error}") from None
            names.add(parsed.name)
            lines[digest] = parsed
        return lines

    def _parse_line(self, words: list[str], taken: set[str]) -> tuple[str, _Line]:
        if len(words) != 4:  # noqa: PLR2004
            raise ValueError("must be: name, sha256, last day (2027-01-31) or never, grants (read,write)")
        name, digest, until, grants = words
        if not _NAME.fullmatch(name):
            raise ValueError("the name may have letters, digits and . _ @ - only")
        if name in taken:
            raise ValueError(f"the name {name} is taken by a line above")
        if not _HASH.fullmatch(digest):
            raise ValueError("the hash must be 64 hexadecimal digits; make a line by the command 'token'")
        unknown = set(grants.split(",")) - self._grants
        if unknown:
            raise ValueError(
                f"there is no grant {', '.join(sorted(unknown))}; there is {', '.join(sorted(self._grants))}"
            )
        return digest, _Line(name, _end_of(until), frozenset(grants.split(",")))


def _end_of(day: str) -> float | None:
    """Return when a last day is over, in UTC."""
    if day == NEVER:
        return None
    try:
        last = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    except ValueError:
        raise ValueError("the last day must be like 2027-01-31, or never") from None
    return (last + timedelta(days=1)).timestamp()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

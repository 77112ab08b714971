"""How many requests each provider has had this month, kept across runs and counted across processes."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from mcp_server_shared.errors import ExpectedError, RateLimited, Unavailable

if TYPE_CHECKING:
    import sqlite3

_SCHEMA = """
create table if not exists requests (
    month text, provider text, count integer not null, primary key (month, provider)
)
"""
_COUNT = """
insert into requests values (?, ?, 1) on conflict do update set count = count + 1 where count < ? returning count
"""


class Usage:
    """The month's requests.

    Args:
        path: the file they are kept in; made on first use.
        budget: most requests a month to one provider that costs money.
    """

    def __init__(self, path: Path, budget: int) -> None:
        self.budget = budget
        self._path = path

    @asynccontextmanager
    async def spent(self, provider: str) -> AsyncGenerator[None]:
        """Count one request before it is made; one that the provider refused is taken back, since it is not billed.

        One that was cancelled or broke off stays counted: nobody knows whether it was.

        Raises:
            RateLimited: the month's budget is spent.
        """
        month = this_month()
        if not self.budget or not await run_sync(self._count, month, provider):
            raise RateLimited(
                f"The budget of {self.budget:,} requests a month to {provider} is spent.",
                hint="The operator can raise --monthly-budget; it starts anew with the next month (UTC).",
                retry_after_s=_seconds_to_next_month(),
            )
        try:
            yield
        except ExpectedError as error:
            if not isinstance(error, Unavailable):
                await run_sync(self._uncount, month, provider)
            raise

    async def counts(self, month: str) -> dict[str, int]:
        """Return how many requests each provider has had."""
        return await run_sync(self._counts, month)

    def _count(self, month: str, provider: str) -> bool:
        with closing(self._open()) as database, database:
            return database.execute(_COUNT, (month, provider, self.budget)).fetchone() is not None

    def _uncount(self, month: str, provider: str) -> None:
        with closing(self._open()) as database, database:
            database.execute(
                "update requests set count = count - 1 where month = ? and provider = ?", (month, provider)
            )

    def _counts(self, month: str) -> dict[str, int]:
        with closing(self._open()) as database:
            return dict(database.execute("select provider, count from requests where month = ?", (month,)).fetchall())

    def _open(self) -> "sqlite3.Connection":
        import sqlite3

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            database = sqlite3.connect(self._path, timeout=10)
            database.execute("pragma synchronous = off")  # a crash of the machine may take a few counts with it
            database.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(
                f"The month's spending cannot be kept in {self._path.parent}.",
                hint="The operator can name a directory that may be written by --data-directory.",
            ) from error
        return database


def this_month() -> str:
    """Return the month as "2026-11", in UTC."""
    return datetime.now(UTC).strftime("%Y-%m")


def _seconds_to_next_month() -> float:
    now = datetime.now(UTC)
    first = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return (first - now).total_seconds()

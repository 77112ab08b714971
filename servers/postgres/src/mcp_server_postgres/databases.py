"""The databases that the operator configured, by name."""

from collections.abc import Iterator, Mapping

from mcp_server_shared import errors

from mcp_server_postgres.database import Database


class Databases(Mapping[str, Database]):
    """Each has its own pool, audit of its role and held results.

    Args:
        by_name: at least one; the only one is found by the empty name, too.
    """

    def __init__(self, by_name: Mapping[str, Database]) -> None:
        self._by_name = by_name

    def __getitem__(self, name: str) -> Database:
        """Return the database of that name.

        Raises:
            NotFound: there is none; the hint has those that there are.
        """
        if not name and len(self._by_name) == 1:
            return next(iter(self._by_name.values()))
        if name not in self._by_name:
            raise errors.NotFound(f"There is no database '{name[:100]}' here.", hint=f"There is: {', '.join(self)}.")
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    async def close(self) -> None:
        """Close the connections of all."""
        for database in self._by_name.values():
            await database.close()

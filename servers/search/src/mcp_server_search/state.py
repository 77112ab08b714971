"""What the server holds while it runs."""

from dataclasses import dataclass

from mcp_server_shared.egress import Rule

from mcp_server_search.folders import Folders
from mcp_server_search.pages import Pages
from mcp_server_search.references import References
from mcp_server_search.search import Search


@dataclass(frozen=True)
class State:
    """The parts that tools work with.

    Attributes:
        search: who answers queries; None when the operator chose nobody.
        pages: reads pages.
        references: signs the addresses of results.
        open_hosts: whose pages may be read without a reference.
        folders: the operator's documents; None when no folder is named.
        follows_links: whether the links of a page may be opened like results.
    """

    search: Search | None
    pages: Pages
    references: References
    open_hosts: tuple[Rule, ...]
    folders: Folders | None
    follows_links: bool

    async def close(self) -> None:
        """End connections and processes."""
        if self.search is not None:
            await self.search.close()
        await self.pages.close()

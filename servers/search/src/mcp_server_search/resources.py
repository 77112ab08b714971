"""What was found and what was read, as resources: what a person attaches to a conversation."""

from collections.abc import Mapping
from urllib.parse import quote

from mcp_server_shared.call import Call
from mcp_server_shared.errors import Unsupported
from mcp_server_shared.output import Document, compact

from mcp_server_search.providers.provider import Query
from mcp_server_search.search import Position
from mcp_server_search.state import State
from mcp_server_search.tools.reading import admitted_page, confidentiality, piece
from mcp_server_search.tools.searching import check_sendable

_RESULTS = 20


def results_address(query: str) -> str:
    """Return the address of what a query finds."""
    return f"search:///results/{quote(query, safe='')}"


async def results(call: Call[State], query: str) -> Document:
    """What a query finds; a short while ago, if it was searched for then."""
    search = call.state.search
    if search is None:
        raise Unsupported("No provider is asked here.", hint="The operator chooses one by --provider.")
    check_sendable(query)
    found = await call.retry(lambda: search.find(Query(query), Position(), _RESULTS, caller=call.caller))
    lines = [[each.title, each.url, each.snippet, each.date, each.source] for each in found.results]
    text = "\n".join(map(compact, [["title", "url", "snippet", "date", "source"], *lines]))
    return Document(text=text, facts={"provider": search.provider.name, "count": len(lines)})


async def page(call: Call[State], url: str) -> Document:
    """One page, of those read a short while ago or of a host that the operator names."""
    read = await admitted_page(call, url, None)
    whole = Document(text=read.text, facts={"kind": read.kind}, confidentiality=confidentiality(call, read))
    return await piece(whole, read.digest, len(read.text), 0, call.budget)


async def complete_query(call: Call[State], value: str, others: Mapping[str, str]) -> list[str]:
    """Return this caller's queries of the last minutes that begin so."""
    asked = call.state.search.asked_by(call.caller) if call.state.search else []
    return [query for query in asked if query.startswith(value)]


async def complete_url(call: Call[State], value: str, others: Mapping[str, str]) -> list[str]:
    """Return the addresses read by this caller in the last minutes that begin so."""
    return [url for url in call.state.pages.read_by(call.caller) if url.startswith(value)]

"""What a client of the search server can see and do. Start reading here."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version

from mcp_server_shared.catalog import About
from mcp_server_shared.egress import Egress, Rule
from mcp_server_shared.registry import READ_ONLY, READ_ONLY_WORLD
from mcp_server_shared.server import Server

from mcp_server_search import providers
from mcp_server_search.extractor import Extractor
from mcp_server_search.fetching import Fetcher
from mcp_server_search.findings import findings
from mcp_server_search.folders import Folders
from mcp_server_search.local_index import LocalIndex
from mcp_server_search.pages import Pages
from mcp_server_search.prompts import check_claim, research_question
from mcp_server_search.providers.provider import Provider
from mcp_server_search.references import References
from mcp_server_search.resources import complete_query, complete_url, page, results
from mcp_server_search.robots import PRODUCT, Robots
from mcp_server_search.search import Search
from mcp_server_search.settings import Settings
from mcp_server_search.state import State
from mcp_server_search.tools.local import search_local
from mcp_server_search.tools.reading import read_page
from mcp_server_search.tools.searching import (
    search_images,
    search_news,
    search_passages,
    search_places,
    search_videos,
    search_web,
    search_wikipedia,
)
from mcp_server_search.tools.usage import get_usage
from mcp_server_search.usage import Usage

ABOUT = About(
    package="mcp-server-search",
    title="Search",
    purpose="Web search and page reading behind a fence, with or without a key.",
    reading_needs="None for Wikipedia and for your own folders; for the web a key of the Brave Search API or a SearXNG "
    "instance.",
    state="process",
    never=(
        "sends a query to anybody but the one provider that the settings name",
        "opens an address that no search result showed and the settings do not allow, unless a person agrees",
        "reaches private addresses that the settings do not name, whatever redirects and name servers say",
        "spends more requests in a month than --monthly-budget",
        "runs scripts, keeps cookies or sends credentials to pages",
    ),
    example=("/path/to/documents",),
    confidentiality="public",
)


def build_server(settings: Settings) -> Server[State]:
    """Build the server; nobody is connected to before the first call."""
    provider = chosen_provider(settings)

    @asynccontextmanager
    async def opened() -> AsyncGenerator[State]:
        state = open_state(settings, provider)
        try:
            yield state
        finally:
            await state.close()

    server = Server(ABOUT, settings, opened, findings=findings)
    kinds = provider.kinds if provider else frozenset[str]()
    if settings.chosen() == "wikipedia":
        server.add_tool(search_wikipedia, title="Search Wikipedia", annotations=READ_ONLY_WORLD)
    elif "web" in kinds:
        server.add_tool(search_web, title="Search the web", annotations=READ_ONLY_WORLD)
    if "news" in kinds:
        server.add_tool(search_news, title="Search news", annotations=READ_ONLY_WORLD)
    if "images" in kinds:
        server.add_tool(search_images, title="Search images", annotations=READ_ONLY_WORLD)
    if "videos" in kinds:
        server.add_tool(search_videos, title="Search videos", annotations=READ_ONLY_WORLD)
    if "places" in kinds:
        server.add_tool(search_places, title="Search places", annotations=READ_ONLY_WORLD)
    if "passages" in kinds:
        server.add_tool(search_passages, title="Search passages", annotations=READ_ONLY_WORLD)
    if settings.folders:
        server.add_tool(search_local, title="Search the folders", annotations=READ_ONLY)
    server.add_tool(read_page, title="Read a page", annotations=READ_ONLY_WORLD)
    server.add_tool(get_usage, title="Show usage", annotations=READ_ONLY)

    complete = {"query": complete_query}
    server.add_resource("search:///results/{query}", results, title="What a query finds", complete=complete)
    server.add_resource("search:///page/{+url}", page, title="A page", complete={"url": complete_url})
    server.add_prompt(research_question, title="Research a question")
    server.add_prompt(check_claim, title="Check a claim")
    return server


def open_state(settings: Settings, provider: Provider | None) -> State:
    """Put the parts together; nothing is opened or connected yet."""
    usage = Usage(settings.data_directory / "usage.sqlite3", settings.monthly_budget)
    extractor = Extractor()
    index = LocalIndex(settings.folders, settings.deny, settings.data_directory, settings.max_page_bytes)
    fetcher = Fetcher(Egress(allowed=settings.allow_host, blocked=settings.block_host), user_agent(settings))
    robots = None if settings.ignore_robots else Robots(fetcher)
    return State(
        search=Search(provider, usage, cache_s=settings.cache_s) if provider else None,
        pages=Pages(fetcher, extractor, robots, settings.max_page_bytes, settings.cache_s),
        references=References(settings.data_directory / "references.key"),
        open_hosts=tuple(map(Rule.parse, settings.allow_host)),
        folders=Folders(index, extractor) if settings.folders else None,
        follows_links=settings.follow_links,
    )


def chosen_provider(settings: Settings) -> Provider | None:
    """Return who gets the queries."""
    chosen = settings.chosen()
    return None if chosen is None else providers.configured(chosen, settings, user_agent(settings))


def user_agent(settings: Settings) -> str:
    """Return how this server introduces itself."""
    about = f" ({settings.contact})" if settings.contact else ""
    return f"{PRODUCT}/{version(PRODUCT)}{about}"

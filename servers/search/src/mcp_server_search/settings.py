"""What the operator decides."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from mcp_server_shared.deny import DEFAULT_DENY
from mcp_server_shared.egress import Rule
from mcp_server_shared.settings import ServerSettings, Source
from pydantic import Field, SecretStr, field_validator

from mcp_server_search import providers

BravePlan = Literal["search", "free", "base", "pro"]

_PROVIDERS = ("auto", *providers.names(), "none")


class Settings(ServerSettings):
    """Who is asked, what it may cost, and which pages may be read."""

    env_prefix = "SEARCH"
    confirmations = ("open",)

    folders: Annotated[
        tuple[Path, ...],
        Source(positional="FOLDER"),
        Field(description="Folders whose documents search_local finds, without any network."),
    ] = ()
    deny: Annotated[
        tuple[str, ...],
        Source(placeholder="GLOB"),
        Field(description="Files that stay out even there, in place of the default list; 'default' adds that list."),
    ] = DEFAULT_DENY
    provider: Annotated[
        str,
        Source(placeholder="|".join(_PROVIDERS)),
        Field(
            description="Who gets the queries; auto: Brave with its key, else SEARXNG_URL, else Wikipedia. exa and "
            "parallel are free, hosted and need no key; to name one is to accept its terms: "
            "exa.ai/assets/Exa_Labs_Terms_of_Service.pdf, parallel.ai/customer-terms."
        ),
    ] = "auto"
    brave_api_key: Annotated[
        SecretStr | None,
        Source(env=("BRAVE_API_KEY",)),
        Field(description="Key of the Brave Search API: api-dashboard.search.brave.com."),
    ] = None
    brave_plan: Annotated[BravePlan, Field(description="The plan of that key; it decides which tools are listed.")] = (
        "search"
    )
    brave_url: Annotated[str, Field(description="Where the Brave Search API is.")] = "https://api.search.brave.com"
    searxng_url: Annotated[
        str | None,
        Source(env=("SEARXNG_URL",)),
        Field(description="A SearXNG instance that answers in JSON (search.formats in its settings.yml)."),
    ] = None
    wikipedia_url: Annotated[
        str, Field(description="A MediaWiki site; {language} becomes the language that is asked for.")
    ] = "https://{language}.wikipedia.org"
    exa_url: Annotated[str, Field(description="Where Exa's hosted search is.")] = "https://mcp.exa.ai"
    parallel_url: Annotated[str, Field(description="Where Parallel's hosted search is.")] = "https://search.parallel.ai"
    monthly_budget: Annotated[int, Field(ge=0, description="Most requests a month to a provider that costs money.")] = (
        1_000
    )
    contact: Annotated[
        str, Field(description="Your e-mail address or site, for the User-Agent; Wikimedia asks for one.")
    ] = ""
    cache_s: Annotated[float, Field(ge=0, description="Seconds for which answers and pages are kept.")] = 900.0
    result_characters: Annotated[
        int, Field(ge=150, le=5_000, description="Most characters of one result; its snippet is cut.")
    ] = 300
    allow_host: Annotated[
        tuple[str, ...],
        Source(placeholder="HOST[:PORT]"),
        Field(description="Hosts (*.domain, networks) whose pages may be read unasked, private ones included."),
    ] = ()
    follow_links: Annotated[
        bool, Field(description="Links on pages that were read may be opened unasked, as results are.")
    ] = False
    block_host: Annotated[
        tuple[str, ...],
        Source(placeholder="HOST[:PORT]"),
        Field(description="Hosts that are never read."),
    ] = ()
    ignore_robots: Annotated[bool, Field(description="Read pages whatever their robots.txt says.")] = False
    max_page_bytes: Annotated[
        int, Field(ge=10_000, le=100_000_000, description="Largest page or PDF read, in bytes, unpacked.")
    ] = 5_000_000
    data_directory: Annotated[
        Path,
        Field(validate_default=True, description="Where the index of the folders and the month's spending are kept."),
    ] = Path("~/.local/state/mcp-server-search")

    @field_validator("deny")
    @classmethod
    def _with_default(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(each for glob in globs for each in (DEFAULT_DENY if glob == "default" else (glob,)))

    @field_validator("data_directory")
    @classmethod
    def _at_home(cls, path: Path) -> Path:
        return path.expanduser()

    @field_validator("provider")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in _PROVIDERS:
            raise ValueError(f"must be one of {', '.join(_PROVIDERS)}")
        return name

    @field_validator("brave_url", "searxng_url", "wikipedia_url", "exa_url", "parallel_url")
    @classmethod
    def _absolute(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url.replace("{language}", "en"))
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("must be a URL with http or https and a host")
        return url and url.rstrip("/")

    @field_validator("allow_host", "block_host")
    @classmethod
    def _hosts(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            Rule.parse(entry)
        return entries

    def chosen(self) -> str | None:
        """Return who gets the queries: the explicit choice, or the best that is configured; None for nobody."""
        if self.provider != "auto":
            return None if self.provider == "none" else self.provider
        if self.brave_api_key is not None:
            return "brave"
        return "searxng" if self.searxng_url else "wikipedia"

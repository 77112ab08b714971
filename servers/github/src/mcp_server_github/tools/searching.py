"""Searching, and who the server is. Names, docstrings, descriptions and error texts are prompts."""

from dataclasses import replace
from typing import Annotated, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.callers import caller_has
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_github import names, searching, standing
from mcp_server_github.github_api import GitHub, Json, Session
from mcp_server_github.settings import GRANTS
from mcp_server_github.tools.answers import ask, page_of, records
from mcp_server_github.tools.arguments import Cursor, Limit

What = Literal["code", "issues", "pull_requests", "repositories", "commits", "users"]


async def search_github(
    call: Call[GitHub],
    what: Annotated[What, Field(description="To search for.")],
    query: Annotated[str, Field(description="Words and qualifiers as GitHub has them: is:open label:bug path:src.")],
    repo: Annotated[str, Field(description="Only in owner/name.")] = "",
    sort: Annotated[Literal["", "updated", "created", "stars", "comments"], Field(description="Most first.")] = "",
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Records:
    """Search GitHub. To list a repository's own issues or pull requests, list_… is better."""
    kind = searching.KINDS[what]
    start: int = call.position(cursor) or 0
    words = names.query(query)

    def work(session: Session) -> Records:
        found = searching.search(session, kind, words, repo, {"sort": sort, **page_of(limit)}, start)
        result = records(kind.columns, found, lambda hit: kind.row(session, hit), limit, session=session)
        # How often a word occurs where the operator allows no reading is nobody's business.
        facts: Json = {} if session.github.policy.limited else {"total": found.total}
        return replace(result, facts={**result.facts, **facts})

    return await ask(call, work)


async def get_github_context(call: Call[GitHub]) -> Records:
    """Say who the server is on GitHub, which repositories and changes are allowed, and how many requests are left."""
    grants = [grant for grant in GRANTS if call.settings.gives(grant) and caller_has(grant)]

    def work(session: Session) -> Records:
        return Records(columns=["what", "value"], rows=standing.rows(session, grants), untrusted=False)

    return await ask(call, work)

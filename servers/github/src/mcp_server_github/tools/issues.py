"""Reading issues, discussions and notifications. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.output import Document, Records
from pydantic import Field

from mcp_server_github import discussions, issues, names, notifications, review_threads
from mcp_server_github.github_api import GitHub, Json, Session
from mcp_server_github.tools.answers import ask, confidentiality, document, page_of, records, withheld
from mcp_server_github.tools.arguments import Cursor, Limit, Number, Repo


async def list_issues(
    call: Call[GitHub],
    repo: Repo,
    state: Annotated[Literal["open", "closed", "all"], Field(description="Which.")] = "open",
    labels: Annotated[list[str] | None, Field(max_length=20, description="With all of these.")] = None,
    assignee: Annotated[str, Field(description="A login, * for any, none for nobody.")] = "",
    since: Annotated[str, Field(description="Changed since, as 2026-11-20.")] = "",
    sort: Annotated[Literal["created", "updated", "comments"], Field(description="Most first.")] = "created",
    limit: Limit = 30,
    cursor: Cursor = None,
) -> Records:
    """List issues of one repository, without pull requests. For words in them use search_github."""
    filters = {
        "state": state,
        "labels": ",".join(names.label(label) for label in labels or ()),
        "assignee": assignee if assignee in {"*", "none", ""} else names.login(assignee, "assignee"),
        "since": names.moment(since, "since"),
        "sort": sort,
        **page_of(limit),
    }
    start: int = call.position(cursor) or 0

    def work(session: Session) -> Records:
        repository = session.repository(repo)
        found = issues.list_issues(session, repository, filters, start)

        def row(item: Json) -> list[Any] | None:
            wanted = issues.is_issue(item) and not session.withholds(repository, item)
            return issues.row(item) if wanted else None

        return records(issues.COLUMNS, found, row, limit, session=session)

    return await ask(call, work)


async def read_issue(call: Call[GitHub], repo: Repo, number: Number, cursor: Cursor = None) -> Document:
    """Read an issue and all comments on it. Works for the text and comments of a pull request, too."""
    position = call.position(cursor)

    def work(session: Session) -> Document:
        repository = session.repository(repo)
        issue = issues.read_issue(session, repository, number)
        pieces = issues.pieces(session, repository, issue, position)
        return document(pieces, call.budget, {"number": number, "comments": issue["comments"]}, session)

    return await ask(call, work)


async def list_discussions(call: Call[GitHub], repo: Repo, limit: Limit = 30, cursor: Cursor = None) -> Records:
    """List discussions, the latest changed first."""
    after: str | None = call.position(cursor)

    def work(session: Session) -> Records:
        repository = session.repository(repo)
        found = discussions.list_discussions(session, repository, limit, after)
        shown = [
            edge for edge in found["edges"] if not session.withholds(repository, review_threads.as_rest(edge["node"]))
        ]
        last = found["edges"][-1]["cursor"] if found["edges"] else None

        def resume(kept: int) -> str | None:
            return last if kept == len(shown) else shown[kept - 1]["cursor"] if kept else after

        return Records(
            columns=discussions.COLUMNS,
            rows=[discussions.row(edge["node"]) for edge in shown],
            facts={"total": found["totalCount"]} | withheld(session),
            confidentiality=confidentiality(session),
            more=found["pageInfo"]["hasNextPage"],
            resume=resume,
        )

    return await ask(call, work)


async def read_discussion(
    call: Call[GitHub],
    repo: Repo,
    number: Annotated[int, Field(ge=1, le=2**31 - 1, description="Its number.")],  # as GraphQL's Int
    cursor: Cursor = None,
) -> Document:
    """Read a discussion with comments and replies."""
    position = call.position(cursor)

    def work(session: Session) -> Document:
        pieces = discussions.pieces(session, session.repository(repo), number, position)
        return document(pieces, call.budget, {"number": number}, session)

    return await ask(call, work)


async def list_notifications(
    call: Call[GitHub],
    repo: Annotated[str, Field(description="owner/name; all without it.")] = "",
    read: Annotated[bool, Field(description="Those already read, too.")] = False,  # noqa: FBT002
    participating: Annotated[bool, Field(description="Only those that concern me.")] = False,  # noqa: FBT002
    limit: Limit = 30,
    cursor: Cursor = None,
) -> Records:
    """List notifications of the token's owner."""
    filters = {"all": read, "participating": participating, **page_of(limit)}
    start: int = call.position(cursor) or 0

    def work(session: Session) -> Records:
        repository = session.repository(repo) if repo else None
        found = notifications.list_notifications(session, repository, filters, start)
        return records(
            notifications.COLUMNS, found, lambda item: notifications.row(session, item), limit, session=session
        )

    return await ask(call, work)

"""Review threads: lines of a pull request that people talk about. REST knows no threads, so this is GraphQL."""

from collections.abc import Iterator
from typing import Any

from mcp_server_github.documents import Piece, from_position, heading
from mcp_server_github.github_api import Json, Repository, Session
from mcp_server_github.issues import said

_THREADS = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 50, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes {
          id isResolved isOutdated path line
          comments(first: 50) {
            totalCount
            nodes { databaseId body createdAt authorAssociation author { login } }
          }
        }
      }
    }
  }
}
"""
_MOST_PAGES = 20


def read(session: Session, repository: Repository, number: int) -> Iterator[Json]:
    """Yield the threads of a pull request."""
    variables: Json = {"owner": repository.name.owner, "name": repository.name.name, "number": number, "after": None}
    for _ in range(_MOST_PAGES):
        data = session.graphql(_THREADS, variables, what=f"review threads of {repository.name}")
        threads = data["repository"]["pullRequest"]["reviewThreads"]
        yield from threads["nodes"]
        variables["after"] = threads["pageInfo"]["endCursor"]
        if not threads["pageInfo"]["hasNextPage"]:
            return


def summary(session: Session, repository: Repository, pull: Json) -> str:
    """Return how many threads are open, and where."""
    threads = list(read(session, repository, pull["number"]))
    waiting = [thread for thread in threads if not thread["isResolved"]]
    hidden = session.withholds(repository, pull)  # its author named the files
    places = "" if hidden else ", ".join(dict.fromkeys(map(_place, waiting)))
    return heading("threads", f"{len(waiting)} of {len(threads)} unresolved", places)


def pieces(session: Session, repository: Repository, pull: Json, position: Any) -> Iterator[Piece]:
    """Yield each thread with its comments, those that are resolved last."""
    threads = sorted(read(session, repository, pull["number"]), key=lambda thread: thread["isResolved"])
    hidden = session.withholds(repository, pull)
    for place, thread in enumerate(threads):
        if position is None or place >= position[0]:
            where = "(withheld)" if hidden else _place(thread)
            yield from_position(_text(session, repository, thread, where), place, position)


def _place(thread: Json) -> str:
    return f"{thread['path']}:{thread['line'] or '?'}"


def _text(session: Session, repository: Repository, thread: Json, where: str) -> str:
    state = "resolved" if thread["isResolved"] else "unresolved"
    comments = thread["comments"]
    left = comments["totalCount"] - len(comments["nodes"])
    title = heading(
        f"thread {thread['id']}",
        where,
        state,
        "outdated" if thread["isOutdated"] else "",
        f"{left} comments more" if left else "",
    )
    return title + "".join(
        said(session, repository, as_rest(comment), f"comment {comment['databaseId']}") for comment in comments["nodes"]
    )


def as_rest(node: Json) -> Json:
    """Return a contribution of GraphQL's in the words of REST."""
    return {
        "body": node.get("body"),
        "user": node["author"],
        "author_association": node["authorAssociation"],
        "created_at": node.get("createdAt"),
    }

"""Discussions, which only GraphQL knows."""

from collections.abc import Iterator
from typing import Any

from mcp_server_shared.errors import NotFound

from mcp_server_github.documents import Piece, from_position, heading
from mcp_server_github.github_api import Json, Repository, Session
from mcp_server_github.issues import said
from mcp_server_github.review_threads import as_rest
from mcp_server_github.text import day, login

COLUMNS = ("number", "category", "title", "author", "comments", "answered", "updated")

_LIST = """
query($owner: String!, $name: String!, $first: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    discussions(first: $first, after: $after, orderBy: {field: UPDATED_AT, direction: DESC}) {
      totalCount
      pageInfo { hasNextPage }
      edges {
        cursor
        node { number title updatedAt isAnswered authorAssociation author { login } category { name }
          comments { totalCount } }
      }
    }
  }
}
"""
_ONE = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    discussion(number: $number) {
      number title body createdAt isAnswered authorAssociation author { login } category { name }
      comments(first: 30, after: $after) {
        totalCount
        pageInfo { hasNextPage }
        edges {
          cursor
          node {
            databaseId body createdAt isAnswer authorAssociation author { login }
            replies(first: 50) { totalCount nodes { databaseId body createdAt authorAssociation author { login } } }
          }
        }
      }
    }
  }
}
"""


def list_discussions(session: Session, repository: Repository, limit: int, after: str | None) -> Json:
    """Return the discussions of a repository as GraphQL's connection, the latest changed first."""
    variables = {**_named(repository), "first": limit, "after": after}
    return session.graphql(_LIST, variables, what=f"discussions of {repository.name}")["repository"]["discussions"]


def row(node: Json) -> list[Any]:
    """Return a discussion as a row of `COLUMNS`."""
    answered = {True: "yes", False: "no"}.get(node["isAnswered"], "")
    details = [login(node["author"]), node["comments"]["totalCount"], answered, day(node["updatedAt"])]
    return [node["number"], node["category"]["name"], node["title"], *details]


def pieces(session: Session, repository: Repository, number: int, position: Any) -> Iterator[Piece]:
    """Yield a discussion, its comments and their replies, from where an earlier page ended."""
    # A place is the cursor that leads to the comment: None for the opening, "" for the first comment.
    after: str | None = position[0] if position else None
    while True:
        discussion = _read(session, repository, number, after or None)
        if after is None:
            yield from_position(_opening(session, repository, discussion), None, position)
            after = ""
        comments = discussion["comments"]
        for edge in comments["edges"]:
            yield from_position(_comment(session, repository, edge["node"]), after, position)
            after = edge["cursor"]
        if not comments["pageInfo"]["hasNextPage"]:
            return


def _read(session: Session, repository: Repository, number: int, after: str | None) -> Json:
    variables = {**_named(repository), "number": number, "after": after}
    data = session.graphql(_ONE, variables, what=f"discussion {number} of {repository.name}")
    if data["repository"]["discussion"] is None:
        raise NotFound(f"{repository.name} has no discussion {number}.", hint="list_discussions has what is.")
    return data["repository"]["discussion"]


def _opening(session: Session, repository: Repository, discussion: Json) -> str:
    titled = as_rest({**discussion, "body": f"{discussion['title']}\n\n{discussion['body']}"})
    answered = {True: "answered", False: "not answered"}.get(discussion["isAnswered"])
    details = filter(None, [discussion["category"]["name"], answered])
    return said(session, repository, titled, f"discussion {discussion['number']}", *details)


def _comment(session: Session, repository: Repository, comment: Json) -> str:
    marks = ["the answer"] if comment["isAnswer"] else []
    text = said(session, repository, as_rest(comment), f"comment {comment['databaseId']}", *marks)
    replies = comment["replies"]
    for reply in replies["nodes"]:
        text += said(session, repository, as_rest(reply), f"reply {reply['databaseId']}", f"to {comment['databaseId']}")
    left = replies["totalCount"] - len(replies["nodes"])
    return text + (heading(f"{left} replies more") if left else "")


def _named(repository: Repository) -> Json:
    return {"owner": repository.name.owner, "name": repository.name.name}

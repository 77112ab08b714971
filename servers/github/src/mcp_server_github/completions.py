"""Names that begin so: of repositories that may be read, and of what is in them."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from mcp_server_github import names
from mcp_server_github.contents import list_tree
from mcp_server_github.github_api import WHOLE, Repository, Session, api_path
from mcp_server_github.names import RepoName

_MOST_ASKED = 300
_MOST_RETURNED = 101  # one more than a client is shown, so that it learns there are more


def owners(session: Session, value: str, others: Mapping[str, str]) -> list[str]:
    """Return owners of repositories that may be read."""
    return _beginning((name.owner for name in _known(session)), value)


def names_of_owner(session: Session, value: str, others: Mapping[str, str]) -> list[str]:
    """Return the repositories of an owner that may be read, without the owner's name."""
    owner = others.get("owner", "")
    theirs = [name.name for name in _known(session) if name.owner.lower() == owner.lower()]
    if owner and not theirs:
        found = session.items(api_path("users", names.owner(owner), "repos"), WHOLE, what=f"repositories of {owner}")
        listed = (RepoName.of(item["full_name"]) for _, item in islice(found, _MOST_ASKED))
        theirs = [name.name for name in listed if session.github.policy.allows(name)]
    return _beginning(theirs, value)


def repositories(session: Session, value: str, others: Mapping[str, str]) -> list[str]:
    """Return repositories that may be read, as owner/name."""
    return _beginning(map(str, _known(session)), value)


def branches(session: Session, value: str, others: Mapping[str, str]) -> list[str]:
    """Return branches."""
    return _beginning(_names(session, _repository(session, others), "branches"), value)


def tags(session: Session, value: str, others: Mapping[str, str]) -> list[str]:
    """Return tags."""
    return _beginning(_names(session, _repository(session, others), "tags"), value)


def commits(session: Session, value: str, others: Mapping[str, str]) -> list[str]:
    """Return the latest commits."""
    repository = _repository(session, others)
    found = session.items(repository.path("commits"), WHOLE, what=f"commits in {repository.name}")
    return _beginning((item["sha"] for _, item in islice(found, _MOST_RETURNED)), value)


def numbers(session: Session, value: str, others: Mapping[str, str]) -> list[str]:
    """Return the numbers of what is open."""
    repository = _repository(session, others)
    found = session.items(repository.path("issues"), WHOLE, what=f"issues in {repository.name}")
    return _beginning((str(item["number"]) for _, item in islice(found, _MOST_RETURNED)), value)


def failed_runs(session: Session, value: str, others: Mapping[str, str]) -> list[str]:
    """Return the numbers of runs that failed, the newest first."""
    repository = _repository(session, others)
    where, failed = repository.path("actions", "runs"), {**WHOLE, "status": "failure"}
    found = session.items(where, failed, what=f"runs in {repository.name}", under="workflow_runs")
    return _beginning((str(run["id"]) for _, run in islice(found, _MOST_RETURNED)), value)


def labels(session: Session, value: str, others: Mapping[str, str]) -> list[str]:
    """Return the names of labels."""
    return _beginning(_names(session, _repository(session, others), "labels"), value)


def paths(session: Session, value: str, others: Mapping[str, str]) -> list[str]:
    """Return what is in the folder that is named so far."""
    repository = _repository(session, others)
    folder, slash, _ = value.rpartition("/")
    ref = others.get("branch") or others.get("tag") or others.get("sha") or repository.default_branch
    tree = list_tree(session, repository, names.path(folder), names.ref(ref), 1)
    return _beginning((f"{folder}{slash}{name}{'/' * (kind == 'folder')}" for name, kind, _ in tree.entries), value)


BY_NAME: dict[str, Callable[[Session, str, Mapping[str, str]], list[str]]] = {
    "owner": owners,
    "repo": names_of_owner,
    "repository": repositories,
    "branch": branches,
    "tag": tags,
    "sha": commits,
    "number": numbers,
    "path": paths,
    "run": failed_runs,
    "label": labels,
}


def _known(session: Session) -> list[RepoName]:
    """Return the repositories that the operator named, or else those of the credential."""
    policy = session.github.policy
    named = [RepoName.of(key) for key in policy.repositories]
    if (policy.limited and not policy.owners) or session.github.credential.kind == "none":
        return [name for name in named if policy.allows(name)]
    found = session.items("/user/repos", {**WHOLE, "sort": "pushed"}, what="repositories of this account")
    listed = [RepoName.of(item["full_name"]) for _, item in islice(found, _MOST_ASKED)]
    return [name for name in dict.fromkeys([*listed, *named]) if policy.allows(name)]


def _names(session: Session, repository: Repository, kind: str) -> Iterable[str]:
    found = session.items(repository.path(kind), WHOLE, what=f"{kind} of {repository.name}")
    return (item["name"] for _, item in islice(found, _MOST_ASKED))


def _repository(session: Session, others: Mapping[str, str]) -> Repository:
    whole = others.get("repository")
    return session.repository(whole or f"{others.get('owner', '')}/{others.get('repo', '')}")


def _beginning(found: Iterable[str], value: str) -> list[str]:
    fitting = (name for name in dict.fromkeys(found) if name.lower().startswith(value.lower()))
    return list(islice(fitting, _MOST_RETURNED))

"""Changes of several files as one commit, which is made whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import unified_diff

from mcp_server_shared.errors import Conflict, InvalidArgument, NotFound, Unsupported

from mcp_server_github import workflows
from mcp_server_github.contents import lines_of, read_blob
from mcp_server_github.github_api import Json, Repository, Session

MOST_CHARACTERS = 5_000_000

_FILE_MODES = frozenset({"100644", "100755"})


@dataclass(frozen=True)
class Replacement:
    """Exact text and what takes its place; it has to be in the file once."""

    old: str
    new: str


@dataclass(frozen=True)
class FileChange:
    """What becomes of one file.

    Attributes:
        content: the whole new text; None to keep what `replacements` do not change.
        replacements: in order.
        deleted: whether it goes.
        sha: what its content has to be, where that was read before.
    """

    path: str
    content: str | None = None
    replacements: Sequence[Replacement] = field(default_factory=tuple[Replacement, ...])
    deleted: bool = False
    sha: str = ""


@dataclass(frozen=True)
class Planned:
    """A commit that can be made.

    Attributes:
        head: the commit it goes on top of.
        tree: the entries that change, as GitHub takes them.
        diff: for people and models.
    """

    head: str
    base_tree: str
    tree: list[Json]
    diff: str


def require_editable(changes: Sequence[FileChange], workflow_files: Sequence[str]) -> None:
    """Return if these files may be changed at all.

    Raises:
        PermissionDenied: a workflow that the operator did not name.
        InvalidArgument: a file twice, or none; too much text.
    """
    paths = [change.path for change in changes]
    if not all(paths) or len({path.lower() for path in paths}) < len(paths):
        raise InvalidArgument("Each file needs a path, and each path comes once.")
    if any(".git" in path.lower().split("/") for path in paths):
        raise InvalidArgument("No file of a commit can be in .git.")
    workflows.require_named(paths, workflow_files)
    if sum(len(change.content or "") for change in changes) > MOST_CHARACTERS:
        raise InvalidArgument(f"At most {MOST_CHARACTERS:,} characters go into one commit.")


def plan(
    session: Session, repository: Repository, branch: str, changes: Sequence[FileChange], expected_head: str
) -> Planned:
    """Return the commit that the changes make of a branch as it is now; nothing is written.

    Raises:
        NotFound, Conflict, Unsupported: a file is not there, not as expected, or no text.
    """
    path = repository.path("git", "ref", "heads", *branch.split("/"))
    head: str = session.get(path, what=f"branch {branch} in {repository.name}")["object"]["sha"]
    if expected_head and head != expected_head:
        raise Conflict(f"{branch} is at {head}, not at {expected_head}.", hint="See what changed with compare_refs.")
    what = f"commit {head} in {repository.name}"
    base_tree: str = session.get(repository.path("git", "commits", head), what=what)["tree"]["sha"]
    trees = Trees(session, repository, base_tree)
    entries: list[Json] = []
    diffs: list[str] = []
    for change in changes:
        entry, diff = _changed(session, repository, trees, change)
        entries.append(entry)
        diffs.append(diff)
    return Planned(head, base_tree, entries, "".join(diffs) or "(no line changes)\n")


def commit(session: Session, repository: Repository, branch: str, planned: Planned, message: str) -> str:
    """Make the commit and move the branch to it; returns its hash.

    Raises:
        Conflict: the branch has moved meanwhile; it is left as it is.
    """
    what = f"commit on {branch} in {repository.name}"
    entries = {"base_tree": planned.base_tree, "tree": planned.tree}
    tree = session.send("POST", repository.path("git", "trees"), entries, what=what)["sha"]
    body = {"message": message, "tree": tree, "parents": [planned.head]}
    made = session.send("POST", repository.path("git", "commits"), body, what=what)["sha"]
    ref = repository.path("git", "refs", "heads", *branch.split("/"))
    try:
        session.send("PATCH", ref, {"sha": made, "force": False}, what=what)
    except InvalidArgument as error:
        said = error.untrusted
        raise Conflict(f"{branch} does not take the commit.", untrusted=said, hint="Read the files again.") from error
    return str(made)


class Trees:
    """The folders of one commit, each read once, when it is needed: repositories may be of any size."""

    def __init__(self, session: Session, repository: Repository, root: str) -> None:
        self._session = session
        self._repository = repository
        self._root = root
        self._entries: dict[str, dict[str, Json]] = {}

    def entry(self, path: str) -> Json | None:
        """Return the entry of a path; None where there is none."""
        sha = self._root
        *folders, name = path.split("/")
        for folder in folders:
            entry = self._folder(sha).get(folder)
            if entry is None:
                return None
            if entry["type"] != "tree":
                raise Conflict(f"{folder} in '{path}' is no folder.", hint="Choose another path.")
            sha = entry["sha"]
        return self._folder(sha).get(name)

    def _folder(self, sha: str) -> dict[str, Json]:
        if sha not in self._entries:
            what = f"tree {sha} in {self._repository.name}"
            data = self._session.get(self._repository.path("git", "trees", sha), what=what)
            self._entries[sha] = {entry["path"]: entry for entry in data["tree"]}
        return self._entries[sha]


def _changed(session: Session, repository: Repository, trees: Trees, change: FileChange) -> tuple[Json, str]:
    entry = trees.entry(change.path)
    if entry is not None and entry["mode"] not in _FILE_MODES:
        raise Unsupported(f"'{change.path}' is a link, a folder or a submodule.", hint="Only files are changed.")
    if change.sha and (entry is None or entry["sha"] != change.sha):
        now = f"has the sha {entry['sha']}" if entry else "is gone"
        raise Conflict(f"'{change.path}' {now} now.", hint="Read it again and decide anew.")
    if entry is None and (change.deleted or change.content is None):
        raise NotFound(f"There is no '{change.path}' on this branch.", hint="To create it, give its content.")
    before = _text(session, repository, change.path, entry) if entry else ""
    if change.deleted:
        return _entry(change.path, entry, sha=None), _diff(change.path, before, "", gone=True)
    after = _replaced(change, before if change.content is None else change.content)
    return _entry(change.path, entry, content=after), _diff(change.path, before, after, new=entry is None)


def _entry(path: str, entry: Json | None, **what: str | None) -> Json:
    return {"path": path, "mode": entry["mode"] if entry else "100644", "type": "blob", **what}


def _text(session: Session, repository: Repository, path: str, entry: Json) -> str:
    try:
        return read_blob(session, repository, entry["sha"]).decode()
    except UnicodeDecodeError as error:
        raise Unsupported(f"'{path}' is not UTF-8 text.", hint="It cannot be changed here.") from error


def _replaced(change: FileChange, text: str) -> str:
    for number, replacement in enumerate(change.replacements, 1):
        found = text.count(replacement.old) if replacement.old else 0
        if found != 1:
            raise Conflict(
                f"'{change.path}': the old text of edit {number} is there {found} times, not once.",
                hint="Give it exactly as read_repo_file shows it, with enough around it to be the only one.",
            )
        text = text.replace(replacement.old, replacement.new)
    return text


def _diff(path: str, before: str, after: str, *, new: bool = False, gone: bool = False) -> str:
    old, now = ("/dev/null" if new else f"a/{path}"), ("/dev/null" if gone else f"b/{path}")
    lines = unified_diff(lines_of(before), lines_of(after), old, now)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

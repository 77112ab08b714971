"""Files and folders of a repository at some commit."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from mcp_server_shared.errors import InvalidArgument, NotFound, TooLarge, Unsupported

from mcp_server_github.github_api import Json, Repository, Session

MOST_FILE_BYTES = 20_000_000
_MOST_CANDIDATES = 5
_IMAGES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


@dataclass(frozen=True)
class File:
    """One file.

    Attributes:
        path: in the repository.
        sha: of the content, which an edit can insist on.
        data: all of it.
    """

    path: str
    sha: str
    data: bytes

    def image_type(self) -> str:
        """Return the media type of an image that a model can look at, by how it begins; "" for all else."""
        kinds = (kind for beginning, kind in _IMAGES.items() if self.data.startswith(beginning))
        return next(kinds, "image/webp" if self.data[:4] == b"RIFF" and self.data[8:12] == b"WEBP" else "")

    def text(self) -> str:
        """Return it as text.

        Raises:
            Unsupported: it is none.
        """
        try:
            if b"\0" not in self.data:
                return self.data.decode()
        except UnicodeDecodeError:
            pass
        raise Unsupported(f"{self.path} is not UTF-8 text ({len(self.data):,} bytes).", hint="It is not shown.")


def read_file(session: Session, repository: Repository, path: str, ref: str) -> File:
    """Return a file, whatever its size up to a limit.

    Raises:
        NotFound: there is none; paths like it are offered.
        InvalidArgument, Unsupported, TooLarge: it is a folder, a link or submodule, too large.
    """
    where = repository.path("contents", *path.split("/")) if path else repository.path("contents")
    try:
        entry = session.get(where, {"ref": ref}, what=f"file {path} at {ref} in {repository.name}")
    except NotFound as error:
        raise _with_candidates(error, session, repository, path, ref) from error
    if isinstance(entry, list):
        raise InvalidArgument(f"'{path or '/'}' is a folder.", hint="List it with list_repo_tree.")
    return _read_entry(session, repository, path, entry)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with their ends, as git counts them: only a line feed ends one."""
    *whole, rest = text.split("\n")
    return [f"{line}\n" for line in whole] + ([rest] if rest else [])


def some_lines(file: File, first: int, last: int | None) -> tuple[str, int]:
    """Return lines of a text file, both ends included, and how many it has.

    Raises:
        InvalidArgument: it has no such lines.
        Unsupported: it is no text.
    """
    lines = lines_of(file.text())
    if first > max(1, len(lines)) or (last is not None and last < first):
        raise InvalidArgument(f"The file has {len(lines)} lines, and none from {first} to {last or 'its end'}.")
    return "".join(lines[first - 1 : last]), len(lines)


def _read_entry(session: Session, repository: Repository, path: str, entry: Json) -> File:
    if entry["type"] != "file":
        target = entry.get("target") or entry.get("submodule_git_url") or ""
        raise Unsupported(f"'{path}' is a {entry['type']}.", untrusted=f"It points to {target}.")
    if entry["size"] > MOST_FILE_BYTES:
        raise TooLarge(f"'{path}' has {entry['size']:,} bytes; at most {MOST_FILE_BYTES:,} are read.")
    if entry.get("encoding") == "base64" and (entry["content"] or not entry["size"]):
        return File(path, entry["sha"], base64.b64decode(entry["content"]))
    # Past a megabyte the content is left out here.
    return File(path, entry["sha"], read_blob(session, repository, entry["sha"]))


def read_blob(session: Session, repository: Repository, sha: str) -> bytes:
    """Return a content by its hash."""
    blob = session.get(repository.path("git", "blobs", sha), what=f"content {sha} in {repository.name}")
    return base64.b64decode(blob["content"])


@dataclass(frozen=True)
class Tree:
    """What is in a folder.

    Attributes:
        entries: path, kind and size of each.
        complete: whether that is all; of huge repositories GitHub leaves some out.
    """

    entries: list[tuple[str, str, int | None]]
    complete: bool


def list_tree(session: Session, repository: Repository, path: str, ref: str, depth: int) -> Tree:
    """Return what is in a folder, and in those inside it down to a depth.

    Raises:
        NotFound: there is no such folder.
    """
    if depth == 1:
        return _listed_folder(session, repository, path, ref)
    data = _whole_tree(session, repository, ref)
    within = f"{path}/" if path else ""
    found = [
        (entry["path"].removeprefix(within), _KINDS[entry["type"]], entry.get("size"))
        for entry in data["tree"]
        if entry["path"].startswith(within)
    ]
    if not found and not data.get("truncated"):
        raise NotFound(f"{repository.name} has no folder '{path}' at {ref}.", hint="List its parent.")
    return Tree([entry for entry in found if entry[0].count("/") < depth], not data.get("truncated"))


_KINDS = {"blob": "file", "tree": "folder", "commit": "submodule"}


def _listed_folder(session: Session, repository: Repository, path: str, ref: str) -> Tree:
    where = repository.path("contents", *path.split("/")) if path else repository.path("contents")
    entries = session.get(where, {"ref": ref}, what=f"folder {path or '/'} at {ref} in {repository.name}")
    if not isinstance(entries, list):
        raise InvalidArgument(f"'{path}' is a file.", hint="Read it with read_repo_file.")
    return Tree(list(_named(entries)), complete=len(entries) < _MOST_LISTED)  # pyright: ignore[reportUnknownArgumentType]


_MOST_LISTED = 1_000  # of one folder, by GitHub


def _named(entries: list[Json]) -> Iterator[tuple[str, str, int | None]]:
    for entry in entries:
        kind = "folder" if entry["type"] == "dir" else str(entry["type"])
        yield str(entry["name"]), kind, entry.get("size") if kind == "file" else None


def _whole_tree(session: Session, repository: Repository, ref: str) -> Json:
    what = f"commit {ref} in {repository.name}"
    # Trees are named by hash: a ref with slashes would not do here.
    commit = session.get(repository.path("commits", ref), {"per_page": 1}, what=what)
    return session.get(repository.path("git", "trees", commit["commit"]["tree"]["sha"]), {"recursive": 1}, what=what)


def _with_candidates(error: NotFound, session: Session, repository: Repository, path: str, ref: str) -> NotFound:
    """Return the error with paths that could have been meant; they are other people's words."""
    try:
        paths = [str(entry["path"]) for entry in _whole_tree(session, repository, ref)["tree"]]
    except NotFound:  # it is the commit that is not there
        return error
    name = path.rpartition("/")[2]
    ending = [known for known in paths if known.rpartition("/")[2].lower() == name.lower()]
    near = (ending or get_close_matches(path[:200], paths[:20_000], _MOST_CANDIDATES))[:_MOST_CANDIDATES]
    found = f"Did you mean {', '.join(near)}?" if near else ""
    return NotFound(f"{repository.name} has no '{path}' at {ref}.", untrusted=found, hint="list_repo_tree has what is.")

"""A full-text index (SQLite FTS5) of the documents in some folders. It is what is read later, not the folders."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from mcp_server_shared.deny import DenyGlobs
from mcp_server_shared.errors import NotFound, Unavailable

if TYPE_CHECKING:
    import sqlite3

KINDS = {
    **dict.fromkeys((".md", ".markdown", ".txt", ".rst", ".adoc", ".org", ".tex", ".csv", ".tsv", ".srt"), "text"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    ".pdf": "pdf",
}
MOST_DOCUMENTS = 50_000
_SNIPPET_WORDS = 40
_BUSY_S = 10.0

_SCHEMA = """
create table if not exists documents (
    id integer primary key autoincrement, path text unique not null, version text not null, kind text not null,
    date text not null, folder text not null
);
create virtual table if not exists texts using fts5 (title, body, tokenize = 'unicode61 remove_diacritics 2');
"""
_FIND = f"""
select documents.path, title, snippet(texts, 1, '', '', '…', {_SNIPPET_WORDS}), date, folder
from texts join documents on documents.id = texts.rowid
where texts match ? order by bm25(texts, 8.0, 1.0), documents.path limit ? offset ?
"""  # noqa: S608

_TEXT = "select kind, title, body from documents join texts on texts.rowid = documents.id where path = ?"

Checkpoint = Callable[[], None]


@dataclass(frozen=True)
class Document:
    """One file that can be indexed.

    Attributes:
        folder: which of the folders it is in.
        path: relative to that.
        version: changes whenever the file does.
        date: of its last change.
    """

    folder: Path
    path: PurePath
    version: str
    date: str

    @property
    def kind(self) -> str:
        """How to get at its text."""
        return KINDS[self.path.suffix.lower()]

    @property
    def address(self) -> str:
        """The whole path."""
        return str(self.folder / self.path)


@dataclass(frozen=True)
class Hit:
    """One document that was found."""

    path: str
    title: str
    snippet: str
    date: str
    folder: str


class LocalIndex:
    """The index of some folders; each method opens it anew and may run on any thread.

    Args:
        folders: whose documents it holds; links in them are not followed, and hidden names stay out.
        deny: globs of what stays out, too.
        directory: where it is kept.
        most_bytes: of a document.
    """

    def __init__(self, folders: Sequence[Path], deny: Sequence[str], directory: Path, most_bytes: int) -> None:
        self.folders = [folder.expanduser().absolute() for folder in folders]
        self._deny = DenyGlobs(deny)
        self._most_bytes = most_bytes
        name = hashlib.sha256("\0".join(map(str, self.folders)).encode()).hexdigest()[:16]
        self._path = directory / f"index-{name}.sqlite3"

    def changed(self, checkpoint: Checkpoint) -> list[Document]:
        """Forget the documents that are gone, and return those that are new or have changed."""
        there = {document.address: document for document in self._documents(checkpoint)}
        with self._opened() as database:
            known = dict(database.execute("select path, version from documents").fetchall())
            for path in known.keys() - there.keys():
                _forget(database, path)
        return [document for path, document in there.items() if known.get(path) != document.version]

    def read(self, document: Document) -> bytes | None:
        """Return the content of a document; None if it is gone, has become something else or is too large."""
        try:
            with os.fdopen(_open_beneath(document.folder, document.path), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return None
                body = file.read(self._most_bytes + 1)
        except OSError:
            return None
        return body if len(body) <= self._most_bytes else None

    def put(self, texts: Iterable[tuple[Document, str, str]]) -> None:
        """Index documents, each with title and text, in place of what they were."""
        with self._opened() as database:
            for document, title, text in texts:
                _forget(database, document.address)
                row = database.execute(
                    "insert into documents (path, version, kind, date, folder) values (?, ?, ?, ?, ?)",
                    (document.address, document.version, document.kind, document.date, document.folder.name),
                )
                values = (row.lastrowid, title or document.path.stem, text)
                database.execute("insert into texts (rowid, title, body) values (?, ?, ?)", values)

    def find(self, query: str, limit: int, offset: int) -> list[Hit]:
        """Return documents that have every word of the query, or any of them where none has all; the best first."""
        words = words_of(query)
        if not words:
            return []
        with self._opened() as database:
            for operator in (" ", " OR "):
                found = database.execute(_FIND, (operator.join(words), limit, offset)).fetchall()
                if found or offset:
                    return [Hit(*row) for row in found]
        return []

    def count(self) -> int:
        """Return how many documents are indexed."""
        with self._opened() as database:
            return database.execute("select count(*) from documents").fetchone()[0]

    def text(self, path: str) -> tuple[str, str, str]:
        """Return the kind, the title and the text of an indexed document.

        Raises:
            NotFound: it is not in the index.
        """
        with self._opened() as database:
            row = database.execute(_TEXT, (path,)).fetchone()
        if row is None:
            raise NotFound("No document of the folders has this address.", hint="Find one by search_local.")
        return row

    def _documents(self, checkpoint: Checkpoint) -> Iterator[Document]:
        found = (document for folder in self.folders for document in self._documents_in(folder, checkpoint))
        return islice(found, MOST_DOCUMENTS)

    def _documents_in(self, folder: Path, checkpoint: Checkpoint) -> Iterator[Document]:
        for directory, folders, names in os.walk(folder):  # follows no links
            checkpoint()
            inside = "" if directory == str(folder) else Path(directory).relative_to(folder).as_posix()
            folders[:] = sorted(name for name in folders if self._is_open(inside, name))
            for name in sorted(names):
                if self._is_open(inside, name) and (document := _document(folder, Path(directory, name))):
                    yield document

    def _is_open(self, directory: str, name: str) -> bool:
        return not name.startswith(".") and not self._deny.denies(directory, name)

    @contextmanager
    def _opened(self) -> "Generator[sqlite3.Connection]":
        import sqlite3

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(self._path, timeout=_BUSY_S)) as database, database:
                database.execute("pragma synchronous = off")  # whatever a crash takes is indexed again
                database.executescript(_SCHEMA)
                yield database
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(
                f"The index cannot be kept in {self._path.parent}.",
                hint=f"The operator can remove {self._path.name} there, or name another place by --data-directory.",
            ) from error


def words_of(query: str) -> list[str]:
    """Return the words and the quoted phrases of a query as FTS5 strings, so that nothing in them is syntax."""
    parts = (quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^\s"]+)', query.replace("\0", " ")))
    return [f'"{part}"' for part in parts if any(map(str.isalnum, part))]


def _forget(database: "sqlite3.Connection", path: str) -> None:
    database.execute("delete from texts where rowid = (select id from documents where path = ?)", (path,))
    database.execute("delete from documents where path = ?", (path,))


def _document(folder: Path, path: Path) -> Document | None:
    """Return what is at a path if it is a document: a file by its ending, no link."""
    if path.suffix.lower() not in KINDS:
        return None
    try:
        info = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(info.st_mode):
        return None
    date = datetime.fromtimestamp(info.st_mtime, UTC).strftime("%Y-%m-%d")
    return Document(folder, path.relative_to(folder), f"{info.st_mtime_ns} {info.st_size} {info.st_ino}", date)


def _open_beneath(folder: Path, path: PurePath) -> int:
    """Open a file below a folder, following no link on the way, whoever puts one there in the meantime."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in path.parts[:-1]:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        return os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)

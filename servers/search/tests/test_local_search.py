"""Searching the operator's own folders: what is found, what stays out, what is noticed."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import anyio
import pytest
from fake_web.documents import article, pdf
from fake_web.session import Session, session
from mcp_server_search import folders as folders_module
from mcp_server_search.local_index import KINDS, LocalIndex, words_of
from mcp_server_shared.errors import NotFound

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def always_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders_module, "_LOOK_AGAIN_S", -1.0)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    return folder


@pytest.fixture
def flags(documents: Path, tmp_path: Path) -> list[str]:
    return [str(documents), "--provider", "none", "--data-directory", str(tmp_path / "data")]


async def found(client: Session, query: str) -> list[str]:
    return sorted(Path(unquote(row["url"])).name for row in await client.rows("search_local", query=query))


async def test_documents_of_every_kind_are_found_and_read(documents: Path, flags: list[str]) -> None:
    (documents / "notes.md").write_text("# Zebra notes\n\nZebras have stripes.")
    (documents / "page.html").write_text(article(3, title="A zebra story"))
    (documents / "report.pdf").write_bytes(pdf(3))
    (documents / "latin.txt").write_bytes("Das Zebra frißt Gras".encode("latin-1"))
    async with session(*flags) as client:
        assert await found(client, "zebra") == ["latin.txt", "notes.md", "page.html"]
        assert await found(client, '"ends with line 2"') == ["report.pdf"]
        [note] = await client.rows("search_local", query="stripes")
        assert (note["title"], note["source"], note["date"][:2]) == ("Zebra notes", "documents", "20")
        assert "have stripes" in note["snippet"]
        assert "Zebras have stripes." in await client.whole("read_page", url=note["url"])
        assert "frißt" in await client.whole("read_page", url=(documents / "latin.txt").as_uri())


async def test_a_document_can_be_read_before_anything_is_searched(documents: Path, flags: list[str]) -> None:
    (documents / "a.md").write_text("zebra")
    async with session(*flags) as client:
        assert "zebra" in await client.whole("read_page", url=(documents / "a.md").as_uri())
        (documents / "a.md").write_text("giraffe")
        assert "giraffe" in await client.whole("read_page", url=(documents / "a.md").as_uri())


async def test_what_it_finds_is_private(documents: Path, flags: list[str]) -> None:
    (documents / "a.md").write_text("zebra")
    async with session(*flags) as client:
        read = await client.read("search_local", query="zebra")
        page = await client.read("read_page", url=(documents / "a.md").as_uri())
    assert read.labels == page.labels == {"integrity": "untrusted", "confidentiality": "private"}


async def test_a_change_is_noticed_and_nothing_else_is_indexed_again(
    documents: Path, flags: list[str], tmp_path: Path
) -> None:
    (documents / "a.md").write_text("old words")
    (documents / "b.md").write_text("other words")
    (documents / "c.md").write_text("words that go")
    async with session(*flags) as client:
        assert await found(client, "words") == ["a.md", "b.md", "c.md"]
        before = numbers(tmp_path / "data")
        (documents / "a.md").write_text("new words now")
        (documents / "c.md").unlink()
        (documents / "sub").mkdir()
        (documents / "sub" / "d.md").write_text("more words")
        assert await found(client, "words") == ["a.md", "b.md", "d.md"]
        assert await found(client, "old") == []
    after = numbers(tmp_path / "data")
    assert {name for name in after if before.get(name) == after[name]} == {"b.md"}


def numbers(directory: Path) -> dict[str, int]:
    """Return the row of each document; one that is indexed again gets another."""
    [path] = directory.glob("index-*.sqlite3")
    with closing(sqlite3.connect(path)) as database:
        return {Path(name).name: number for name, number in database.execute("select path, id from documents")}


async def test_the_index_outlives_the_process(documents: Path, flags: list[str]) -> None:
    (documents / "a.md").write_text("zebra")
    async with session(*flags) as client:
        await found(client, "zebra")
    index = LocalIndex([documents], (), Path(flags[-1]), 1_000)
    assert index.changed(lambda: None) == []
    assert index.count() == 1


async def test_secrets_hidden_names_links_and_other_files_stay_out(documents: Path, flags: list[str]) -> None:
    outside = documents.parent / "outside.md"
    outside.write_text("zebra outside")
    (documents / "in.md").write_text("zebra inside")
    for name in (".env", ".hidden.md", "key.pem", "id_rsa", "script.py", "settings.yaml", "data.sqlite3"):
        (documents / name).write_text("zebra secret")
    for folder in (".git", ".ssh"):
        (documents / folder).mkdir()
        (documents / folder / "notes.md").write_text("zebra secret")
    (documents / "link.md").symlink_to(outside)
    (documents / "linked").symlink_to(documents.parent)
    os.mkfifo(documents / "pipe.md")
    async with session(*flags) as client:
        assert await found(client, "zebra") == ["in.md"]
        for path in (outside, documents / "link.md", documents / ".env", Path("/etc/passwd")):
            refusal = await client.refusal("read_page", url=path.as_uri())
            assert refusal.code == "not_found"


async def test_the_operator_can_keep_more_out(documents: Path, flags: list[str]) -> None:
    (documents / "private").mkdir()
    for name in ("a.md", "private/b.md", "c.draft.md", ".env.md"):
        (documents / name).write_text("zebra")
    async with session(*flags, "--deny", "default", "--deny", "private/**", "--deny", "*.draft.md") as client:
        assert await found(client, "zebra") == ["a.md"]


async def test_a_link_that_takes_the_place_of_a_document_is_not_followed(documents: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("zebra")
    (documents / "sub").mkdir()
    (documents / "sub" / "a.md").write_text("harmless")
    (documents / "b.md").write_text("harmless")
    index = LocalIndex([documents], (), tmp_path / "data", 1_000)
    changed = index.changed(lambda: None)
    (documents / "b.md").unlink()
    (documents / "b.md").symlink_to(secret)
    (documents / "sub" / "a.md").unlink()
    (documents / "sub").rmdir()
    (documents / "sub").symlink_to(tmp_path)
    (tmp_path / "a.md").write_text("zebra")
    assert [index.read(document) for document in changed] == [None, None]


async def test_documents_that_cannot_be_read_are_found_by_name(documents: Path, flags: list[str]) -> None:
    (documents / "broken zebra.pdf").write_bytes(b"%PDF-1.7 nonsense")
    (documents / "large zebra.txt").write_bytes(b"x" * 20_000)
    async with session(*flags, "--max-page-bytes", "10000") as client:
        assert await found(client, "zebra") == ["broken zebra.pdf", "large zebra.txt"]


async def test_any_word_will_do_where_no_document_has_all(documents: Path, flags: list[str]) -> None:
    (documents / "a.md").write_text("stripes")
    (documents / "b.md").write_text("spots")
    async with session(*flags) as client:
        assert await found(client, "stripes spots") == ["a.md", "b.md"]


@pytest.mark.parametrize(
    "query",
    [
        '"',
        '""',
        "a AND",
        "NEAR(",
        "col:x",
        "*",
        "-",
        "a*b^2",
        "x\0y",
        "{a b}",
        "'; drop table texts; --",
        "⟦U+202E⟧",
        "🦓",
    ],
)
async def test_nothing_in_a_query_is_syntax(documents: Path, flags: list[str], query: str) -> None:
    (documents / "a.md").write_text("a zebra and x y col near")
    async with session(*flags) as client:
        await client.rows("search_local", query=query)
        assert await found(client, "zebra") == ["a.md"]


def test_words_are_quoted_and_punctuation_is_dropped() -> None:
    assert words_of('one "two three" - ** "" 4') == ['"one"', '"two three"', '"4"']


async def test_a_large_folder_is_indexed_over_several_calls(
    documents: Path, flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(45):
        (documents / f"{number}.md").write_text(f"zebra {number}")
    monkeypatch.setattr("mcp_server_search.tools.local._SHARE_FOR_INDEXING", 0.0)
    async with session(*flags) as client:
        read = await client.read("search_local", query="zebra")
        assert read.facts["not_indexed_yet"] == 45
        monkeypatch.undo()
        read = await client.read("search_local", query="zebra")
    assert "not_indexed_yet" not in read.facts
    assert read.facts["documents"] == 45


async def test_searches_at_the_same_time_index_once(documents: Path, flags: list[str]) -> None:
    for number in range(20):
        (documents / f"{number}.md").write_text(f"zebra {number}")
    counts: list[int] = []
    async with session(*flags) as client, anyio.create_task_group() as tasks:

        async def search() -> None:
            counts.append(len(await client.rows("search_local", query="zebra", limit=50)))

        for _ in range(5):
            tasks.start_soon(search)
    assert counts == [20] * 5


async def test_a_damaged_index_says_what_to_do(documents: Path, flags: list[str], tmp_path: Path) -> None:
    (documents / "a.md").write_text("zebra")
    async with session(*flags) as client:
        await found(client, "zebra")
        [path] = (tmp_path / "data").glob("index-*.sqlite3")
        path.write_bytes(b"this is no database" * 1_000)
        refusal = await client.refusal("search_local", query="zebra")
    assert (refusal.code, path.name in refusal.text) == ("unavailable", True)


def test_the_index_is_the_operators_alone(documents: Path, tmp_path: Path) -> None:
    index = LocalIndex([documents], (), tmp_path / "data", 1_000)
    index.changed(lambda: None)
    [path] = (tmp_path / "data").iterdir()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with pytest.raises(NotFound):
        index.text("/etc/passwd")
    assert sqlite3.sqlite_version_info >= (3, 20)


def test_only_kinds_of_documents_are_indexed() -> None:
    assert not {".env", ".pem", ".key", ".json", ".yaml", ".ini", ".py", ".sh", ""} & KINDS.keys()

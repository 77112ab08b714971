"""What the documents say is so: links, messages, names of tools, commands."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CODE = ("shared/src/**/*.py", "servers/*/src/**/*.py", "tests/*.py", "tests/console/*.py")
SOURCES = [path for pattern in CODE for path in ROOT.glob(pattern)]


def document(name: str) -> str:
    """Return the text of a document."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@cache
def strings() -> frozenset[str]:
    """Return every string of the sources, with … where a value is put in."""
    found: set[str] = set()
    for path in SOURCES:
        if path.name.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.add("".join(map(str, parts)))
    return frozenset(found)


def messages() -> list[str]:
    """Return the messages that the troubleshooting explains."""
    text = document("troubleshooting.md")
    bold: list[str] = re.findall(r"\*\*`([^`]+)`\*\*", text)
    quoted: list[str] = re.findall(r"^> `([^`]+)`$", text, re.MULTILINE)
    return bold + quoted


# What others say: PostgreSQL.
THEIRS = {"cannot execute … in a read-only transaction"}


@pytest.mark.parametrize("message", messages())
def test_a_message_that_the_troubleshooting_explains_is_one_that_is_said(message: str) -> None:
    if message in THEIRS:
        return
    pieces = [piece.strip() for piece in re.split("…", message) if len(piece.strip()) > 1]
    pattern = re.compile(".*".join(map(re.escape, pieces)), re.DOTALL)
    assert any(pattern.search(text) for text in strings()), pieces


def test_the_troubleshooting_explains_messages() -> None:
    assert len(messages()) > 40


def rows_of_tables() -> list[tuple[str, str]]:
    """Return the server and the new names of each row of the migration's tables."""
    rows: list[tuple[str, str]] = []
    for section in document("migrating.md").split("\n## server-")[1:]:
        server = section.split()[0]
        rows += [(server, line.split("|")[2]) for line in section.splitlines() if line.startswith("| ")][2:]
    return rows


COUNTERPARTS = {"gdrive": "drive", "brave-search": "search", "puppeteer": "web-browser"}


@pytest.mark.parametrize(("server", "names"), rows_of_tables())
def test_the_new_names_of_the_migration_are_tools_and_resources_with_their_grants(server: str, names: str) -> None:
    entries = yaml.safe_load((ROOT / "catalog.yaml").read_text(encoding="utf-8"))["servers"]
    package = f"mcp-server-{COUNTERPARTS.get(server, server)}"
    [entry] = [entry for entry in entries if entry["package"] == package]
    needs = {tool["name"]: tool["needs"] for tool in entry["tools"]}
    if package == "mcp-server-search":  # with a key
        needs |= dict.fromkeys(("search_web", "search_places"), "reading")
    needs |= {resource["uri"]: "reading" for resource in entry["resources"]}
    by_default = {"--allow-actions"}
    for name, flag in re.findall(r"`([a-z_]\S*?)`(?: \(`(--[a-z-]+)`\))?", names):
        assert needs[name] == (flag or "reading") or needs[name] in by_default, name


# Links

DOCUMENTS = [
    path
    for pattern in ("*.md", "docs/*.md", "deploy/*.md", "shared/*.md", "servers/*/*.md")
    for path in sorted(ROOT.glob(pattern))
]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(path: Path) -> set[str]:
    """Return what a link may add after # to a document's address, as GitHub makes it of headings."""
    headings: list[str] = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_into_the_repository_lead_somewhere(path: Path) -> None:
    links: list[str] = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    for link in links:
        if "://" in link:
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_files_that_are_named_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named: list[str] = re.findall(r"`((?:servers|shared|tests|docs|deploy)/[\w./-]+)`", text)
    places = (ROOT, path.parent, ROOT / "servers/filesystem")  # a page names what is beside it, or in any server
    missing = [name for name in named if not any((place / name).exists() for place in places)]
    stand_for_others = re.compile(r"/(NAME|notes|orders|shop\.py)\b")
    assert [name for name in missing if not stand_for_others.search(name)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_a_document_is_found_from_the_first_one(path: Path) -> None:
    first = (ROOT / "README.md").read_text(encoding="utf-8")
    beside_a_package = path.name == "CHANGELOG.md" and (path.parent / "pyproject.toml").exists()
    assert path == ROOT / "README.md" or beside_a_package or f"]({name_of(path)}" in first

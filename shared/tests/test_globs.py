"""Globs and `.gitignore` files: what they fit, and that none takes long."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_filesystem.files import Files
from mcp_server_shared.globs import MAX_ALTERNATIVES, alternatives, path_matcher

PATHS = ("a", "b", "ab", "a/b", "b/a", "a/a/b", "b/ab/a", "a.b", "ab/b/a/b")
PATTERNS = st.lists(
    st.sampled_from(["a", "b", "ab", "*", "**", "?", "[ab]", "[!a]", "a*", "*b", "a*b*", "*.b", "\\a"]),
    min_size=1,
    max_size=4,
).map("/".join)
IGNORE_LINES: st.SearchStrategy[str] = st.tuples(
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    PATTERNS,
    st.sampled_from(["", "/"]),
    st.sampled_from(["", " ", "\r", "\\ "]),
).map("".join)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*.py", "a.py"),
        ("*.py", "deep/er/a.py"),
        ("**", "a/b"),
        ("src/**", "src/a/b"),
        ("src/**/*.js", "src/x.js"),
        ("src/**/x/**/y", "src/1/x/2/3/y"),
        ("**/a/**/b", "a/b"),
        ("*.{js,ts{,x}}", "a.tsx"),
        ("[!a-c]x", "dx"),
        ("[]x]", "]"),
        ("a\\*", "a*"),
        ("new\nline*", "new\nline!"),
        ("*", "line\nbreak"),
        ("b[", "b["),
    ],
)
def test_a_glob_fits(glob: str, path: str) -> None:
    assert path_matcher([glob])(path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("/*.py", "deep/a.py"),
        ("src/**", "src"),
        ("a*b", "a/b"),
        ("a?b", "a/b"),
        ("a[!x]b", "a/b"),
        ("a[+-9]b", "a/b"),
        ("*.PY", "a.py"),
        ("[z-a]", "z"),
        ("**/a/**/b", "b/a"),
    ],
)
def test_a_glob_does_not_fit(glob: str, path: str) -> None:
    assert not path_matcher([glob])(path)


def test_case_may_be_ignored() -> None:
    assert path_matcher(["*.PY"], ignore_case=True)("a.py")


def test_braces_stand_for_a_limited_number_of_globs() -> None:
    assert len(alternatives("{a,b}" * 30)) <= MAX_ALTERNATIVES


@pytest.mark.parametrize("glob", ["*a" * 40 + "b", "**/a" * 40 + "/b", "[a" * 200, "{" * 500 + "," * 500 + "}" * 500])
def test_no_glob_takes_long(glob: str) -> None:
    matches = path_matcher([glob])
    assert not matches("a" * 250)
    assert not matches("/".join("a" * 500))


def as_git_does(root: Path) -> set[str]:
    listed = subprocess.run(
        ["git", "-c", "core.excludesFile=", "ls-files", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    return {path.decode() for path in listed.stdout.split(b"\0") if path}


@settings(max_examples=60, deadline=None)
@given(st.lists(IGNORE_LINES, max_size=4), st.lists(IGNORE_LINES, max_size=3))
def test_gitignore_leaves_out_what_git_leaves_out(lines: list[str], below: list[str]) -> None:
    with TemporaryDirectory() as directory:
        root = Path(directory)
        for path in PATHS:
            (root / f"{path}.d").mkdir(parents=True)
            for name in ("a", "b", "ab", "a.b"):
                (root / f"{path}.d" / name).touch()
        (root / ".gitignore").write_bytes("\n".join(lines).encode())
        (root / "a" / ".gitignore").write_bytes("\n".join(below).encode())
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        files = Files([root], deny=[])
        found = files.search(".", "**", limit=10_000, gitignore=True)
        files.close()
        assert {"/".join(names) for names, entry in found.entries if entry.type == "file"} == as_git_does(root)


def test_gitignore_above_the_start_counts(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("kept", "left.log"):
        (tmp_path / "sub" / name).touch()
    (tmp_path / ".gitignore").write_text("sub/*.log\n")
    files = Files([tmp_path])
    found = files.search("sub", "*", limit=10, gitignore=True)
    files.close()
    assert [names for names, _ in found.entries] == [("kept",)]

"""Text that means something else to Windows than it says is refused before anything is opened."""

import pytest
from mcp_server_filesystem.windows_paths import names_between_slashes, refused, without_prefix
from mcp_server_shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("docs/file.txt", "docs/file.txt"),
        (r"docs\file.txt", "docs/file.txt"),
        (r".\docs/..\file.txt", "./docs/../file.txt"),
        (r"C:\Users\me\file.txt", "/C:/Users/me/file.txt"),
        ("c:/Users", "/c:/Users"),
        ("/C:/Users/me", "/C:/Users/me"),
        ("C:\\", "/C:/"),
        ("C:", "/C:"),
        (r"\\server\share\docs", "/server/share/docs"),
        ("//server/share/docs", "/server/share/docs"),
        ("a name with blanks inside.txt", "a name with blanks inside.txt"),
        ("größe's (1) ~ #%&.txt", "größe's (1) ~ #%&.txt"),
    ],
)
def test_both_slashes_stand_between_names(path: str, names: str) -> None:
    assert names_between_slashes(path) == names


@pytest.mark.parametrize(
    "path", [r"\\?\C:\Users", "//?/C:/Users", r"\\.\C:", r"\\.\PhysicalDrive0", r"\\?\UNC\server\share", r"\??\C:\x"]
)
def test_the_path_of_a_device_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="path of a device"):
        names_between_slashes(path)


@pytest.mark.parametrize("path", ["C:file.txt", r"c:docs\file.txt", "/C:file", r"\Users\me", "/Users/me", "/"])
def test_a_path_that_depends_on_the_current_drive_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="current drive"):
        names_between_slashes(path)


@pytest.mark.parametrize(
    "name",
    [
        "file.txt:stream",
        "file.txt::$DATA",
        "directory:$I30:$INDEX_ALLOCATION",
        "what?",
        "*",
        '"',
        "a<b",
        "a|b",
        "a\tb",
        "a\0",
    ],
)
def test_a_stream_and_what_no_name_has_is_refused(name: str) -> None:
    assert "data stream" in (refused(name) or "")


@pytest.mark.parametrize("name", [".env.", ".env ", "file.txt. .", "...", " ", ".ssh . "])
def test_a_name_whose_end_windows_would_drop_is_refused(name: str) -> None:
    assert "would drop" in (refused(name) or "")


@pytest.mark.parametrize(
    "name",
    ["CON", "nul", "aux.txt", "NUL .txt", "COM1", "com0.log", "LPT9", "COM\u00b9", "lpt³.x", "CONIN$", "prn.a.b"],
)
def test_a_device_in_any_directory_is_refused(name: str) -> None:
    assert "is a device" in (refused(name) or "")


@pytest.mark.parametrize("name", ["PROGRA~1", "ID_RSA~1", "ENV~1", "id_ed2~1.pub", "AB12CD~1.TXT", "a~12", "GIT~1"])
def test_what_may_be_the_short_form_of_a_name_is_refused(name: str) -> None:
    assert "short form" in (refused(name) or "")


@pytest.mark.parametrize(
    "name",
    [
        "console",
        "com10",
        "lpt",
        "auxiliary.txt",
        "nul_",
        "a~b",
        "~1",
        "a long name~1.txt",
        "backup~",
        "x~1.html",
        ".",
        "..",
    ],
)
def test_a_plain_name_is_taken(name: str) -> None:
    assert refused(name) is None


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_every_name_of_a_path_is_looked_at(separator: str) -> None:
    with pytest.raises(InvalidArgument, match=r"'AUX', which is a device to Windows"):
        names_between_slashes(separator.join(["C:", "docs", "AUX", "file.txt"]))


@pytest.mark.parametrize(
    ("answered", "path"),
    [
        (r"\\?\C:\docs", r"C:\docs"),
        (r"\\?\UNC\server\share\docs", r"\\server\share\docs"),
        (r"C:\docs", r"C:\docs"),
        (r"..\docs", r"..\docs"),
    ],
)
def test_the_mark_of_a_literal_path_is_taken_off_what_the_system_answers(answered: str, path: str) -> None:
    assert without_prefix(answered) == path

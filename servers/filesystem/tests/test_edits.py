"""Edits change what they name and nothing else, whatever the encoding and the line endings."""

import re
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_filesystem.edits import DecodedText, Edit, apply_edits, decoded, diff
from mcp_server_shared.errors import InvalidArgument, Unsupported
from mcp_server_shared.untrusted import read_notation, show_invisible

PIECES = st.sampled_from(["a", "b", "ab", "x", "é", " ", "\n", "\n\n", "\u200b", "\U0001f600"])
TEXTS = st.lists(PIECES, max_size=12).map("".join)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]
MARKS = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}


def edited(text: str, *edits: Edit) -> str:
    return apply_edits(DecodedText(text, b"", "utf-8", "strict"), edits)


def in_file(text: str, encoding: str) -> bytes:
    return MARKS.get(encoding, b"") + text.encode(encoding.removesuffix("-sig"))


@settings(deadline=None)
@given(before=TEXTS, old=TEXTS.filter(bool), new=TEXTS, ending=st.sampled_from(["\n", "\r\n", "\r"]))
def test_an_edit_of_a_uniform_file_is_a_replacement_in_any_encoding(
    before: str, old: str, new: str, ending: str
) -> None:
    expected = before.replace(old, new).replace("\n", ending)
    for encoding in ENCODINGS:
        file = decoded(in_file(before.replace("\n", ending), encoding))
        if file.encoding != encoding or not before.count(old):
            continue
        if ending != "\n" and ending not in file.text:
            continue  # no line ends, so LF is what new ones get
        after = apply_edits(file, [Edit(old, new, before.count(old))])
        assert file.encoded(after) == in_file(expected, encoding)


@settings(deadline=None)
@given(lines=st.lists(st.tuples(TEXTS.map(lambda t: t.replace("\n", "")), st.sampled_from(["\n", "\r\n"])), max_size=8))
def test_lines_that_are_not_edited_keep_their_endings(lines: list[tuple[str, str]]) -> None:
    before = "".join(line + ending for line, ending in [*lines, ("here", "\r\n"), *lines])
    after = edited(before, Edit("here\n", "one\ntwo\nthree\n"))
    kept = "".join(line + ending for line, ending in lines)
    assert (after.startswith(kept), after.endswith(kept)) == (True, True)
    assert re.sub("\r\n|\n", "|", after[len(kept) : len(after) - len(kept) or None]) == "one|two|three|"


@settings(deadline=None)
@given(before=TEXTS, old=TEXTS.filter(bool), new=TEXTS, endings=st.lists(st.booleans(), min_size=30, max_size=30))
def test_an_edit_of_a_mixed_file_is_the_same_replacement_but_for_line_endings(
    before: str, old: str, new: str, endings: list[bool]
) -> None:
    if not before.count(old):
        return
    crlf = iter(endings)
    mixed = re.sub("\n", lambda _: "\r\n" if next(crlf) else "\n", before)
    after = edited(mixed, Edit(old, new, before.count(old)))
    assert after.replace("\r\n", "\n") == before.replace(old, new)


def test_a_line_kept_inside_an_edit_keeps_its_ending_and_a_new_one_takes_that_before_it() -> None:
    before = "a\r\nb\nc\r\nd\n"
    assert edited(before, Edit("a\nb\nc\n", "a\nnew\nb\nC\n")) == "a\r\nnew\r\nb\nC\r\nd\n"


def test_crlf_in_the_edit_fits_a_file_of_lf() -> None:
    assert edited("one\ntwo\n", Edit("one\r\ntwo", "1\r\n2")) == "1\n2\n"


def test_a_lone_carriage_return_among_other_endings_is_a_character() -> None:
    assert edited("10%\r20%\nend\n", Edit("10%\r20%", "30%")) == "30%\nend\n"


def test_edits_apply_in_order_to_what_the_one_before_left() -> None:
    assert edited("one", Edit("one", "two"), Edit("two", "three")) == "three"


def test_all_expected_occurrences_are_replaced_but_not_within_the_replacement() -> None:
    assert edited("aXa", Edit("a", "aa", 2)) == "aaXaa"


@pytest.mark.parametrize(("old", "expected"), [("x\n", 1), ("x", 2)])
def test_another_number_of_occurrences_is_refused_with_their_lines(old: str, expected: int) -> None:
    with pytest.raises(InvalidArgument, match=r"occurs 3 times \(from line 1, 3, 4\)"):
        edited("x\ny\nx\nx\n", Edit(old, "z", expected))


def test_many_occurrences_are_named_by_the_first_ten() -> None:
    with pytest.raises(InvalidArgument, match="8, 9, 10…"):
        edited("x\n" * 1_000, Edit("x", "y"))


def test_the_search_for_lines_that_are_near_can_be_stopped() -> None:
    def stop() -> None:
        if next(looks) > 1:
            raise TimeoutError

    looks = count()
    file = decoded("".join(f"line {number}\n" for number in range(5_000)).encode())
    with pytest.raises(TimeoutError):
        apply_edits(file, [Edit("lime 77 or so", "")], stop)


def test_a_text_that_is_not_there_is_answered_with_the_lines_like_it() -> None:
    with pytest.raises(InvalidArgument) as refused:
        edited("def f():\n    return 1\n\ndef g():\n\treturn  2\n", Edit("    return 2\n", "    return 3\n"))
    assert "5: \treturn  2" in refused.value.text()


def test_a_line_that_differs_in_blanks_alone_is_the_nearest() -> None:
    with pytest.raises(InvalidArgument) as refused:
        edited("x = 1\ny = 2\n\tx = 1\n", Edit("  x = 1", "x = 2"))
    assert re.search(r"1: x = 1\n3: \tx = 1\n</untrusted", refused.value.text())


def test_the_nearest_lines_are_marked_and_bounded_and_show_what_is_invisible() -> None:
    long = "value\u00a0= 1" + "\u200b" * 5_000
    with pytest.raises(InvalidArgument) as refused:
        edited(f"{long}\n" * 5, Edit("value = 1" + "\u200b" * 5_000, "x"))
    text = refused.value.text()
    assert len(text) <= 1_500
    assert re.search(r"<untrusted-(\w+)>\n1: value⟦U\+00A0⟧= 1(?s:.*)\n</untrusted-\1>", text)
    assert text.endswith("copy the text exactly.")


def test_an_empty_old_text_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="is empty"):
        edited("x", Edit("", "y"))


def test_the_edit_that_fails_is_named() -> None:
    with pytest.raises(InvalidArgument, match="Edit 2 of 2"):
        edited("one", Edit("one", "two"), Edit("one", "three"))


def test_a_character_that_the_encoding_lacks_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"latin-1, which has no character U\+20AC"):
        apply_edits(decoded(b"caf\xe9\n"), [Edit("caf", "5 € caf")])


@pytest.mark.parametrize(("data", "encoding"), [(b"caf\xe9\n", "latin-1"), (b"\x93caf\xe9\x94\n", "cp1252")])
def test_a_file_of_one_byte_a_character_stays_so(data: bytes, encoding: str) -> None:
    file = decoded(data)
    assert file.encoding == encoding
    assert file.encoded(apply_edits(file, [Edit("café", "thé")])) == data.replace(b"caf\xe9", b"th\xe9")


def test_a_byte_gone_wrong_late_in_a_file_of_utf_8_is_carried_through() -> None:
    data = ("é" * 10_000).encode() + b"\xff\nend"
    file = decoded(data)
    assert file.encoded(apply_edits(file, [Edit("end", "ändé")])) == data[:-3] + "ändé".encode()


def test_latin_1_that_shows_late_is_not_taken_for_utf_8() -> None:
    data = b"a" * 10_000 + b"caf\xe9"
    file = decoded(data)
    assert file.encoded(apply_edits(file, [Edit("café", "thé")])) == b"a" * 10_000 + b"th\xe9"


@pytest.mark.parametrize("data", [b"\0\1\2\3", b"\xff\xfea\0b", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_what_is_no_text_is_unsupported(data: bytes) -> None:
    with pytest.raises(Unsupported):
        decoded(data)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_a_file_without_a_change_is_the_same_to_the_byte(data: bytes) -> None:
    try:
        file = decoded(data)
    except Unsupported:
        return
    assert file.encoded(file.text) == data


@settings(deadline=None)
@given(TEXTS.filter(bool))
def test_what_a_reader_is_shown_fits_the_file(text: str) -> None:
    assert edited(text, Edit(read_notation(show_invisible(text)), "new")) == "new"


@settings(deadline=None)
@given(before=TEXTS, after=TEXTS, gap=st.integers(0, 20))
def test_the_diff_leads_from_the_old_text_to_the_new(before: str, after: str, gap: int) -> None:
    gap_lines = "".join(f"{n}\n" for n in range(gap))
    old, new = before + gap_lines + before, after + gap_lines + after
    assert patched(old, diff("file", old, new, 10_000)) == new


def test_a_diff_says_what_a_person_expects() -> None:
    assert diff("/r/f", "1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\nfive\n6", 1_000) == (
        "--- /r/f\n+++ /r/f\n@@ -2,5 +2,5 @@\n 2\n 3\n 4\n-5\n-6\n+five\n+6\n\\ No newline at end of file\n"
    )


def test_a_diff_shows_lines_without_their_carriage_returns() -> None:
    assert diff("f", "a\r\nb\r\n", "a\r\nc\r\n", 1_000).endswith("@@ -1,2 +1,2 @@\n a\n-b\n+c\n")


def test_a_diff_of_distant_changes_in_a_huge_file_is_not_attempted() -> None:
    lines = [f"{n}\n" for n in range(100_000)]
    after = ["x\n", *lines[1:-1], "y\n"]
    assert diff("f", "".join(lines), "".join(after), 1_000).endswith("@@ -1,100000 +1,100000 @@\n(too much to show)\n")


def test_a_diff_ends_soon_after_the_most_that_is_wanted() -> None:
    assert len(diff("f", "a\n" * 5_000, "b\n" * 5_000, 1_000)) < 1_100


def patched(old: str, patch: str) -> str:
    """Apply a unified diff, checking every line it names."""
    old_lines = re.findall(r"[^\n]*\n|[^\n]+", old)
    result: list[str] = []
    at = 0
    for line in re.findall(r"[^\n]*\n(?:\\.*\n)?", patch)[2:]:
        sign, content = line[0], re.sub(r"\n\\.*\n", "", line[1:])
        if sign == "@":
            first, count = (int(number) for number in re.findall(r"\d+", line)[:2])
            start = first - 1 if count else first
            result += old_lines[at:start]
            at = start
        if sign in " -":
            assert old_lines[at] == content
            at += 1
        if sign in " +":
            result.append(content)
    return "".join(result + old_lines[at:])

"""What changed from one look at a page to the next."""

from mcp_server_web_browser.lines import Line, changes


def lines(*shown: str) -> list[Line]:
    """Return lines from "  button \\"Go\\" [1e2]", indented as they are nested."""
    found: list[Line] = []
    for each in shown:
        text, _, reference = each.strip().rstrip("]").partition(" [")
        found.append(Line(len(each) - len(each.lstrip()), text, reference, interactive=bool(reference)))
    return found


def test_a_line_that_changed_is_told_apart_from_one_that_is_new() -> None:
    old = lines('button "Go" [1e1]', 'text "Old"')
    new = lines('button "Gone" [1e1]', 'text "New"')
    assert changes(old, new) == ['- text "Old"', '~ button "Gone" [1e1]', '+ text "New"']


def test_much_that_is_gone_is_told_by_its_first_line() -> None:
    old = lines("dialog [1e1]", *(f'text "{n}"' for n in range(9)), 'button "Stay" [1e2]')
    assert changes(old, lines('button "Stay" [1e2]')) == ["- dialog [1e1]", "- … 9 more lines"]


def test_what_moved_is_told_with_where_it_is_now() -> None:
    old = lines('region "To do" [1e1]', ' clickable "Test" [1e2]', 'region "Done" [1e3]', ' clickable "Old" [1e4]')
    new = lines('region "To do" [1e1]', 'region "Done" [1e3]', ' clickable "Old" [1e4]', ' clickable "Test" [1e2]')
    assert changes(old, new) == ['~ clickable "Test" [1e2] moved into region "Done" [1e3]']


def test_what_was_made_anew_and_looks_the_same_is_counted() -> None:
    old = lines(*(f'button "Row {n}" [1e{n + 1}]' for n in range(9)))
    new = lines(*(f'button "Row {n}" [1e{n + 51}]' for n in range(9) if n != 4))
    assert changes(old, new) == [
        "~ 8 elements were made anew, looking the same: their references are new",
        '- button "Row 4" [1e5]',
    ]


def test_of_a_gigantic_difference_the_beginning_is_told() -> None:
    old = lines('button "Go" [1e1]', *(f'text "{n}"' for n in range(9_000)))
    new = lines('button "Gone" [1e1]', *(f'text "{n}"' for n in range(5_000)))
    assert changes(old, new) == ['~ button "Gone" [1e1]', "~ … and more changes further down"]


def test_a_few_that_were_made_anew_are_told_with_their_references() -> None:
    old, new = lines('button "A" [1e1]', 'text "x"'), lines('button "A" [1e9]', 'text "y"')
    assert changes(old, new) == ['~ button "A" [1e9] made anew', '- text "x"', '+ text "y"']


def test_of_elements_that_look_alike_the_one_that_is_gone_is_told() -> None:
    old = lines(*(f'button "Like" [1e{n}]' for n in range(1, 6)))
    assert changes(old, [line for line in old if line.reference != "1e2"]) == ['- button "Like" [1e2]']

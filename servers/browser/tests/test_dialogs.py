"""Dialogs and popups never hang anything."""

import pytest
from browsing import Browser, Show
from site_on_loopback import Site


def test_a_dialog_ends_the_action_that_opened_it_and_is_told(show: Show) -> None:
    tab = show("<button onclick=\"alert('Careful')\">Go</button>")
    assert "dialog alert: 'Careful'" in tab.ok("click", target="text=Go").text


@pytest.mark.parametrize(
    ("opens", "answer", "result"),
    [
        ("confirm('Sure?')", {"accept": True}, "true"),
        ("confirm('Sure?')", {"accept": False}, "false"),
        ("prompt('Name?')", {"accept": True, "text": "Ada"}, "Ada"),
        ("prompt('Name?')", {"accept": False}, "null"),
        ("prompt('Name?', 'Bob')", {"accept": True}, "Bob"),
        ("prompt('Name?', 'Bob')", {"accept": True, "text": ""}, ""),
    ],
)
def test_an_answered_dialog_lets_the_page_go_on(show: Show, opens: str, answer: dict[str, object], result: str) -> None:
    tab = show(f"<button onclick=\"out.textContent = '=' + {opens}\">Go</button><p id=out></p>")
    tab.ok("click", target="text=Go")
    tab.ok("answer_dialog", **answer)
    assert f'text "={result}"' in tab.see().text


def test_while_a_dialog_is_open_every_tool_says_so_at_once(show: Show) -> None:
    tab = show("<button onclick=\"alert('Careful')\">Go</button>")
    tab.ok("click", target="text=Go")
    for tool, arguments in (
        ("snapshot", {}),
        ("click", {"target": "text=Go"}),
        ("screenshot", {}),
        ("read_page_text", {}),
        ("wait_for", {"text": "Go"}),
        ("press_key", {"key": "a"}),
        ("save_pdf", {}),
    ):
        refused = tab.call(tool, **arguments)
        assert (refused.error, "answer_dialog" in refused.raw) == ("conflict", True), tool
    tab.ok("answer_dialog", accept=True)
    assert 'button "Go"' in tab.see().text


def test_a_dialog_out_of_a_timer_is_told_by_the_next_call(show: Show) -> None:
    tab = show("<button>Go</button><script>setTimeout(() => alert('Boo'), 200)</script>")
    refused = tab.call("wait_for", text="never", timeout_s=10)
    assert (refused.error, "Boo" in refused.raw) == ("conflict", True)
    tab.ok("answer_dialog", accept=True)


def test_dialogs_one_after_the_other(show: Show) -> None:
    tab = show("<button onclick=\"alert(1); alert(2); out.textContent='through'\">Go</button><p id=out></p>")
    tab.ok("click", target="text=Go")
    assert "dialog alert: '2'" in tab.ok("answer_dialog", accept=True).text
    assert "through" in tab.ok("answer_dialog", accept=True).text


def test_a_dialog_while_a_page_is_opened(browser: Browser, site: Site) -> None:
    tab = browser.open(site.page("<script>alert('First')</script><h1>Then</h1>"))
    assert "dialog alert: 'First'" in tab.first.text
    assert 'heading "Then"' in tab.ok("answer_dialog", accept=True).text


def test_a_dialog_in_a_popup_does_not_hang_its_opener(show: Show, site: Site, browser: Browser) -> None:
    inner = site.page("<script>setTimeout(() => alert('From inside'), 100)</script>Inner")
    tab = show(f"<button onclick=\"window.open('{inner}')\">Open</button>")
    popup = tab.ok("click", target="text=Open").text.split("opened page ")[1].split()[0]
    refused = browser.call("wait_for", page=popup, text="never", timeout_s=10)
    assert (refused.error, "From inside" in refused.raw) == ("conflict", True)
    opener = tab.call("snapshot")
    assert opener.error is None or (opener.error, popup in opener.raw) == ("conflict", True)
    browser.ok("answer_dialog", page=popup, accept=True)
    assert 'button "Open"' in tab.see().text


def test_leaving_a_page_that_asks_whether_to_is_a_dialog(show: Show, site: Site) -> None:
    tab = show("<button onclick='onbeforeunload = e => e.preventDefault()'>Arm</button>")
    tab.ok("click", target="text=Arm")
    there = site.page("<h1>There</h1>")
    assert "dialog beforeunload" in tab.ok("navigate", url=there).text
    tab.ok("answer_dialog", accept=True)
    assert 'heading "There"' in tab.ok("wait_for", text="There").text + tab.see().text


def test_a_dialog_that_is_not_there_cannot_be_answered(show: Show) -> None:
    assert show("<p>Quiet").call("answer_dialog", accept=True).error == "not_found"


def test_a_popup_that_closes_itself_harms_nothing(show: Show, site: Site) -> None:
    inner = site.page("<script>close()</script>")
    tab = show(f"<button onclick=\"window.open('{inner}')\">Open</button>")
    tab.ok("click", target="text=Open")
    assert 'button "Open"' in tab.see().text


def test_a_page_that_opens_popups_without_end_is_bounded(browser: Browser, site: Site) -> None:
    tab = browser.open(
        site.page("<button onclick=\"for (let i=0;i<25;i++) window.open('about:blank')\">Flood</button>")
    )
    try:
        tab.ok("click", target="text=Flood")
        assert len(tab.ok("list_pages").rows) <= 20
    finally:
        browser.call("close_page", page=tab.context)


def test_a_click_whose_popup_shows_a_dialog_at_once_is_told_as_done(show: Show, site: Site, browser: Browser) -> None:
    inner = site.page("<script>alert('At once')</script>Inner")
    tab = show(f"<button onclick=\"window.open('{inner}')\">Open</button>")
    popup = tab.ok("click", target="text=Open").text.split("opened page ")[1].split()[0]
    assert browser.call("wait_for", page=popup, text="never", timeout_s=10).error == "conflict"
    browser.ok("answer_dialog", page=popup, accept=True)
    assert 'button "Open"' in tab.see().text

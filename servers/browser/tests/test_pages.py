"""What a client sees of pages: opening, looking, acting."""

import base64
import struct
import threading
import time

import pytest
from browsing import Answer, Browser, Show
from site_on_loopback import Received, Reply, Site


def test_an_opened_page_answers_with_its_handle_and_what_one_can_do(show: Show) -> None:
    first = show("<h1>Hello</h1><button>Go</button>").first
    assert {"page", "context"} <= first.facts.keys()
    assert 'heading "Hello"' in first.text
    assert 'button "Go"' in first.text


def test_a_click_answers_with_the_lines_that_changed(show: Show) -> None:
    tab = show("<p>Other</p><button onclick=\"this.textContent='Done'\">Go</button>")
    answer = tab.ok("click", target=tab.first.reference('button "Go"'))
    assert answer.text.startswith('~ button "Done"')
    assert "Other" not in answer.text


def test_an_action_that_changes_nothing_says_so(show: Show) -> None:
    tab = show("<button>Go</button>")
    assert tab.ok("click", target=tab.first.reference('button "Go"')).facts == {"changed": False}


def test_a_change_that_a_request_brings_is_waited_for(show: Show, site: Site) -> None:
    def late(_: Received) -> Reply:
        time.sleep(0.3)
        return Reply("late")

    url = site.put(late)
    tab = show(f"<button onclick=\"fetch('{url}').then(r=>r.text()).then(t=>out.textContent=t)\">Go</button><p id=out>")
    assert 'text "late"' in tab.ok("click", target="text=Go").text


def test_a_link_answers_with_the_page_it_leads_to_and_its_status(show: Show, site: Site) -> None:
    missing = site.put(Reply("<h1>Nothing here</h1>", 404))
    tab = show(f"<a href='{missing}'>Next</a>")
    answer = tab.ok("click", target="text=Next")
    assert answer.text.splitlines()[0] == f"now at {missing} (404)"
    assert "Nothing here" in answer.text


def test_a_reference_survives_a_rename(show: Show) -> None:
    tab = show(
        "<button onclick=\"this.textContent = this.textContent == 'Follow' ? 'Unfollow' : 'Follow'\">Follow</button>"
    )
    reference = tab.first.reference('button "Follow"')
    tab.ok("click", target=reference)
    assert tab.ok("click", target=reference).text.startswith('~ button "Follow"')


def test_a_reference_of_a_page_that_was_left_is_refused(show: Show, site: Site) -> None:
    tab = show("<button>Go</button>")
    reference = tab.first.reference('button "Go"')
    tab.ok("navigate", url=site.page("<button>Go</button>"))
    assert tab.call("click", target=reference).error == "not_found"


def test_a_reference_of_another_page_is_refused(show: Show) -> None:
    one, other = show("<button>Go</button>"), show("<button onclick=\"document.title='clicked'\">Go</button>")
    assert other.call("click", target=one.first.reference('button "Go"')).error == "not_found"


def test_a_reference_to_an_element_that_is_gone_is_refused_though_its_like_is_there(show: Show) -> None:
    tab = show("<div id=d><button>Go</button></div><button onclick='d.innerHTML=d.innerHTML'>Swap</button>")
    reference = tab.first.reference('button "Go"')
    tab.ok("click", target="text=Swap")
    refused = tab.call("click", target=reference)
    assert (refused.error, "gone" in refused.raw) == ("not_found", True)


@pytest.mark.parametrize("target", ["e12", "12", "3e", "//div", "css=", "3e12; drop", "text="])
def test_what_is_no_reference_is_refused_with_how_one_looks(show: Show, target: str) -> None:
    refused = show("<button>Go</button>").call("click", target=target)
    assert (refused.error, "3e12" in refused.raw) == ("invalid_argument", True)


def test_a_text_that_several_elements_have_is_refused_with_their_references(show: Show) -> None:
    refused = show("<button>Go</button><button>Go</button>").call("click", target="text=Go")
    assert refused.error == "invalid_argument"
    assert refused.raw.count('button "Go" [') == 2


def test_a_covered_element_is_not_clicked_and_the_error_names_what_covers_it(show: Show) -> None:
    overlay = "<div id=cover style='position:fixed;inset:0;background:#0008'>Wait</div>"
    refused = show(f"<button onclick='hit()'>Go</button>{overlay}").call("click", target="text=Go")
    assert (refused.error, "cover" in refused.raw) == ("conflict", True)


def test_a_disabled_element_is_not_clicked(show: Show) -> None:
    refused = show("<button disabled>Go</button>").call("click", target="text=Go")
    assert (refused.error, "disabled" in refused.raw) == ("conflict", True)


def test_a_form_is_filled_field_by_field_and_failures_are_told(show: Show) -> None:
    tab = show(
        "<input aria-label=Name><input type=checkbox aria-label=Gift>"
        "<select aria-label=Size><option>S<option>M</select><textarea aria-label=Note></textarea>"
    )
    fields = {"Name": "Ada", "Gift": "true", "Size": "M", "Note": "two\nlines", "Colour": "red"}
    answer = tab.ok("fill_form", fields=[{"target": f"label={k}", "value": v} for k, v in fields.items()])
    assert (answer.facts["filled"], answer.facts["failed"]) == (4, 1)
    assert "label=Colour" in answer.text
    for line in ('textbox "Name" value="Ada"', 'checkbox "Gift" checked', 'combobox "Size" value="M"'):
        assert line in tab.see().text


def test_a_wrong_option_is_refused_at_once_with_those_there_are(show: Show) -> None:
    refused = show("<select aria-label=Size><option>Small<option>Large</select>").call(
        "select_option", target="label=Size", values=["Medium"]
    )
    assert (refused.error, "Small, Large" in refused.raw) == ("not_found", True)


def test_an_option_far_down_a_long_list_is_chosen(show: Show) -> None:
    tab = show("<select aria-label=Land>" + "".join(f"<option>Country {n}" for n in range(300)) + "</select>")
    assert 'value="Country 250"' in tab.ok("select_option", target="label=Land", values=["Country 250"]).text


@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [
        ("date", "1.2.2026", "2026-02-01"),
        ("time", "9am", "09:00"),
        ("number", "abc", "-1.5e3"),
        ("color", "red", "#ff0000"),
        ("range", "half", "50"),
    ],
)
def test_a_value_that_a_field_does_not_take_is_refused_at_once_with_an_example(
    show: Show, kind: str, wrong: str, right: str
) -> None:
    tab = show(f"<input type={kind} aria-label=F>")
    refused = tab.call("type_text", target="label=F", text=wrong)
    assert (refused.error, "Give it as" in refused.raw) == ("invalid_argument", True)
    tab.ok("type_text", target="label=F", text=right)
    assert f'value="{right}"' in tab.see().text


def test_what_a_form_does_not_accept_is_told_with_the_browser_s_reason(show: Show) -> None:
    tab = show("<form action=/x><label>Name <input required></label><button>Send</button></form>")
    assert 'invalid="Please fill out this field."' in tab.ok("click", target="text=Send").text


def test_the_way_of_the_focus_is_told(show: Show) -> None:
    tab = show("<button>One</button><button>Two focused</button>")
    assert 'the focus is on button "One"' in tab.ok("press_key", key="Tab").text
    assert 'the focus is on button "Two focused"' in tab.ok("press_key", key="Tab").text


def test_a_link_opened_beside_its_page_is_told(show: Show, site: Site) -> None:
    tab = show(f"<a href='{site.page('<h1>Beside</h1>')}'>Go</a>")
    answer = tab.ok("click", target="text=Go", modifiers=["Control"]).text
    deadline = time.monotonic() + 20
    while "opened page" not in answer:  # nothing tells beforehand that there will be one
        assert time.monotonic() < deadline
        answer = tab.ok("wait_for", network_quiet=True).text


def test_an_answer_with_nothing_in_it_is_told(show: Show, site: Site) -> None:
    tab = show("<h1>Stay</h1>")
    answer = tab.ok("navigate", url=site.put(Reply(status=204)))
    assert "answered 204" in answer.text
    assert 'heading "Stay"' in answer.text


def test_a_page_that_wants_a_password_by_http_says_so(browser: Browser, site: Site) -> None:
    url = site.put(Reply("no", 401, {"WWW-Authenticate": 'Basic realm="x"'}))
    refused = browser.call("open_page", url=url)
    assert (refused.error, "a secret with a user for this origin" in refused.raw) == ("unauthenticated", True)


def test_a_pdf_that_is_opened_is_kept_since_nobody_can_read_it_on_the_page(browser: Browser, site: Site) -> None:
    data = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj trailer<</Root 1 0 R>>"
    tab = browser.open(site.put(Reply(data, headers={"Content-Type": "application/pdf"}), "/report.pdf"))
    assert "a PDF is shown" in tab.first.text
    [[uri, name, *_]] = tab.ok("list_downloads").rows
    assert (name, browser.read(uri)) == ("report.pdf", data)
    assert all("chrome" not in row[4] for row in tab.ok("list_requests", static=True).rows)
    browser.call("close_page", page=tab.context)


def test_an_element_without_size_is_no_picture(show: Show) -> None:
    assert show("<div id=z tabindex=0></div>").call("screenshot", target="css=#z").error == "conflict"


def test_typing_replaces_and_slow_typing_adds(show: Show) -> None:
    tab = show("<input aria-label=Name value=Bob>")
    tab.ok("type_text", target="label=Name", text="Ada")
    assert 'value="Ada!"' in tab.ok("type_text", target="label=Name", text="!", slowly=True).text


def test_enter_submits_a_form_and_the_answer_is_the_next_page(show: Show, site: Site) -> None:
    result = site.page("<h1>Found</h1>")
    tab = show(f"<form action='{result}'><input name=q aria-label=Search></form>")
    answer = tab.ok("type_text", target="label=Search", text="cats", submit=True)
    assert 'heading "Found"' in answer.text


def test_a_key_is_pressed_where_the_focus_is(show: Show) -> None:
    tab = show("<p id=out></p><script>onkeydown = e => out.textContent = e.key + e.ctrlKey</script>")
    assert 'text "atrue"' in tab.ok("press_key", key="Control+a").text
    assert tab.call("press_key", key="NoSuchKey").error == "invalid_argument"


def test_a_character_that_is_on_no_keyboard_is_typed(show: Show) -> None:
    tab = show("<input aria-label=Price>")
    assert 'value="€"' in tab.ok("press_key", key="€", target="label=Price").text


def test_hovering_opens_what_opens_so(show: Show) -> None:
    tab = show("<style>ul{display:none}li:hover ul{display:block}</style><li tabindex=0>Menu<ul><li>Inside</ul>")
    assert "Inside" in tab.ok("hover", target=tab.first.reference('listitem "Menu"')).text


def test_dragging_drops_on_the_other_element(show: Show) -> None:
    tab = show(
        "<div draggable=true tabindex=0>Card</div>"
        "<div tabindex=0 style='height:80px' ondragover='event.preventDefault()' "
        "ondrop=\"this.textContent='Got it'\">Bin</div>"
    )
    assert "Got it" in tab.ok("drag", target="text=Card", to="text=Bin").text


def test_back_forward_and_reload(show: Show, site: Site) -> None:
    tab = show("<h1>One</h1>")
    tab.ok("navigate", url=site.page("<h1>Two</h1>"))
    assert 'heading "One"' in tab.ok("navigate", move="back").text
    assert 'heading "Two"' in tab.ok("navigate", move="forward").text
    assert 'heading "Two"' in tab.ok("navigate", move="reload").text


def test_waiting_for_text_that_comes_later(show: Show) -> None:
    tab = show("<p id=p>Soon</p><script>setTimeout(()=>{p.textContent='Ready'},300)</script>")
    assert "Ready" in tab.ok("wait_for", text="ready", gone="soon").text or "Ready" in tab.first.text


def test_waiting_in_vain_says_what_lacks(show: Show) -> None:
    refused = show("<p>Here").call("wait_for", text="Never", timeout_s=0.3)
    assert (refused.error, "not shown" in refused.raw) == ("timeout", True)


def test_a_page_that_never_ends_loading_is_shown_all_the_same(show: Show, site: Site) -> None:
    never = threading.Event()
    hanging = site.put(Reply(wait=never))
    try:
        assert 'heading "Early"' in show(f"<h1>Early</h1><img src='{hanging}'>").first.text
    finally:
        never.set()


def test_a_page_that_always_changes_is_shown_all_the_same(show: Show) -> None:
    tab = show("<h1>Clock</h1><p id=p></p><script>setInterval(()=>{p.textContent=performance.now()},5)</script>")
    assert 'heading "Clock"' in tab.first.text


def test_a_picture_of_the_page_and_of_one_element(show: Show) -> None:
    tab = show("<button style='width:50px;height:20px'>Go</button>")
    assert tab.ok("screenshot").image.mime_type == "image/jpeg"
    assert len(tab.ok("screenshot", target="text=Go").image.data) < len(tab.ok("screenshot", format="png").image.data)


def test_a_picture_is_a_resource_too(show: Show, browser: Browser) -> None:
    tab = show("<h1>Seen</h1>")
    assert browser.read(f"browser://pages/{tab.handle}/screenshot").startswith(b"\xff\xd8")


def test_a_picture_can_be_smaller_than_what_it_shows(show: Show) -> None:
    tab = show("<div style='width:400px;height:300px;background:linear-gradient(red,blue)' tabindex=0>Box</div>")
    for arguments in ({}, {"full_page": True}, {"target": "text=Box"}):
        whole, half = (size_of(tab.ok("screenshot", format="png", scale=scale, **arguments)) for scale in (1, 0.5))
        assert abs(half[0] - whole[0] / 2) <= 1, arguments
        assert abs(half[1] - whole[1] / 2) <= 1, arguments


def size_of(answer: Answer) -> tuple[int, int]:
    """Return width and height of a PNG."""
    width, height = struct.unpack(">II", base64.b64decode(answer.image.data)[16:24])
    return width, height


def test_the_text_of_a_page_is_markdown(show: Show) -> None:
    tab = show(
        "<nav>Menu</nav><main><h2>Title</h2><p>Some <b>bold</b> <a href='/x'>link</a>.</p><ul><li>One<li>Two</ul>"
        "<table><tr><th>A<th>B<tr><td>1<td>2</table><pre>code</pre></main>"
    )
    text = tab.ok("read_page_text").text
    for part in (
        "## Title",
        "Some **bold** [link](http",
        "- One\n- Two",
        "| A | B |\n| --- | --- |\n| 1 | 2 |",
        "```\ncode\n```",
    ):
        assert part in text
    assert "Menu" not in text


def test_a_url_instead_of_a_handle_is_opened_for_one_call(browser: Browser, site: Site) -> None:
    url = site.page("<h1>Once</h1><button>Go</button>")
    answer = browser.ok("snapshot", page=url)
    assert 'button "Go"' in answer.text
    assert "[" not in answer.text
    assert browser.ok("list_pages", page=url).rows[0][0] is None


def test_pages_of_one_context_share_cookies_and_others_do_not(browser: Browser, site: Site) -> None:
    sets = site.put(Reply("set", headers={"Set-Cookie": "who=ada"}))
    shows = site.page("<script>document.write(document.cookie||'nobody')</script>")
    tab = browser.open(sets)
    assert "who=ada" in browser.open(shows, context=tab.context).first.text
    assert "nobody" in browser.open(shows).first.text


def test_parallel_calls_on_different_pages_do_not_mix(show: Show, browser: Browser) -> None:
    tabs = [show(f"<button onclick=\"this.textContent='Done {n}'\">Go</button>") for n in range(4)]
    answers = browser.together(*[("click", {"page": tab.handle, "target": "text=Go"}) for tab in tabs])
    assert [f"Done {n}" in answer.text for n, answer in enumerate(answers)] == [True] * 4


def test_parallel_calls_on_one_page_queue(show: Show, browser: Browser) -> None:
    tab = show("<button onclick='out.textContent=+out.textContent+1'>Go</button><p id=out>0</p>")
    browser.together(*[("click", {"page": tab.handle, "target": "text=Go"}) for _ in range(5)])
    assert 'text "5"' in tab.see().text


@pytest.mark.parametrize("handle", ["p_unknown", "", "p_" + "A" * 22, "../../etc/passwd"])
def test_an_unknown_handle_is_refused(browser: Browser, handle: str) -> None:
    assert browser.call("snapshot", page=handle).error in {"not_found", "invalid_argument"}


def test_a_closed_page_says_that_it_was_closed(browser: Browser, site: Site) -> None:
    tab = browser.open(site.page("Hello"))
    assert browser.ok("close_page", page=tab.handle).rows == [[tab.handle, True]]
    assert "was closed" in tab.call("snapshot").raw


def test_console_and_requests_are_listed(show: Show, site: Site) -> None:
    data = site.put(Reply('{"a":1}', headers={"Content-Type": "application/json"}))
    tab = show(f"<script>console.log('hi'); console.error('bad'); fetch('{data}')</script>")
    tab.ok("wait_for", network_quiet=True)
    assert [row[1:3] for row in tab.ok("list_console_messages").rows] == [["log", "hi"], ["error", "bad"]]
    assert [row[2] for row in tab.ok("list_console_messages", level="error").rows] == ["bad"]
    [row] = tab.ok("list_requests", url=data).rows
    assert (row[1], row[3]) == ("GET", 200)
    assert tab.ok("read_request", number=row[0], part="response_body").text == '{"a":1}'


def test_a_download_is_kept_as_a_resource(show: Show, site: Site, browser: Browser) -> None:
    file = site.put(Reply(b"%PDF-1.4 x", headers={"Content-Disposition": 'attachment; filename="../../evil.pdf"'}))
    tab = show(f"<a href='{file}'>Get</a>")
    assert "download started" in tab.ok("click", target="text=Get").text
    [[uri, _, size, kind, problem, *_]] = tab.ok("list_downloads").rows
    assert (size, kind, problem) == (10, "application/pdf", None)
    assert browser.client is not None
    contents = browser.wait_for(browser.client.read_resource(uri)).contents[0]
    assert contents.model_dump()["mime_type"] == "application/pdf"


def test_a_popup_gets_a_handle_of_its_own(show: Show, site: Site, browser: Browser) -> None:
    inner = site.page("<h1>Inner</h1>")
    answer = show(f"<button onclick=\"window.open('{inner}')\">Open</button>").ok("click", target="text=Open")
    handle = answer.text.split("opened page ")[1].split()[0]
    assert (
        'heading "Inner"'
        in browser.ok("wait_for", page=handle, text="Inner").text + browser.ok("snapshot", page=handle).text
    )

"""What the answer of an action waits for."""

import pytest
from browsing import Show
from site_on_loopback import Site


def test_what_a_timer_does_belongs_to_the_action_that_set_it(show: Show) -> None:
    tab = show(
        "<input aria-label=Search><ul id=found></ul><script>let t; document.querySelector('input').oninput = e => {"
        "clearTimeout(t); t = setTimeout(() => { found.innerHTML = '<li>Result for ' + e.target.value }, 300) }"
        "</script>"
    )
    assert "Result for cats" in tab.ok("type_text", target="label=Search", text="cats").text


def test_a_request_that_a_timer_sends_belongs_to_it_too(show: Show) -> None:
    tab = show(
        "<button onclick=\"setTimeout(() => fetch('/none').then(() => { out.textContent = 'Loaded' }), 200)\">Go"
        "</button><p id=out></p>"
    )
    assert "Loaded" in tab.ok("click", target="text=Go").text


def test_a_timer_that_was_cancelled_is_not_waited_for_in_vain(show: Show) -> None:
    tab = show("<button onclick=\"clearTimeout(setTimeout(() => 0, 400)); this.textContent = 'Done'\">Go</button>")
    assert '~ button "Done"' in tab.ok("click", target="text=Go").text


@pytest.mark.parametrize(
    "clock",
    ["setInterval(tick, 40)", "(function again() { tick(); setTimeout(again, 40) })()"],
    ids=["interval", "chain"],
)
def test_a_page_with_a_clock_is_acted_on_all_the_same(show: Show, clock: str) -> None:
    tab = show(
        "<p id=clock></p><button onclick=\"this.textContent = 'Done'\">Go</button><script>"
        f"function tick() {{ clock.textContent = performance.now() }}; {clock}</script>"
    )
    assert '~ button "Done"' in tab.ok("click", target="text=Go").text


def test_the_end_of_a_transition_is_waited_for(show: Show) -> None:
    tab = show(
        "<div id=box style='opacity:1;transition:opacity 250ms'>Old</div>"
        "<button onclick=\"box.ontransitionend = () => box.replaceWith('New'); box.style.opacity = 0\">Go</button>"
    )
    assert '+ text "New"' in tab.ok("click", target="text=Go").text


def test_what_scrolling_loads_belongs_to_the_key_that_scrolled(show: Show) -> None:
    tab = show(
        "<div id=feed tabindex=0 style='height:100px;overflow:auto'><p style='height:900px'>First</p></div><script>"
        "feed.onscroll = () => { if (feed.scrollTop + feed.clientHeight > feed.scrollHeight - 20 && !feed.more) {"
        "feed.more = true; feed.insertAdjacentHTML('beforeend', '<p>Second</p>') } }</script>"
    )
    assert "Second" in tab.ok("press_key", key="End", target="css=#feed").text


def test_what_happens_later_in_a_frame_belongs_to_the_action_in_it(show: Show, site: Site) -> None:
    inner = site.page("<button onclick=\"setTimeout(() => { this.textContent = 'Done' }, 250)\">Inner</button>")
    tab = show(f"<iframe src='{inner}'></iframe>")
    tab.ok("wait_for", text="Inner")
    assert '~ button "Done"' in tab.ok("click", target="text=Inner").text


def test_a_page_cannot_tell_that_its_timers_are_watched(show_granted: Show) -> None:
    tab = show_granted("<p>")
    asks = "() => [setTimeout.name, setTimeout.length, String(setTimeout), String(Element.prototype.attachShadow)]"
    assert tab.ok("evaluate", function=asks).text.count("[native code]") == 2
    values = (
        "async () => await new Promise(done => setTimeout(function (...all) { done([this === window, all]) }, 1, 2, 3))"
    )
    assert "2,\n  3" in tab.ok("evaluate", function=values).text


@pytest.mark.parametrize(("tool", "event"), [("click", "onclick"), ("hover", "onmouseover")])
def test_what_the_page_is_still_busy_with_has_been_done(show: Show, tool: str, event: str) -> None:
    busy = "const end = Date.now() + 8000; while (Date.now() < end); out.textContent = `Done ${++n}`"
    tab = show(f'<script>let n = 0</script><button {event}="{busy}">Work</button><p id=out></p>')
    told = tab.ok(tool, target="text=Work")
    assert "still busy with" in told.raw
    assert "Done 1" in tab.ok("wait_for", text="Done", timeout_s=60).text


def test_a_field_whose_page_is_still_busy_is_told(show: Show) -> None:
    busy = "const end = Date.now() + 8000; while (Date.now() < end);"
    tab = show(f'<label><input type=checkbox onclick="{busy}">Agree</label><label><input>Name</label>')
    told = tab.ok("fill_form", fields=[{"target": "label=Agree", "value": "true"}])
    assert ("still busy with" in told.raw, told.facts["failed"]) == (True, 1)

"""What the answer of an action tells of a page, most of which is as it was."""

import threading

import pytest
from browsing import Show
from site_on_loopback import Received, Reply, Site

# Each is done by a click, to a block that was read before and whose own elements stay as they are.
CHANGES = {
    "a text": ("<ul><li><p>Old</p></ul>", "document.querySelector('p').firstChild.data = 'New'", '+ listitem "New"'),
    "a class far above": (
        "<style>.on p{display:none}</style><article><section><p>Old</p></section></article>",
        "document.querySelector('article').className = 'on'",
        '- text "Old"',
    ),
    "a sibling": (
        "<style>.on + section{display:none}</style><i></i><section><p>Old</p></section>",
        "document.querySelector('i').className = 'on'",
        '- text "Old"',
    ),
    "something elsewhere": (
        "<style>body:has(.on) section{display:none}</style><b><i></i></b><section><p>Old</p></section>",
        "document.querySelector('i').className = 'on'",
        '- text "Old"',
    ),
    "a new style sheet": (
        "<section><p>Old</p></section>",
        "document.head.append(Object.assign(document.createElement('style'), {textContent: 'p{display:none}'}))",
        '- text "Old"',
    ),
    "a rule that a script adds": (
        "<style>i{}</style><section><p>Old</p></section>",
        "document.styleSheets[0].insertRule('p{color:#fff}')",
        '+ text "Old" (not visible)',
    ),
    "a style sheet that no element holds": (
        "<section><p>Old</p></section>",
        "{ const sheet = new CSSStyleSheet(); sheet.replaceSync('p{display:none}'); "
        "document.adoptedStyleSheets = [sheet] }",
        '- text "Old"',
    ),
    "a shadow root": (
        "<section><div id=host>Old</div></section>",
        "host.attachShadow({mode: 'closed'}).innerHTML = '<p>New</p>'",
        '+ text "New"',
    ),
    "what is inside a shadow root": (
        "<section><div id=host></div></section><script>const root = host.attachShadow({mode: 'open'});"
        "root.innerHTML = '<article><p>Old</p></article>'</script>",
        "root.querySelector('p').textContent = 'New'",
        '+ text "New"',
    ),
    "what a slot shows": (
        "<section><div id=host><p>Old</p></div></section><script>host.attachShadow({mode: 'open'}).innerHTML ="
        "'<article><slot></slot></article>'</script>",
        "document.querySelector('p').textContent = 'New'",
        '+ text "New"',
    ),
    "a value": ("<section><input aria-label=F></section>", "document.querySelector('input').value = 'New'", '"New"'),
    "a box": (
        "<section><input type=checkbox aria-label=F></section>",
        "document.querySelector('input').checked = true",
        "checked",
    ),
    "what labels it": (
        "<section><button aria-labelledby=name></button></section><p id=name>Old</p>",
        "document.getElementById('name').textContent = 'New'",
        '~ button "New"',
    ),
    "a popover": (
        "<section><p id=over popover>New</p></section>",
        "over.showPopover()",
        '+ text "New"',
    ),
    "a dialog": ("<section><dialog><p>New</p></dialog></section>", "document.querySelector('dialog').show()", "New"),
    "its place": (
        "<section><h2>One</h2></section><aside><p>Two</p></aside>",
        "document.querySelector('aside').append(document.querySelector('h2'))",
        '~ heading "One"',
    ),
    "a disabled group": (
        "<fieldset><p>Text</p><button>Inner</button></fieldset>",
        "document.querySelector('fieldset').disabled = true",
        '~ button "Inner" disabled',
    ),
    "a form whose fields are called as its own properties": (
        "<style>.on p{display:none}</style><form><input name=parentNode type=hidden><input name=host type=hidden>"
        "<input name=checkVisibility type=hidden><section><p>Old</p></section></form>",
        "document.forms[0].className = 'on'",
        '- text "Old"',
    ),
}


@pytest.mark.parametrize(("html", "script", "line"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_told_whatever_it_came_by(show: Show, html: str, script: str, line: str) -> None:
    tab = show(f'<button onclick="{script}">Go</button><main><ul><li>As<li>it<li>was</ul></main>{html}')
    answer = tab.ok("click", target=tab.first.reference('button "Go"'))
    assert line in answer.text
    assert "was" not in answer.text


def test_what_the_pointer_opens_and_closes_is_told(show: Show) -> None:
    tab = show(
        "<style>section p{display:none} section:hover p{display:block}</style>"
        "<section><button>Menu</button><p>Inside</p></section><button style='margin-top:200px'>Away</button>"
    )
    assert '+ text "Inside"' in tab.ok("hover", target=tab.first.reference('button "Menu"')).text
    assert '- text "Inside"' in tab.ok("hover", target=tab.first.reference('button "Away"')).text


def test_the_way_of_the_focus_is_known_though_nothing_else_changes(show: Show) -> None:
    tab = show("<ul><li><a href=#>One</a><li><a href=#>Two</a></ul>")
    tab.ok("press_key", key="Tab")
    assert 'link "Two"' in tab.ok("press_key", key="Tab").text
    assert tab.see().text.count("focused") == 1


def test_a_click_on_what_was_renamed_since_it_was_shown_says_so(show: Show, site: Site) -> None:
    renamed = threading.Event()

    def hear(_: Received) -> Reply:
        renamed.set()
        return Reply()

    tab = show(
        "<button id=b>Save</button><script>"
        f"setTimeout(() => {{ b.textContent = 'Delete'; fetch('{site.put(hear)}') }}, 600)</script>"
    )
    reference = tab.first.reference('button "Save"')
    assert renamed.wait(30)
    note = f'{reference} is now button "Delete"; it was button "Save"'
    assert tab.ok("click", target=reference).text.splitlines()[0] == note


def test_a_click_on_what_has_gone_is_refused_at_once_and_says_what_it_was(show: Show, site: Site) -> None:
    gone = threading.Event()

    def hear(_: Received) -> Reply:
        gone.set()
        return Reply()

    tab = show(
        f"<button id=b>Save</button><script>setTimeout(() => {{ b.remove(); fetch('{site.put(hear)}') }}, 600)</script>"
    )
    reference = tab.first.reference('button "Save"')
    assert gone.wait(30)
    refused = tab.call("click", target=reference)
    assert (refused.error, 'button "Save"' in refused.raw) == ("not_found", True)

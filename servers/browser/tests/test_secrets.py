"""What is secret on a page stays so, in whatever form it comes back."""

import base64
import html
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from browsing import HIDDEN, Browser, Show, browsing
from mcp_server_web_browser.secret_values import Redactor, Secrets
from mcp_server_web_browser.server import build_server
from mcp_server_web_browser.settings import Settings
from site_on_loopback import Reply, Site, asking_for_a_password

ENCODINGS = {
    "plain": HIDDEN,
    "url": quote(HIDDEN, safe=""),
    "url-lower": quote(HIDDEN, safe="").lower(),
    "form": quote_plus(HIDDEN),
    "html": html.escape(HIDDEN),
    "json": json.dumps(HIDDEN)[1:-1],
    "hex": HIDDEN.encode().hex(),
    "base64": base64.b64encode(HIDDEN.encode()).decode(),
    "base64-shifted": base64.b64encode(b"x" + HIDDEN.encode() + b"yz").decode(),
    "base64-shifted-twice": base64.b64encode(b"user:" + HIDDEN.encode()).decode(),
    "base64url": base64.urlsafe_b64encode(b"??" + HIDDEN.encode()).decode(),
    "backwards": HIDDEN[::-1],
    "upper-case": HIDDEN.upper(),
}


@pytest.mark.parametrize("encoded", ENCODINGS.values(), ids=ENCODINGS)
def test_a_known_value_is_taken_out_of_text_in_every_encoding(encoded: str) -> None:
    shown = Redactor([HIDDEN])(f"before {encoded} after")
    assert "[redacted]" in shown
    assert "Tr0ub4" not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


def test_text_without_secrets_stays_as_it_is() -> None:
    assert Redactor([HIDDEN, "abc"])("before abc after") == "before abc after"


@pytest.mark.parametrize(
    "field",
    ["type=password", "autocomplete=one-time-code", "autocomplete=cc-number", "autocomplete='section-a cc-csc'"],
)
def test_what_stands_in_a_secret_field_is_not_shown(show: Show, field: str) -> None:
    tab = show(f"<input aria-label=Code {field} value='hunter-2000'><p>hunter-2000</p>")
    seen = tab.see().raw + tab.ok("read_page_text").raw
    assert "hunter" not in seen
    assert 'textbox "Code" value="••••"' in seen


def test_a_password_that_is_turned_into_text_stays_hidden(show: Show) -> None:
    tab = show(
        "<input id=p aria-label=Pw type=password value=hunter-2000><button onclick=\"p.type='text'\">Show</button>"
    )
    tab.ok("click", target="text=Show")
    assert "hunter" not in tab.see().raw


def test_a_typed_password_is_not_shown_by_any_tool(show_granted: Show, site: Site) -> None:
    tab = show_granted(
        "<form><input aria-label=Pw type=password name=pw><button>Send</button></form>"
        "<script>if (location.search) console.log('got ' + location.search)</script>"
    )
    answers = [
        tab.ok("type_text", target="label=Pw", text="hunter-2000 ß"),
        tab.ok("evaluate", function="() => document.querySelector('input').value"),
        tab.ok("evaluate", function="() => btoa(document.querySelector('input').value)"),
        tab.ok("click", target="text=Send"),
        tab.see(),
        tab.ok("list_requests"),
        tab.ok("list_console_messages"),
        tab.ok("read_request", number=tab.ok("list_requests").rows[-1][0]),
    ]
    assert [answer.raw for answer in answers if "hunter" in answer.raw or "aHVudGVy" in answer.raw] == []


def test_a_secret_is_filled_and_never_shown(show_granted: Show) -> None:
    tab = show_granted(
        "<input aria-label=User><p id=out></p><script>document.querySelector('input').oninput = e => {"
        "out.textContent = e.target.value;"
        "document.title = btoa(unescape(encodeURIComponent(e.target.value))) }</script>"
    )
    answers = [
        tab.ok("fill_secret", target="label=User", name="shop"),
        tab.see(),
        tab.ok("read_page_text"),
        tab.ok("evaluate", function="() => [document.title, out.textContent]"),
    ]
    raw = "".join(answer.raw for answer in answers)
    assert "Tr0ub4" not in raw
    assert base64.b64encode(HIDDEN.encode()).decode()[:12] not in raw
    assert "[redacted]" in raw
    length = tab.ok("evaluate", function="() => out.textContent.length").text
    assert length == str(len(HIDDEN))


def test_a_secret_is_refused_on_pages_of_another_origin(show_granted: Show, site: Site, granted: Browser) -> None:
    tab = show_granted("<input aria-label=Pw>")
    assert tab.call("fill_secret", target="label=Pw", name="other").error == "permission_denied"
    path = site.page("<input aria-label=Pw>").partition(str(site.port))[2]
    elsewhere = granted.open(site.url(path, host="localhost"))
    assert elsewhere.call("fill_secret", target="label=Pw", name="shop").error == "permission_denied"


def test_a_secret_is_refused_in_a_form_that_goes_elsewhere(show_granted: Show) -> None:
    tab = show_granted("<form action='https://evil.example/'><input aria-label=Pw></form>")
    assert tab.call("fill_secret", target="label=Pw", name="shop").error == "permission_denied"


def test_an_unknown_secret_is_answered_with_the_names_there_are(show_granted: Show) -> None:
    refused = show_granted("<input aria-label=Pw>").call("fill_secret", target="label=Pw", name="shopp")
    assert (refused.error, "Did you mean shop?" in refused.raw) == ("not_found", True)


@pytest.mark.parametrize("kind", ["trace", "har"])
def test_a_recording_holds_no_secret(show_granted: Show, granted: Browser, kind: str) -> None:
    tab = show_granted(
        "<form><input type=password aria-label=Pw name=pw><input type=password aria-label=Other name=other>"
        "<button>Send</button></form>"
    )
    tab.ok("record", action="start", kind=kind)
    tab.ok("fill_secret", target="label=Pw", name="shop")
    tab.ok("type_text", target="label=Other", text="hunter-2000")
    tab.ok("click", target="text=Send")
    [[uri, _]] = tab.ok("record", action="stop", kind=kind).rows
    recorded = granted.read(uri)
    if kind == "trace":
        with zipfile.ZipFile(io.BytesIO(recorded)) as archive:
            recorded = b"".join(archive.read(name) for name in archive.namelist())
    assert b"[redacted]" in recorded
    assert not any(known in recorded for known in (b"Tr0ub4", b"hunter-2000"))


def test_a_secret_does_not_go_into_a_field_that_a_trace_shows(show_granted: Show) -> None:
    tab = show_granted("<input aria-label=User>")
    tab.ok("record", action="start")
    assert tab.call("fill_secret", target="label=User", name="shop").error == "conflict"
    tab.ok("record", action="stop")


def test_a_file_that_a_page_makes_of_a_secret_holds_none(show_granted: Show, granted: Browser) -> None:
    tab = show_granted(
        "<input type=password aria-label=Pw><button onclick=\"let a = document.createElement('a');"
        "a.href = window.URL.createObjectURL(new Blob([document.querySelector('input').value])); a.download = 'x.txt';"
        'a.click()">Save</button>'
    )
    tab.ok("fill_secret", target="label=Pw", name="shop")
    tab.ok("click", target="text=Save")
    [[uri, *_]] = tab.ok("list_downloads").rows
    assert granted.read(uri) == b"[redacted]"


def test_secret_fields_are_covered_in_pictures(show_granted: Show) -> None:
    html_of = "<body style='margin:0'><input autocomplete=cc-number style='width:300px;height:100px' value='{}'>"
    pictures = [
        show_granted(html_of.format(value)).ok("screenshot", format="png").image.data
        for value in ("4111 1111 1111 1111", "5500 0000 0000 0004")
    ]
    assert pictures[0] == pictures[1]


def test_what_a_page_sends_as_a_password_is_not_shown(show_granted: Show, site: Site) -> None:
    url = site.put(Reply("ok"))
    body = "JSON.stringify({password: 'hunter-2000'})"
    tab = show_granted(f"<script>fetch('{url}', {{method: 'POST', body: {body}}})</script>")
    tab.ok("wait_for", network_quiet=True)
    [row] = tab.ok("list_requests", url=url).rows
    assert "hunter" not in tab.ok("read_request", number=row[0], part="request_body").raw


def test_headers_that_carry_credentials_are_left_out(show_granted: Show, site: Site) -> None:
    tab = show_granted(
        "<script>document.cookie = 'session=abcdef123456';"
        "fetch('/x', {headers: {authorization: 'Bearer t0ken'}})</script>"
    )
    tab.ok("wait_for", network_quiet=True)
    [row] = tab.ok("list_requests", url="/x").rows
    headers = tab.ok("read_request", number=row[0]).text
    assert "abcdef123456" not in headers
    assert "t0ken" not in headers


@pytest.fixture
def secrets_of(chromium: Path, site: Site, tmp_path: Path) -> Iterator[Callable[[str], Browser]]:
    """Return what starts a browser with a file of secrets."""
    with ExitStack() as stack:

        def started(secrets: str) -> Browser:
            file = tmp_path / "secrets.toml"
            file.write_text(secrets)
            settings = Settings(
                executable=chromium,
                allow_host=(f"127.0.0.1:{site.port}", f"localhost:{site.port}"),
                allow_secrets=True,
                secrets_file=file,
            )
            return stack.enter_context(browsing(lambda: build_server(settings)))

        yield started


def table(name: str, origin: str) -> str:
    return f'[{name}]\norigins = ["{origin}"]\nuser = "{name}"\nvalue = "password-of-{name}"\n'


def test_a_password_asked_for_by_http_is_given_and_never_shown(
    secrets_of: Callable[[str], Browser], site: Site
) -> None:
    browser = secrets_of(table("staging", site.url("")))
    tab = browser.open(site.put(asking_for_a_password))
    answers = [tab.first, tab.see(), tab.ok("read_page_text"), tab.ok("list_requests")]
    raw = "".join(answer.raw for answer in answers)
    assert 'heading "Welcome"' in raw
    assert "password-of" not in raw
    assert base64.b64encode(b"staging:password-of-staging").decode()[12:30] not in raw


def test_a_password_asked_for_by_http_goes_to_its_own_origin_alone(
    secrets_of: Callable[[str], Browser], site: Site
) -> None:
    browser = secrets_of(table("staging", site.url("")))
    path = site.put(asking_for_a_password).partition(str(site.port))[2]
    already = len(site.received)
    assert browser.call("open_page", url=site.url(path, host="localhost")).error == "unauthenticated"
    assert [received.authorization for received in site.received[already:]] == [None]


def test_in_a_context_opened_for_another_origin_nobody_is_logged_in_by_http(
    secrets_of: Callable[[str], Browser], site: Site
) -> None:
    browser = secrets_of(table("staging", site.url("")))
    path = site.page(f"<script>location = '{site.put(asking_for_a_password, '/asking')}'</script>")
    already = len(site.received)
    browser.call("open_page", url=site.url(path.partition(str(site.port))[2], host="localhost"))
    assert {received.authorization for received in site.received[already:] if received.path == "/asking"} == {None}


def test_of_several_passwords_for_http_a_context_has_that_of_the_origin_it_was_opened_for(
    secrets_of: Callable[[str], Browser], site: Site
) -> None:
    local = site.url("", host="localhost")
    browser = secrets_of(table("here", site.url("")) + table("local", local))
    url = site.put(asking_for_a_password)
    elsewhere = url.replace("127.0.0.1", "localhost")
    assert "Welcome" in browser.open(url).first.text
    tab = browser.open(elsewhere)
    assert "Welcome" in tab.first.text
    refused = tab.call("navigate", url=url)
    assert (refused.error, "open_page without a context" in refused.raw) == ("unauthenticated", True)


def test_a_password_that_is_refused_shows_what_the_page_says(secrets_of: Callable[[str], Browser], site: Site) -> None:
    browser = secrets_of(table("staging", site.url("")))
    url = site.put(Reply("<p>Not that one", 401, {"WWW-Authenticate": 'Basic realm="x"'}))
    first = browser.open(url).first.text
    assert "Not that one" in first
    assert "401" in first


@pytest.mark.parametrize(
    ("origin", "written"),
    [
        ("https://Shop.example", "https://shop.example"),
        ("https://shop.example:443/path", "https://shop.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_given_as_browsers_write_it(tmp_path: Path, origin: str, written: str) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text(table("shop", origin))
    assert Secrets(file).http_credentials(f"{written}/another") == {
        "username": "shop",
        "password": "password-of-shop",
        "origin": written,
    }

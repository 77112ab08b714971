"""What the operator grants singly."""

import json
import time
from pathlib import Path

import pytest
from browsing import Browser, Show, browsing
from mcp_server_web_browser.server import build_server
from mcp_server_web_browser.settings import Settings
from site_on_loopback import Received, Reply, Site


@pytest.mark.parametrize(
    ("function", "result"),
    [
        ("() => 1 + 1", 2),
        ("async () => ({a: [null, 'ü']})", {"a": [None, "ü"]}),
        ("() => undefined", None),
        ("() => document.title", "Test"),
    ],
)
def test_a_script_answers_with_its_result(show_granted: Show, function: str, result: object) -> None:
    assert json.loads(show_granted("<p>").ok("evaluate", function=function).text) == result


def test_a_script_gets_the_element_it_is_for(show_granted: Show) -> None:
    tab = show_granted("<button class=big>Go</button>")
    assert tab.ok("evaluate", function="e => e.className", target="text=Go").text == '"big"'


def test_a_script_that_fails_says_why(show_granted: Show) -> None:
    refused = show_granted("<p>").call("evaluate", function="() => { throw new Error('Oh no') }")
    assert (refused.error, "Oh no" in refused.raw) == ("invalid_argument", True)


def test_a_result_that_contains_itself_is_refused(show_granted: Show) -> None:
    refused = show_granted("<p>").call("evaluate", function="() => { const a = {}; a.a = a; return a }")
    assert (refused.error, "contains itself" in refused.raw) == ("invalid_argument", True)


def test_a_script_that_opens_a_dialog_does_not_hang(show_granted: Show) -> None:
    tab = show_granted("<p>")
    assert "dialog alert" in tab.ok("evaluate", function="() => alert(1)").text
    tab.ok("answer_dialog", accept=True)


def test_requests_are_mocked_blocked_and_let_through_again(show_granted: Show, site: Site) -> None:
    url = site.put(Reply("real"))
    tab = show_granted("<p>")
    asks = f"() => fetch('{url}').then(r => r.text(), () => 'failed')"
    for action, result in (("mock", "mocked"), ("block", "failed"), ("clear", "real")):
        tab.ok("route_requests", url=url, action=action, body="mocked")
        assert json.loads(tab.ok("evaluate", function=asks).text) == result


@pytest.mark.parametrize("kind", ["cookies", "local", "session"])
def test_storage_is_set_listed_and_removed(show_granted: Show, kind: str) -> None:
    tab = show_granted("<p>")
    tab.ok("write_storage", kind=kind, name="colour", value="blue")
    assert [row[:2] for row in tab.ok("read_storage", kind=kind).rows] == [["colour", "blue"]]
    tab.ok("write_storage", kind=kind, name="colour")
    assert tab.ok("read_storage", kind=kind).rows == []


def test_a_saved_state_brings_cookies_and_storage_back(show_granted: Show, granted: Browser, site: Site) -> None:
    tab = show_granted("<script>document.cookie='who=ada'; localStorage.theme='dark'</script>")
    [[uri]] = tab.ok("save_state").rows
    [[context]] = granted.ok("load_state", uri=uri).rows
    shows = site.page("<script>document.write(document.cookie + ' ' + localStorage.theme)</script>")
    assert 'text "who=ada dark"' in granted.open(shows, context=context).first.text


@pytest.mark.parametrize("kind", ["trace", "har"])
def test_a_recording_is_kept_as_a_resource(show_granted: Show, granted: Browser, kind: str) -> None:
    tab = show_granted("<button>Go</button>")
    tab.ok("record", action="start", kind=kind)
    tab.ok("click", target="text=Go")
    [[uri, size]] = tab.ok("record", action="stop", kind=kind).rows
    assert size > 0
    assert granted.client is not None
    granted.wait_for(granted.client.read_resource(uri))
    assert tab.call("record", action="stop", kind=kind).error == "not_found"


def test_emulation_changes_what_the_page_sees(show_granted: Show) -> None:
    tab = show_granted("<p>")
    tab.ok("emulate", viewport=[400, 300], colours="dark", location=[52.5, 13.4])
    seen = tab.ok(
        "evaluate",
        function="() => new Promise(done => navigator.geolocation.getCurrentPosition("
        "p => done([innerWidth, matchMedia('(prefers-color-scheme: dark)').matches, p.coords.latitude])))",
    )
    assert json.loads(seen.text) == [400, True, 52.5]


def test_a_file_of_the_folder_is_uploaded(show_granted: Show, site: Site) -> None:
    bodies: list[str] = []

    def receive(received: Received) -> Reply:
        bodies.append(received.body)
        return Reply("thanks")

    url = site.put(receive)
    form = f"<form method=post enctype=multipart/form-data action='{url}'><input type=file name=f aria-label=File>"
    tab = show_granted(f"{form}<button>Send</button></form>")
    assert "letter.txt" in tab.ok("upload_files", target="label=File", names=["letter.txt"]).text
    tab.ok("click", target="text=Send")
    assert "Dear Ada" in bodies[0]


def test_a_file_is_uploaded_through_a_button_that_opens_the_chooser(show_granted: Show) -> None:
    tab = show_granted(
        "<input type=file id=f hidden onchange='out.textContent = f.files[0].name'>"
        "<button onclick='f.click()'>Choose</button><p id=out></p>"
    )
    assert 'text "letter.txt"' in tab.ok("upload_files", target="text=Choose", names=["letter.txt"]).text


@pytest.mark.parametrize("endless", [False, True])
def test_a_download_that_is_too_large_is_stopped(chromium: Path, site: Site, tmp_path: Path, endless: bool) -> None:  # noqa: FBT001
    settings = Settings(
        executable=chromium,
        allow_host=(f"127.0.0.1:{site.port}",),
        artifacts_dir=tmp_path,
        max_download_bytes=100_000,
    )
    attachment = {"Content-Disposition": "attachment; filename=big.bin"}
    data = b"x" * 300_000
    url = site.put(Reply(b"" if endless else data, headers=attachment, endless=data if endless else b""))
    with browsing(lambda: build_server(settings)) as browser:
        tab = browser.open(site.page(f"<a href='{url}'>Get</a>"))
        tab.ok("click", target="text=Get")
        [[uri, _, _, _, problem, *_]] = tab.ok("list_downloads").rows
        assert uri is None
        assert "bytes" in problem
        deadline = time.monotonic() + 60  # the browser deletes what it has in its own time
        while any(path.is_file() for path in tmp_path.rglob("*")):
            assert time.monotonic() < deadline


def test_a_file_that_is_too_large_is_not_uploaded(chromium: Path, site: Site, upload_dir: Path) -> None:
    settings = Settings(
        executable=chromium,
        allow_host=(f"127.0.0.1:{site.port}",),
        upload_dir=upload_dir,
        allow_uploads=True,
        confirm=("never",),
        max_download_bytes=3,
    )
    with browsing(lambda: build_server(settings)) as browser:
        tab = browser.open(site.page("<input type=file aria-label=File>"))
        assert tab.call("upload_files", target="label=File", names=["letter.txt"]).error == "too_large"


def test_what_is_uploaded_is_what_was_there_when_it_was_chosen(show_granted: Show, upload_dir: Path) -> None:
    (upload_dir / "note.txt").write_text("first")
    tab = show_granted("<input type=file aria-label=File>")
    tab.ok("upload_files", target="label=File", names=["note.txt"])
    (upload_dir / "note.txt").write_text("other")
    reads = "() => document.querySelector('input').files[0].text()"
    assert json.loads(tab.ok("evaluate", function=reads).text) == "first"


def test_a_device_is_pretended_to_be(show_granted: Show) -> None:
    tab = show_granted("<meta name=viewport content='width=device-width'><p>Here")
    tab.ok("emulate", device="iPhone 15")
    tab.ok("navigate", move="reload")
    asks = "() => [innerWidth, devicePixelRatio, 'ontouchstart' in window, navigator.userAgent.includes('iPhone')]"
    assert json.loads(tab.ok("evaluate", function=asks).text) == [393, 3, True, True]
    refused = tab.call("emulate", device="iphone 15")
    assert (refused.error, "Did you mean iPhone 15" in refused.raw) == ("not_found", True)


@pytest.mark.parametrize(
    "name", ["../outside.txt", "link.txt", "way/outside.txt", "/etc/passwd", "", ".", "way", "letter.txt/../letter.txt"]
)
def test_nothing_outside_the_folder_is_uploaded(show_granted: Show, name: str) -> None:
    tab = show_granted("<input type=file aria-label=File>")
    assert tab.call("upload_files", target="label=File", names=[name]).error == "not_found"


def test_an_upload_and_a_form_that_goes_elsewhere_need_consent(chromium: Path, site: Site, upload_dir: Path) -> None:
    settings = Settings(
        executable=chromium, allow_host=(f"127.0.0.1:{site.port}",), upload_dir=upload_dir, allow_uploads=True
    )
    url = site.page(
        "<input type=file aria-label=File><form action='https://elsewhere.example/'>"
        "<input aria-label=Q><button><span>Send</span></button></form>"
        "<form><button formaction='https://elsewhere.example/'>Also</button></form>"
    )
    with browsing(lambda: build_server(settings)) as browser:
        tab = browser.open(url)
        for tool, arguments in (
            ("upload_files", {"target": "label=File", "names": ["letter.txt"]}),
            ("click", {"target": tab.first.reference('button "Send"')}),
            ("click", {"target": "css=span"}),
            ("click", {"target": "css=button:has(span)"}),
            ("click", {"target": "text=Also"}),
            ("type_text", {"target": "label=Q", "text": "x", "submit": True}),
            ("type_text", {"target": "label=Q", "text": "x\n", "slowly": True}),
            ("press_key", {"target": "label=Q", "key": "Enter"}),
            ("press_key", {"target": "text=Also", "key": " "}),
        ):
            refused = tab.call(tool, **arguments)
            assert (refused.error, "--confirm" in refused.raw) == ("confirmation_required", True), (tool, arguments)
        tab.ok("click", target="label=Q")
        assert tab.call("press_key", key="Enter").error == "confirmation_required"
        assert tab.ok("press_key", target="label=Q", key="a").facts == {}

"""Nothing leaves for where the operator does not let it, whichever way a page tries."""

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from browsing import Browser, Show
from site_on_loopback import Reply, Site

ATTEMPTS = {
    "image": "new Image().src = '{url}'",
    "fetch": "fetch('{url}', {{mode: 'no-cors'}}).catch(() => 0)",
    "beacon": "navigator.sendBeacon('{url}', 'x')",
    "frame": "document.body.append(Object.assign(document.createElement('iframe'), {{src: '{url}'}}))",
    "worker": "new Worker(URL.createObjectURL(new Blob([\"fetch('{url}', {{mode: 'no-cors'}}).catch(() => 0)\"])))",
    "shared-worker": "new SharedWorker(URL.createObjectURL(new Blob([\"fetch('{url}', {{mode: 'no-cors'}})"
    '.catch(() => 0)"])))',
    "worker-script": "new Worker(URL.createObjectURL(new Blob([\"importScripts('{url}')\"])))",
    "worker-socket": "new Worker(URL.createObjectURL(new Blob([\"new WebSocket('{url}'.replace('http', 'ws'))\"])))",
    "socket": "new WebSocket('{url}'.replace('http', 'ws'))",
    "events": "new EventSource('{url}')",
    "popup": "open('{url}')",
    "form": "let f = document.createElement('form'); f.action = '{url}'; document.body.append(f); f.submit()",
    "popup-without-opener": "open('{url}', '_blank', 'noopener')",
    "popup-written-into": "open('about:blank').document.write('<img src={url}>')",
    "blob": "open(URL.createObjectURL(new Blob(['<img src={url}>'], {{type: 'text/html'}})))",
    "srcdoc": "document.body.insertAdjacentHTML('beforeend', '<iframe srcdoc=\\'<img src={url}>\\'></iframe>')",
    "embedded": "document.body.insertAdjacentHTML('beforeend', '<object data={url}></object><embed src={url}>"
    "<video src={url}></video><svg><image href={url} /></svg><input type=image src={url}>')",
    "farewell": "addEventListener('pagehide', () => {{ fetch('{url}', {{keepalive: true, mode: 'no-cors'}});"
    " navigator.sendBeacon('{url}', 'x') }}); location = '/elsewhere'",
    "hints": "for (const rel of ['prefetch', 'preconnect', 'dns-prefetch', 'modulepreload', 'prerender', 'manifest'])"
    " document.head.append(Object.assign(document.createElement('link'), {{rel, href: '{url}'}}))",
    "speculation": "let s = document.createElement('script'); s.type = 'speculationrules'; s.textContent ="
    " JSON.stringify({{prefetch: [{{source: 'list', urls: ['{url}']}}]}}); document.head.append(s)",
    "report": "document.head.insertAdjacentHTML('beforeend', '<meta http-equiv=Content-Security-Policy content=\\'"
    "img-src none; report-uri {url}\\'>'); new Image().src = '/x.png'",
    "location": "location = '{url}'",
    "preconnect": "document.head.append(Object.assign(document.createElement('link'), {{rel: 'preload', as: 'script',"
    " href: '{url}'}}))",
    "style": "document.head.append(Object.assign(document.createElement('style'),"
    " {{textContent: '@import url({url})'}}))",
    "ping": "let a = document.createElement('a'); a.ping = '{url}'; a.href = '#x'; document.body.append(a); a.click()",
    "download": "let a = document.createElement('a'); a.download = 'x'; a.href = '{url}';"
    " document.body.append(a); a.click()",
}


def test_a_click_that_leads_where_it_may_not_says_why(show: Show) -> None:
    answer = show("<a href='http://10.0.0.1/'>Router</a>").ok("click", target="text=Router")
    assert "refused: 10.0.0.1 is not on the public internet" in answer.text


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_a_page_cannot_reach_a_private_address(show: Show, site: Site, forbidden: Site, attempt: str) -> None:
    before = len(forbidden.received)
    done = site.put(Reply("done"))
    script = attempt.format(url=forbidden.url("/secret"))
    tab = show(f"<button onclick=\"go()\">Go</button><script>function go() {{ {script}; fetch('{done}') }}</script>")
    tab.call("click", target="text=Go")
    assert forbidden.received[before:] == []


@pytest.mark.parametrize(
    "attempt",
    [
        *("image", "fetch", "beacon", "frame", "worker", "shared-worker", "worker-script", "popup", "embedded"),
        *("popup-without-opener", "popup-written-into", "blob", "srcdoc", "farewell"),
    ],
)
def test_the_same_attempts_reach_what_is_allowed(show: Show, site: Site, attempt: str) -> None:
    url = site.put(Reply("here", headers={"Access-Control-Allow-Origin": "*"}))
    tab = show(
        f'<button onclick="go()">Go</button><script>function go() {{ {ATTEMPTS[attempt].format(url=url)} }}</script>'
    )
    tab.call("click", target="text=Go")
    path = url.partition(str(site.port))[2]
    deadline = time.monotonic() + 10
    while all(received.path != path for received in site.received):
        assert time.monotonic() < deadline, "the attempt does nothing, so the others prove nothing"
        time.sleep(0.02)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_lead_to_a_private_address(
    browser: Browser, site: Site, forbidden: Site, status: int
) -> None:
    before = len(forbidden.received)
    url = site.put(Reply(status=status, headers={"Location": forbidden.url("/secret")}))
    refused = browser.call("open_page", url=url)
    assert (refused.error, "--allow-host 127.0.0.2" in refused.raw) == ("permission_denied", True)
    assert forbidden.received[before:] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.2]/",
        "http://2130706434/",
        "http://0x7f.1/",
        "file:///etc/passwd",
        "data:text/html,hello",
        "javascript:alert(1)",
        "view-source:http://example.com/",
        "chrome://version",
        "about:srcdoc",
        "ftp://example.com/",
        "http://user:pass@example.com/",
        "http:\\\\example.com",
        "//example.com",
        "http://",
        "http://exa mple.com/",
    ],
)
def test_what_may_not_be_opened_is_refused_before_a_browser_is_asked(browser: Browser, url: str) -> None:
    assert browser.call("open_page", url=url).error in {"permission_denied", "invalid_argument"}


def test_an_encrypted_page_comes_by_the_proxy_too(forbidden: Site, show: Show, site: Site) -> None:
    before = len(forbidden.received)
    tab = show("<p>Start")
    # The site speaks no TLS: that its answer is what fails shows that the tunnel reached it.
    refused = tab.call("navigate", url=site.url("/").replace("http:", "https:"))
    assert (refused.error, "ERR_SSL" in refused.raw) == ("unavailable", True)
    refused = tab.call("navigate", url=forbidden.url("/").replace("http:", "https:"))
    assert refused.error == "permission_denied"
    assert forbidden.received[before:] == []


@pytest.mark.parametrize(
    "attempt",
    [
        "open('{}')",
        "location = '{}'",
        "document.body.append(Object.assign(document.createElement('iframe'), {{src: '{}'}}))",
        "fetch('{}').then(answer => answer.text()).then(text => {{ out.textContent = text }}).catch(() => 0)",
        "document.body.insertAdjacentHTML('beforeend', '<object data={}></object><embed src={}>')",
        "Object.assign(document.createElement('a'), {{href: '{}', download: 'x'}}).click()",
    ],
    ids=["popup", "location", "frame", "fetch", "object", "download"],
)
@pytest.mark.parametrize("url", ["file:///etc/passwd", "view-source:file:///etc/passwd", "chrome://version"])
def test_a_page_leads_to_no_file_and_no_page_of_the_browser(
    show: Show, browser: Browser, attempt: str, url: str
) -> None:
    tab = show(
        '<p id=out></p><button onclick="go()">Go</button>'
        f"<script>function go() {{ {attempt.format(url, url)} }}</script>"
    )
    seen = [tab.call("click", target="text=Go").raw]
    handles = [row[0] for row in tab.call("list_pages").rows]
    seen += [
        browser.call(tool, page=handle).raw
        for handle in handles
        for tool in ("snapshot", "read_page_text", "list_downloads")
    ]
    assert not any("root:" in each or "Executable Path" in each for each in seen)


def test_a_redirect_leads_to_no_file(browser: Browser, site: Site) -> None:
    url = site.put(Reply(status=302, headers={"Location": "file:///etc/passwd"}))
    assert browser.call("open_page", url=url).result.is_error


@contextmanager
def listening() -> Generator[tuple[int, list[bytes]]]:
    """Yield the port of a UDP socket, and the packets that arrive."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.1)
        packets: list[bytes] = []
        stopped = threading.Event()

        def receive() -> None:
            while not stopped.is_set():
                try:
                    packets.append(receiver.recv(2_048))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield receiver.getsockname()[1], packets
        finally:
            stopped.set()
            thread.join()


GATHER = """
const peer = new RTCPeerConnection({iceServers: [SERVER]})
peer.createDataChannel('x')
peer.onicegatheringstatechange = () => { if (peer.iceGatheringState === 'complete') out.textContent = 'done' }
peer.createOffer().then(offer => peer.setLocalDescription(offer))
"""
MEET = """
(async () => {
  const one = new RTCPeerConnection(), other = new RTCPeerConnection()
  one.createDataChannel('x')
  await one.setLocalDescription(await one.createOffer())
  await other.setRemoteDescription(one.localDescription)
  await other.setLocalDescription(await other.createAnswer())
  await one.setRemoteDescription(other.localDescription)
  for (const how of ['udp 9 127.0.0.1 PORT typ host', 'tcp 8 127.0.0.1 PORT typ host tcptype passive'])
    await one.addIceCandidate({candidate: 'candidate:1 1 ' + how, sdpMid: '0', sdpMLineIndex: 0})
  one.oniceconnectionstatechange = () => { if (one.iceConnectionState !== 'checking') out.textContent = 'done' }
})()
"""
DATAGRAMS = {
    "stun": GATHER.replace("SERVER", "{urls: 'stun:127.0.0.1:PORT'}"),
    "turn": GATHER.replace("SERVER", "{urls: 'turn:127.0.0.1:PORT', username: 'a', credential: 'b'}"),
    "turn over tcp": GATHER.replace(
        "SERVER", "{urls: 'turn:127.0.0.1:PORT?transport=tcp', username: 'a', credential: 'b'}"
    ),
    "a candidate of the page's own": MEET,
    "webtransport": "new WebTransport('https://127.0.0.1:PORT/').ready.catch(() => { out.textContent = 'done' })",
}


@pytest.mark.parametrize("attempt", DATAGRAMS.values(), ids=DATAGRAMS)
def test_nothing_leaves_past_the_proxy(show: Show, attempt: str) -> None:
    with listening() as (port, packets), socket.create_server(("127.0.0.1", port)) as server:
        script = attempt.replace("PORT", str(port))
        patience = "setTimeout(() => { out.textContent = 'done' }, 3000)"
        tab = show(f"<p id=out>waiting</p><script>{script}; {patience}</script>")
        tab.ok("wait_for", text="done")
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
        assert packets == []


def test_a_service_worker_is_not_installed(show: Show, site: Site) -> None:
    script = site.put(Reply("self.onfetch = () => 0", headers={"Content-Type": "text/javascript"}))
    tab = show(
        f"<p id=out>waiting</p><script>navigator.serviceWorker.register('{script}')"
        ".then(() => { out.textContent = 'settled' }, () => { out.textContent = 'settled' })</script>"
    )
    tab.ok("wait_for", text="settled", timeout_s=30) if "settled" not in tab.first.text else None
    assert not any(received.path == script.partition(str(site.port))[2] for received in site.received)


def test_a_web_socket_reaches_what_is_allowed(show: Show) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        # Not allowed: the proxy answers, and nothing is accepted here.
        server.settimeout(1)
        tab = show(f"<script>new WebSocket('ws://127.0.0.1:{server.getsockname()[1]}/')</script>")
        tab.see()
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_name_that_leads_elsewhere_the_second_time_is_judged_again(
    browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up, leads_to = socket.getaddrinfo, ["127.0.0.1"]

    def rebound(host: Any, *rest: Any, **options: Any) -> Any:
        return look_up(leads_to[-1] if host == "rebound.example" else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    path = site.page(
        "<button onclick=\"fetch('/none').then(answer => { out.textContent = answer.status })\">Go</button>"
        "<p id=out></p>"
    ).partition(str(site.port))[2]
    tab = browser.open(site.url(path, host="rebound.example"))
    assert 'text "404"' in tab.ok("click", target="text=Go").text
    leads_to.append("192.168.0.1")
    assert 'text "403"' in tab.ok("click", target="text=Go").text
    assert tab.call("navigate", move="reload").error == "permission_denied"
    browser.call("close_page", page=tab.context)

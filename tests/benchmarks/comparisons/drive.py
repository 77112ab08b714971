"""The same files of Drive by this server and by Google's own client, against the Google of the tests.

The client is used in the two ways that servers use it: a new service for each call, and one service that all threads
share. The second is fast and wrong: its threads get each other's files, which is counted here. For each of some jobs
the requests are counted that reach Google; and while it is slow to answer, whether the server answers others.
"""

# The library ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import httplib2
from client import ServerFailed, StdioClient
from fake_drive import LONG_CHARACTERS, TABS, FakeDrive, fake_drive
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc

from comparisons import Comparison, Growth, Samples

OURS, ANEW, SHARED = "mcp-server-drive", "Google's client, a service each", "Google's client, one service shared"
FILES = 64
THREADS = 16
CALLERS = (1, 8, 64)
DELAY_S = 0.05  # of each answer of Google, where many wait for it

FIND = "requests to find a file and read it"
PAGES = "requests to read a file in six pages"
TABBED = f"requests to read a sheet of {TABS} tabs"

_PATIENCE_S = 1.0  # of the client: on a shared connection it waits for answers that another thread has taken
_PAGE = LONG_CHARACTERS // 6 + 1


def compare(rounds: int, *, files: int = FILES) -> Comparison:
    """Read so many files one after the other and together, do the jobs, and let `CALLERS` wait."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    growth: Growth = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    skipped: dict[str, str] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        fake_drive(files, Path(folder) / "near") as near,
        fake_drive(files, Path(folder) / "far", delay_s=DELAY_S) as far,
    ):
        sides: dict[str, Callable[[], dict[str, float]]] = {
            OURS: lambda: _server(near, files) | _jobs_of_server(near),
            ANEW: lambda: _client(lambda: _service(near), files) | _jobs_of_client(near),
            SHARED: lambda: _client(_always(_service(near)), files),
        }
        for number in range(rounds + 1):
            for side, measured in sides.items():
                if side in skipped:
                    continue
                try:
                    figures = measured()
                    waits = _waits(side, far) if number else {}
                except ServerFailed as error:
                    skipped[side] = str(error)
                    continue
                for measure, value in figures.items() if number else ():  # the first round fills the caches
                    samples[measure][side].append(value)
                for measure, sizes in waits.items():
                    for callers, value in sizes.items():
                        growth[measure][side][callers].append(value)
    return Comparison(OURS, samples, skipped, growth)


def _started(google: FakeDrive, *flags: str) -> StdioClient:
    script = str(Path(sys.executable).with_name("mcp-server-drive"))
    given = ("--api-url", google.url, "--token-folder", str(google.tokens), "--log-level", "error")
    return StdioClient((script, *given, *flags), "modern")


def _server(google: FakeDrive, files: int) -> dict[str, float]:
    with _started(google) as client:
        client.open()
        start = time.perf_counter()
        _read(client, 0)
        first = time.perf_counter() - start
        start = time.perf_counter()
        wrong = sum(_read(client, number) for number in range(files))
        one_by_one = time.perf_counter() - start
        wanted = [{"file_id": f"file{number}"} for number in range(files)]
        start = time.perf_counter()
        answers = client.call_each("read_drive_file", wanted, in_flight=THREADS)
        together = time.perf_counter() - start
    wrong += sum(f"<{number}>".encode() not in answer for number, answer in enumerate(answers))
    return _figures(first, one_by_one, together, wrong, files)


def _read(client: StdioClient, number: int) -> bool:
    answer = client.request("tools/call", {"name": "read_drive_file", "arguments": {"file_id": f"file{number}"}})
    return f"<{number}>".encode() not in answer


def _client(service: Callable[[], Any], files: int) -> dict[str, float]:
    def read(number: int) -> bool:
        """Return whether another file came, or none: described first, as a server does, then its content."""
        try:
            of = service().files()
            of.get(fileId=f"file{number}", fields="id,name,mimeType,size").execute()
            return not of.get_media(fileId=f"file{number}").execute().startswith(f"<{number}>".encode())
        except Exception:  # noqa: BLE001 - what a shared connection makes of it
            return True

    start = time.perf_counter()
    read(0)
    first = time.perf_counter() - start
    start = time.perf_counter()
    wrong = sum(map(read, range(files)))
    one_by_one = time.perf_counter() - start
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        wrong += sum(threads.map(read, range(files)))
    return _figures(first, one_by_one, time.perf_counter() - start, wrong, files)


def _figures(first: float, one_by_one: float, together: float, wrong: int, files: int) -> dict[str, float]:
    return {
        "first file read (ms)": first * 1e3,
        "a file, one by one (ms)": one_by_one / files * 1e3,
        f"files a second, {THREADS} at a time": files / together,
        "wrong or failed, of 100": wrong * 100 / (2 * files),
    }


def _jobs_of_server(google: FakeDrive) -> dict[str, float]:
    with _started(google, "--max-output-characters", str(_PAGE)) as client:
        client.open()
        _read(client, 0)  # which asks whose account it is, once

        def find() -> None:
            client.call("search_drive", {"name": "File 7"})
            client.call("read_drive_file", {"file_id": "file7"})

        def pages() -> None:
            for page in range(6):
                client.call("read_drive_file", {"file_id": "long", "offset": page * _PAGE})

        def tabs() -> None:
            client.call("read_drive_file", {"file_id": "sheet"})

        return {job: _requests(google, work) for job, work in {FIND: find, PAGES: pages, TABBED: tabs}.items()}


def _jobs_of_client(google: FakeDrive) -> dict[str, float]:
    """Do the jobs as they are done without keeping anything: a file is described and fetched for each page."""
    files, sheets = _service(google).files(), _service(google, "sheets", "v4").spreadsheets()

    def read(file_id: str) -> None:
        files.get(fileId=file_id, fields="id,name,mimeType,size").execute()
        files.get_media(fileId=file_id).execute()

    def find() -> None:
        files.list(q="name contains 'File 7'", fields="files(id,name)").execute()
        read("file7")

    def pages() -> None:
        for _ in range(6):
            read("long")

    def tabs() -> None:
        files.get(fileId="sheet", fields="id,name,mimeType").execute()
        told = sheets.get(spreadsheetId="sheet", fields="sheets(properties(title))").execute()
        for tab in told["sheets"]:
            sheets.values().get(spreadsheetId="sheet", range=f"'{tab['properties']['title']}'").execute()

    return {job: _requests(google, work) for job, work in {FIND: find, PAGES: pages, TABBED: tabs}.items()}


def _requests(google: FakeDrive, work: Callable[[], None]) -> float:
    before = google.requests()
    work()
    return float(google.requests() - before)


def _waits(side: str, google: FakeDrive) -> dict[str, dict[int, float]]:
    """Let so many callers read at the same time while each answer of Google takes `DELAY_S`."""
    reading = f"all read (ms), so many callers, {DELAY_S * 1e3:.0f} ms a request"
    if side == OURS:
        lists: dict[int, float] = {}
        took: dict[int, float] = {}
        with _started(google) as client:
            client.open()
            _read(client, 0)
            for callers in CALLERS:
                wanted = [{"file_id": f"file{number}", "offset": callers} for number in range(callers)]
                seconds, took[callers] = client.list_latencies("read_drive_file", wanted)
                lists[callers] = median(seconds) * 1e3
        return {"tools/list (ms) while so many calls wait": lists, reading: {n: s * 1e3 for n, s in took.items()}}
    if side == SHARED:  # which would wait for answers that never come
        return {}
    return {reading: {callers: _together(google, callers) * 1e3 for callers in CALLERS}}


def _together(google: FakeDrive, callers: int) -> float:
    def read(number: int) -> None:
        of = _service(google).files()
        of.get(fileId=f"file{number}", fields="id,name,mimeType,size").execute()
        of.get_media(fileId=f"file{number}").execute()

    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(read, range(callers)))
    return time.perf_counter() - start


def _service(google: FakeDrive, name: str = "drive", version: str = "v3") -> Any:
    document: dict[str, Any] = json.loads(get_static_doc(name, version) or "{}")
    document |= {"rootUrl": f"{google.url}/", "baseUrl": f"{google.url}/{document['servicePath']}"}
    document.pop("mtlsRootUrl", None)
    return build_from_document(
        document, http=AuthorizedHttp(Credentials(google.token), http=httplib2.Http(timeout=_PATIENCE_S))
    )


def _always(service: Any) -> Callable[[], Any]:
    return lambda: service

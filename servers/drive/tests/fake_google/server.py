"""The fake's HTTP: tokens, faults, what each method answers."""

import contextlib
import email
import email.policy
import hashlib
import json
import re
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fake_google import native
from fake_google.discovery import Json, Method, Violation, find_method
from fake_google.oauth import Access, OAuth
from fake_google.queries import BadQuery, parse
from fake_google.storage import FOLDER, GOOGLE, OWNER, Storage, Stored

_EXPORT_LIMIT = 10_000_000
_SLOW_S = 20.0


class Refused(Exception):
    """An answer that is an error, in Google's form."""

    def __init__(self, status: int, reason: str, message: str = "", **headers: str) -> None:
        super().__init__(reason)
        self.status, self.reason, self.message, self.headers = status, reason, message or reason, headers

    def body(self) -> Json:
        detail = {"domain": "global", "reason": self.reason, "message": self.message}
        return {"error": {"code": self.status, "message": self.message, "errors": [detail]}}


@dataclass
class Fault:
    """What goes wrong with the next requests of a method.

    Attributes:
        method: its id, "drive.files.create".
        status: what is answered; None cuts the connection.
        reason: Google's word for it.
        after: whether the request is carried out first.
        times: how many requests it hits.
        skip: how many it lets pass before.
        headers: of the answer.
    """

    method: str
    status: int | None = 503
    reason: str = "backendError"
    after: bool = False
    times: int = 1
    skip: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that clients break; what the fake itself does wrong fails the request."""


@dataclass
class Request:
    """One request as the methods see it."""

    method: Method
    verb: str
    query: dict[str, list[str]]
    values: Json
    body: Json
    content: bytes | None
    content_type: str
    headers: Any
    access: Access


@dataclass
class _Session:
    """A resumable upload that is not complete."""

    request: Request
    received: bytes = b""
    answer: tuple[int, dict[str, str], bytes] | None = None


class FakeGoogle(Storage):
    """A Google of one's own; `with FakeGoogle() as google: google.url …`."""

    def __init__(self) -> None:
        super().__init__()
        self.oauth = OAuth()
        self.faults: list[Fault] = []
        self.seen: list[str] = []  # the methods that were asked for, in order
        self.violations: list[str] = []
        self.disabled: set[str] = set()  # APIs that the project has not enabled
        self.slow: set[str] = set()  # ids of files that take longer than anybody waits
        self.released = threading.Event()
        self.uploads: dict[str, _Session] = {}
        self.ids = 0
        self._http = _Http(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> "FakeGoogle":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def asked(self, method: str) -> int:
        """Return how often a method was asked for."""
        return self.seen.count(method)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        google = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
                pass

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - the base's names

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                try:
                    status, headers, answer = google.answer(self.command, self.path, self.headers, body)
                except ConnectionAbortedError:
                    self.close_connection = True
                    return
                with contextlib.suppress(ConnectionError):
                    self.send_response(status)
                    for name, value in {"content-length": str(len(answer)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer)

        return Handler

    def answer(self, verb: str, target: str, headers: Any, raw: bytes) -> tuple[int, dict[str, str], bytes]:
        """Answer one request."""
        address = urlsplit(target)
        query = parse_qs(address.query, keep_blank_values=True)
        try:
            if self.oauth.serves(address.path):
                return _json(*self.oauth.answer(address.path, raw))
            found = find_method(headers.get("x-http-method-override", verb), address.path)
            if found is None:
                return _json(404, Refused(404, "notFound", f"no method at {verb} {address.path}").body())
            if "x-http-method-override" in headers:
                query, raw = parse_qs(raw.decode(), keep_blank_values=True), b""
            return self._method(found[0], verb, found[1], query, headers, raw)
        except Refused as refused:
            status, extra, body = _json(refused.status, refused.body())
            return status, extra | refused.headers, body
        except (Violation, BadQuery) as violation:
            self.violations.append(f"{verb} {target}: {violation}")
            return _json(400, Refused(400, "badRequest", str(violation)).body())

    def _method(
        self, method: Method, verb: str, path: Json, query: dict[str, list[str]], headers: Any, raw: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.seen.append(method.id)
        fault = self._fault(method.id)
        if fault and not fault.after:
            return self._fail(fault)
        access = self.oauth.check(headers, method.told.get("scopes", []))
        if isinstance(access, tuple):
            raise Refused(*access)
        if method.api in self.disabled:
            raise Refused(403, "accessNotConfigured", f"{method.api} API has not been used in project 1 before")
        if verb == "PUT" and method.upload:
            answer = self._resume(query["upload_id"][0], headers, raw)
        else:
            body, content, content_type = _parts(method, query, headers, raw)
            values = method.check_request(path, query, body)
            request = Request(method, verb, query, values, body or {}, content, content_type, headers, access)
            if path.get("fileId") in self.slow:
                self.released.wait(_SLOW_S)
            answer = self._open_session(request) if query.get("uploadType") == ["resumable"] else self._perform(request)
        return self._fail(fault) if fault else answer

    def _perform(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        handler: Callable[[Request], Any] | None = getattr(self, request.method.id.replace(".", "_"), None)
        if handler is None:
            raise Refused(501, "notImplemented", f"the fake has no {request.method.id}")
        with self.lock:
            answer = handler(request)
        if isinstance(answer, bytes):
            return _bytes(request, answer)
        if answer is None:
            return 204, {}, b""
        request.method.check_response(answer)
        fields = request.values.get("fields")
        return _json(200, request.method.masked(answer, fields))

    def _fault(self, method: str) -> Fault | None:
        for fault in self.faults:
            if fault.method == method and fault.times:
                if fault.skip:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault
        return None

    def _fail(self, fault: Fault) -> tuple[int, dict[str, str], bytes]:
        if fault.status is None:
            raise ConnectionAbortedError
        raise Refused(fault.status, fault.reason, **fault.headers)

    # Resumable uploads

    def _open_session(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        session = f"session-{len(self.uploads) + 1}"
        self.uploads[session] = _Session(request)
        kind = request.values.get("fileId")
        path = "/upload/drive/v3/files" + (f"/{kind}" if kind else "")
        location = f"{self.url}{path}?uploadType=resumable&upload_id={session}"
        return 200, {"location": location}, b""

    def _resume(self, session_id: str, headers: Any, raw: bytes) -> tuple[int, dict[str, str], bytes]:
        session = self.uploads[session_id]
        if session.answer is not None:
            return session.answer
        match = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)", headers["content-range"])
        if match is None:
            raise Violation(f"Content-Range {headers['content-range']!r}")
        if match[1] is not None:
            if int(match[1]) != len(session.received):
                raise Refused(400, "badRequest", "a piece in the wrong place")
            session.received += raw
        if len(session.received) < int(match[3]):
            last = {"range": f"bytes=0-{len(session.received) - 1}"} if session.received else {}
            return 308, last, b""
        session.request.content = session.received
        session.request.content_type = session.request.headers.get("x-upload-content-type", "")
        session.answer = self._perform(session.request)
        return session.answer

    # What the methods answer

    def _known(self, request: Request, name: str = "fileId") -> Stored:
        file = self.find(request.values[name])
        only_own = not {"drive", "drive.readonly"} & request.access.scopes
        if file is None or (only_own and not file.made_by_app):
            raise Refused(404, "notFound", f"File not found: {request.values[name]}.")
        if file.drive_id and not request.values.get("supportsAllDrives"):
            raise Refused(404, "notFound", f"File not found: {request.values[name]}.")
        return file

    def _editable(self, request: Request) -> Stored:
        file = self._known(request)
        if not file.can_edit:
            raise Refused(403, "insufficientFilePermissions", "The user does not have sufficient permissions.")
        if "drive" not in request.access.scopes and not file.made_by_app:
            raise Refused(403, "appNotAuthorizedToFile", "The user has not granted the app write access to the file.")
        return file

    def drive_about_get(self, request: Request) -> Json:
        _need_fields(request)
        return {"user": {"emailAddress": request.access.address, "displayName": "Me", "me": True}}

    def drive_files_get(self, request: Request) -> Json | bytes:
        file = self._known(request)
        if request.values.get("alt") != "media":
            return file.told() if "fields" in request.values else _short(file)
        if file.media_type.startswith(GOOGLE):
            raise Refused(403, "fileNotDownloadable", "Only files with binary content can be downloaded.")
        return file.content

    def drive_files_list(self, request: Request) -> Json:
        values = request.values
        test = parse(values.get("q") or "trashed = false or trashed = true")
        if "fullText" in values.get("q", "") and "orderBy" in values:
            raise Refused(403, "forbidden", "Sorting is not supported for queries with fullText terms.")
        if values.get("corpora") == "drive" and "driveId" not in values:
            raise Refused(400, "invalid", "driveId is needed")
        everywhere = values.get("includeItemsFromAllDrives") and values.get("supportsAllDrives")
        files = [file for file in self.files.values() if test(file) and file.parents]
        files = [file for file in files if everywhere or not file.drive_id]
        if "driveId" in values:
            files = [file for file in files if file.drive_id == values["driveId"]]
        if not {"drive", "drive.readonly"} & request.access.scopes:
            files = [file for file in files if file.made_by_app]
        for order in reversed(values.get("orderBy", "").split(",")):
            name, _, direction = order.partition(" ")
            if name:
                files.sort(key=_order(name), reverse=direction == "desc")
        asked = [values.get(name) for name in ("q", "orderBy", "corpora", "driveId")]
        bound = hashlib.sha256(repr(asked).encode()).hexdigest()[:8]  # a token goes with one query
        if not values.get("pageToken", bound).startswith(bound):
            raise Refused(400, "invalid", "Invalid Value: pageToken")
        return _paged(values, "files", [file.told() for file in files], bound)

    def drive_files_generateIds(self, request: Request) -> Json:  # noqa: N802
        first, self.ids = self.ids, self.ids + request.values.get("count", 10)
        return {"kind": "drive#generatedIds", "space": "drive", "ids": [f"made-{n}" for n in range(first, self.ids)]}

    def drive_files_create(self, request: Request) -> Json:
        return self._create(request, request.body, request.content)

    def _create(self, request: Request, body: Json, content: bytes | None) -> Json:
        media_type = body.get("mimeType") or request.content_type.partition(";")[0] or "application/octet-stream"
        file_id = body.get("id")
        if file_id and media_type.startswith(GOOGLE) and media_type != FOLDER:
            raise Refused(400, "invalid", "Generated ids cannot be used for Google's own kinds.")
        if file_id in self.files:
            raise Refused(409, "fileIdInUse", "A file already exists with the provided ID.")
        parents = [self._parent(request, parent) for parent in body.get("parents", ["root"])]
        self.ids += 1
        file = self.add(
            file_id or f"native-{self.ids}",
            body.get("name", "Untitled"),
            media_type,
            content or b"",
            parents=[parent.id for parent in parents],
            drive_id=parents[0].drive_id,
            made_by_app=True,
            app_properties=body.get("appProperties", {}),
            description=body.get("description"),
        )
        native.convert(file, content)
        return file.told()

    def _parent(self, request: Request, parent_id: str) -> Stored:
        parent = self.find(parent_id)
        if (
            parent is None
            or parent.media_type != FOLDER
            or (parent.drive_id and not request.values.get("supportsAllDrives"))
        ):
            raise Refused(404, "notFound", f"File not found: {parent_id}.")
        return parent

    def drive_files_update(self, request: Request) -> Json:
        file = self._editable(request)
        for parent in filter(None, request.values.get("addParents", "").split(",")):
            file.parents = [self._parent(request, parent).id]
        self.update(file, request.body, None if file.media_type.startswith(GOOGLE) else request.content)
        if request.content is not None:
            native.convert(file, request.content)
        return file.told()

    def drive_files_copy(self, request: Request) -> Json:
        source = self._known(request)
        body = {"mimeType": source.media_type, "name": f"Copy of {source.name}", **request.body}
        told = self._create(request, body, source.content)
        copy = self.files[told["id"]]
        copy.native, copy.exports = source.native, source.exports
        return copy.told()

    def drive_files_export(self, request: Request) -> bytes:
        file = self._known(request)
        media_type = request.values["mimeType"]
        if not file.media_type.startswith(GOOGLE) or media_type not in file.exports:
            raise Refused(403, "fileNotExportable", "Export only supports Docs Editors files.")
        if len(file.exports[media_type]) > _EXPORT_LIMIT:
            raise Refused(403, "exportSizeLimitExceeded", "This file is too large to be exported.")
        return file.exports[media_type]

    def drive_drives_list(self, request: Request) -> Json:
        told = [{"kind": "drive#drive", "id": key, "name": name} for key, name in self.drives.items()]
        return _paged(request.values, "drives", told)

    def drive_revisions_list(self, request: Request) -> Json:
        file = self._known(request)
        told = [
            {
                "kind": "drive#revision",
                "id": revision.id,
                "mimeType": file.media_type,
                "modifiedTime": revision.modified,
                "size": str(len(revision.content)),
                "lastModifyingUser": {"emailAddress": revision.by, "displayName": revision.by},
            }
            for revision in file.revisions
        ]
        return _paged(request.values, "revisions", told)

    def drive_revisions_get(self, request: Request) -> Json | bytes:
        file = self._known(request)
        for revision in file.revisions:
            if revision.id == request.values["revisionId"]:
                return revision.content
        raise Refused(404, "notFound", "Revision not found")

    def drive_comments_list(self, request: Request) -> Json:
        _need_fields(request)
        return _paged(request.values, "comments", self._known(request).comments)

    def drive_comments_create(self, request: Request) -> Json:
        _need_fields(request)
        file = self._known(request)
        comment: Json = {
            "kind": "drive#comment",
            "id": f"comment-{len(file.comments) + 1}",
            "createdTime": self.now(),
            "author": {"displayName": "Me", "me": True},
            "resolved": False,
            "replies": [],
            **request.body,
        }
        file.comments.append(comment)
        self.touch(file)
        return comment

    def _comment(self, request: Request) -> Json:
        for comment in self._known(request).comments:
            if comment["id"] == request.values["commentId"]:
                return comment
        raise Refused(404, "notFound", f"Comment not found: {request.values['commentId']}")

    def drive_comments_get(self, request: Request) -> Json:
        _need_fields(request)
        return self._comment(request)

    def drive_replies_create(self, request: Request) -> Json:
        _need_fields(request)
        comment = self._comment(request)
        if not request.body.keys() & {"content", "action"}:
            raise Refused(400, "required", "content or action is needed")
        reply: Json = {
            "kind": "drive#reply",
            "id": f"reply-{len(comment['replies']) + 1}",
            "createdTime": self.now(),
            "author": {"displayName": "Me", "me": True},
            **request.body,
        }
        comment["replies"].append(reply)
        comment["resolved"] = {"resolve": True, "reopen": False}.get(reply.get("action", ""), comment["resolved"])
        self.touch(self._known(request))
        return reply

    def drive_permissions_list(self, request: Request) -> Json:
        return _paged(request.values, "permissions", self._known(request).permissions)

    def drive_permissions_create(self, request: Request) -> Json:
        file = self._editable(request)
        wanted = request.body
        if wanted.get("type") in {"user", "group"} and "emailAddress" not in wanted:
            raise Refused(400, "invalid", "emailAddress is needed")
        key = {"anyone": "anyoneWithLink"}.get(wanted["type"], f"p-{wanted.get('emailAddress', wanted.get('domain'))}")
        file.permissions = [kept for kept in file.permissions if kept["id"] != key]
        file.permissions.append({"kind": "drive#permission", "id": key, **wanted})
        self.touch(file)
        return file.permissions[-1]

    def drive_changes_getStartPageToken(self, request: Request) -> Json:  # noqa: N802
        return {"kind": "drive#startPageToken", "startPageToken": str(len(self.changes) + 1)}

    def drive_changes_list(self, request: Request) -> Json:
        first = int(request.values["pageToken"]) - 1
        size = request.values.get("pageSize", 100)
        told: list[Json] = []
        for file_id, removed, when in self.changes[first : first + size]:
            file = self.files.get(file_id)
            change: Json = {"kind": "drive#change", "changeType": "file", "fileId": file_id, "time": when}
            told.append(
                change | ({"removed": True} if removed or not file else {"removed": False, "file": file.told()})
            )
        end = first + len(told)
        more = {"nextPageToken": str(end + 1)} if end < len(self.changes) else {"newStartPageToken": str(end + 1)}
        return {"kind": "drive#changeList", "changes": told, **more}

    # Docs, Sheets, Slides

    def docs_documents_get(self, request: Request) -> Json:
        return self._native(request, "documentId")

    def docs_documents_batchUpdate(self, request: Request) -> Json:  # noqa: N802
        file = self._native_file(request, "documentId")
        required = request.body.get("writeControl", {}).get("requiredRevisionId")
        if required is not None and required != file.native["revisionId"]:
            raise Refused(400, "failedPrecondition", "The required revision ID does not match the latest revision.")
        replies = [native.edit(file, wanted) for wanted in request.body["requests"]]
        self.touch(file)
        return {"documentId": file.id, "replies": replies}

    def sheets_spreadsheets_get(self, request: Request) -> Json:
        return native.without_values(self._native(request, "spreadsheetId"))

    def sheets_spreadsheets_values_get(self, request: Request) -> Json:
        return self._values(request, request.values["range"])

    def sheets_spreadsheets_values_batchGet(self, request: Request) -> Json:  # noqa: N802
        ranges = [self._values(request, wanted) for wanted in request.values["ranges"]]
        return {"spreadsheetId": request.values["spreadsheetId"], "valueRanges": ranges}

    def _values(self, request: Request, wanted: str) -> Json:
        try:
            return native.values(self._native_file(request, "spreadsheetId"), wanted)
        except KeyError:
            raise Refused(400, "badRequest", f"Unable to parse range: {wanted}") from None

    def sheets_spreadsheets_values_update(self, request: Request) -> Json:
        file = self._native_file(request, "spreadsheetId")
        answer = native.put_values(file, request.values["range"], request.body["values"])
        self.touch(file)
        return answer

    def slides_presentations_get(self, request: Request) -> Json:
        return self._native(request, "presentationId")

    def _native(self, request: Request, name: str) -> Json:
        return self._native_file(request, name).native

    def _native_file(self, request: Request, name: str) -> Stored:
        file = self.find(request.values[name])
        if file is None or not file.native:
            raise Refused(404, "notFound", "Requested entity was not found.")
        return file


@contextlib.contextmanager
def fake_google() -> Generator[FakeGoogle]:
    """Run one; at the end, no request may have been other than Google's description says."""
    with FakeGoogle() as google:
        yield google
    assert google.violations == []


def _short(file: Stored) -> Json:
    return {"kind": "drive#file", "id": file.id, "name": file.name, "mimeType": file.media_type}


def _need_fields(request: Request) -> None:
    if "fields" not in request.values:
        raise Violation(f"{request.method.id} needs fields")


def _order(name: str) -> Callable[[Stored], Any]:
    orders: dict[str, Callable[[Stored], Any]] = {
        "folder": lambda file: file.media_type != FOLDER,
        "name": lambda file: file.name,
        "name_natural": lambda file: [(int(n or 0), t.lower()) for n, t in re.findall(r"(\d+)|(\D+)", file.name)],
        "modifiedTime": lambda file: file.modified,
    }
    if name not in orders:
        raise Violation(f"no order by {name}")
    return orders[name]


def _paged(values: Json, name: str, items: list[Json], bound: str = "page") -> Json:
    start = int(values.get("pageToken", "0").rpartition("-")[2])
    size = values.get("pageSize", 100)
    more = {"nextPageToken": f"{bound}-{start + size}"} if start + size < len(items) else {}
    return {name: items[start : start + size], **more}


def _parts(
    method: Method, query: dict[str, list[str]], headers: Any, raw: bytes
) -> tuple[Json | None, bytes | None, str]:
    content_type = headers.get("content-type", "")
    match query.get("uploadType", [""])[0] if method.upload else "":
        case "multipart":
            message = email.message_from_bytes(
                f"Content-Type: {content_type}\r\n\r\n".encode() + raw, policy=email.policy.HTTP
            )
            metadata, media = list(message.iter_parts())
            payload: Any = media.get_payload(decode=True)
            return json.loads(metadata.get_content()), payload, media.get_content_type()
        case "media":
            return None, raw, content_type
        case _:
            return (json.loads(raw) if raw else None), None, ""


def _bytes(request: Request, content: bytes) -> tuple[int, dict[str, str], bytes]:
    match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
    if match is None:
        return 200, {"content-type": "application/octet-stream"}, content
    first, last = int(match[1]), min(int(match[2]), len(content) - 1)
    return 206, {"content-range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 1]


def _json(status: int, body: Any) -> tuple[int, dict[str, str], bytes]:
    return status, {"content-type": "application/json; charset=UTF-8"}, json.dumps(body).encode()


__all__ = ["OWNER", "FakeGoogle", "Fault", "fake_google"]

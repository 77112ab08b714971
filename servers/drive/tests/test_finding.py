"""Finding files, and what is told of them; parallel use; what Google refuses."""

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fake_google import FakeGoogle, Fault
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp.types import CallToolResult, ResourceTemplateReference, TextContent, TextResourceContents
from mcp_server_drive.files import Filters
from mcp_server_drive.server import build_server
from mcp_server_drive.settings import Settings
from mcp_server_shared.errors import ERROR_META_KEY

pytestmark = pytest.mark.anyio

FOLDER = "application/vnd.google-apps.folder"
Connect = Callable[..., Client]


@pytest.fixture
def connect(google: FakeGoogle, sign_in: Callable[..., dict[str, Any]]) -> Connect:
    """Return what connects a client to a server of these settings."""

    def to_server(*scopes: str, **settings: Any) -> Client:
        return Client(build_server(Settings(**sign_in(google, *scopes), **settings)))

    return to_server


def text_of(result: CallToolResult) -> str:
    content = result.content[0]
    assert isinstance(content, TextContent)
    return content.text


def error_of(result: CallToolResult) -> dict[str, Any]:
    return (result.meta or {})[ERROR_META_KEY]


async def rows(client: Client, tool: str, **arguments: Any) -> list[dict[str, Any]]:
    """Return every row of every page."""
    found: list[dict[str, Any]] = []
    while True:
        result = await client.call_tool(tool, arguments)
        assert not result.is_error, text_of(result)
        structured: dict[str, Any] = result.structured_content or {}
        body = structured["untrusted"]
        found += [dict(zip(body["columns"], row, strict=True)) for row in body["rows"]]
        if "cursor" not in structured:
            return found
        arguments["cursor"] = structured["cursor"]


@pytest.mark.parametrize(
    "value", ["it's", "back\\slash", "\\'", "x') or (trashed = true", "a and b", "notes where x = 5", "ünï '' \u202e"]
)
@pytest.mark.parametrize("argument", ["name", "text", "owner"])
async def test_whatever_is_looked_for_stays_a_value(
    google: FakeGoogle, connect: Connect, argument: str, value: str
) -> None:
    google.add("trash", "in the trash", trashed=True)
    async with connect() as client:
        found = await rows(client, "search_drive", **{argument: value})
    assert found == []
    assert google.violations == []


async def test_filters_narrow_together(google: FakeGoogle, connect: Connect) -> None:
    google.add("f", "Folder", FOLDER)
    google.add("a", "Budget 2026", "application/pdf", parents=["f"])
    google.add("b", "Budget 2025", "text/plain", parents=["f"], owner="x@other.example", mine=False)
    google.add("c", "Budget notes", "application/pdf", trashed=True)
    async with connect() as client:
        assert ids(await rows(client, "search_drive", name="budg")) == {"a", "b"}
        assert ids(await rows(client, "search_drive", name="budget", type="pdf")) == {"a"}
        assert ids(await rows(client, "search_drive", name="budget", type="text", owner="x@other.example")) == {"b"}
        assert ids(await rows(client, "search_drive", folder_id="f")) == {"a", "b"}
        assert ids(await rows(client, "search_drive", trashed=True)) == {"c"}
        assert ids(await rows(client, "search_drive", name="budget", modified_after="2030-01-01")) == set()


def ids(found: list[dict[str, Any]]) -> set[str]:
    return {row["id"] for row in found}


def test_a_query_is_built_of_quoted_values_alone() -> None:
    query = Filters(name="it's \\", kind="image", folder_id="f", modified_after="2026-01-01").query()
    assert query == (
        "name contains 'it\\'s \\\\' and 'f' in parents and modifiedTime > '2026-01-01' and "
        "mimeType contains 'image/' and trashed = false"
    )


async def test_words_in_the_content_are_found_in_order_of_relevance(google: FakeGoogle, connect: Connect) -> None:
    google.add("a", "a.txt", content="the quarterly numbers")
    google.add("b", "b.txt", content="numbers quarterly")
    async with connect() as client:
        assert ids(await rows(client, "search_drive", text="quarterly numbers")) == {"a", "b"}
        assert ids(await rows(client, "search_drive", text='"quarterly numbers"')) == {"a"}


async def test_shared_drives_are_searched_listed_and_read(google: FakeGoogle, connect: Connect) -> None:
    google.add_drive("drive1", "Team")
    google.add("t", "team.txt", content="ours", parents=["drive1"], drive_id="drive1", owner=None, mine=False)
    async with connect() as client:
        found = await rows(client, "search_drive", name="team")
        drives = await rows(client, "list_drive_folder", folder_id="shared_drives")
        inside = await rows(client, "list_drive_folder", folder_id="drive1")
        within = await rows(client, "search_drive", drive_id="drive1")
        read = await client.call_tool("read_drive_file", {"file_id": "t"})
    assert (ids(found), ids(inside), ids(within)) == ({"t"}, {"t"}, {"t"})
    assert drives == [{"id": "drive1", "name": "Team"}]
    assert "shared_drive" in found[0]["labels"]
    assert "ours" in text_of(read)


async def test_every_page_of_a_folder_is_reached_whatever_the_page_size(google: FakeGoogle, connect: Connect) -> None:
    google.add("f", "F", FOLDER)
    for number in range(57):
        google.add(f"n{number}", f"File {number} {'x' * 100}", parents=["f"])
    async with connect(max_output_characters=2_000) as client:
        found = await rows(client, "list_drive_folder", folder_id="f", limit=25)
    assert [row["id"] for row in found] == [f"n{number}" for number in range(57)]


async def test_external_owners_and_files_shared_by_link_are_labelled(google: FakeGoogle, connect: Connect) -> None:
    anyone = {"id": "anyoneWithLink", "type": "anyone", "role": "reader"}
    domain = {"id": "d", "type": "domain", "role": "reader", "domain": "example.com"}
    google.add("mine", "mine")
    google.add("colleague", "colleague", owner="b@example.com", mine=False)
    google.add("external", "external", owner="x@evil.example", mine=False)
    google.add("link", "link", permissions=[anyone, {"id": "o", "type": "user", "role": "owner"}])
    google.add("domain", "domain", permissions=[domain, {"id": "o", "type": "user", "role": "owner"}])
    async with connect() as client:
        labels = {row["id"]: row["labels"] for row in await rows(client, "search_drive")}
    assert labels == {
        "mine": [],
        "colleague": [],
        "external": ["external_owner"],
        "link": ["anyone_with_link"],
        "domain": ["whole_domain"],
    }


async def test_a_file_is_described_with_its_path_and_who_has_access(google: FakeGoogle, connect: Connect) -> None:
    google.add("f", "Folder", FOLDER)
    google.add("t", "t.txt", content="x", parents=["f"])
    async with connect() as client:
        told = await rows(client, "get_drive_file", file_id="t")
    known = {row["field"]: row["value"] for row in told}
    assert (known["path"], known["revision"], known["bytes"]) == ("My Drive/Folder/t.txt", "t-r1", 1)
    assert known["permission"] == ["owner", "user", "me@example.com"]


# Paths


async def test_a_file_is_found_by_its_path_in_my_drive_and_in_shared_drives(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add_drive("team", "Team")
    google.add("a", "Plans", FOLDER)
    google.add("b", "It's 2026", FOLDER, parents=["a"])
    google.add("c", "Budget.csv", content="x", parents=["b"])
    google.add("d", "Budget.csv", content="x", parents=["team"], drive_id="team")
    async with connect() as client:
        paths = ["/Plans/It's 2026/Budget.csv", "Plans//It's 2026/Budget.csv/", "/Team/Budget.csv", "/Plans", "/"]
        found = [await rows(client, "get_drive_file", path=path) for path in paths]
    assert [details[0]["value"] for details in found] == ["c", "c", "d", "a", "root-id"]


async def test_a_path_that_leads_to_none_or_to_several_says_what_there_is(google: FakeGoogle, connect: Connect) -> None:
    google.add("a", "Plans", FOLDER)
    google.add("b", "Budget", content="x", parents=["a"])
    google.add("twin1", "Twin", FOLDER)
    google.add("twin2", "Twin", FOLDER)
    async with connect() as client:
        misspelt = await client.call_tool("get_drive_file", {"path": "/Plans/Bugdet"})
        beyond = await client.call_tool("get_drive_file", {"path": "/Plans/Budget/x"})
        twins = await client.call_tool("get_drive_file", {"path": "/Twin/x"})
        neither = await client.call_tool("get_drive_file", {})
        both = await client.call_tool("get_drive_file", {"path": "/", "file_id": "a"})
    assert (error_of(misspelt)["code"], "Budget" in text_of(misspelt)) == ("not_found", True)
    assert error_of(beyond)["code"] == "not_found"
    assert (error_of(twins)["code"], "twin1, twin2" in text_of(twins)) == ("conflict", True)
    assert {error_of(neither)["code"], error_of(both)["code"]} == {"invalid_argument"}


async def test_a_path_begins_at_the_folders_and_leads_nowhere_else(google: FakeGoogle, connect: Connect) -> None:
    google.add("in", "In", FOLDER)
    google.add("t", "t.txt", content="x", parents=["in"])
    google.add("outside", "outside.txt", content="x")
    async with connect(folders=("in",)) as client:
        [inside, *_] = await rows(client, "get_drive_file", path="/In/t.txt")
        refused = [await client.call_tool("get_drive_file", {"path": path}) for path in ("/outside.txt", "/t.txt")]
    assert inside["value"] == "t"
    assert [error_of(result)["code"] for result in refused] == ["not_found"] * 2


# Folders


async def test_nothing_outside_the_folders_is_seen(google: FakeGoogle, connect: Connect) -> None:
    google.add("in", "In", FOLDER)
    google.add("deep", "Deep", FOLDER, parents=["in"])
    google.add("inside", "note inside", content="seen", parents=["deep"])
    google.add("outside", "note outside", content="hidden")
    google.add("link", "link", "application/vnd.google-apps.shortcut", target="outside", parents=["in"])
    async with connect(folders=("in",)) as client:
        found = await rows(client, "search_drive", name="note")
        hidden = await client.call_tool("search_drive", {"text": "hidden"})
        nothing = await client.call_tool("search_drive", {"text": "nowhere"})
        refused = [
            await client.call_tool("read_drive_file", {"file_id": "outside"}),
            await client.call_tool("read_drive_file", {"file_id": "link"}),
            await client.call_tool("get_drive_file", {"file_id": "root-id"}),
            await client.call_tool("list_drive_folder", {"folder_id": "root-id"}),
            await client.call_tool("list_drive_comments", {"file_id": "outside"}),
            await client.call_tool("list_drive_revisions", {"file_id": "outside"}),
        ]
        with pytest.raises(MCPError, match="limited to"):
            await client.read_resource("gdrive:///outside")
        seen = await client.call_tool("read_drive_file", {"file_id": "inside"})
        top = await rows(client, "list_drive_folder")
        changes = await rows(client, "list_drive_changes", since="1")
    assert ids(found) == {"inside"}
    assert hidden.structured_content == nothing.structured_content  # not even whether there is something
    assert [error_of(result)["code"] for result in refused] == ["not_found"] * 6
    assert "hidden" not in str([found, *refused])
    assert "seen" in text_of(seen)
    assert ids(top) == {"in"}
    assert ids(changes) == {"in", "deep", "inside", "link"}


async def test_a_file_that_was_moved_out_of_the_folders_is_gone_at_once(google: FakeGoogle, connect: Connect) -> None:
    google.add("in", "In", FOLDER)
    google.add("t", "t.txt", content="x", parents=["in"])
    async with connect(folders=("in",)) as client:
        first = await client.call_tool("read_drive_file", {"file_id": "t"})
        google.files["t"].parents = ["root-id"]
        second = await client.call_tool("read_drive_file", {"file_id": "t"})
    assert (first.is_error, second.is_error) == (False, True)


async def test_a_search_within_folders_asks_for_them_and_not_for_the_parents_of_each_file(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add("in", "In", FOLDER)
    for number in range(20):
        google.add(f"d{number}", f"Folder {number}", FOLDER, parents=["in" if number < 10 else f"d{number - 10}"])
        google.add(f"n{number}", f"note {number}", content="x", parents=[f"d{number}"])
        google.add(f"o{number}", f"note elsewhere {number}", content="x")
    async with connect(folders=("in",)) as client:
        found = await rows(client, "search_drive", name="note", limit=7)
    assert ids(found) == {f"n{number}" for number in range(20)}
    assert google.asked("drive.files.get") == 0
    assert google.asked("drive.files.list") == 3 * 4  # three pages; for each, three levels of folders


async def test_what_lies_outside_is_left_out_where_there_are_too_many_folders_to_name(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add("in", "In", FOLDER)
    for number in range(120):
        google.add(f"d{number}", f"Folder {number}", FOLDER, parents=["in"])
    google.add("inside", "note", content="x", parents=["d7"])
    for number in range(30):
        google.add(f"o{number}", f"note elsewhere {number}", content="x")
    async with connect(folders=("in",)) as client:
        first = await client.call_tool("search_drive", {"name": "note", "limit": 10})
        found = await rows(client, "search_drive", name="note", limit=2)
    assert "inside" in text_of(first)  # it is on the fourth page of Drive
    assert "elsewhere" not in text_of(first)
    assert ids(found) == {"inside"}


async def test_a_search_goes_on_only_within_the_folders_that_it_began_with(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add("in", "In", FOLDER)
    for number in range(4):
        google.add(f"n{number}", f"note {number}", content="x", parents=["in"])
    async with connect(folders=("in",)) as client:
        first = await client.call_tool("search_drive", {"name": "note", "limit": 2})
        google.add("new", "New", FOLDER, parents=["in"])
        page: dict[str, Any] = first.structured_content or {}
        second = await client.call_tool("search_drive", {"name": "note", "limit": 2, "cursor": page["cursor"]})
    assert error_of(second)["code"] == "conflict"


# Changes and resources


async def test_changes_since_an_earlier_call_are_listed(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt", content="x")
    async with connect() as client:
        begun = await client.call_tool("list_drive_changes", {})
        google.write("t", "y")
        google.add("gone", "gone")
        del google.files["gone"]
        structured: dict[str, Any] = begun.structured_content or {}
        since = structured["next_since"]
        changes = await rows(client, "list_drive_changes", since=since)
    assert [(row["change"], row["id"]) for row in changes] == [("changed", "t"), ("gone", "gone")]


async def test_revisions_comments_and_changes_are_listed_page_by_page(google: FakeGoogle, connect: Connect) -> None:
    file = google.add("f", "f.txt", content="0")
    for number in range(1, 5):
        google.write("f", str(number), by=f"writer{number}@example.com")
    reply = {"kind": "drive#reply", "createdTime": google.now(), "author": {"displayName": "Bo"}, "content": "Done"}
    for number in range(5):
        file.comments.append(
            {
                "kind": "drive#comment",
                "id": f"c{number}",
                "createdTime": google.now(),
                "author": {"displayName": "Ann"},
                "content": f"comment {number}",
                "quotedFileContent": {"value": "about this"},
                "resolved": number == 3,
                "replies": [reply],
            }
        )
    async with connect() as client:
        revisions = await rows(client, "list_drive_revisions", file_id="f", limit=2)
        comments = await rows(client, "list_drive_comments", file_id="f", limit=2)
        changes = await rows(client, "list_drive_changes", since="1", limit=2)
        former = await client.call_tool("read_drive_file", {"file_id": "f", "revision": revisions[1]["id"]})
    assert [revision["by"] for revision in revisions][1:] == [f"writer{number}@example.com" for number in range(1, 5)]
    assert text_of(former).splitlines()[-2] == "1"
    assert [(one["id"], one["text"], one["about"]) for one in comments] == [
        (f"c{number}", f"comment {number}", "about this") for number in range(5)
    ]
    assert [one["resolved"] for one in comments].index(True) == 3
    assert comments[0]["replies"] == [[reply["createdTime"], "Bo", "Done"]]
    assert len(changes) == len(google.changes)


async def test_a_file_is_a_resource_that_tells_of_its_changes(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt", content="first")
    google.add("u", "u.txt")
    looked, answer = threading.Event(), google.drive_changes_list

    def noticed(request: Any) -> Any:
        looked.set()
        return answer(request)

    google.drive_changes_list = noticed  # type: ignore[method-assign]
    async with connect(poll_s=0.05) as client:
        (contents,) = (await client.read_resource("gdrive:///t")).contents
        async with client.listen(resource_subscriptions=["gdrive:///t"]) as events:
            await asyncio.to_thread(looked.wait, 30)
            google.write("u", "not watched")
            google.write("t", "second")
            event = await anext(aiter(events))
    assert isinstance(contents, TextResourceContents)
    assert "first" in contents.text
    assert isinstance(event, ResourceUpdated)
    assert event.uri == "gdrive:///t"


async def test_an_id_is_completed_from_the_beginning_of_a_name(google: FakeGoogle, connect: Connect) -> None:
    google.add("id1", "Quarterly report")
    google.add("id2", "Other")
    template = ResourceTemplateReference(type="ref/resource", uri="gdrive:///{file_id}")
    async with connect() as client:
        by_name = await client.complete(template, {"name": "file_id", "value": "quart"})
        by_id = await client.complete(template, {"name": "file_id", "value": "id2"})
    assert (by_name.completion.values, by_id.completion.values) == (["id1"], ["id2"])


# Many at once, and what goes wrong


@pytest.mark.parametrize("threads", [2, 16])
async def test_parallel_reads_never_mix_files(google: FakeGoogle, connect: Connect, threads: int) -> None:
    for number in range(40):
        google.add(f"n{number}", f"n{number}.txt", content=f"<content {number}>")
    wanted = [number % 40 for number in range(400)]
    random.Random(1).shuffle(wanted)  # noqa: S311
    async with connect(threads=threads, deadline_s=300, log_level="error") as client:
        limit = asyncio.Semaphore(threads)

        async def read(number: int) -> bool:
            async with limit:
                result = await client.call_tool("read_drive_file", {"file_id": f"n{number}"})
            return f"<content {number}>" in text_of(result) and text_of(result).count("<content") == 1

        right = await asyncio.gather(*map(read, wanted))
    assert right.count(True) == 400


async def test_a_broken_answer_does_not_reach_the_next_request(google: FakeGoogle, connect: Connect) -> None:
    for number in range(10):
        google.add(f"n{number}", f"n{number}.txt", content=f"<{number}>")
    google.faults.append(Fault("drive.files.get", status=None, times=5))
    async with connect(deadline_s=60) as client:
        results = [await client.call_tool("read_drive_file", {"file_id": f"n{number}"}) for number in range(10)]
    for number, result in enumerate(results):
        assert result.is_error or f"<{number}>" in text_of(result)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("drive.files.get", 429, "rateLimitExceeded", times=9, headers={"retry-after": "30"}), "rate_limited"),
        (
            Fault("drive.files.get", 403, "userRateLimitExceeded", times=9, headers={"retry-after": "30"}),
            "rate_limited",
        ),
        (Fault("drive.files.get", 500, "internalError", times=9), "unavailable"),
        (Fault("drive.files.get", None, times=9), "unavailable"),
        (Fault("drive.files.get", 403, "cannotDownloadFile", times=9), "permission_denied"),
        (Fault("drive.files.get", 400, "invalid", times=9), "invalid_argument"),
        (Fault("drive.files.get", 403, "storageQuotaExceeded", times=9), "too_large"),
        (Fault("drive.files.get", 403, "exportSizeLimitExceeded", times=9), "too_large"),
        (Fault("drive.files.get", 403, "fileNotDownloadable", times=9), "unsupported"),
        (Fault("drive.files.get", 403, "insufficientPermissions", times=9), "permission_denied"),
        (Fault("drive.files.get", 409, "conflict", times=9), "conflict"),
        (Fault("drive.files.get", 412, "conditionNotMet", times=9), "conflict"),
        (Fault("drive.files.get", 413, "uploadTooLarge", times=9), "too_large"),
        (Fault("drive.files.get", 418, "teapot", times=9), "unsupported"),
    ],
    ids=lambda value: f"{value.status} {value.reason}" if isinstance(value, Fault) else value,
)
async def test_what_google_refuses_is_told_in_one_of_our_words(
    google: FakeGoogle, connect: Connect, fault: Fault, code: str
) -> None:
    google.add("t", "t.txt")
    google.faults.append(Fault(fault.method, fault.status, fault.reason, times=9, headers=fault.headers))
    async with connect() as client:
        result = await client.call_tool("get_drive_file", {"file_id": "t"})
    assert error_of(result)["code"] == code
    assert google.asked("drive.files.get") == (3 if code == "unavailable" else 1)
    if code == "rate_limited":
        assert error_of(result)["retry_after_s"] == 30


async def test_a_token_that_google_refuses_is_renewed_once_and_the_request_sent_again(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add("t", "t.txt")
    async with connect() as client:
        await client.call_tool("get_drive_file", {"file_id": "t"})
        google.oauth.tokens.clear()
        result = await client.call_tool("get_drive_file", {"file_id": "t"})
    assert (result.is_error, google.oauth.granted) == (False, 1)


async def test_without_google_the_error_says_so_and_tells_nothing_secret(
    google: FakeGoogle, sign_in: Callable[..., dict[str, Any]]
) -> None:
    settings: dict[str, Any] = sign_in(google) | {"api_url": "http://127.0.0.1:9"}
    async with Client(build_server(Settings(**settings))) as client:
        result = await client.call_tool("search_drive", {})
    assert error_of(result)["code"] == "unavailable"
    assert "access-" not in text_of(result)

"""Over HTTP, pages and files are those of who opened them; others cannot even tell that they are there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browsing import Answer
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_server_shared.serving.tokens import new_token
from notes.network import Served, client_of, served
from site_on_loopback import Site, asking_for_a_password

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ALICE, BOB, READER = "alice", "bob", "reader"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Shared:
    """One server and the tokens of its callers."""

    server: Served
    tokens: dict[str, str]

    def client(self, name: str) -> Any:
        """Connect a client of a caller."""
        return client_of(self.server.url, token=self.tokens[name])


@pytest.fixture(scope="module")
def shared(chromium: Path, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    every = ["read", "actions", "storage"]
    made = {ALICE: new_token(ALICE, [*every, "secrets"], None), BOB: new_token(BOB, every, None)}
    made[READER] = new_token(READER, ["read"], None)
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text("\n".join(line for _, line in made.values()))
    secrets = file.with_name("secrets.toml")
    secrets.write_text(f'[staging]\norigins = ["{site.url("")}"]\nuser = "review"\nvalue = "a password"\n')
    given = ["--allow-storage", "--allow-secrets", "--secrets-file", str(secrets)]
    words = ["--tokens", str(file), "--executable", str(chromium), "--allow-host", f"127.0.0.1:{site.port}"]
    with served(*words, *given, module="mcp_server_web_browser") as server:
        yield Shared(server, {name: token for name, (token, _) in made.items()})


async def ask(client: Client, tool: str, **arguments: Any) -> Answer:
    return Answer(await client.call_tool(tool, arguments))


async def test_handles_and_files_of_one_caller_are_unknown_to_another(shared: Shared, site: Site) -> None:
    url = site.page("<h1>Private</h1>")
    async with shared.client(ALICE) as alice, shared.client(BOB) as bob:
        opened = (await ask(alice, "open_page", url=url)).facts
        [[state]] = (await ask(alice, "save_state", page=opened["page"])).rows
        pdf = (await ask(alice, "save_pdf", page=opened["page"])).rows[0][0]
        for tool, arguments in (
            ("snapshot", {"page": opened["page"]}),
            ("click", {"page": opened["page"], "target": "text=Private"}),
            ("open_page", {"url": url, "context": opened["context"]}),
            ("load_state", {"uri": state}),
        ):
            refused = await ask(bob, tool, **arguments)
            assert (refused.error, "Private" in refused.raw) == ("not_found", False), tool
        assert (await ask(bob, "list_pages")).rows == []
        assert (await ask(bob, "close_page", page=opened["context"])).rows == [[opened["context"], False]]
        for uri in (pdf, f"browser://pages/{opened['page']}/snapshot"):
            with pytest.raises(MCPError):
                await bob.read_resource(uri)
        assert 'heading "Private"' in (await ask(alice, "snapshot", page=opened["page"])).text


async def test_the_same_handle_is_good_on_every_connection_of_its_caller(shared: Shared, site: Site) -> None:
    async with shared.client(ALICE) as first:
        page = (await ask(first, "open_page", url=site.page("<h1>Mine</h1>"))).facts["page"]
    async with shared.client(ALICE) as second:
        assert 'heading "Mine"' in (await ask(second, "snapshot", page=page)).text


async def test_who_may_only_read_sees_no_tool_that_acts_and_may_call_none(shared: Shared, site: Site) -> None:
    async with shared.client(READER) as reader:
        names = {tool.name for tool in (await reader.list_tools()).tools}
        assert "snapshot" in names
        assert not names & {"click", "type_text", "save_state"}
        page = (await ask(reader, "open_page", url=site.page("<button>Go</button>"))).facts["page"]
        refused = await ask(reader, "click", page=page, target="text=Go")
        assert refused.error == "permission_denied"


async def test_pages_of_a_greedy_caller_make_room_not_those_of_others(shared: Shared, site: Site) -> None:
    url = site.page("<h1>Here</h1>")
    async with shared.client(ALICE) as alice, shared.client(BOB) as bob:
        kept = (await ask(alice, "open_page", url=url)).facts["page"]
        for _ in range(21):
            (await ask(bob, "open_page", url=url)).facts  # noqa: B018 - that it succeeds
        assert 'heading "Here"' in (await ask(alice, "snapshot", page=kept)).text
        assert len((await ask(bob, "list_pages")).rows) < 21


async def test_a_password_asked_for_by_http_is_given_for_callers_who_may_fill_in_secrets(
    shared: Shared, site: Site
) -> None:
    url = site.put(asking_for_a_password)
    async with shared.client(ALICE) as alice, shared.client(BOB) as bob:
        assert "Welcome" in (await ask(alice, "open_page", url=url)).text
        already = len(site.received)
        refused = await ask(bob, "open_page", url=url)
        assert (refused.error, "--allow-secrets" in refused.raw) == ("unauthenticated", True)
        assert [received.authorization for received in site.received[already:]] == [None]

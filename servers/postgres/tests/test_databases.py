"""Several databases in one configuration: each by its name, each with its own role, rows and masks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolResult,
    EmbeddedResource,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.server import build_server
from mcp_server_postgres.settings import Settings
from mcp_server_shared.settings import SettingsProblem

pytestmark = pytest.mark.anyio

NewDatabase = Callable[..., AbstractContextManager[str]]
SHIPPED = (
    "create table parcels (id int primary key, weight int, receiver text); insert into parcels values (1, 7, 'Ada')"
)
TABLE = ResourceTemplateReference(type="ref/resource", uri="postgres://{database}/{schema}/{table}")


@pytest.fixture(scope="module")
def logistics(postgres: EmbeddedPostgres, new_database: NewDatabase) -> Iterator[str]:
    """Yield the superuser's DSN of a second database."""
    with new_database(postgres, SHIPPED) as dsn:
        yield dsn


@pytest.fixture
def server(reader_url: str, logistics: str) -> Callable[..., Client]:
    """Return a function that connects to a server of two databases: "shop" and "logistics"."""

    def connected(role: str = "reader", *options: str) -> Client:
        second = logistics.replace("postgres@", f"{role}@", 1)
        both = ["--database", f"shop={reader_url}", "--database", f"logistics={second}"]
        return Client(build_server(Settings.load([*both, *options], {})))

    return connected


def text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


async def test_every_tool_and_prompt_asks_for_one_of_the_names(server: Callable[..., Client]) -> None:
    async with server("reader", "--allow-write") as client:
        tools = (await client.list_tools()).tools
        prompts = (await client.list_prompts()).prompts
    for tool in tools:
        assert tool.input_schema["properties"]["database"]["enum"] == ["shop", "logistics"], tool.name
        assert "database" in tool.input_schema["required"], tool.name
    assert all("database" in {argument.name for argument in prompt.arguments or ()} for prompt in prompts)


@pytest.mark.parametrize("arguments", [[], ["--database", "shop=postgresql://x/y"], ["postgresql://x/y"]])
async def test_with_one_database_nothing_asks_for_a_name(arguments: list[str]) -> None:
    async with Client(build_server(Settings.load(arguments, {}))) as client:
        listed = f"{await client.list_tools()}{await client.list_prompts()}{await client.list_resource_templates()}"
    assert '"database"' not in listed.replace("'", '"')
    assert "{database}" not in listed


async def test_each_database_answers_for_itself(server: Callable[..., Client]) -> None:
    async with server("everyone_reads") as client:
        ours = await client.call_tool("query", {"database": "shop", "sql": "select count(*) from customers"})
        theirs = await client.call_tool("query", {"database": "logistics", "sql": "select weight from parcels"})
        unknown = await client.call_tool("query", {"database": "shop", "sql": "table parcels"})
        missing = await client.call_tool("query", {"sql": "select 1"})
        wrong = await client.call_tool("query", {"database": "shpo", "sql": "select 1"})
    assert (ours.is_error, theirs.is_error, unknown.is_error) == (False, False, True)
    assert "[7]" in text_of(theirs)
    assert "database" in text_of(missing)
    assert "shop" in text_of(wrong)


async def test_a_cursor_belongs_to_its_database(server: Callable[..., Client]) -> None:
    arguments = {"sql": "select generate_series(1, 9)", "max_rows": 2}
    async with server("everyone_reads") as client:
        first = await client.call_tool("query", {"database": "shop", **arguments})
        cursor = cast("dict[str, Any]", first.structured_content)["cursor"]
        strayed = await client.call_tool("query", {"database": "logistics", "cursor": cursor, **arguments})
        continued = await client.call_tool("query", {"database": "shop", "cursor": cursor, **arguments})
    assert (strayed.is_error, continued.is_error) == (True, False)


async def test_a_role_that_is_too_powerful_stops_its_own_database_alone(server: Callable[..., Client]) -> None:
    async with server("postgres") as client:
        powerful = await client.call_tool("query", {"database": "logistics", "sql": "select 1"})
        reader = await client.call_tool("query", {"database": "shop", "sql": "select 1"})
    assert "superuser" in text_of(powerful)
    assert not reader.is_error


async def test_a_mask_with_a_name_is_for_that_database_alone(server: Callable[..., Client]) -> None:
    async with server("everyone_reads", "--mask", "logistics=public.parcels.receiver") as client:
        masked = await client.call_tool("query", {"database": "logistics", "sql": "select 1"})
        other = await client.call_tool("query", {"database": "shop", "sql": "select 1"})
    assert "public.parcels.receiver" in text_of(masked)
    assert not other.is_error


async def test_an_address_begins_with_the_database(server: Callable[..., Client]) -> None:
    async with server("everyone_reads") as client:
        (contents,) = (await client.read_resource("postgres://logistics/public/parcels")).contents
        prompt = await client.get_prompt("explore_database", {"database": "logistics"})
        with pytest.raises(MCPError, match="There is: shop, logistics"):
            await client.read_resource("postgres://nowhere/public/parcels")
    assert isinstance(contents, TextResourceContents)
    assert "receiver" in contents.text
    attached = [m.content.resource.uri for m in prompt.messages if isinstance(m.content, EmbeddedResource)]
    assert attached == ["postgres://logistics/public"]


async def test_names_are_completed_within_the_chosen_database(server: Callable[..., Client]) -> None:
    async def completed(ref: Any, name: str, value: str, **others: str) -> list[str]:
        argument = {"name": name, "value": value}
        return (await client.complete(ref, argument, context_arguments=others)).completion.values

    prompt = PromptReference(type="ref/prompt", name="explore_table")
    async with server("everyone_reads") as client:
        assert await completed(TABLE, "database", "") == ["shop", "logistics"]
        assert await completed(prompt, "database", "lo") == ["logistics"]
        assert await completed(TABLE, "table", "p", database="logistics", schema="public") == ["parcels"]
        assert await completed(TABLE, "table", "p", database="shop", schema="public") == ["products"]
        assert await completed(TABLE, "table", "p") == []


async def test_check_speaks_of_each_database(reader_url: str) -> None:
    urls = [f"--database=shop={reader_url}", "--database=gone=postgresql://reader@127.0.0.1:1/x"]
    server = build_server(Settings.load(urls, {}))
    async with server.lifespan(server) as state:
        found = await server.findings(state)
    assert {(finding.text.partition(":")[0], finding.level) for finding in found} == {
        ("shop", "ok"),
        ("gone", "problem"),
    }


async def test_the_error_of_a_named_database_says_which_flag_to_mend() -> None:
    urls = ["--database=a=postgresql://x@127.0.0.1:1/x?nonsense", "--database=b=postgresql://x@127.0.0.1:x/x"]
    async with Client(build_server(Settings.load(urls, {}))) as client:
        assert "--database b=postgresql://" in text_of(await client.call_tool("list_schemas", {"database": "b"}))


def test_one_variable_holds_several_urls_even_with_commas_in_them() -> None:
    urls = "a=postgresql://h1:1,h2:2/x?target_session_attrs=primary,b=postgres://u:p@h/y\n c=postgresql:///z"
    assert Settings.load([], {"POSTGRES_DATABASE": urls}).urls() == {
        "a": "postgresql://h1:1,h2:2/x?target_session_attrs=primary",
        "b": "postgres://u:p@h/y",
        "c": "postgresql:///z",
    }


def test_a_file_holds_several_urls(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("a=postgresql://h/x\nb=postgresql://h/y\n")
    settings = Settings.load([], {"POSTGRES_DATABASE_FILE": str(tmp_path / "urls")})
    assert settings.urls() == {"a": "postgresql://h/x", "b": "postgresql://h/y"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--database", "shop"], "NAME=postgresql://"),
        (["--database", "=postgresql://u:hunter2@h/x"], "NAME=postgresql://"),
        (["--database", "a/b=postgresql://u:hunter2@h/x"], "NAME=postgresql://"),
        (["--database", "a=mysql://u:hunter2@h/x"], "NAME=postgresql://"),
        (["--database", "a=postgresql://hunter2/x", "--database", "a=postgresql://h/y"], "alike"),
        (["--database", "a=postgresql://hunter2/x", "postgresql://h/y"], "stands alone"),
        (["--database", "a=postgresql://hunter2/x", "--embedded"], "stands alone"),
        (["--database", "a=postgresql://hunter2/x", "--mask", "b=s.t.c"], "names no --database: b"),
        (["--mask", "b=s.t.c"], "names no --database: b"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused_without_its_secrets(arguments: list[str], words: str) -> None:
    with pytest.raises(SettingsProblem, match=words) as refused:
        Settings.load(arguments, {})
    assert "hunter2" not in str(refused.value)

"""Who may call and what: tokens of a file and of an issuer, and every way to fail with one."""

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mcp_server_shared.serving import oauth
from mcp_server_shared.serving.tokens import new_token
from notes.application import Running, running
from notes.client import ERAS, error_of, structure_of, text_of
from notes.issuer import AUDIENCE, Issuer, serving_issuer
from notes.network import call
from notes.server import Settings
from pydantic import SecretStr

pytestmark = pytest.mark.anyio
READ = call("read_note", name="first")
METADATA = "https://notes.example/.well-known/oauth-protected-resource/mcp"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """Write a file with tokens of three callers, and return them."""
    made = {name: new_token(name, grants, None) for name, grants in CALLERS.items()}
    (tmp_path / "tokens").write_text("\n".join(line for _, line in made.values()), encoding="utf-8")
    return {name: token for name, (token, _) in made.items()}


CALLERS = {"reader": ["read"], "writer": ["read", "write"], "scraper": ["metrics"]}


@pytest.fixture
def issuer() -> Generator[Issuer]:
    with serving_issuer() as issuer:
        yield issuer


@asynccontextmanager
async def with_issuer(issuer: Issuer, **serving: Any) -> AsyncGenerator[Running]:
    async with running(issuer=issuer.url, public_url=AUDIENCE, **serving) as server:
        yield server


# Tokens of a file


async def test_without_a_token_nothing_is_answered(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with running(tokens=tmp_path / "tokens") as server:
        response = await server.post(READ)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer wrong", "Basic dXNlcjpwYXNz", "Bearer a b", "Bearer " + "x" * 20_000, "wrong"],
)
async def test_a_wrong_token_is_refused(tmp_path: Path, tokens: dict[str, str], header: str) -> None:
    async with running(tokens=tmp_path / "tokens") as server:
        response = await server.post(READ, authorization=header)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token", error_description=')


async def test_two_authorization_headers_are_refused(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with running(tokens=tmp_path / "tokens") as server, server.http() as http:
        fields = [("authorization", f"Bearer {tokens['reader']}")] * 2
        assert (await http.post("http://localhost:8000/mcp", json=READ, headers=fields)).status_code == 401


async def test_a_token_in_the_address_is_no_token(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with running(tokens=tmp_path / "tokens") as server, server.http() as http:
        url = f"http://localhost:8000/mcp?access_token={tokens['reader']}"
        assert (await http.post(url, json=READ)).status_code == 401


@pytest.mark.parametrize("era", ERAS)
async def test_a_caller_sees_what_its_token_grants(tmp_path: Path, tokens: dict[str, str], era: str) -> None:
    async with running(tokens=tmp_path / "tokens") as server:
        async with server.client(tokens["reader"], era) as client:
            assert "write_note" not in [tool.name for tool in (await client.list_tools()).tools]
        async with server.client(tokens["writer"], era) as client:
            assert "write_note" in [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize("era", ERAS)
async def test_a_caller_may_call_what_its_token_grants(tmp_path: Path, tokens: dict[str, str], era: str) -> None:
    arguments = {"name": "first", "text": "changed"}
    async with running(tokens=tmp_path / "tokens") as server:
        async with server.client(tokens["reader"], era) as client:
            refused = await client.call_tool("write_note", arguments)
        async with server.client(tokens["writer"], era) as client:
            assert not (await client.call_tool("write_note", arguments)).is_error
    assert error_of(refused.meta)["code"] == "permission_denied"
    assert text_of(refused) == "This caller may not change notes. It takes a token with the grant 'write'."


async def test_no_token_gives_what_the_operator_does_not(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with running(Settings(transport="http"), tokens=tmp_path / "tokens") as server:
        response = await server.post(call("write_note", name="first", text="x"), tokens["writer"])
    assert "--allow-write" in response.text


async def test_a_token_that_may_not_read_may_nothing(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with running(tokens=tmp_path / "tokens") as server:
        response = await server.post(READ, tokens["scraper"])
    assert (response.status_code, 'error="insufficient_scope"' in response.headers["www-authenticate"]) == (403, True)


async def test_the_audit_line_names_the_caller_and_not_the_token(
    tmp_path: Path, tokens: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with running(tokens=tmp_path / "tokens") as server:
        await server.post(READ, tokens["reader"])
    assert "'caller': 'client reader'" in caplog.text
    assert tokens["reader"] not in caplog.text


@pytest.mark.parametrize("era", ERAS)
async def test_a_cursor_is_of_use_to_nobody_else(tmp_path: Path, tokens: dict[str, str], era: str) -> None:
    async with running(tokens=tmp_path / "tokens") as server:
        async with server.client(tokens["reader"], era) as client:
            cursor = structure_of(await client.call_tool("list_notes", {"limit": 1}))["cursor"]
        async with server.client(tokens["writer"], era) as client:
            result = await client.call_tool("list_notes", {"limit": 1, "cursor": cursor})
    assert error_of(result.meta)["code"] == "invalid_argument"


# Tokens of an issuer


async def test_a_token_of_the_issuer_is_accepted(issuer: Issuer) -> None:
    async with with_issuer(issuer) as server:
        assert (await server.post(READ, issuer.token())).status_code == 200


async def test_without_a_token_the_metadata_is_named(issuer: Issuer) -> None:
    async with with_issuer(issuer) as server:
        response = await server.post(READ)
    assert response.headers["www-authenticate"] == f'Bearer resource_metadata="{METADATA}", scope="read write"'


async def test_a_client_asks_for_no_more_than_the_operator_gives(issuer: Issuer) -> None:
    async with with_issuer(issuer, settings=Settings(transport="http")) as server:
        response = await server.post(READ)
        metadata = (await server.get("/.well-known/oauth-protected-resource/mcp")).json()
    assert response.headers["www-authenticate"].endswith('scope="read"')
    assert metadata["scopes_supported"] == ["read"]


async def test_a_scraper_may_have_a_token_of_the_issuer(issuer: Issuer) -> None:
    async with with_issuer(issuer, scopes=("metrics=notes.metrics",)) as server:
        refused = await server.get("/metrics", authorization=f"Bearer {issuer.token()}")
        told = await server.get("/metrics", authorization=f"Bearer {issuer.token(scope='notes.metrics')}")
    assert (refused.status_code, told.status_code) == (403, 200)
    assert refused.headers["www-authenticate"].endswith('scope="notes.metrics"')


@pytest.mark.parametrize("path", ["/mcp", ""])
async def test_the_metadata_says_where_tokens_are_made(issuer: Issuer, path: str) -> None:
    async with with_issuer(issuer, scopes=("write=notes.write",)) as server:
        metadata = (await server.get(f"/.well-known/oauth-protected-resource{path}")).json()
    assert metadata["resource"] == AUDIENCE
    assert metadata["authorization_servers"] == [issuer.url]
    assert metadata["scopes_supported"] == ["read", "notes.write"]


LONG_AGO = 1_000_000_000
LONG_AHEAD = 4_000_000_000


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example/mcp"},
        {"aud": None},
        {"aud": []},
        {"iss": "https://other.example"},
        {"iss": None},
        {"exp": LONG_AGO},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": LONG_AHEAD},
        {"sub": None},
        {"sub": ""},
    ],
    ids=str,
)
async def test_a_token_with_other_claims_is_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    async with with_issuer(issuer) as server:
        response = await server.post(READ, issuer.token(**claims))
    assert response.status_code == 401
    assert f'resource_metadata="{METADATA}"' in response.headers["www-authenticate"]


@pytest.mark.parametrize("skew", [-20, 20])
async def test_clocks_may_differ_a_little(issuer: Issuer, skew: int) -> None:
    now = int(time.time())
    claims: dict[str, Any] = {"exp": now + skew} if skew < 0 else {"nbf": now + skew}
    async with with_issuer(issuer) as server:
        assert (await server.post(READ, issuer.token(**claims))).status_code == 200


async def test_a_token_signed_by_another_key_is_refused(issuer: Issuer) -> None:
    forged = issuer.token(key=ec.generate_private_key(ec.SECP256R1()))
    async with with_issuer(issuer) as server:
        assert (await server.post(READ, forged)).status_code == 401


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_the_token_does_not_choose_how_it_is_verified(issuer: Issuer, algorithm: str) -> None:
    forged = issuer.token(key="" if algorithm == "none" else "x" * 64, algorithm=algorithm)
    async with with_issuer(issuer) as server:
        assert (await server.post(READ, forged)).status_code == 401


async def test_a_key_set_with_a_secret_in_it_is_not_used_as_one(issuer: Issuer) -> None:
    issuer.jwks = [{"kty": "oct", "k": "eHh4", "kid": "first", "alg": "HS256"}]
    async with with_issuer(issuer) as server:
        assert (await server.post(READ, issuer.token(key="xxx" * 20, algorithm="HS256"))).status_code == 401


async def test_a_rotated_key_is_fetched_and_the_old_one_forgotten(issuer: Issuer) -> None:
    async with with_issuer(issuer) as server:
        old = issuer.token()
        assert (await server.post(READ, old)).status_code == 200
        issuer.rotate("second")
        assert (await server.post(READ, issuer.token())).status_code == 200
        assert (await server.post(READ, old)).status_code == 401


async def test_unknown_keys_make_it_ask_the_issuer_a_few_times_only(issuer: Issuer) -> None:
    async with with_issuer(issuer) as server:
        for number in range(30):
            await server.post(READ, issuer.token(kid=f"unknown {number}"))
    assert issuer.asked.count("/jwks") <= 10


async def test_while_the_issuer_is_down_nobody_is_refused_for_good(issuer: Issuer) -> None:
    issuer.down = True
    async with with_issuer(issuer) as server:
        response = await server.post(READ, issuer.token())
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        issuer.down = False
        assert (await server.post(READ, issuer.token())).status_code == 200


@pytest.mark.parametrize(
    "keys",
    ["http://keys.example/jwks", "file:///etc/passwd", 7],
)
async def test_keys_come_over_a_safe_way_alone(issuer: Issuer, keys: Any) -> None:
    issuer.metadata["jwks_uri"] = keys
    async with with_issuer(issuer) as server:
        assert (await server.post(READ, issuer.token())).status_code == 503


async def test_metadata_of_another_issuer_is_not_believed(issuer: Issuer) -> None:
    issuer.metadata["issuer"] = "https://other.example"
    async with with_issuer(issuer) as server:
        assert (await server.post(READ, issuer.token())).status_code == 503


async def test_the_issuer_leads_nowhere_else(issuer: Issuer) -> None:
    issuer.redirects["/jwks"] = f"{issuer.url}/elsewhere"
    async with with_issuer(issuer) as server:
        assert (await server.post(READ, issuer.token())).status_code == 503
    assert "/elsewhere" not in issuer.asked


async def test_keys_without_end_are_not_kept(issuer: Issuer) -> None:
    issuer.jwks = [*issuer.jwks, {"kty": "EC", "x": "x" * 2_000_000}]
    async with with_issuer(issuer) as server:
        assert (await server.post(READ, issuer.token())).status_code == 503


async def test_scopes_give_grants_under_their_own_names(issuer: Issuer) -> None:
    write = call("write_note", name="first", text="x")
    async with with_issuer(issuer, scopes=("read=notes.read", "write=notes.write")) as server:
        denied = await server.post(write, issuer.token(scope="notes.read write"))
        allowed = await server.post(write, issuer.token(scope="notes.read notes.write"))
        nothing = await server.post(READ, issuer.token(scope="read"))
    assert denied.json()["result"]["isError"]
    assert not allowed.json()["result"].get("isError")
    assert nothing.status_code == 403


async def test_callers_of_two_issuers_do_not_become_one(tmp_path: Path, tokens: dict[str, str], issuer: Issuer) -> None:
    async with with_issuer(issuer, tokens=tmp_path / "tokens") as server:
        listing = call("list_notes", limit=1)
        first = await server.post(listing, tokens["reader"])
        cursor = first.json()["result"]["structuredContent"]["cursor"]
        again = call("list_notes", limit=1, cursor=cursor)
        namesake = await server.post(again, issuer.token(sub="reader", client_id="reader"))
        assert namesake.json()["result"]["isError"]
        assert not (await server.post(again, tokens["reader"])).json()["result"].get("isError")


# Tokens that the issuer is asked about


@asynccontextmanager
async def introspecting(issuer: Issuer, name: str = "notes", password: str = "x") -> AsyncGenerator[Running]:  # noqa: S107
    credential = {"introspection_client": name, "introspection_secret": SecretStr(password)}
    async with with_issuer(issuer, introspection_url=f"{issuer.url}/introspect", **credential) as server:
        yield server


async def test_a_token_that_is_asked_about_goes_nowhere_else(issuer: Issuer) -> None:
    issuer.answers["opaque"] = ACTIVE
    issuer.redirects["/introspect"] = f"{issuer.url}/elsewhere"
    async with introspecting(issuer) as server:
        assert (await server.post(READ, "opaque")).status_code == 503
    assert "/elsewhere" not in issuer.asked


async def test_the_credential_to_ask_with_may_have_any_characters(issuer: Issuer) -> None:
    issuer.answers["opaque"] = ACTIVE
    async with introspecting(issuer, "a:b", "s%c r+t:ü") as server:
        assert (await server.post(READ, "opaque")).status_code == 200
    assert issuer.asked_by == ("a:b", "s%c r+t:ü")


async def test_tokens_that_nobody_knows_do_not_wait_without_end(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth, "MOST_ASKED_AT_ONCE", 1)
    monkeypatch.setattr(oauth, "MOST_WAITING", 0)
    issuer.answers["opaque"] = ACTIVE
    async with introspecting(issuer) as server, anyio.create_task_group() as tasks:
        issuer.goes_on.clear()
        tasks.start_soon(server.post, READ, "made-up")
        while not issuer.asked:
            await anyio.lowlevel.checkpoint()
        assert (await server.post(READ, "opaque")).status_code == 503
        issuer.goes_on.set()
        while (await server.post(READ, "opaque")).status_code != 200:
            await anyio.lowlevel.checkpoint()  # a refusal waits for nothing, and the answer would never arrive


async def test_made_up_tokens_do_not_make_good_ones_be_asked_about_again(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth, "MOST_ANSWERS", 2)
    issuer.answers["opaque"] = ACTIVE
    async with introspecting(issuer) as server:
        for token in ("opaque", "one", "two", "three", "opaque"):
            await server.post(READ, token)
    assert issuer.asked.count("/introspect") == 4


ACTIVE = {"active": True, "aud": AUDIENCE, "sub": "alice", "client_id": "app", "scope": "read"}


async def test_an_opaque_token_is_asked_about_once_in_a_while(issuer: Issuer) -> None:
    issuer.answers["opaque"] = ACTIVE
    async with introspecting(issuer) as server:
        assert [(await server.post(READ, "opaque")).status_code for _ in range(3)] == [200, 200, 200]
    assert issuer.asked.count("/introspect") == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"active": False},
        ACTIVE | {"active": "true"},
        ACTIVE | {"aud": "https://other.example"},
        ACTIVE | {"iss": "https://other.example"},
        ACTIVE | {"exp": LONG_AGO},
        {"active": True},
    ],
    ids=str,
)
async def test_an_opaque_token_that_is_not_for_here_is_refused(issuer: Issuer, answer: dict[str, Any]) -> None:
    issuer.answers["opaque"] = answer
    async with introspecting(issuer) as server:
        assert (await server.post(READ, "opaque")).status_code == 401

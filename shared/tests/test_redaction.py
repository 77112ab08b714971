"""No secret is logged, and what only resembles one is."""

import base64
import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_server_shared.redaction import MAX_DEPTH, JsonValue, is_secret_name, redact, redact_text

# Put together here, so that no tool which looks for leaked secrets stops at this file.
BODY = "a1B2c3D4e5F6g7H8i9J0" * 3
HEX = "3f786850e387550fdab836ed7e6dc881de23001b"
JWT_HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
JWT = f"{JWT_HEADER}.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{BODY}"
AWS_SECRET_KEY = "/".join(["wJalrXUtnFEMI", "K7MDENG", "bPxRfiCYEXAMPLEKEY"])
DASHES = "-" * 5
PEM = f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}\nMIIEow{BODY}\n{BODY}==\n{DASHES}END RSA PRIVATE KEY{DASHES}"

TOKENS = {
    "github-token": [f"gh{kind}_{BODY[:36]}" for kind in "opsur"]
    + [f"github_pat_{BODY[:22]}_{BODY}", f"ghs_123456_{JWT}"],
    "slack-token": [f"xox{kind}-123456789012-{BODY[:24]}" for kind in "abeprs"]
    + [f"xoxe.xoxp-1-{BODY}", f"xapp-1-A012-{BODY}"],
    "google-credential": [f"AIza{BODY[:35]}", f"ya29.a0{BODY}", f"GOCSPX-{BODY[:28]}", f"1//0g{BODY}", f"1//{BODY}"],
    "aws-key-id": ["AKIA" + "IOSFODNN7EXAMPLE", "ASIA" + "IOSFODNN7EXAMPLE"],
    "jwt": [JWT, JWT.rpartition(".")[0], f"{JWT_HEADER}..{BODY}.{BODY}.{BODY}"],
    "private-key": [
        PEM,
        PEM.replace("\n", "\\n"),
        PEM.replace("RSA", "OPENSSH"),
        PEM.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
        PEM.replace("RSA ", ""),
    ],
    "api-key": [f"sk-{BODY[:48]}", f"sk-proj-{BODY}", f"sk-ant-api03-{BODY}-_{BODY}"],
    "npm-token": [f"npm_{BODY[:36]}"],
    "gitlab-token": [f"glpat-{BODY[:20]}"],
    "stripe-key": [f"sk_live_{BODY[:24]}", f"rk_test_{BODY[:24]}"],
}


@pytest.mark.parametrize(("kind", "token"), [(kind, token) for kind, tokens in TOKENS.items() for token in tokens])
@pytest.mark.parametrize("sentence", ["{}", "it is {}", "({})", '"{}"', "at https://example.com?key={}", "x\n{}"])
def test_a_token_is_known_by_its_form(kind: str, token: str, sentence: str) -> None:
    assert redact_text(sentence.format(token)) == sentence.format(f"[redacted:{kind}]")


def test_text_around_a_private_key_stays() -> None:
    assert (
        redact_text(f"before\n{PEM}\nafter {PEM}.") == "before\n[redacted:private-key]\nafter [redacted:private-key]."
    )


def test_a_private_key_without_its_end_takes_the_rest_of_the_text_with_it() -> None:
    assert redact_text(f"before {PEM[:100]}") == "before [redacted:private-key]"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql://bob:hunter2@db:5432/shop", "postgresql://bob:[redacted:password]@db:5432/shop"),
        ("redis://:hunter2@cache", "redis://:[redacted:password]@cache"),
        ("postgres+asyncpg://bob:p@ss:w@db/x@y", "postgres+asyncpg://bob:[redacted:password]@db/x@y"),
        ("postgres://bob:hun/ter?2#x@db/shop", "postgres://bob:[redacted:password]@db/shop"),
        ("(https://bob:12345@example.com)", "(https://bob:[redacted:password]@example.com)"),
        ("https://hooks.slack.com/services/T0/B0/x1y2z3", "https://hooks.slack.com/services/[redacted:slack-webhook]"),
        ("pg://h/d?user=bob&password=hunter2&x=1", "pg://h/d?user=bob&password=[redacted:secret]&x=1"),
        ("pg://h/d?sslpassword=hunter2#top", "pg://h/d?sslpassword=[redacted:secret]#top"),
        ("https://h/?access_token=abc&a=b", "https://h/?access_token=[redacted:secret]&a=b"),
        ("https://h/?api_key=abc", "https://h/?api_key=[redacted:secret]"),
        ("https://h/f?sv=2024&sig=a%2Fb%3D&se=1", "https://h/f?sv=2024&sig=[redacted:signature]&se=1"),
        ("https://h/f?X-Amz-Signature=0a1b&x=1", "https://h/f?X-Amz-Signature=[redacted:signature]&x=1"),
    ],
)
def test_a_secret_in_a_url_is_redacted_and_the_rest_of_the_url_stays(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"Authorization: Bearer {BODY}", "Authorization: Bearer [redacted:authorization]"),
        ("authorization: basic dTpw", "authorization: basic [redacted:authorization]"),
        ('Authorization: Token token="abc", n="x"\nHost: x', "Authorization: Token [redacted:authorization]\nHost: x"),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=a/b, Signature=c",
            "Authorization: AWS4-HMAC-SHA256 [redacted:authorization]",
        ),
        ('{"Authorization": "token abcdef"}', '{"Authorization": "token [redacted:authorization]"}'),
        ("-H 'Authorization: abc123'", "-H 'Authorization: [redacted:authorization]'"),
        (f"sent bearer {BODY}, refused", "sent bearer [redacted:authorization], refused"),
        ("Cookie: sid=abc; theme=dark\nHost: x", "Cookie: [redacted:cookie]\nHost: x"),
        ("set-cookie: sid=abc; Path=/", "set-cookie: [redacted:cookie]"),
        ("X-Api-Key: abc123", "X-Api-Key: [redacted:secret]"),
    ],
)
def test_credentials_in_http_headers_are_redacted(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("host=db password=hunter2 dbname=x", "host=db password=[redacted:secret] dbname=x"),
        (r"password='it\'s me' host=db", "password='[redacted:secret]' host=db"),
        ("password = 'hunter two' host=db", "password = '[redacted:secret]' host=db"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=[redacted:secret] psql"),
        ("export GITHUB_TOKEN=abc", "export GITHUB_TOKEN=[redacted:secret]"),
        ('API_KEY="a b\\"c"', 'API_KEY="[redacted:secret]"'),
        (f"aws_secret_access_key = {AWS_SECRET_KEY}", "aws_secret_access_key = [redacted:secret]"),
        (f"AWS Secret Access Key: {AWS_SECRET_KEY}", "AWS Secret Access Key: [redacted:secret]"),
        ('{"password": "hunter", "user": "bob"}', '{"password": "[redacted:secret]", "user": "bob"}'),
        ('{"clientSecret":"abc"}', '{"clientSecret":"[redacted:secret]"}'),
        (r'"{\"password\": \"hunter\", \"a\": 1}"', r'"{\"password\": \"[redacted:secret]\", \"a\": 1}"'),
        ('"password": "hunt', '"password": "[redacted:secret]'),
        ("{'api_key': 'abc'}", "{'api_key': '[redacted:secret]'}"),
        ("db:\n  password: hunter2\n  port: 1", "db:\n  password: [redacted:secret]\n  port: 1"),
        ("password: p4ss(word),x!", "password: [redacted:secret]"),
        (f"token: {BODY * 9}.", "token: [redacted:secret]"),
        ("db:\n  password: correcthorse\n", "db:\n  password: [redacted:secret]\n"),
        ("connect(password=hunter2, user=x)", "connect(password=[redacted:secret], user=x)"),
        ("ALTER ROLE bob PASSWORD 'it''s'", "ALTER ROLE bob PASSWORD '[redacted:secret]'"),
        ("İstanbul Password=abc", "İstanbul Password=[redacted:secret]"),
        ('config["password"] = "abc"', 'config["password"] = "[redacted:secret]"'),
        ("password=a token=b", "password=[redacted:secret] token=[redacted:secret]"),
        (f"password=x{JWT}~y", "password=[redacted:secret]"),
    ],
)
def test_a_value_assigned_to_the_name_of_a_secret_is_redacted(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The secret of a good token is the password: never reuse one. The key: patience.",
        "A bearer token authorises its bearer; Bearer authentication is described in RFC 6750.",
        "password must be at least 12 characters; the secret is out, token by token",
        "Password: required. Token: a unit of text. Enter the secret: everything",
        "no field 'password'; did you mean 'passwd'?",
        "Cookie: none. Authorization: required for writing.",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        HEX,
        f"commit {HEX} (HEAD -> task-force, tag: v1.2.3)",
        f"sha256:{HEX}{HEX[:24]}",
        "/home/bob/tokens/secret-santa/disk-usage-password-reset.txt",
        r"C:\Users\bob\AppData\Local\Temp\api_key_docs.md",
        "PWD=/home/bob OLDPWD=/tmp",
        "src/tokenizer.py:12: max_tokens=4096, tokens_used: 123, next_page_token=CAE1234567",
        '{"nextPageToken": "CAE1234567", "progressToken": 17, "cursor": "abc"}',
        "https://example.com:8080/@scope/package?page=2&key=PROJ-12#top",
        "http://localhost:4873/@types/node, mailto:bob@example.com, ssh git@github.com:org/repo.git",
        "npm_config_registry_and_all_its_settings, sk-learn-with-a-long-name-12345678901234, xoxo",
        "SELECT * FROM users WHERE token = $1 AND password = :password AND secret IS NULL",
        "password: string; token: str | None = None; secret: null; api_key=${API_KEY}; pwd=****",
        "token = os.environ.get(name)",
        "token == other_token",
        "primary_key=id foreign_key: user_id public_key=abc key=value sort_key = name1",
        "GITHUB_TOKEN_FILE=/run/secrets/github password_file: /run/secrets/db1",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E",
        f"{DASHES}BEGIN PUBLIC KEY{DASHES}\nMIIB\n{DASHES}END PUBLIC KEY{DASHES}",
        "Asia, AKIA, ASIAN, eyJhbGciOiJIUzI1NiJ9 alone, module.eyJoke.method, 1//2, 10:30, C++://",
        "Geheimnis: 日本語のテキスト 🙂 passé composé: été 1999",
        "ghp_ is the prefix of a token; so are xoxb- and github_pat_",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("seed", range(4))
def test_an_encoded_file_stays_as_it_is(seed: int) -> None:
    data = random.Random(seed).randbytes(200_000)  # noqa: S311
    assert redact_text(text := base64.b64encode(data).decode()) == text
    assert redact_text(text := base64.encodebytes(data).decode()) == text
    assert redact_text(text := data.hex()) == text


@given(st.text(), st.sampled_from([token for tokens in TOKENS.values() for token in tokens]), st.text())
def test_no_surrounding_text_lets_a_token_through(before: str, token: str, after: str) -> None:
    assert token not in redact_text(f"{before} {token} {after}")


def test_only_one_character_changes_its_length_in_lower_case() -> None:
    assert [chr(code) for code in range(sys.maxunicode + 1) if len(chr(code).lower()) != 1] == ["İ"]


# A pattern that starts over inside what it has just read would need hours, not milliseconds, for a megabyte of these.
@pytest.mark.parametrize(
    "unit",
    [
        *("a", "1", "-", " ", "\n", "=", ":", "&", "@", "'", '"', "\\", "{", "İ"),
        *("eyJ", "eyJa.", "eyJaaaaaaaaaa.", "eyJ..", "://", "://:", "://a:b", "://a:b/c", "http://a@", "http://a:"),
        *("-----BEGIN", "-----BEGIN PRIVATE KEY-----", "-----BEGIN A PRIVATE KEY", "-----END PRIVATE KEY-----"),
        *("ghp_", "github_pat_", "xoxb-", "xox", "xoxe.xox", "xapp-", "hooks.slack.com/", "AIza", "ya29.", "1//"),
        *("AKIA", "sk-", "sk-ant-", "npm_", "glpat-", "sk_live_", "?sig=", "?aaaasig", "Bearer ", "Bearer a"),
        *("Authorization:", "Authorization: Bearer ", "Cookie:", "cookie: a=", "cookie: a", "secret key "),
        *("token", "token ", "token:", "token: ", "token=", "token==", "&token=", "token=,", 'token="', "token='"),
        *("token '", "token\\", 'token=\\"', "token=\\\\", "token: 1234 ", '"token":"x",', "password=${", "a.token"),
    ],
)
def test_a_megabyte_of_hostile_text_is_read_once(unit: str) -> None:
    redact_text(unit * (1_000_000 // len(unit)))


@pytest.mark.parametrize(
    "name",
    [
        *("password", "Passwd", "PWD", "pass", "passphrase", "db_password", "newPassword", "PGPASSWORD", "password2"),
        *("secret", "client_secret", "clientSecret", "SECRET_KEY", "secret_value", "password_hash"),
        *("token", "githubToken", "GITHUB_TOKEN", "access_token", "refreshToken", "id-token", "token_hash"),
        *("api_key", "apikey", "x-api-key", "APIKey", "private_key", "aws_secret_access_key", "accountKey"),
        *("authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "cookies", "credential", "credentials"),
        *("dsn", "database_url", "DATABASE_URL", "connection_string", "connectionString", "conninfo"),
    ],
)
def test_the_name_of_a_secret_is_known_in_any_case(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("tokens", "tokens_used", "max_tokens", "token_count", "tokenizer", "nextPageToken", "next_page_token"),
        *("page_token", "progressToken", "sync_token", "newStartPageToken", "cursor", "key", "primary_key", "keyword"),
        *("public_key", "access_key_id", "password_file", "secret_name", "author", "authorized", "compass", "bypass"),
        *("url", "path", "passed", "cookie_policy", "secretary", "", "_"),
    ],
)
def test_the_name_of_something_else_is_not_taken_for_a_secret(name: str) -> None:
    assert not is_secret_name(name)


def test_fields_with_the_name_of_a_secret_are_redacted_whole() -> None:
    value: JsonValue = {"user": "bob", "password": "x", "headers": [{"cookie": ["a", {"b": 1}]}], "pin": {"token": 7}}
    assert redact(value) == {
        "user": "bob",
        "password": "[redacted:field]",
        "headers": [{"cookie": "[redacted:field]"}],
        "pin": {"token": "[redacted:field]"},
    }


def test_a_field_that_holds_no_value_stays_readable() -> None:
    value: JsonValue = {"password": None, "token": "", "secret": False, "credentials": True, "cookies": []}
    assert redact(value) == value


def test_strings_and_names_are_redacted_by_pattern_wherever_they_are() -> None:
    token = TOKENS["github-token"][0]
    assert redact([1, 2.5, token, {token: f"see {token}"}]) == [
        1,
        2.5,
        "[redacted:github-token]",
        {"[redacted:github-token]": "see [redacted:github-token]"},
    ]


def test_names_that_become_equal_hide_nothing() -> None:
    first, second, third = TOKENS["github-token"][:3]
    assert redact({first: 1, second: 2, third: 3}) == {
        "[redacted:github-token]": 1,
        "[redacted:github-token]#1": 2,
        "[redacted:github-token]#2": 3,
    }


def nested(depth: int) -> JsonValue:
    value: JsonValue = "bottom"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def test_what_is_nested_too_deep_is_left_out() -> None:
    assert "bottom" in str(redact(nested(MAX_DEPTH)))
    assert "bottom" not in str(redact(nested(MAX_DEPTH + 1)))
    assert "[too deep]" in str(redact(nested(100_000)))


def test_the_value_that_is_given_is_not_changed() -> None:
    inner: dict[str, JsonValue] = {"password": "x"}
    redact([inner])
    assert inner == {"password": "x"}

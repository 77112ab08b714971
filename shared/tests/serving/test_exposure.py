"""Secure or refused: what may be listened at, and what the refusal says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp_server_shared.serving.exposure import check_exposure
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.settings import SettingsProblem, read_settings
from notes.server import ABOUT, Settings

ANYWHERE = "0.0.0.0"  # noqa: S104
TLS = {"tls_cert": Path("cert.pem"), "tls_key": Path("key.pem")}
TOKENS = {"tokens": Path("tokens")}


def refusal(about: Any = ABOUT, **serving: Any) -> str:
    with pytest.raises(SettingsProblem) as caught:
        check_exposure(about, Settings(transport="http"), ServingSettings(**serving))
    return str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_loopback_needs_nothing(host: str) -> None:
    check_exposure(ABOUT, Settings(transport="http"), ServingSettings(host=host))


@pytest.mark.parametrize("host", [ANYWHERE, "::", "192.0.2.1"])
def test_any_other_address_is_refused_without_authentication_and_tls(host: str) -> None:
    said = refusal(host=host)
    assert all(flag in said for flag in ("--tokens", "--issuer", "--tls-cert", "--tls-key", "--behind-proxy"))


def test_the_refusal_names_only_what_is_missing() -> None:
    assert "--tls" not in refusal(host=ANYWHERE, **TLS)
    assert "--tokens" not in refusal(host=ANYWHERE, **TOKENS)


@pytest.mark.parametrize("secured", [TLS, {"behind_proxy": ("10.0.0.1",)}])
def test_authentication_and_tls_are_enough(secured: dict[str, Any]) -> None:
    check_exposure(ABOUT, Settings(transport="http"), ServingSettings(host=ANYWHERE, **TOKENS, **secured))


@pytest.mark.parametrize(
    ("serving", "flag"),
    [
        ({"tls_cert": Path("cert.pem")}, "--tls-key"),
        ({**TLS, "behind_proxy": ("10.0.0.1",)}, "--behind-proxy"),
        ({"issuer": "https://issuer.example"}, "--public-url"),
        ({"introspection_url": "https://issuer.example/introspect"}, "--introspection-client"),
        ({"callers": Path("callers")}, "--tokens"),
        ({"shared_state": "redis://localhost"}, "--state-key"),
    ],
)
def test_what_belongs_together_is_asked_for(serving: dict[str, Any], flag: str) -> None:
    assert flag in refusal(**serving)


def test_a_server_with_state_in_one_process_has_one_worker() -> None:
    assert "cannot have several --workers" in refusal(replace(ABOUT, state="process"), workers=2)


def test_a_server_that_remembers_callers_has_several_workers_only_with_shared_state() -> None:
    assert "--shared-state" in refusal(replace(ABOUT, state="caller"), workers=2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "--port (or MCP_PORT) must be at most 65535"),
        (["--path", "mcp"], "must begin with /"),
        (["--behind-proxy", "proxy.example"], "IP addresses or networks"),
        (["--issuer", "http://issuer.example"], "must be https"),
        (["--public-url", "ftp://x"], "must be an https URL"),
        (["--state-key", "short"], "at least 32 bytes"),
        (["--scopes", "read"], "GRANT=SCOPE"),
        (["--prot", "1"], "did you mean --port,"),
    ],
)
def test_a_setting_that_will_not_do_is_refused_in_plain_words(arguments: list[str], said: str) -> None:
    with pytest.raises(SettingsProblem) as caught:
        read_settings(Settings, ["--transport", "http", *arguments], environment={}, beside=ServingSettings)
    assert said in str(caught.value)
    assert "short" not in str(caught.value)

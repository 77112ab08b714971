"""What an operator decides about serving over a network; each is a flag of every server beside `--transport`."""

import ipaddress
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from mcp_server_shared.settings import OperatorSettings, Source

LEAST_KEY_BYTES = 32

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ServingSettings(OperatorSettings):
    """The settings of every transport but stdio."""

    env_prefix: ClassVar[str] = "MCP"

    host: Annotated[
        str, Source(placeholder="ADDRESS"), Field(description="Address to listen at; all but loopback must be secured.")
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535, description="Port to listen at; 0 takes a free one.")] = 8_000
    path: Annotated[
        str | None,
        Source(placeholder="/PATH"),
        Field(description="Where the endpoint is: /mcp, /sse or /ws if not said otherwise."),
    ] = None
    stateful: Annotated[
        bool, Field(description="Keep a session for each handshake-era client, so that it can be asked and notified.")
    ] = False
    tls_cert: Annotated[Path | None, Field(description="Certificate chain (PEM); read again on SIGHUP.")] = None
    tls_key: Annotated[Path | None, Field(description="Its private key (PEM).")] = None
    behind_proxy: Annotated[
        tuple[str, ...],
        Source(placeholder="ADDRESS[/BITS]"),
        Field(
            description="Proxies that terminate TLS: only they may connect, and what they say of clients is trusted."
        ),
    ] = ()
    public_url: Annotated[
        str | None,
        Source(placeholder="URL"),
        Field(
            description="The endpoint's URL as clients have it: its host is accepted, and tokens are made out to it."
        ),
    ] = None
    allowed_hosts: Annotated[
        tuple[str, ...], Source(placeholder="HOST"), Field(description="A further host that clients may address.")
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...], Source(placeholder="ORIGIN"), Field(description="A web origin whose pages may connect.")
    ] = ()
    tokens: Annotated[
        Path | None,
        Source(placeholder="FILE"),
        Field(
            description="Accept the bearer tokens of this file, made by the command 'token'; read again when changed."
        ),
    ] = None
    issuer: Annotated[
        str | None,
        Source(placeholder="URL"),
        Field(description="Accept the tokens of this OAuth 2.1 authorization server."),
    ] = None
    audience: Annotated[
        str | None, Field(description="What tokens of the issuer must be made out to, if not to --public-url.")
    ] = None
    jwks_url: Annotated[
        str | None, Source(placeholder="URL"), Field(description="The issuer's keys, where its metadata does not say.")
    ] = None
    introspection_url: Annotated[
        str | None,
        Source(placeholder="URL"),
        Field(description="Ask the issuer about each token (RFC 7662) instead of reading it; for opaque tokens."),
    ] = None
    introspection_client: Annotated[str | None, Field(description="Client id to ask with.")] = None
    introspection_secret: Annotated[SecretStr | None, Field(description="Client secret to ask with.")] = None
    scopes: Annotated[
        tuple[str, ...],
        Source(placeholder="GRANT=SCOPE"),
        Field(description="The issuer's scope for read, write or another grant, where it has another name."),
    ] = ()
    callers: Annotated[
        Path | None,
        Source(placeholder="DIR"),
        Field(description="Settings of single callers, as their own credential: a TOML file each; others are refused."),
    ] = None
    max_calls_per_caller: Annotated[int, Field(ge=1, description="Of --max-calls, those of one caller.")] = 32
    rate: Annotated[
        float | None,
        Source(placeholder="N"),
        Field(gt=0, description="Calls a second of one caller; twice as many at once."),
    ] = None
    shared_state: Annotated[
        SecretStr | None,
        Source(placeholder="redis://…"),
        Field(
            description="Redis that workers and replicas share: rates, what a caller has done, change notifications."
        ),
    ] = None
    state_key: Annotated[
        SecretStr | None,
        Field(description="32 bytes or more, the same for all replicas: signs cursors and the state of questions."),
    ] = None
    workers: Annotated[int, Field(ge=1, le=256, description="Processes that serve.")] = 1
    stop_with_stdin: Annotated[
        bool, Field(description="Stop when stdin ends, as it does with whoever started the server and held it open.")
    ] = False
    log_level_file: Annotated[
        Path | None, Field(description="File with a log level in place of --log-level; read at start and on SIGHUP.")
    ] = None
    shutdown_grace_s: Annotated[
        float, Field(ge=0, le=3_600, description="Seconds that calls get to finish when the server is stopped.")
    ] = 25.0

    @field_validator("path")
    @classmethod
    def _path(cls, path: str | None) -> str | None:
        if path is not None and (
            not path.startswith("/") or path.endswith("/") or any(mark in path for mark in "?#{}")
        ):
            raise ValueError("must begin with / and not end with it")
        return path

    @field_validator("behind_proxy")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            try:
                ipaddress.ip_network(address)
            except ValueError:
                raise ValueError("must be IP addresses or networks, such as 10.0.0.5 or 10.0.0.0/24") from None
        return addresses

    @field_validator("public_url", "issuer", "jwks_url", "introspection_url")
    @classmethod
    def _urls(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if not parts.hostname or parts.query or parts.fragment or parts.scheme not in {"http", "https"}:
                raise ValueError("must be an https URL without query or fragment")
            if not is_secure(url):
                raise ValueError("must be https; http is for loopback alone")
        return url

    @field_validator("shared_state")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must be redis://… or rediss://…")
        return url

    @field_validator("scopes")
    @classmethod
    def _scopes(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        if not all(grant and scope for grant, _, scope in (entry.partition("=") for entry in entries)):
            raise ValueError("must be GRANT=SCOPE, such as read=notes.read")
        return entries

    @field_validator("state_key")
    @classmethod
    def _key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value().encode()) < LEAST_KEY_BYTES:
            raise ValueError(f"must have at least {LEAST_KEY_BYTES} bytes, such as: openssl rand -hex 32")
        return key

    @property
    def authenticates(self) -> bool:
        """Whether a caller has to bring a token."""
        return self.tokens is not None or self.issuer is not None

    def proxies(self) -> list[Network]:
        """Return the networks of the trusted proxies."""
        return [ipaddress.ip_network(address) for address in self.behind_proxy]

    def scope_of(self, grant: str) -> str:
        """Return what the issuer calls a grant."""
        return {entry.partition("=")[0]: entry.partition("=")[2] for entry in self.scopes}.get(grant, grant)


@lru_cache(maxsize=256)  # asked for the Host of each request
@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host's name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_secure(url: str) -> bool:
    """Whether nobody on the way can read or change what is fetched there: https, or http on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def plain_environment() -> dict[str, str]:
    """Return what a process needs of this environment to run at all: nothing that could be a setting or a secret."""
    wanted = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "SYSTEMROOT", "TEMP", "USERPROFILE")
    return {name: os.environ[name] for name in wanted if name in os.environ}


def trace_service(package: str) -> str | None:
    """Return under which name to export traces, None where the standard variables ask for none."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    asked = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")
    return (os.environ.get("OTEL_SERVICE_NAME") or package) if any(map(os.environ.get, asked)) else None


def share_metrics_in(directory: str) -> None:
    """Have the Prometheus client of this process and its children keep its numbers in a directory."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory

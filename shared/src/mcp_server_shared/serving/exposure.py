"""Secure or refused: what an operator has to say before a server listens where others can reach it."""

import importlib.util
import socket
from pathlib import Path

from mcp_server_shared.catalog import About
from mcp_server_shared.serving.settings import ServingSettings, is_loopback
from mcp_server_shared.settings import ServerSettings, SettingsProblem

_STATE_WHY = {
    "process": "it keeps live things in one process, behind handles that no other process knows",
    "caller": "it remembers what each caller has done, which the others would not know without --shared-state",
}


def check_exposure(about: About, settings: ServerSettings, serving: ServingSettings) -> None:
    """Refuse what would not be safe or could not work, naming the flags that would change it.

    Raises:
        SettingsProblem: with all that is missing.
    """
    wrong = [*_incomplete(serving), *_unsafe(serving), *_unshareable(about, settings, serving)]
    if settings.transport == "sse" and serving.stateful:
        wrong.append("--stateful is for --transport http; the others always keep a connection")
    if wrong:
        raise SettingsProblem("; ".join(wrong))


def _incomplete(serving: ServingSettings) -> list[str]:
    wrong: list[str] = []
    if (serving.tls_cert is None) != (serving.tls_key is None):
        wrong.append("--tls-cert and --tls-key belong together")
    if serving.tls_cert is not None and serving.behind_proxy:
        wrong.append("--tls-cert and --behind-proxy exclude each other: one of the two terminates TLS")
    if serving.issuer and not (serving.audience or serving.public_url):
        wrong.append("--issuer needs --public-url, the URL that its tokens must be made out to (or --audience)")
    if serving.introspection_url and not (
        serving.issuer and serving.introspection_client and serving.introspection_secret
    ):
        wrong.append("--introspection-url needs --issuer, --introspection-client and --introspection-secret")
    if serving.callers and not serving.authenticates:
        wrong.append("--callers needs --tokens or --issuer, which say who calls")
    if serving.shared_state and not serving.state_key:
        wrong.append("--shared-state needs --state-key, the same for every replica (or MCP_STATE_KEY_FILE)")
    if serving.shared_state and importlib.util.find_spec("redis") is None:
        wrong.append("--shared-state needs the extra [redis]")
    return wrong


def _unsafe(serving: ServingSettings) -> list[str]:
    if listens_on_loopback(serving.host):
        return []
    missing: list[str] = []
    if not serving.authenticates:
        missing.append("authentication: --tokens FILE or --issuer URL")
    if serving.tls_cert is None and not serving.behind_proxy:
        missing.append("TLS: --tls-cert FILE and --tls-key FILE, or --behind-proxy ADDRESS of what terminates it")
    if not missing:
        return []
    return [f"{serving.host} can be reached from other machines; that takes {', and '.join(missing)}"]


def _unshareable(about: About, settings: ServerSettings, serving: ServingSettings) -> list[str]:
    if serving.workers == 1:
        return []
    if not hasattr(socket, "SO_REUSEPORT"):
        return ["--workers needs an operating system that shares a port among processes"]
    if settings.log_file is not None:
        return ["--log-file is for one worker: several would rotate it under each other; leave the log to stderr"]
    if about.state == "process" or (about.state == "caller" and serving.shared_state is None):
        return [f"{about.package} cannot have several --workers: {_STATE_WHY[about.state]}"]
    return []


def listens_on_loopback(host: str) -> bool:
    """Whether an address to listen at can be reached from this machine alone.

    Raises:
        SettingsProblem: there is no such address.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise SettingsProblem(f"--host {host}: {error.strerror}") from None
    return all(is_loopback(str(address[0])) for *_, address in found)


def readable(file: Path, flag: str) -> str:
    """Return the text of a file that a flag names.

    Raises:
        SettingsProblem: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsProblem(f"cannot read the file of {flag}: {reason}") from None

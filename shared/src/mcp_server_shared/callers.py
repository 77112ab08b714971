"""Who calls, and what they may do: the verified token of a request that came over a network."""

import json

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, principal_components

from mcp_server_shared.catalog import Grant

LOCAL = "local"


class CallerToken(AccessToken):
    """A verified bearer token.

    Attributes:
        grants: the names of what it gives beyond reading, at most what the operator gave the server.
    """

    grants: frozenset[str] = frozenset()


def caller() -> str:
    """Return who calls, "local" where there is no token. No two principals have the same name, of whatever issuers."""
    token = get_access_token()
    if token is None:
        return LOCAL
    client, issuer, subject = principal_components(token)
    if issuer is None and subject is None:
        return f"client {client}"
    return json.dumps([client, issuer, subject], ensure_ascii=False, separators=(",", ":"))


def caller_has(grant: Grant) -> bool:
    """Whether the caller's token gives a grant; without a token, the operator decides alone."""
    token = get_access_token()
    return token is None or (isinstance(token, CallerToken) and grant.name in token.grants)

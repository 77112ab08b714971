"""Asking a person before something risky is done, in both eras of the protocol.

A handshake-era client is asked while the call waits. A 2026-07-28 client is answered with the question, asks its user,
and calls again from the start; what has been agreed so far travels in the request state, which the SDK's boundary
seals and binds to the caller, the method, the target and the arguments. Each state counts once.
"""

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from mcp_server_shared.errors import ConfirmationRequired

Request = ServerRequestContext[Any, Any]
Spend = Callable[[str], Awaitable[bool]]

STATE_LIVES_S = 600.0  # as the SDK has it

_AGREED = "confirm"
_FORM = {
    "type": "object",
    "properties": {_AGREED: {"type": "boolean", "title": "Go ahead"}},
    "required": [_AGREED],
}


class InputNeeded(Exception):
    """Ends a round of a 2026-07-28 call: the client has to ask its user and call again."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("input needed")
        self.result = result


def can_ask(request: Request) -> bool:
    """Whether the client said that it can put a form before a person."""
    capabilities = request.session.client_capabilities
    elicitation = capabilities and capabilities.elicitation
    # Neither mode declared stands for forms.
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


async def ask(request: Request, question: str, spend: Spend) -> bool:
    """Return whether a person agrees.

    Args:
        request: the call.
        question: what the person reads.
        spend: whether what was agreed under a name may be used, which is so for one call.

    Raises:
        InputNeeded: a 2026-07-28 client has yet to ask.
        ConfirmationRequired: this connection carries no questions, or the client failed to ask.
    """
    form = ElicitRequestFormParams(message=question, requested_schema=_FORM)
    try:
        if request.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return await _agreed_before(request, form, spend)
        if not request.session.can_send_request:
            raise ConfirmationRequired(
                "A person has to confirm this, and this connection carries no questions.",
                hint="Connect over stdio or a stateful session, or ask the operator for --confirm.",
            )
        return _agrees(await request.session.elicit_form(form.message, _FORM, request.request_id))
    except (MCPError, ValidationError) as error:
        raise ConfirmationRequired("A person has to confirm this, and the client failed to ask one.") from error


async def _agreed_before(request: Request, form: ElicitRequestFormParams, spend: Spend) -> bool:
    """Return the answer that an earlier round of the same call brought to exactly these words."""
    params: dict[str, Any] = dict(request.params or {})
    name, asked, *agreed = json.loads(params.get("requestState") or '["", ""]')
    words = hashlib.sha256(form.message.encode()).hexdigest()
    answers: dict[str, Any] = params.get("inputResponses") or {}
    answer = answers.get(_AGREED)
    if asked and answer is not None:
        if _agrees(ElicitResult.model_validate(answer, by_name=False)):
            agreed.append(asked)
        elif asked == words:
            return False
    if words in agreed:
        if await spend(name):
            return True
        agreed.clear()
    state = json.dumps([secrets.token_hex(8), words, *agreed])
    raise InputNeeded(InputRequiredResult(input_requests={_AGREED: ElicitRequest(params=form)}, request_state=state))


def _agrees(answer: ElicitResult) -> bool:
    return answer.action == "accept" and (answer.content or {}).get(_AGREED) is True

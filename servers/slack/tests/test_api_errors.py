"""What Slack's refusals become, by its codes."""

from types import SimpleNamespace
from typing import Any

import pytest
from mcp_server_slack.api_errors import expected, turned_away


def error_for(code: str | None, status: int = 200, **more: Any) -> Any:
    data = more if code is None else {"ok": False, "error": code, **more}
    return expected(SimpleNamespace(data=data, status_code=status, headers={}), owner="bot", method="chat.postMessage")


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        ("invalid_auth", "unauthenticated"),
        ("channel_not_found", "not_found"),
        ("not_in_channel", "permission_denied"),
        ("restricted_action_thread_only_channel", "permission_denied"),
        ("is_archived", "conflict"),
        ("msg_too_long", "too_large"),
        ("ratelimited", "rate_limited"),
        ("fatal_error", "unavailable"),
        ("unknown_method", "unsupported"),
        ("invalid_blocks", "invalid_argument"),
    ],
)
def test_a_code_of_slack_becomes_one_of_ours(code: str, becomes: str) -> None:
    status = 500 if code == "fatal_error" else 200
    assert error_for(code, status).code == becomes


def test_a_code_that_nobody_knows_is_quoted_as_what_slack_says() -> None:
    error = error_for("strange_new_error", response_metadata={"messages": ["[ERROR] no such field"]})
    assert "strange_new_error" in error.untrusted
    assert "no such field" in error.untrusted
    assert "strange" not in error.message


@pytest.mark.parametrize(
    ("status", "becomes"),
    [(429, "rate_limited"), (403, "rate_limited"), (404, "not_found"), (500, "unavailable"), (418, "unsupported")],
)
def test_an_answer_that_is_no_json_becomes_an_error_by_its_status(status: int, becomes: str) -> None:
    assert turned_away(status, {}).code == becomes
    assert error_for(None, status).code == becomes


def test_how_long_to_wait_is_told() -> None:
    assert turned_away(429, {"Retry-After": "30"}).retry_after_s == 30
    assert turned_away(429, {"Retry-After": "soon"}).retry_after_s is None

"""The services that other tests talk to start, forget and end."""

import json
from typing import Any, Literal
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from emulator import emulated

SEED = {
    "tokens": {"ghp_alice": {"login": "alice", "scopes": ["repo"]}},
    "github": {"users": [{"login": "alice"}], "repos": [{"owner": "alice", "name": "seeded"}]},
}


@pytest.mark.parametrize("service", ["github", "slack", "google"])
def test_a_service_listens_while_it_is_needed_and_no_longer(service: Literal["github", "slack", "google"]) -> None:
    with emulated(service, {}) as emulator, pytest.raises(URLError, match="404"):
        ask(emulator.url + "/nothing-here")
    with pytest.raises(URLError, match="refused"):
        ask(emulator.url + "/nothing-here")


def test_a_reset_leaves_the_seed_alone() -> None:
    with emulated("github", SEED) as github:
        ask(github.url + "/user/repos", {"name": "made-later"})
        assert ask(github.url + "/repos/alice/made-later")["name"] == "made-later"
        github.reset()
        assert ask(github.url + "/repos/alice/seeded")["name"] == "seeded"
        with pytest.raises(URLError, match="404"):
            ask(github.url + "/repos/alice/made-later")


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer ghp_alice", "Content-Type": "application/json"}
    request = Request(url, data, headers)  # noqa: S310
    with urlopen(request) as response:  # noqa: S310
        return json.load(response)

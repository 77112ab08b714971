"""A GitHub for every test here: the emulator, and before it a proxy for what that lacks."""

from collections.abc import Iterator

import pytest
from emulator import emulated
from github_gaps import KNOWN_FAULTS, gaps_filled
from github_graphql import SCHEMA, faults_of_graphql
from github_sample import SEED, Emulated, fill


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def github() -> Iterator[Emulated]:
    """Yield a GitHub with something of everything, one for each test process."""
    with emulated("github", SEED) as emulator, gaps_filled(emulator.url) as gaps:
        filled = Emulated(gaps)
        fill(filled)
        yield filled
        assert gaps.faults - KNOWN_FAULTS == set(), "said or answered otherwise than GitHub describes it"
        assert not SCHEMA.exists() or faults_of_graphql(gaps.exchanged) == []

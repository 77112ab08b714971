"""A Google of our own for every test here; nothing is ever asked of the real one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_google import FakeGoogle, fake_google, keep_token


@pytest.fixture(autouse=True, scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the accounts of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        yield


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    with fake_google() as google:
        yield google


@pytest.fixture
def sign_in(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return what signs in to a Google of ours and returns the settings that use it."""

    def signed_in(google: FakeGoogle, *scopes: str, name: str = "default") -> dict[str, Any]:
        folder = tmp_path / "tokens"
        keep_token(folder, google.url, google.oauth, *(scopes or ("drive.readonly",)), name=name)
        return {"token_folder": folder, "api_url": google.url}

    return signed_in

"""Packages that are initialised when somebody asks for something in them."""

import sys
import threading
from collections.abc import Generator
from importlib import import_module
from pathlib import Path

import pytest
from mcp_server_shared.on_demand import initialise_on_demand

INITIALISER = """
from outer.inner import part
from outer import other
runs = globals().get("runs", 0) + 1
"""


@pytest.fixture
def outer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    (tmp_path / "outer/inner").mkdir(parents=True)
    (tmp_path / "outer/__init__.py").write_text(INITIALISER)
    (tmp_path / "outer/other.py").write_text("value = 'other'")
    (tmp_path / "outer/inner/__init__.py").write_text("from outer.inner.part import value")
    (tmp_path / "outer/inner/part.py").write_text("value = 'part'")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    initialise_on_demand("outer", "outer.inner")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "outer"]:
        del sys.modules[name]


@pytest.mark.usefixtures("outer")
def test_a_module_inside_is_imported_without_the_initialisers_around_it() -> None:
    assert import_module("outer.inner.part").value == "part"
    assert "outer.other" not in sys.modules


@pytest.mark.usefixtures("outer")
def test_a_name_of_the_initialiser_is_there_as_ever() -> None:
    package = import_module("outer")
    assert package.inner.value == "part"
    assert (package.other.value, package.runs) == ("other", 1)


@pytest.mark.usefixtures("outer")
def test_an_initialiser_runs_once_whoever_asks_first() -> None:
    package, ready = import_module("outer"), threading.Barrier(8)
    seen: list[int] = []

    def ask() -> None:
        ready.wait()
        seen.append(package.runs)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 8


@pytest.mark.usefixtures("outer")
def test_a_name_that_is_nowhere_is_missing_as_from_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'outer' has no attribute 'missing'"):
        _ = import_module("outer").missing
    with pytest.raises(ImportError, match="cannot import name 'missing'"):
        exec("from outer import missing", {})  # noqa: S102


def test_a_package_that_is_loaded_or_absent_stays_so() -> None:
    before = sys.modules["json"]
    initialise_on_demand("json", "not_there_at_all")
    assert sys.modules["json"] is before
    assert "not_there_at_all" not in sys.modules

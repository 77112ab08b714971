"""Code, catalog, READMEs and workspace agree, and together the servers fit one conversation."""

import tomllib
from itertools import chain
from typing import Any

import catalog
import pytest
import yaml
from packaging.requirements import Requirement

ALL_SERVERS = catalog.servers()

# Of what a model sees of every server, read-only; what one of them may cost is part of its contract.
MOST_TOKENS = 13_000


def projects() -> dict[str, dict[str, Any]]:
    """Return the `pyproject.toml` of every package of the workspace, by package."""
    paths = [catalog.ROOT / "shared/pyproject.toml", *catalog.ROOT.glob("servers/*/pyproject.toml")]
    return {
        project["project"]["name"]: project
        for project in (tomllib.loads(path.read_text(encoding="utf-8")) for path in paths)
    }


def root_project() -> dict[str, Any]:
    return tomllib.loads((catalog.ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def required_by(project: dict[str, Any]) -> list[Requirement]:
    extras: dict[str, list[str]] = project.get("optional-dependencies", {})
    return [Requirement(text) for text in chain(project["dependencies"], *extras.values())]


def test_the_catalog_and_the_readmes_say_what_the_code_says() -> None:
    assert catalog.out_of_date() == [], "run: python tests/catalog.py"


def test_the_catalog_has_every_folder_of_servers() -> None:
    listed = yaml.safe_load(catalog.CATALOG.read_text(encoding="utf-8"))["servers"]
    folders = sorted(p.name for p in (catalog.ROOT / "servers").iterdir() if p.is_dir() and not p.name.startswith("."))
    assert [entry["folder"] for entry in listed] == [f"servers/{folder}" for folder in folders]


@pytest.mark.parametrize("server", ALL_SERVERS, ids=lambda server: server.about.name)
def test_a_package_and_its_command_have_one_name(server: catalog.CataloguedServer) -> None:
    assert server.about.package in projects()
    assert list(projects()[server.about.package]["project"]["scripts"]) == [server.about.package]


@pytest.mark.parametrize("server", ALL_SERVERS, ids=lambda server: server.about.name)
def test_an_extra_of_every_server_lets_it_serve_a_network(server: catalog.CataloguedServer) -> None:
    extras = projects()[server.about.package]["project"]["optional-dependencies"]
    assert Requirement(extras["http"][0]).extras == {"http"}


def test_tool_names_are_unique_across_the_catalog() -> None:
    names = [name for server in ALL_SERVERS for name in server.registry.tools]
    assert sorted(names) == sorted(set(names))


def test_all_servers_together_fit_a_conversation() -> None:
    assert sum(server.tokens(granted=False) for server in ALL_SERVERS) < MOST_TOKENS


@pytest.mark.parametrize("server", ALL_SERVERS, ids=lambda server: server.about.name)
def test_every_server_is_held_to_the_contract(server: catalog.CataloguedServer) -> None:
    contract = (server.folder / "tests/test_contract.py").read_text(encoding="utf-8")
    assert "from mcp_server_shared.contract import" in contract


def test_packages_of_the_workspace_accept_the_versions_of_each_other() -> None:
    versions = {name: project["project"]["version"] for name, project in projects().items()}
    refused = [
        f"{name} needs {requirement}, which is at {versions[requirement.name]}"
        for name, project in projects().items()
        for requirement in required_by(project["project"])
        if requirement.name in versions and not requirement.specifier.contains(versions[requirement.name])
    ]
    assert refused == []


def test_the_workspace_installs_every_server_from_the_checkout() -> None:
    root = root_project()
    named = {Requirement(text).name for text in root["dependency-groups"]["servers"]}
    assert named == set(projects())
    assert {name for name, source in root["tool"]["uv"]["sources"].items() if source == {"workspace": True}} == named


def test_coverage_is_measured_for_every_package() -> None:
    packages = root_project()["tool"]["coverage"]["run"]["source_pkgs"]
    assert set(packages) == {name.replace("-", "_") for name in projects()}

"""What a release publishes: it stands alone, it says what the code says, and those who take it accept it."""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import catalog
import pytest
import release
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jsonschema import Draft7Validator
from mcp import Client, StdioServerParameters
from node import NODE, PEERS, installed
from publishing.bills import bill_of_materials
from publishing.bundles import mcpb
from publishing.changelogs import released, sections
from publishing.packages import ROOT, SHARED, Package, Repository, away_from_here, readme, uv, uv_program, workspace
from publishing.registry_entries import SCHEMA, registry_entry

REPOSITORY = Repository("example", "mcp-servers")
PACKAGES = workspace()
SERVERS = catalog.servers()
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
every_package = pytest.mark.parametrize("package", PACKAGES.values(), ids=lambda package: package.name)
every_server = pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.about.name)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


# Packages


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make all that is published of every package, by the command that does it."""
    installed("@anthropic-ai/mcpb")
    folder = tmp_path_factory.mktemp("built")
    assert release.main(["build", "--repository", "example/mcp-servers", "--out", str(folder)]) == 0
    return folder


@pytest.mark.slow
@every_package
def test_a_package_has_its_licence_and_all_of_its_sources(package: Package, built: Path) -> None:
    stem = f"{package.name.replace('-', '_')}-{package.version}"
    sources = {path.relative_to(package.folder / "src").as_posix() for path in tracked(package.folder / "src")}
    wheel_file, sdist_file = built / f"packages/{stem}-py3-none-any.whl", built / f"packages/{stem}.tar.gz"
    with ZipFile(wheel_file) as wheel, tarfile.open(sdist_file) as sdist:
        assert sources <= set(wheel.namelist())
        assert {f"{stem}/src/{name}" for name in sources} | {f"{stem}/LICENSE"} <= set(sdist.getnames())
        assert wheel.read(f"{stem}.dist-info/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        assert f"Project-URL: Source, {REPOSITORY.url}" in wheel.read(f"{stem}.dist-info/METADATA").decode()


def tracked(folder: Path) -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return [folder / name for name in names.split("\0") if (folder / name).is_file()]


@every_package
def test_the_readme_on_the_index_needs_no_checkout(package: Package) -> None:
    text = readme(package, REPOSITORY)
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert [link for link in links if not re.match(r"https://|#", link)] == []
    assert re.findall(r"(?:\./|--from )(?:servers|shared)\S*|not published", text) == []


@every_server
def test_the_readme_on_the_index_names_the_entry_of_the_registry(server: catalog.CataloguedServer) -> None:
    package = PACKAGES[server.about.package]
    assert f"<!-- mcp-name: {REPOSITORY.registry_name(package)} -->" in readme(package, REPOSITORY)


@pytest.mark.parametrize("text", ["", "owner", "owner/name/more", "https://github.com/owner/name", "owner/name?x"])
def test_what_names_no_repository_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="OWNER/NAME"):
        Repository.named(text)


# The MCP registry


def entry_of(server: catalog.CataloguedServer, bundle: str = "x.mcpb", digest: str = "0" * 64) -> dict[str, Any]:
    return registry_entry(server, PACKAGES[server.about.package], REPOSITORY, Path(bundle), digest)


@every_server
def test_the_registry_takes_the_entry(server: catalog.CataloguedServer) -> None:
    version = SCHEMA.split("/")[-2]
    place = files("skillsaw.schemas.mcp_registry").joinpath(f"v{version.replace('-', '_')}/server.schema.json")
    schema = json.loads(place.read_text(encoding="utf-8"))
    assert schema["$id"] == SCHEMA
    assert list(Draft7Validator(schema).iter_errors(entry_of(server))) == []  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.slow
def test_the_entries_keep_the_rules_of_the_official_registry(tmp_path: Path) -> None:
    for server in SERVERS:
        (tmp_path / server.about.name).mkdir()
        (tmp_path / server.about.name / "server.json").write_text(json.dumps(entry_of(server)))
    command = [sys.executable, "-m", "skillsaw", "lint", "--rule", "mcp-registry-server-json-valid", tmp_path]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@every_server
def test_the_entry_asks_for_credentials_as_secrets_and_gives_no_grant(server: catalog.CataloguedServer) -> None:
    [index, *_] = entry_of(server)["packages"]
    asked = {variable["name"]: variable for variable in index["environmentVariables"]}
    grants = {grant.setting for grant in server.about.grants}
    for setting in server.settings:
        if setting.secret:
            assert asked[setting.env[0]]["isSecret"]
            assert setting.field not in {argument["valueHint"] for argument in index["packageArguments"]}
        elif setting.field in grants:
            assert asked[setting.env[0]]["default"] == str(setting.default).lower()


@pytest.mark.slow
@every_server
def test_the_entry_has_the_hash_of_the_bundle_and_where_it_is_published(
    server: catalog.CataloguedServer, built: Path
) -> None:
    package = PACKAGES[server.about.package]
    entry = json.loads((built / f"files/{package.tag}.server.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256((built / f"files/{package.tag}.mcpb").read_bytes()).hexdigest()
    assert entry == entry_of(server, f"{package.tag}.mcpb", digest)
    assert entry["packages"][1]["identifier"].startswith(f"{REPOSITORY.url}/releases/download/{package.tag}/")


def images() -> list[catalog.CataloguedServer]:
    """Return the servers whose entry has an image."""
    kinds = {
        server.about.package: [each["registryType"] for each in entry_of(server)["packages"]] for server in SERVERS
    }
    return [server for server in SERVERS if "oci" in kinds[server.about.package]]


every_image = pytest.mark.parametrize("server", images(), ids=lambda server: server.about.name)


@every_image
def test_the_entry_names_the_image_that_the_workflow_pushes(server: catalog.CataloguedServer) -> None:
    package = PACKAGES[server.about.package]
    [script] = [step["run"] for step in STEPS if "docker push" in step.get("run", "")]
    names = script.partition("docker build")[0]
    environment = {"TAG": package.tag, "GITHUB_REPOSITORY_OWNER": REPOSITORY.owner}
    command = ["bash", "-euc", f'{names}\necho "$image:$version"']
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert entry_of(server)["packages"][2]["identifier"] == done.stdout.strip()


def test_the_registry_is_told_of_an_image_that_was_pushed() -> None:
    assert {"files", "image"} <= set(WORKFLOW["jobs"]["registry"]["needs"])


@pytest.mark.anyio
@every_image
async def test_an_image_speaks_to_the_client_that_starts_it_as_the_entry_says(
    server: catalog.CataloguedServer, tmp_path: Path
) -> None:
    container = (ROOT / "deploy/Containerfile").read_text(encoding="utf-8").rsplit("\nFROM ", 1)[1]
    [line] = re.findall(r"^ENV (.*)$", container, re.MULTILINE)
    of_image = dict(word.split("=", 1) for word in shlex.split(line))
    variables = entry_of(server)["packages"][2]["environmentVariables"]
    fixed = {variable["name"]: variable["value"] for variable in variables if "value" in variable}
    command = Path(sys.executable).with_name(server.about.package)
    environment = of_image | fixed | {"PATH": os.defpath, "HOME": str(tmp_path)}
    async with Client(StdioServerParameters(command=str(command), env=environment)) as client:
        assert (await client.list_tools()).tools


# Bundles


@pytest.mark.slow
@pytest.mark.anyio
@every_server
async def test_a_bundle_starts_as_its_host_starts_it(
    server: catalog.CataloguedServer, built: Path, tmp_path: Path
) -> None:
    unpacked = tmp_path / "unpacked"
    mcpb("unpack", built / f"files/{PACKAGES[server.about.package].tag}.mcpb", unpacked)
    mcpb("validate", unpacked / "manifest.json")
    folders = {setting.field: [str(tmp_path)] for setting in server.settings if setting.positional and setting.many}
    grants = {setting.field: True for setting in server.settings if setting.field == "allow_write"}
    started = host_starts(unpacked, folders | grants)
    command = StdioServerParameters(
        command=uv_program(), args=started["args"], env=away_from_here() | started["env"] | OFFLINE_PYTHON
    )
    async with Client(command) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
    manifest = json.loads((unpacked / "manifest.json").read_text(encoding="utf-8"))
    assert {tool["name"] for tool in manifest["tools"]} <= set(listed)
    assert (len(listed) > len(manifest["tools"])) == bool(grants)


OFFLINE_PYTHON = {"UV_PYTHON_DOWNLOADS": "never"}


def host_starts(folder: Path, answers: dict[str, Any]) -> dict[str, Any]:
    """Return the command that a host makes of a bundle and what the person answered."""
    command = [NODE, PEERS / "bundle_host.mjs", folder, json.dumps(answers)]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    config: dict[str, Any] = json.loads(done.stdout)
    assert "${" not in done.stdout, "a setting that was not answered left its placeholder"
    return config


# Bills of materials


@every_package
def test_the_bill_of_materials_is_cyclonedx_and_has_what_the_package_needs(package: Package) -> None:
    text = bill_of_materials(package)
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None
    bill = json.loads(text)
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]) == (
        package.name,
        package.version,
    )
    needed = {SHARED, "mcp", "pydantic"} - {package.name}
    assert needed <= {component["name"] for component in bill["components"]}


# Versions and changelogs

CHANGELOG = "# Changes\n\n## Unreleased\n\n- Something.\n\n## 0.1.0 - 2026-12-01\n\n- All of it.\n"


@every_package
def test_a_package_has_a_changelog(package: Package) -> None:
    text = package.changelog.read_text(encoding="utf-8")
    assert text.startswith(f"# Changes of {package.name}\n")
    assert next(iter(sections(text))) == "Unreleased"


def test_a_release_takes_what_was_not_released_yet() -> None:
    text = released(CHANGELOG, "0.2.0", "2026-12-24")
    assert sections(text) == {"Unreleased": "", "0.2.0": "- Something.", "0.1.0": "- All of it."}
    assert "\n## 0.2.0 - 2026-12-24\n" in text


@pytest.mark.parametrize(
    ("text", "version", "why"),
    [(CHANGELOG, "0.1.0", "already"), (CHANGELOG.replace("- Something.\n", ""), "0.2.0", "nothing")],
)
def test_a_release_without_changes_or_a_second_one_is_refused(text: str, version: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        released(text, version, "2026-12-24")


@pytest.mark.parametrize(
    ("version", "versions"), [("0.1.7", ">=0.1,<0.2"), ("0.12.0", ">=0.12,<0.13"), ("1.4.2", ">=1.4,<2")]
)
def test_a_range_keeps_what_a_version_promises(version: str, versions: str) -> None:
    assert release.compatible(version) == versions


def test_recipes_deploy_the_version_that_there_is() -> None:
    recipes = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "deploy").rglob("*.yaml"))
    deployed: list[tuple[str, str]] = re.findall(r"/(mcp-server-[a-z-]+):(\d[\w.]*)", recipes)
    assert deployed
    assert {PACKAGES[name].version for name, _ in deployed} == {version for _, version in deployed}


@pytest.mark.slow
def test_a_new_version_is_set_in_the_recipes(tmp_path: Path) -> None:
    workspace_alone(tmp_path)
    (tmp_path / "servers/github/CHANGELOG.md").write_text(CHANGELOG.replace("## 0.1.0", "## 0.0.9"), encoding="utf-8")
    release.prepare("mcp-server-github", "patch", tmp_path)
    now = workspace(tmp_path)["mcp-server-github"]
    recipe = (tmp_path / "deploy/kubernetes/server.yaml").read_text(encoding="utf-8")
    assert (now.version != PACKAGES[now.name].version, f"{now.name}:{now.version}" in recipe) == (True, True)


def workspace_alone(place: Path) -> None:
    """Copy what says which packages there are and of which versions."""
    for path in tracked(ROOT):
        name = path.relative_to(ROOT)
        if (
            path.name in {"pyproject.toml", "uv.lock", "README.md", "CHANGELOG.md", "__init__.py"}
            or "deploy" in name.parts
        ):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(path.read_bytes())


@pytest.mark.slow
def test_a_new_version_of_shared_is_set_wherever_one_stands(tmp_path: Path) -> None:
    workspace_alone(tmp_path)
    changelog = tmp_path / "shared/CHANGELOG.md"
    changelog.write_text(CHANGELOG.replace("## 0.1.0", "## 0.0.9"), encoding="utf-8")
    major, minor = map(int, PACKAGES[SHARED].version.split(".")[:2])
    release.prepare(SHARED, "minor", tmp_path)
    now = workspace(tmp_path)
    assert now[SHARED].version == f"{major}.{minor + 1}.0"
    assert f"## {now[SHARED].version} - " in changelog.read_text(encoding="utf-8")
    wanted = f"{SHARED}>=0.{minor + 1},<0.{minor + 2}"
    for name in now.keys() - {SHARED}:
        assert f'"{wanted}"' in (now[name].folder / "pyproject.toml").read_text(encoding="utf-8")
    uv("lock", "--check", folder=tmp_path)


def test_the_notes_of_a_release_are_those_of_its_version(tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    assert release.notes(Package("x", "0.1.0", tmp_path)) == "- All of it."
    with pytest.raises(ValueError, match="prepare x"):
        release.notes(Package("x", "0.2.0", tmp_path))


def test_the_tag_of_a_release_names_a_package_and_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    package = PACKAGES["mcp-server-github"]
    assert release.tagged(package.tag) == package
    assert release.main(["notes", "mcp-server-github-99.0.0"]) == 1
    assert package.tag in capsys.readouterr().err


# The workflow


def test_an_audit_of_the_workflow_finds_nothing() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    command = [zizmor, "--offline", "--no-progress", "--persona=pedantic", ROOT / ".github/workflows"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@every_package
def test_the_tag_of_every_package_starts_the_workflow(package: Package) -> None:
    patterns = WORKFLOW[True]["push"]["tags"]  # YAML 1.1 reads "on" as true
    assert any(fnmatchcase(package.tag, pattern) for pattern in patterns)


def test_the_workflow_runs_commands_that_are_there() -> None:
    lines = [line for step in STEPS for line in step.get("run", "").splitlines() if "bootstrap.py" in line]
    assert len(lines) == 2
    for line in lines:
        _, script, command, *words = shlex.split(line)
        assert (ROOT / script).is_file()
        assert command in {"test", "release"}
        if command == "release":
            release.parser().parse_args(words)


def test_every_script_of_the_workflow_can_be_parsed() -> None:
    for script in [step["run"] for step in STEPS if "run" in step]:
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.stderr == ""


def test_no_older_python_is_left_out_of_the_workflow_and_the_newest_are_marked() -> None:
    matrix = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]
    newest = [entry["python"] for entry in matrix["include"]]
    versions = [tuple(map(int, version.split("."))) for version in [*matrix["python"], *newest]]
    assert versions == [(3, minor) for minor in range(11, 11 + len(versions))]
    assert [entry["newest"] for entry in matrix["include"]] == [True] * len(newest)


def test_the_image_says_what_it_is_from_what_the_workflow_gives_it() -> None:
    _, final = (ROOT / "deploy/Containerfile").read_text(encoding="utf-8").rsplit("\nFROM ", 1)
    [labels] = re.findall(r"^LABEL ((?:.*\\\n)*.*)$", final, re.MULTILINE)
    used = set(re.findall(r"\$\{(\w+)\}", labels))
    [build_image] = [step["run"] for step in STEPS if "docker build" in step.get("run", "")]
    assert used <= set(re.findall(r"^ARG (\w+)", final, re.MULTILINE))
    assert used == set(re.findall(r"--build-arg (\w+)=", build_image))
    assert 'io.modelcontextprotocol.server.name="${NAMESPACE}/${SERVER}"' in labels
    assert 'NAMESPACE="io.github.$GITHUB_REPOSITORY_OWNER"' in build_image
    assert REPOSITORY.registry_name(PACKAGES["mcp-server-github"]).startswith(f"io.github.{REPOSITORY.owner}/")

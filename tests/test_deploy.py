"""The recipes of `deploy/` are what their tools take, and say of the servers what is so."""

import os
import re
import shlex
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs]
import pytest
import yaml
from balancer import EXAMPLE, configured, front, nginx
from mcp_server_github.server import ABOUT
from mcp_server_github.settings import Settings
from mcp_server_shared.serving.exposure import check_exposure
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.settings import read_settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.37"
CATALOG: dict[str, Any] = yaml.safe_load((ROOT / "catalog.yaml").read_text(encoding="utf-8"))
UV = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools/uv/bin/uv")


CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
MANIFESTS: list[dict[str, Any]] = [
    manifest
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
PODS = [manifest["spec"]["template"]["spec"] for manifest in MANIFESTS if manifest["kind"] == "Deployment"]


def name_of(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


@pytest.mark.parametrize("manifest", MANIFESTS, ids=name_of)
def test_kubernetes_takes_every_manifest(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_what_manifests_refer_to_is_there() -> None:
    deployed = [manifest["spec"] for manifest in MANIFESTS if manifest["kind"] == "Deployment"]
    labels = {str(spec["template"]["metadata"]["labels"]) for spec in deployed}
    selected = [manifest["spec"].get("selector") or manifest["spec"].get("podSelector") for manifest in MANIFESTS]
    assert {str(selector.get("matchLabels", selector)) for selector in selected if selector} == labels


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: pod["containers"][0]["name"])
def test_a_pod_has_no_more_than_it_needs(pod: dict[str, Any]) -> None:
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]


def image() -> dict[str, str]:
    """Return the variables that the image sets."""
    [line] = re.findall(r"^ENV (.*MCP_.*)$", CONTAINERFILE, re.MULTILINE)
    return dict(word.split("=", 1) for word in shlex.split(line))


def deployments() -> dict[str, dict[str, str]]:
    """Return the variables of the server, where it is deployed."""
    [container] = next(pod["containers"] for pod in PODS if pod["containers"][0]["name"] == "server")
    kubernetes = {entry["name"]: entry["value"] for entry in container["env"]}
    return {"compose": COMPOSE["services"]["mcp"]["environment"], "kubernetes": kubernetes}


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_the_server_starts_with_what_it_is_given(where: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("k" * 64)
    given = {name: str(secret) if name.endswith("_FILE") else value for name, value in deployments()[where].items()}
    settings, serving = read_settings(Settings, [], image() | given, beside=ServingSettings)
    assert serving is not None
    check_exposure(ABOUT, settings, serving)
    assert (settings.transport, serving.authenticates, serving.host) == ("http", True, "0.0.0.0")  # noqa: S104
    known = {name for setting in [*Settings.settings(), *ServingSettings.settings()] for name in setting.env}
    assert given.keys() <= known | {f"{name}_FILE" for name in known}


def test_compose_mounts_and_joins_what_it_declares() -> None:
    used = {"secrets": set[str](), "networks": set[str]()}
    for service in COMPOSE["services"].values():
        secrets = service.get("secrets", [])
        used["secrets"] |= {secret if isinstance(secret, str) else secret["source"] for secret in secrets}
        used["networks"] |= set(service["networks"])
        assert set(service.get("depends_on", [])) <= COMPOSE["services"].keys()
    assert used == {kind: set(COMPOSE[kind]) for kind in used}


def test_compose_lets_nginx_alone_connect() -> None:
    services = COMPOSE["services"]
    address = services["nginx"]["networks"]["inside"]["ipv4_address"]
    [pool] = COMPOSE["networks"]["inside"]["ipam"]["config"]
    assert services["mcp"]["environment"]["MCP_BEHIND_PROXY"] == address
    assert ip_address(address) in ip_network(pool["subnet"])
    assert ip_address(address) not in ip_network(pool["ip_range"])  # of the others
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]


def test_the_ingress_limits_what_nginx_does() -> None:
    said = EXAMPLE.read_text(encoding="utf-8")

    def number(pattern: str) -> int:
        [found] = re.findall(pattern, said)
        return int(found)

    [ingress] = [manifest for manifest in MANIFESTS if manifest["kind"] == "Ingress"]
    annotations = {name.partition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()}
    rate = number(r"rate=(\d+)r/s")
    assert annotations == {
        "limit-rps": str(rate),
        "limit-burst-multiplier": str(number(r"burst=(\d+)") // rate),
        "limit-connections": str(number(r"limit_conn mcp_open (\d+)")),
        "proxy-connect-timeout": str(number(r"proxy_connect_timeout (\d+)s")),
        "proxy-body-size": str(number(r"client_max_body_size (\d+)m")) + "m",
        "proxy-buffering": "off",
        "proxy-read-timeout": str(number(r"proxy_read_timeout (\d+)h") * 3_600),
    }


def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    with front(tmp_path) as entrance:
        main = configured(entrance, [1, 2, 3])
        command = [nginx(), "-t", "-c", str(main)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "warn" in done.stderr) == (0, False), done.stderr


def test_the_image_is_built_of_what_it_copies_and_of_nothing_else() -> None:
    lines = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY ((?:[^-\s]\S* )+)\S+$", CONTAINERFILE, re.MULTILINE)
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == set(" ".join(copied).split())


@pytest.mark.slow
@pytest.mark.parametrize("server", [server["package"] for server in CATALOG["servers"]])
def test_the_image_gets_every_server(server: str, tmp_path: Path) -> None:
    [step] = re.findall(r"^RUN (uv sync (?:.*\\\n)*.*)$", CONTAINERFILE, re.MULTILINE)
    words = [server if "SERVER" in word else word for word in shlex.split(step.replace("\\\n", " "))]
    variables = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(tmp_path / "server")}
    done = subprocess.run(
        [UV, *words[1:], "--dry-run"], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for package in (server, "uvicorn", "redis"):
        assert f" + {package}" in done.stderr
    assert " + pytest" not in done.stderr

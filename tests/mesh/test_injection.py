"""The annotations of docs/egress.md, injected as Istio's webhook does it: by `istioctl kube-inject`.

No pod runs here. Whether a proxy takes a CA file is in test_collectors.py.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.bootstrap import Json
from lab.cluster import build
from tests.unit.test_docs import ROOT, snippets

PAGE = ROOT / "docs" / "egress.md"
PROXY = "istio-proxy"


def istioctl(*arguments: object) -> str:
    build.ensure((build.ISTIOCTL,))
    command = [str(build.ISTIOCTL.path), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def injector(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name the configuration of Istio's default installation."""
    folder = tmp_path_factory.mktemp("injector")
    data: dict[str, dict[str, str]] = {
        found["metadata"]["name"]: found["data"]
        for found in yaml.load_all(istioctl("manifest", "generate"), yaml.CSafeLoader)
        if found and found["kind"] == "ConfigMap"
    }
    files = {
        "injectConfigFile": data["istio-sidecar-injector"]["config"],
        "valuesFile": data["istio-sidecar-injector"]["values"],
        "meshConfigFile": data["istio"]["mesh"],
    }
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    # Without a revision, istioctl asks a cluster for one.
    return ["--revision=default", *(f"--{name}={folder / name}" for name in files)]


def injected(deployment: Json, injector: list[str], folder: Path) -> Json:
    """The pod that Istio makes of a Deployment's template."""
    file = folder / "deployment.json"
    file.write_text(json.dumps(deployment), "utf-8")
    found, *_ = yaml.safe_load_all(istioctl("kube-inject", *injector, "--filename", file))
    pod: Json = found["spec"]["template"]["spec"]
    return pod


def documented(key: str) -> Any:
    """The one example of the page that has a key at its top."""
    [snippet] = [found[key] for found in snippets(PAGE) if key in found]
    return snippet


def test_the_documented_annotations_mount_the_ca_file_into_the_sidecar_only(
    injector: list[str], tmp_path: Path
) -> None:
    template = documented("spec")["template"]
    template["metadata"]["labels"] = {"app": "checkout"}
    template["spec"] = {"containers": [{"name": "shop", "image": "shop"}]}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "checkout"}}, "template": template},
    }
    pod = injected(deployment, injector, tmp_path)

    egress = documented("config")["astra-istio-instrumentation:egress"]
    ca_file = Path(egress["tls"]["caCertificates"])
    containers = {found["name"]: found for found in [*pod["containers"], *pod.get("initContainers", [])]}
    mounted = {
        name: mount["name"]
        for name, container in containers.items()
        for mount in container.get("volumeMounts", [])
        if mount["mountPath"] == str(ca_file.parent)
    }
    assert list(mounted) == [PROXY]
    [volume] = [found for found in pod["volumes"] if found["name"] == mounted[PROXY]]
    made = f"create configmap {volume['configMap']['name']} --namespace shop --from-file={ca_file.name}"
    assert made in PAGE.read_text("utf-8")

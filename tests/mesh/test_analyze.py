"""What istioctl says of rendered stacks: nothing that could be avoided."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components import render
from components.render import files
from lab import stack
from lab.bootstrap import Json
from lab.cluster import build

STACKS = [path.name.split(".")[1] for path in (stack.PROJECT / "stacks").glob("Pulumi.*.yaml")]

PODS = {"namespace": "shop", "labels": {"app": "reviews"}}
EXTENSION = {**PODS, "mechanism": "TrafficExtension"}
SERVICE_URL = "http://otel.obs.svc.cluster.local:4318"
OUTSIDE = "https://collector.example.com"
MUTUAL = {"mode": "MUTUAL", "clientCertificate": "/c/cert.pem", "privateKey": "/c/key.pem"}
VARIANTS: dict[str, Json] = {
    "outside": {"collectorUrl": OUTSIDE},
    "outside, mutual TLS": {"collectorUrl": OUTSIDE, "egress": {"tls": MUTUAL, "exportTo": ["*"]}},
    "an address": {"collectorUrl": "http://10.0.0.7:4318"},
    "https to a Service": {"collectorUrl": "https://otel.obs.svc.cluster.local:4318"},
    "no limits": {"collectorUrl": OUTSIDE, "egress": {"limits": None}},
    "https to an address, by a server name": {
        "collectorUrl": "https://10.0.0.7:4318",
        "egress": {"tls": {"sni": "collector.example.com"}},
    },
    "outside, without TLS": {"collectorUrl": "http://collector.example.com:4318"},
    "an entry of another stack": {"egress": {"create": False}},
    "an entry for its namespace alone": {
        "egress": {"namespace": "shop", "exportTo": ["."]},
        "workloads": {"w": PODS},
    },
    "the root namespace, under the guide's name": {
        "workloads": {
            "w": {
                "namespace": "istio-system",
                "labels": {"app": "reviews"},
                "filterName": "astra-istio-mesh-filter",
            }
        }
    },
    "a TrafficExtension": {"collectorUrl": SERVICE_URL, "workloads": {"w": EXTENSION}},
    "a gateway's": {
        "collectorUrl": OUTSIDE,
        "workloads": {"w": {**EXTENSION, "directions": ["gateway"]}},
    },
    "a gateway's EnvoyFilter": {"workloads": {"w": {**PODS, "directions": ["gateway"]}}},
    "a waypoint": {
        "workloads": {"w": {"namespace": "shop", "targetRefs": [{"kind": "Gateway", "name": "w"}]}}
    },
    "a service behind a waypoint": {
        "egress": {"waypoints": True},
        "workloads": {
            "w": {
                "namespace": "shop",
                "mechanism": "TrafficExtension",
                "targetRefs": [{"kind": "Service", "name": "reviews"}],
            }
        },
    },
    "both directions, a whole namespace around": {
        "workloads": {"w": {**PODS, "directions": ["inbound", "outbound"]}, "all": {"namespace": "shop"}},
    },
}


@pytest.fixture(scope="module", autouse=True)
def _istioctl() -> None:
    build.ensure((build.ISTIOCTL,))


def analyze(manifests: list[Json], folder: Path) -> list[Json]:
    """The messages about manifests. Without ``-A`` istioctl tells only of those in namespace default."""
    files.write_clusters({"": manifests}, folder, stack="lab")
    command = [str(build.ISTIOCTL.path), "analyze", "-A", "--use-kube=false", "--output", "json", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        messages: list[Json] = json.loads(done.stdout)
    except json.JSONDecodeError:  # not so with what it finds: its exit status is no sign then
        pytest.fail(f"istioctl ended with exit code {done.returncode}: {done.stderr}{done.stdout}")
    return messages


def unavoidable(manifests: list[Json]) -> list[tuple[str, str]]:
    """IST0133 repeats what istiod's validation says of every EnvoyFilter: prefer other APIs."""
    return sorted(("IST0133", origin(item)) for item in manifests if item["kind"] == "EnvoyFilter")


def origin(manifest: Json) -> str:
    metadata = manifest["metadata"]
    return f"{manifest['kind']} {metadata['namespace']}/{metadata['name']}"


def found(manifests: list[Json], folder: Path) -> list[tuple[str, str]]:
    return sorted((message["code"], message["origin"]) for message in analyze(manifests, folder))


@pytest.mark.parametrize("name", STACKS)
def test_a_committed_stack_has_the_unavoidable_warnings_only(name: str, tmp_path: Path) -> None:
    manifests = render.manifests(stack.PROJECT, name)
    assert found(manifests, tmp_path) == unavoidable(manifests)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
def test_so_has_every_other_shape_of_a_stack(config: dict[str, Any], tmp_path: Path) -> None:
    manifests = stack.manifests(**config)
    assert found(manifests, tmp_path) == unavoidable(manifests)


def test_a_traffic_extension_for_pods_has_no_warning_at_all(tmp_path: Path) -> None:
    manifests = stack.manifests(collectorUrl=SERVICE_URL, workloads={"w": EXTENSION})
    assert analyze(manifests, tmp_path) == []


def test_the_unavoidable_warning_is_about_envoy_filters_as_such(tmp_path: Path) -> None:
    [message] = analyze(stack.manifests(), tmp_path)
    assert message["level"] == "Warning"
    assert message["message"].startswith(
        "Schema validation warning: EnvoyFilter exposes internal implementation details"
    )


def test_istioctl_does_find_what_the_setup_guide_leaves_open(tmp_path: Path) -> None:
    manifests = stack.manifests(collectorUrl=OUTSIDE)
    for manifest in manifests:
        if manifest["kind"] == "EnvoyFilter":
            del manifest["spec"]["priority"]
            manifest["spec"]["configPatches"][0]["patch"]["operation"] = "INSERT_BEFORE"
        if manifest["kind"] == "DestinationRule":
            del manifest["spec"]["trafficPolicy"]["tls"]["caCertificates"]
    codes = {code for code, _ in found(manifests, tmp_path)}
    assert codes == {"IST0128", "IST0133", "IST0151"}

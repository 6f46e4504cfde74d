"""Which pods a capture selects, and which of them are looked at."""

from dataclasses import replace
from typing import Any

import pytest

from components.istio import read
from components.istio.names import GATEWAY_CLASS_NAME, GATEWAY_NAME
from components.istio.read import Capture
from components.verify import selection
from components.verify.facts import Pod
from lab import stack

ROOT = "istio-system"
POD = Pod("default", "p-1", {"app": "productpage", "version": "v1"}, running=True, proxy=True)


def capture(**changes: Any) -> Capture:
    [found] = read.captures(stack.manifests())
    return replace(found, **changes)


def manifest(*, containers: list[str], init: tuple[str, ...] = (), **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "shop", **metadata},
        "spec": {
            "containers": [{"name": name, "image": f"{name}:1"} for name in containers],
            "initContainers": [{"name": name, "image": f"{name}:1"} for name in init],
        },
        "status": {"phase": "Running"},
    }


@pytest.mark.parametrize(
    ("containers", "init", "proxy"),
    [
        (["app", "istio-proxy"], (), True),
        (["app"], ("istio-proxy",), True),
        (["app"], ("istio-init",), False),
    ],
)
def test_the_proxy_is_a_container_or_a_native_sidecar(
    containers: list[str], init: tuple[str, ...], proxy: bool
) -> None:
    assert selection.pod(manifest(containers=containers, init=init)).proxy is proxy


def test_a_pod_that_ends_does_not_run() -> None:
    assert selection.pod(manifest(containers=["app"])).running
    assert not selection.pod(manifest(containers=["app"], deletionTimestamp="2026-01-01T00:00:00Z")).running


def test_a_pod_in_ambient_mode_is_known_by_its_redirection() -> None:
    annotations = {"ambient.istio.io/redirection": "enabled"}
    assert selection.pod(manifest(containers=["app"], annotations=annotations)).ambient


def test_the_revision_of_a_pod_is_that_which_injected_its_proxy() -> None:
    revision = {"istio.io/rev": "1-30-0"}
    assert selection.pod(manifest(containers=["app"], annotations=revision)).revision == "1-30-0"
    assert selection.pod(manifest(containers=["app"], labels=revision)).revision == "1-30-0"
    assert selection.pod(manifest(containers=["app"])).revision == ""


@pytest.mark.parametrize(
    ("pod", "selected"),
    [
        (POD, True),
        (replace(POD, labels={"app": "productpage"}), True),
        (replace(POD, labels={"version": "v1"}), False),
        (replace(POD, namespace="other"), False),
    ],
)
def test_a_capture_selects_pods_of_its_namespace_with_its_labels(pod: Pod, selected: bool) -> None:
    assert selection.selected(capture(), [pod], ROOT) == ([pod] if selected else [])


def test_a_capture_without_labels_selects_the_whole_namespace() -> None:
    assert selection.selected(capture(labels={}), [replace(POD, labels={})], ROOT)


def test_a_capture_in_the_root_namespace_selects_in_every_namespace() -> None:
    assert selection.selected(capture(namespace=ROOT), [POD], ROOT) == [POD]
    assert selection.selected(capture(namespace=ROOT), [POD], "mesh-root") == []


def test_a_capture_that_targets_a_gateway_selects_its_pods() -> None:
    waypoint = replace(POD, labels={GATEWAY_NAME: "waypoint"})
    targeting = capture(targets=(("Gateway", "waypoint"),), labels={})
    assert selection.selected(targeting, [POD, waypoint], ROOT) == [waypoint]


def test_a_capture_that_targets_a_class_selects_its_gateways_everywhere_in_the_root_namespace_only() -> None:
    waypoint = replace(POD, labels={GATEWAY_CLASS_NAME: "istio-waypoint"})
    targeting = capture(targets=(("GatewayClass", "istio-waypoint"),), labels={}, namespace=ROOT)
    assert selection.selected(targeting, [POD, waypoint], ROOT) == [waypoint]
    assert selection.selected(replace(targeting, namespace="default"), [waypoint], ROOT) == []


def test_one_pod_of_each_variant_is_looked_at_before_a_second_of_any() -> None:
    old = [replace(POD, name=f"a-{number}", variant=("old",)) for number in range(5)]
    new = [replace(POD, name=f"b-{number}", variant=("new",)) for number in range(5)]
    assert [pod.name for pod in selection.sample([*old, *new], 3)] == ["a-0", "b-0", "a-1"]


def test_a_sample_of_all_is_all_that_can_be_asked() -> None:
    several = [replace(POD, name=f"p-{number}") for number in range(5)]
    ended, bare = replace(POD, name="ended", running=False), replace(POD, name="bare", proxy=False)
    assert selection.sample([ended, *several, bare], None) == several

"""A stack's life with the real engine against a real API server: dry runs, drift, deletion."""

from collections.abc import Iterator
from typing import Any

import pytest
from pulumi import automation as auto

from tests.engine.conftest import Project, Steps, resources

pytestmark = pytest.mark.timeout(600)  # the first run builds the API server

FILTER = "astra-istio-mesh-filter-checkout"
FILTER_RESOURCE = "astra-checkout-envoy-filter"


@pytest.fixture
def namespace(cluster: Any) -> Iterator[str]:
    with cluster.namespace("engine") as name:
        yield name


@pytest.fixture
def deployed(project: Project, cluster: Any, namespace: str) -> Iterator[auto.Stack]:
    """The stack, in a namespace of its own; destroyed in the end."""
    project.environment["KUBECONFIG"] = str(cluster.kubeconfig)
    workload = {"namespace": namespace, "labels": {"app": "checkout"}}
    project.configure(workloads={"checkout": workload}, egress={"namespace": namespace})
    stack = project.stack()
    stack.up()
    yield stack
    stack.destroy()


def live(cluster: Any, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.kubectl.get("envoyfilter", FILTER, namespace)
    return found


def test_what_is_deployed_is_in_the_cluster_and_a_second_preview_finds_no_change(
    deployed: auto.Stack, cluster: Any, namespace: str
) -> None:
    [declared] = [found for found in resources(deployed) if found["urn"].endswith(f"::{FILTER_RESOURCE}")]
    assert live(cluster, namespace)["spec"] == declared["inputs"]["spec"]
    deployed.preview(expect_no_changes=True)
    deployed.refresh()
    deployed.preview(expect_no_changes=True)


def test_a_changed_setting_updates_the_object_in_place(
    deployed: auto.Stack, project: Project, cluster: Any, namespace: str
) -> None:
    before = live(cluster, namespace)
    project.configure(capture={"samplingRatio": 0.5})
    steps = Steps()
    deployed.up(on_event=steps)
    assert steps.changed[FILTER_RESOURCE] == "update"
    after = live(cluster, namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "sampling_ratio = 0.5," in str(after["spec"])


def test_an_object_that_was_deleted_by_hand_is_missed_by_a_refresh_and_made_again(
    deployed: auto.Stack, cluster: Any, namespace: str
) -> None:
    before = live(cluster, namespace)["spec"]
    cluster.kubectl("delete", "envoyfilter", FILTER, "--namespace", namespace, "--wait=true")
    deployed.preview(expect_no_changes=True)  # which compares with the state, not with the cluster
    deployed.refresh()
    steps = Steps()
    deployed.up(on_event=steps)
    assert steps.changed == {FILTER_RESOURCE: "create"}
    assert live(cluster, namespace)["spec"] == before


def test_another_namespace_replaces_the_object(
    deployed: auto.Stack, project: Project, cluster: Any, namespace: str
) -> None:
    with cluster.namespace("engine") as other:
        project.configure(workloads={"checkout": {"namespace": other, "labels": {"app": "checkout"}}})
        steps = Steps()
        deployed.preview(on_event=steps)
        assert "replace" in steps.changed[FILTER_RESOURCE]
        assert live(cluster, namespace)["metadata"]["namespace"] == namespace


def test_destroy_leaves_nothing_in_the_namespace(deployed: auto.Stack, cluster: Any, namespace: str) -> None:
    deployed.destroy()
    kinds = "envoyfilters,serviceentries,destinationrules"
    assert cluster.kubectl("get", kinds, "--namespace", namespace, "--output=name") == ""

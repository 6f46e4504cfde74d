"""A stack's life with the real engine against a real API server: dry runs, drift, deletion."""

from collections.abc import Iterator
from typing import Any

import pytest
from pulumi import automation as auto

from tests.engine.conftest import (
    NAMED,
    RENAMED,
    RESOURCES,
    Project,
    Steps,
    capture_in,
    refusal,
    resources,
)

pytestmark = pytest.mark.timeout(300)

KINDS = ("envoyfilters", "serviceentries", "destinationrules")
FILTER = "astra-istio-mesh-filter-checkout"
FILTER_RESOURCE = "astra-checkout-envoy-filter"
MISSPELT = """
import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

[workload] = pulumi.Config().require_object("workloads").values()
CustomResource(
    "misspelt",
    api_version="networking.istio.io/v1alpha3",
    kind="EnvoyFilter",
    metadata={"name": "misspelt", "namespace": workload["namespace"]},
    spec={"configPatches": [{"applyTo": "HTTP_FILTR"}]},
)
"""


@pytest.fixture
def namespace(cluster: Any) -> Iterator[str]:
    with cluster.namespace("engine") as name:
        yield name


@pytest.fixture
def in_cluster(project: Project, cluster: Any, namespace: str) -> Project:
    """The project, whose objects are all in a namespace of their own."""
    project.environment["KUBECONFIG"] = str(cluster.kubeconfig)
    workload = {"namespace": namespace, "labels": {"app": "checkout"}}
    project.configure(workloads={"checkout": workload}, egress={"namespace": namespace})
    return project


@pytest.fixture
def deployed(in_cluster: Project) -> Iterator[auto.Stack]:
    """The stack, in the cluster; destroyed in the end."""
    stack = in_cluster.stack()
    stack.up()
    yield stack
    stack.destroy()


def live(cluster: Any, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.kubectl.get("envoyfilter", FILTER, namespace)
    return found


def objects(cluster: Any, namespace: str) -> dict[str, str]:
    """The uid of each of our objects in the cluster, by its kind and name."""
    listed: str = cluster.kubectl(
        *("get", ",".join(KINDS), "--namespace", namespace, "--output"),
        "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}{'\\n'}{end}",
    )
    return dict(line.split() for line in listed.splitlines())


def test_a_first_preview_creates_everything_and_leaves_the_cluster_as_it_is(
    in_cluster: Project, cluster: Any, namespace: str
) -> None:
    steps = Steps()
    in_cluster.stack().preview(on_event=steps)
    assert steps.of == dict.fromkeys(RESOURCES, "create")
    assert objects(cluster, namespace) == {}


def test_a_bad_configuration_is_told_and_nothing_is_declared(
    in_cluster: Project, cluster: Any, namespace: str
) -> None:
    in_cluster.configure(capture={"samplingRatio": 2})
    with pytest.raises(auto.CommandError) as caught:
        in_cluster.stack().up(color="never")
    told = str(caught.value)
    assert "capture.samplingRatio: got 2, expected a number from 0 to 1" in told
    assert "Traceback" not in told
    assert objects(cluster, namespace) == {}


def test_a_value_outside_of_a_crds_enum_is_refused_at_preview_by_the_server(
    in_cluster: Project, cluster: Any, namespace: str
) -> None:
    in_cluster.program(MISSPELT)
    told = refusal(in_cluster)
    assert 'spec.configPatches[0].applyTo: Unsupported value: "HTTP_FILTR"' in told
    assert objects(cluster, namespace) == {}


def test_what_is_deployed_is_in_the_cluster_and_a_second_preview_finds_no_change(
    deployed: auto.Stack, cluster: Any, namespace: str
) -> None:
    [declared] = [found for found in resources(deployed) if found["urn"].endswith(f"::{FILTER_RESOURCE}")]
    assert live(cluster, namespace)["spec"] == declared["inputs"]["spec"]
    deployed.preview(expect_no_changes=True)
    deployed.refresh()
    deployed.preview(expect_no_changes=True)


def test_a_changed_setting_updates_the_object_in_place(
    deployed: auto.Stack, in_cluster: Project, cluster: Any, namespace: str
) -> None:
    before = live(cluster, namespace)
    in_cluster.configure(capture={"samplingRatio": 0.5})
    steps = Steps()
    deployed.up(on_event=steps)
    assert steps.changed[FILTER_RESOURCE] == "update"
    after = live(cluster, namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    [settings] = capture_in(after).settings
    assert settings["sampling_ratio"] == 0.5


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
    deployed: auto.Stack, in_cluster: Project, cluster: Any, namespace: str
) -> None:
    with cluster.namespace("engine") as other:
        in_cluster.configure(workloads={"checkout": {"namespace": other, "labels": {"app": "checkout"}}})
        steps = Steps()
        deployed.preview(on_event=steps)
        assert "replace" in steps.changed[FILTER_RESOURCE]
        assert live(cluster, namespace)["metadata"]["namespace"] == namespace


def test_a_renamed_component_with_an_alias_keeps_its_objects_in_the_cluster(
    deployed: auto.Stack, in_cluster: Project, cluster: Any, namespace: str
) -> None:
    in_cluster.program(NAMED)
    deployed.up()
    before = objects(cluster, namespace)
    assert len(before) == len(KINDS)
    in_cluster.program(RENAMED)
    steps = Steps()
    deployed.up(expect_no_changes=True, on_event=steps)
    assert steps.of == {name.replace("astra", "capture", 1): "same" for name in RESOURCES}
    assert objects(cluster, namespace) == before


def test_destroy_leaves_nothing_in_the_namespace(deployed: auto.Stack, cluster: Any, namespace: str) -> None:
    deployed.destroy()
    assert objects(cluster, namespace) == {}

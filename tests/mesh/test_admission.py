"""What the API server and istiod's validating webhook say before anything is applied."""

import copy

import pytest

from lab import cluster
from lab.cluster import KubectlError
from tests.mesh import scenario


def test_a_preview_of_a_rendered_stack_is_accepted_and_leaves_nothing(
    mesh: cluster.Mesh, namespace: str
) -> None:
    stack = scenario.manifests(namespace)
    lines = mesh.kubectl.preview(stack).splitlines()
    assert sum(line.endswith("(server dry run)") for line in lines) == len(stack)
    for item in stack:
        with pytest.raises(KubectlError, match="NotFound"):
            mesh.kubectl.get(item["kind"], item["metadata"]["name"], item["metadata"]["namespace"])


@pytest.mark.parametrize(
    ("operation", "type_name", "refusal"),
    [
        pytest.param(
            "INSERT_FIRST",
            "envoy.extensions.filters.http.lua.v3.Lau",
            r'webhook "rev\.validation\.istio\.io" denied the request',
            id="by the webhook: no such type",
        ),
        pytest.param(
            "INSERT_FRIST", "envoy.extensions.filters.http.lua.v3.Lua", "Unsupported value", id="by the CRD"
        ),
    ],
)
def test_a_broken_filter_is_refused_at_preview(
    mesh: cluster.Mesh, namespace: str, operation: str, type_name: str, refusal: str
) -> None:
    stack = copy.deepcopy(scenario.manifests(namespace))
    [broken] = [item for item in stack if item["kind"] == "EnvoyFilter"]
    patch = broken["spec"]["configPatches"][0]["patch"]
    patch["operation"] = operation
    patch["value"]["typed_config"]["@type"] = f"type.googleapis.com/{type_name}"
    with pytest.raises(KubectlError, match=refusal):
        mesh.kubectl.preview(stack)

"""The commands of docs/recipes.md for an emergency, on an API server as Istio before 1.30 leaves it."""

import json
import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from lab import cluster, stack
from lab.cluster import build

CRD = "customresourcedefinition/trafficextensions.extensions.istio.io"
LABELLED, DELETED = 0, 1


@pytest.fixture(scope="module")
def old_cluster() -> Iterator[cluster.Mesh]:
    with cluster.running(istio=False) as mesh:
        mesh.kubectl("delete", CRD)
        mesh.kubectl("create", "namespace", "istio-system")
        mesh.kubectl("create", "namespace", "shop")
        yield mesh
        mesh.keep_logs = False


def commands() -> list[str]:
    text = (stack.PROJECT / "docs" / "recipes.md").read_text("utf-8")
    section = text.partition("## Switch it off in an emergency\n")[2].partition("\n## ")[0]
    return re.findall(r"^ +for kind in .*?^ +done$", section, re.MULTILINE | re.DOTALL)


def run(mesh: cluster.Mesh, command: str) -> None:
    path = f"{build.KUBECTL.path.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(mesh.kubeconfig), "PATH": path}
    # A job of CI stops at the first failure, which is that of the kind that is not there.
    done = subprocess.run(
        ["/bin/sh", "-ec", command], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert 'resource type "trafficextensions"' in done.stderr


def filters(mesh: cluster.Mesh) -> dict[str, dict[str, str]]:
    """The labels of each EnvoyFilter in the cluster."""
    found = json.loads(mesh.kubectl("get", "envoyfilters", "-A", "-o", "json"))["items"]
    return {item["metadata"]["name"]: item["metadata"].get("labels", {}) for item in found}


def test_the_emergency_command_works_where_the_kind_trafficextension_is_not_known(
    old_cluster: cluster.Mesh,
) -> None:
    ours = stack.manifests(workloads={"w": {"namespace": "shop", "labels": {"app": "w"}}})
    theirs = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "theirs", "namespace": "shop"},
        "spec": {"configPatches": []},
    }
    with old_cluster.kubectl.applied([*ours, theirs]):
        run(old_cluster, commands()[LABELLED])
        assert {name: labels.get("istio.io/rev") for name, labels in filters(old_cluster).items()} == {
            "astra-istio-mesh-filter-w": "switched-off",
            "theirs": None,
        }
        # As a controller does that heals: what it does not declare stays.
        old_cluster.kubectl.apply(ours)
        assert filters(old_cluster)["astra-istio-mesh-filter-w"]["istio.io/rev"] == "switched-off"
        run(old_cluster, commands()[LABELLED].replace("istio.io/rev=switched-off", "istio.io/rev-"))
        assert "istio.io/rev" not in filters(old_cluster)["astra-istio-mesh-filter-w"]


def test_the_deletion_works_there_too_and_leaves_the_filters_of_others(old_cluster: cluster.Mesh) -> None:
    with old_cluster.kubectl.applied(
        stack.manifests(workloads={"w": {"namespace": "shop", "labels": {"app": "w"}}})
    ):
        run(old_cluster, commands()[DELETED])
        assert filters(old_cluster) == {}

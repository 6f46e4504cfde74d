"""The commands of docs/recipes.md for an emergency: in a real mesh, and without the kind TrafficExtension.

Istio before 1.30 has no TrafficExtension. That an API server is enough for.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import partial

import pytest

from lab import cluster, stack
from lab.cluster import build, dump
from tests.mesh import scenario

CRD = "customresourcedefinition/trafficextensions.extensions.istio.io"
LABELLED, DELETED = 0, 1
ONCE = {"connection": "close"}
"""On a connection of its own: one that is open keeps the filters that it began with."""


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


def switch() -> tuple[str, str]:
    """The command that switches capturing off, and the one that switches it on again."""
    off = commands()[LABELLED]
    return off, off.replace("istio.io/rev=switched-off", "istio.io/rev-")


def run(mesh: cluster.Mesh, command: str) -> subprocess.CompletedProcess[str]:
    path = f"{build.KUBECTL.path.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(mesh.kubeconfig), "PATH": path}
    # A job of CI stops at the first failure, which is that of the kind that is not there.
    return subprocess.run(
        ["/bin/sh", "-ec", command], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def run_without_the_kind(mesh: cluster.Mesh, command: str) -> None:
    assert 'resource type "trafficextensions"' in run(mesh, command).stderr


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
    switch_off, switch_on = switch()
    with old_cluster.kubectl.applied([*ours, theirs]):
        run_without_the_kind(old_cluster, switch_off)
        assert {name: labels.get("istio.io/rev") for name, labels in filters(old_cluster).items()} == {
            "astra-istio-mesh-filter-w": "switched-off",
            "theirs": None,
        }
        # As a controller does that heals: what it does not declare stays.
        old_cluster.kubectl.apply(ours)
        assert filters(old_cluster)["astra-istio-mesh-filter-w"]["istio.io/rev"] == "switched-off"
        run_without_the_kind(old_cluster, switch_on)
        assert "istio.io/rev" not in filters(old_cluster)["astra-istio-mesh-filter-w"]


def test_the_deletion_works_there_too_and_leaves_the_filters_of_others(old_cluster: cluster.Mesh) -> None:
    with old_cluster.kubectl.applied(
        stack.manifests(workloads={"w": {"namespace": "shop", "labels": {"app": "w"}}})
    ):
        run_without_the_kind(old_cluster, commands()[DELETED])
        assert filters(old_cluster) == {}


async def until_filtered(is_filtered: bool, *proxies: cluster.Proxy) -> None:
    """Wait until proxies have a capture filter for what they receive, or have none."""
    for proxy in proxies:
        await proxy.until(partial(has_filter, proxy.inbound, is_filtered), f"a filter: {is_filtered}")


def has_filter(port: int, expected: bool, config: scenario.Json) -> bool:
    return any("astra" in name for name in dump.filter_names(config, port)) is expected


@pytest.mark.anyio
async def test_the_label_takes_both_kinds_of_filters_out_of_the_proxies_until_it_is_removed(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    workloads = {
        "shop": {"namespace": namespace, "labels": {"app": "shop"}},
        "cart": {"namespace": namespace, "labels": {"app": "cart"}, "mechanism": "TrafficExtension"},
    }
    ours = scenario.manifests(namespace, workloads=workloads)
    switch_off, switch_on = switch()
    async with (
        mesh.applied(ours),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as labelled,
        mesh.proxy(namespace, {"app": "cart"}, app_port=shop) as extended,
        labelled.client() as to_labelled,
        extended.client() as to_extended,
    ):
        await scenario.capturing(labelled)
        await until_filtered(True, extended)
        assert run(mesh, switch_off).returncode == 0
        # As a controller does that heals: what it does not declare stays.
        mesh.kubectl.apply(ours)
        await until_filtered(False, labelled, extended)
        unseen = [await client.get("/api/products/1", headers=ONCE) for client in (to_labelled, to_extended)]
        assert run(mesh, switch_on).returncode == 0
        await until_filtered(True, labelled, extended)
        seen = [await client.get("/api/products/2", headers=ONCE) for client in (to_labelled, to_extended)]
        spans = await collector.spans(2)
    assert {response.status_code for response in (*unseen, *seen)} == {200}
    assert scenario.targets(spans) == ["GET /api/products/2", "GET /api/products/2"]


@pytest.mark.anyio
async def test_a_stack_that_is_not_enabled_keeps_its_filters_which_capture_nothing(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    disabled = scenario.manifests(namespace, capture={"enabled": False})
    async with (
        mesh.applied(scenario.manifests(namespace)),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
        proxy.client() as client,
    ):

        async def is_enabled(enabled: bool) -> None:
            said = f"enabled = {str(enabled).lower()}"
            await proxy.until(
                lambda config: said in "".join(dump.scripts(config, proxy.inbound).values()), said
            )

        await scenario.capturing(proxy)
        mesh.kubectl.apply(disabled)
        await is_enabled(False)
        unseen = await client.get("/api/products/1", headers=ONCE)
        mesh.kubectl.apply(scenario.manifests(namespace))
        await is_enabled(True)
        seen = await client.get("/api/products/2", headers=ONCE)
        spans = await collector.spans(1)
    assert (unseen.status_code, seen.status_code) == (200, 200)
    assert scenario.targets(spans) == ["GET /api/products/2"]

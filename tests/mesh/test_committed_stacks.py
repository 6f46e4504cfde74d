"""The stacks that users copy, as `make render` writes them: the mesh gives each to its workloads."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import cluster
from lab.cluster import objects
from lab.stack import PROJECT
from tests.mesh import scenario

pytestmark = pytest.mark.anyio

SERVICE = "astra-traffic-collector.astra-collector.svc.cluster.local"


@pytest.mark.parametrize(
    ("stack", "collector"),
    [("dev", scenario.HOST), ("staging", SERVICE), ("prod", "collector.example.com")],
)
async def test_each_workload_of_a_committed_stack_gets_its_filter_and_the_collectors_cluster(
    mesh: cluster.Mesh, shop: int, tmp_path: Path, stack: str, collector: str
) -> None:
    manifests = await asyncio.to_thread(rendered, stack, tmp_path)
    workloads = declared(stack)
    names = {workload["namespace"] for workload in workloads.values()} - {"default"}
    service = []
    if collector == SERVICE:
        name, namespace = SERVICE.split(".")[:2]
        names.add(namespace)
        service = objects.service(namespace, name, port=4318, address=mesh.address(), target_port=4318)
    async with (
        mesh.applied([objects.namespace(name, {}) for name in sorted(names)]),
        mesh.applied([*service, *manifests]),
    ):
        for name, workload in workloads.items():
            directions = workload.get("directions", ["inbound"])
            gateway = directions == ["gateway"]
            async with mesh.proxy(
                workload["namespace"],
                workload["labels"] or {"app": "any"},
                kind="router" if gateway else "sidecar",
                app_port=shop,
            ) as proxy:
                for listener in ["inbound"] if gateway else directions:
                    await scenario.capturing(
                        proxy, workload=name, listener=listener, cluster=f"outbound|4318||{collector}"
                    )


def rendered(stack: str, folder: Path) -> list[scenario.Json]:
    """What `make render` writes, for the lab's control plane, which is no revision."""
    command = ["make", "--no-print-directory", "render", "ARGS=", f"STACK={stack}", f"OUT={folder}"]
    subprocess.run(command, cwd=PROJECT, check=True)
    manifests = [
        item for file in sorted(folder.glob("*.yaml")) for item in yaml.safe_load_all(file.read_text())
    ]
    for manifest in manifests:
        manifest["metadata"].get("labels", {}).pop("istio.io/rev", None)
    return manifests


def declared(stack: str) -> dict[str, Any]:
    """Its workloads, by name."""
    config = yaml.safe_load((PROJECT / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]
    workloads: dict[str, Any] = config["astra-istio-instrumentation:workloads"]
    return workloads

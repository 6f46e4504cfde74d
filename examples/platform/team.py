"""What a team gets: a namespace in the mesh, and its workloads' traffic captured."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from astra_istio import WorkloadCapture


class TeamNamespaceArgs(TypedDict):
    """Arguments of ``TeamNamespace``."""

    namespace: str
    """Name of the namespace."""

    workloads: Mapping[str, Mapping[str, str]]
    """Labels of the team's workloads, by the workload's name."""

    collector_url: str
    """OTLP/HTTP endpoint of the collector that the cluster's CollectorEgress makes known."""

    sensor_id: str
    """The cluster's Astra sensor."""


class TeamNamespace(pulumi.ComponentResource):
    """A team's namespace in one cluster, with the capture of each of its workloads."""

    def __init__(
        self, name: str, args: TeamNamespaceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the namespace and what is in it."""
        super().__init__("acme-platform:index:TeamNamespace", name, {**args}, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": args["namespace"], "labels": {"istio-injection": "enabled"}},
            opts=child,
        )
        for workload, labels in args["workloads"].items():
            WorkloadCapture(
                f"{name}-{workload}",
                {
                    # An Output: so Pulumi creates the capture after the namespace, and deletes it first.
                    "namespace": namespace.metadata["name"],
                    "workload": workload,
                    "labels": labels,
                    "collector_url": args["collector_url"],
                    "sensor_id": args["sensor_id"],
                    "capture": {"skip_methods": ["OPTIONS"]},  # the collector drops them, as it is shipped
                },
                child,
            )
        self.register_outputs({})

"""The capture of many workloads, and their way to one collector."""

from collections.abc import Mapping
from typing import Any, TypedDict, cast

import pulumi

from .args import CollectorEgressArgs, TrafficCaptureArgs, WorkloadCaptureArgs
from .collector_egress import CollectorEgress
from .rules import check
from .workload_capture import WorkloadCapture


class CapturedWorkload(TypedDict):
    """Where the capture of a workload is found in the cluster."""

    namespace: pulumi.Output[str]
    """Namespace of the object that holds the capture script."""

    filter_name: pulumi.Output[str]
    """Its name."""


class TrafficCapture(pulumi.ComponentResource):
    """Everything that one stack declares: a ``CollectorEgress``, and a ``WorkloadCapture`` per workload."""

    collector_host: pulumi.Output[str]
    """Host of the collector's URL."""

    collector_port: pulumi.Output[int]
    """Port of the collector's URL, 443 for https without one."""

    collector_cluster: pulumi.Output[str]
    """Envoy's name of the cluster that reaches the collector."""

    captured_workloads: pulumi.Output[Mapping[str, CapturedWorkload]]
    """Where each workload's capture is found in the cluster."""

    def __init__(
        self, name: str, args: TrafficCaptureArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the way to the collector and the capture of each workload.

        Args:
            name: logical name; the children are ``<name>-egress`` and ``<name>-<workload>``.
            args: the sensor, the collector and the workloads.
            opts: options of the component; its children inherit what Pulumi lets them inherit.

        Raises:
            SettingsError: with everything that is wrong with ``args``; nothing is declared then.
        """
        settings, collector = check.traffic_capture(args)
        super().__init__("astra-istio:index:TrafficCapture", name, {**args}, opts)

        to_collector: dict[str, Any] = {
            "collector_url": settings.collector_url,
            "egress": settings.egress.model_dump(exclude_unset=True),
            "common_labels": settings.common_labels,
        }
        egress = CollectorEgress(
            f"{name}-egress",
            cast("CollectorEgressArgs", to_collector),
            pulumi.ResourceOptions(parent=self),
        )
        workloads = {}
        for key, workload in settings.workloads.items():
            of_workload = workload.model_dump(exclude_unset=True, exclude={"capture"})
            capture = settings.capture.overridden_by(workload.capture).model_dump(exclude_unset=True)
            workload_args = {
                **to_collector,
                **of_workload,
                "capture": capture,
                "sensor_id": settings.sensor_id,
                "workload": key,
            }
            workloads[key] = WorkloadCapture(
                f"{name}-{key}",
                cast("WorkloadCaptureArgs", workload_args),
                pulumi.ResourceOptions(parent=self),
            )
        for warning in check.warnings(settings, collector):
            pulumi.log.warn(warning)

        self.collector_host = egress.host
        self.collector_port = egress.port
        self.collector_cluster = egress.cluster
        captured: dict[str, CapturedWorkload] = {
            key: {"namespace": workload.namespace, "filter_name": workload.filter_name}
            for key, workload in workloads.items()
        }
        self.captured_workloads = pulumi.Output.from_input(captured)
        self.register_outputs(
            {
                "collector_host": self.collector_host,
                "collector_port": self.collector_port,
                "collector_cluster": self.collector_cluster,
                "captured_workloads": self.captured_workloads,
            }
        )

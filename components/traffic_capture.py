"""The capture of many workloads, and their way to one collector."""

from collections.abc import Mapping
from typing import Any, TypedDict

import pulumi

from .args import TrafficCaptureArgs
from .collector_egress import CollectorEgress
from .resources import COMPONENTS, checked_args
from .rules.check import Checked
from .settings.models import TrafficCaptureSettings
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
        checked = checked_args(TrafficCaptureSettings, name, args)
        super().__init__(f"{COMPONENTS}TrafficCapture", name, checked.inputs, opts)

        # The children take settings that are already checked. The annotation of their `args` cannot say so,
        # as Pulumi's analyzer reads it, and knows no unions. Hence `Any`.
        settings, collector = checked.settings, checked.collector
        of_egress: Any = Checked(settings.of_egress(), collector)
        egress = CollectorEgress(f"{name}-egress", of_egress, pulumi.ResourceOptions(parent=self))
        workloads = {}
        for key in settings.workloads:
            of_workload: Any = Checked(settings.of_workload(key), collector)
            workloads[key] = WorkloadCapture(
                f"{name}-{key}", of_workload, pulumi.ResourceOptions(parent=self)
            )
        for warning in checked.warnings:
            pulumi.log.warn(warning)
        _tell_who_cannot_be_renamed(settings)

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


def _tell_who_cannot_be_renamed(settings: TrafficCaptureSettings) -> None:
    """Say it at every preview, as no preview can see a rename.

    A program does not see the state, and at a preview the provider creates nothing that could fail.
    """
    named = [key for key, workload in settings.workloads.items() if workload.filter_name is not None]
    if named:
        pulumi.log.info(
            f"{', '.join(named)}: if you rename a workload that has a filterName, change filterName too, or "
            "rename both resources in Pulumi's state; otherwise `up` fails, as an object of that name exists"
        )

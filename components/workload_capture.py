"""The capture of one workload's traffic."""

import pulumi

from .args import WorkloadCaptureArgs
from .istio import manifests, script
from .resources import COMPONENTS, checked_args, declare, named, sound, sound_labels
from .settings.models import Mechanism, WorkloadCaptureSettings
from .settings.value_types import Namespace, ObjectName


class WorkloadCapture(pulumi.ComponentResource):
    """The EnvoyFilter, or TrafficExtension, that captures the HTTP traffic of one workload.

    The collector has to be known to the mesh already: by a ``CollectorEgress``, here or in another stack.
    Give both the same ``collector_url`` and ``egress``, best as one variable: the script is made of plain
    values at preview, and calls the cluster that they describe, whether it is there or not.
    """

    filter_name: pulumi.Output[str]
    """Name of the object that holds the capture script."""

    namespace: pulumi.Output[str]
    """Its namespace."""

    def __init__(
        self, name: str, args: WorkloadCaptureArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the capture of a workload.

        Args:
            name: logical name; the child's name begins with it.
            args: which workload, what to capture, and where to send it.
            opts: options of the component; its child inherits what Pulumi lets it inherit.

        Raises:
            SettingsError: with everything that is wrong with ``args``; nothing is declared then.
        """
        checked = checked_args(WorkloadCaptureSettings, name, args, workload=name)
        settings, collector = checked.settings, checked.collector
        scripts = {
            direction: script.render(
                settings.capture, sensor_id=settings.sensor_id, collector=collector, direction=direction
            )
            for direction in settings.directions
        }
        super().__init__(f"{COMPONENTS}WorkloadCapture", name, checked.inputs, opts)

        identity = manifests.Identity(
            name=sound((name, "filter_name"), settings.object_name(settings.workload), ObjectName),
            namespace=sound((name, "namespace"), settings.namespace, Namespace),
            labels=sound_labels((name, "common_labels"), settings.common_labels),
        )
        attachment = _attachment(name, settings)
        if settings.mechanism is Mechanism.TRAFFIC_EXTENSION:
            [(direction, text)] = scripts.items()
            declare(
                f"{name}-traffic-extension",
                manifests.traffic_extension(direction, text, identity, attachment),
                parent=self,
            )
        else:
            http_filter = f"astra-capture-{settings.workload}"
            declare(
                f"{name}-envoy-filter",
                manifests.envoy_filter(
                    scripts, identity, attachment, http_filter=http_filter, collector=collector
                ),
                parent=self,
            )

        for warning in checked.warnings:
            pulumi.log.warn(named(name, warning))

        self.filter_name = pulumi.Output.from_input(identity.name)
        self.namespace = pulumi.Output.from_input(identity.namespace)
        self.register_outputs({"filter_name": self.filter_name, "namespace": self.namespace})


def _attachment(name: str, settings: WorkloadCaptureSettings) -> manifests.Attachment:
    """What the script is attached to; Outputs in it fail if they break the rules for plain values."""
    targets = [
        target.model_copy(
            update={"name": sound((name, "target_refs", index, "name"), target.name, ObjectName)}
        )
        for index, target in enumerate(settings.target_refs or [])
    ]
    return manifests.Attachment(sound_labels((name, "labels"), settings.labels), targets)

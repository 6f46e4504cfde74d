"""The mesh's way to the collector."""

import pulumi

from .args import CollectorEgressArgs
from .istio import manifests
from .istio.endpoint import Registry
from .resources import COMPONENTS, checked_args, declare, sound, sound_labels
from .settings.models import CollectorEgressSettings
from .settings.value_types import Namespace, ObjectName


class CollectorEgress(pulumi.ComponentResource):
    """The ServiceEntry and DestinationRule through which every proxy of the mesh reaches the collector."""

    host: pulumi.Output[str]
    """Host of the collector's URL."""

    port: pulumi.Output[int]
    """Port of the collector's URL, 443 for https without one."""

    cluster: pulumi.Output[str]
    """Envoy's name of the cluster that reaches the collector."""

    def __init__(
        self, name: str, args: CollectorEgressArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the way to the collector.

        Args:
            name: logical name; the children's names begin with it.
            args: where the collector is.
            opts: options of the component; its children inherit what Pulumi lets them inherit.

        Raises:
            SettingsError: with everything that is wrong with ``args``; nothing is declared then.
        """
        checked = checked_args(CollectorEgressSettings, name, args)
        super().__init__(f"{COMPONENTS}CollectorEgress", name, checked.inputs, opts)

        settings, collector = checked.settings, checked.collector
        egress = settings.egress
        identity = manifests.Identity(
            name=sound((name, "egress", "name"), egress.name, ObjectName),
            namespace=sound((name, "egress", "namespace"), egress.namespace, Namespace),
            labels=sound_labels((name, "common_labels"), settings.common_labels),
        )
        if egress.create and collector.registry is not Registry.KUBERNETES:
            declare(
                f"{name}-service-entry", manifests.service_entry(collector, egress, identity), parent=self
            )
        if egress.create:
            declare(
                f"{name}-destination-rule",
                manifests.destination_rule(collector, egress, identity),
                parent=self,
            )
        if egress.create and egress.waypoints:
            declare(
                f"{name}-envoy-filter", manifests.collector_of_waypoints(collector, identity), parent=self
            )
        for warning in collector.warnings:
            pulumi.log.warn(f"{settings.collector_url}: {warning}")

        self.host = pulumi.Output.from_input(collector.host)
        self.port = pulumi.Output.from_input(collector.port)
        self.cluster = pulumi.Output.from_input(collector.cluster)
        self.register_outputs({"host": self.host, "port": self.port, "cluster": self.cluster})

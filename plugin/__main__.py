"""The components as a Pulumi plugin, for programs in any language. The engine starts it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pulumi
from pulumi.provider import ConstructResult, main
from pulumi.provider.experimental.analyzer import ComponentDefinition
from pulumi.provider.experimental.component import ComponentProvider
from pydantic.alias_generators import to_camel

from components import CollectorEgress, SettingsError, TrafficCapture, WorkloadCapture
from components.rules.check import check
from components.settings.models import (
    CollectorEgressSettings,
    TrafficCaptureSettings,
    WorkloadCaptureSettings,
)
from components.settings.validation import Spelling
from components.version import VERSION

NAME = "astra-istio"
COMPONENTS: dict[str, Any] = {
    "CollectorEgress": CollectorEgress,
    "TrafficCapture": TrafficCapture,
    "WorkloadCapture": WorkloadCapture,
}
SETTINGS: dict[str, type[CollectorEgressSettings]] = {
    "CollectorEgress": CollectorEgressSettings,
    "TrafficCapture": TrafficCaptureSettings,
    "WorkloadCapture": WorkloadCaptureSettings,
}


class AstraIstio(ComponentProvider):
    """What Pulumi's ``component_provider_host`` serves, with inputs read as a stack's configuration is.

    Pulumi's own reading drops keys that it does not know, makes empty objects of enum values in lists, and
    shows a traceback for a bad value.
    """

    def __init__(self) -> None:
        super().__init__([*COMPONENTS.values()], name=NAME, namespace="astra", version=VERSION)

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Mapping[str, Any],
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Declare a component.

        Raises:
            InputPropertiesError: with everything that is wrong with the inputs; the engine shows it as it is.
        """
        self.validate_resource_type(NAME, resource_type)
        kind = resource_type.rpartition(":")[2]
        workload = name if kind == "WorkloadCapture" else None
        try:
            # Other languages spell keys as a stack's configuration does.
            settings = check(SETTINGS[kind], inputs, Spelling.CONFIG, workload=workload)
            component = COMPONENTS[kind](name, settings, options)
        except SettingsError as error:
            raise pulumi.InputPropertiesError(str(error), []) from None
        return ConstructResult(component.urn, self.get_state(component, self._component_defs[kind]))

    def get_state(
        self, instance: pulumi.ComponentResource, component_def: ComponentDefinition
    ) -> dict[str, Any]:
        """The component's outputs in other languages' spelling, which Pulumi leaves out inside of maps."""
        state = super().get_state(instance, component_def)
        if "capturedWorkloads" in state:
            state["capturedWorkloads"] = state["capturedWorkloads"].apply(_spelled)
        return state


def _spelled(workloads: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    return {
        workload: {to_camel(key): value for key, value in outputs.items()}
        for workload, outputs in workloads.items()
    }


if __name__ == "__main__":
    main(AstraIstio(), sys.argv[1:])

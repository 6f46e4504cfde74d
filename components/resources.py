"""What the components share: declaring a manifest, warning, and checking an Output once it is known."""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from .istio.manifests import Manifest
from .policy import COMPONENTS
from .rules import check
from .settings.models import CollectorEgressSettings, LabelValue, SelectorLabels
from .settings.validation import Path, is_output, resolved


def declare(name: str, manifest: Manifest, *, parent: pulumi.Resource) -> None:
    """Declare a manifest as a child of a component, with everything else inherited from that."""
    CustomResource(
        name,
        api_version=manifest["apiVersion"],
        kind=manifest["kind"],
        metadata=manifest["metadata"],
        spec=manifest["spec"],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def warn_of_deprecated(settings: CollectorEgressSettings, opts: pulumi.ResourceOptions | None) -> None:
    """Say which of a component's settings will go away, unless the component that it is a part of says so."""
    parent = opts.parent if opts else None
    if parent is None or not parent.pulumi_resource_type.startswith(COMPONENTS):
        for warning in check.deprecations(settings):
            pulumi.log.warn(warning)


def checked(path: Path, value: Any, rule: Any) -> Any:
    """A plain value as it is, as it was checked before; an Output as one that fails if it breaks the rule.

    Args:
        path: what the value was given for, for the message.
        value: the value.
        rule: the annotated type of the plain value.
    """
    if not is_output(value):
        return value
    return pulumi.Output.from_input(value).apply(lambda known: resolved(path, known, rule))


def checked_labels(path: Path, labels: Any) -> Any:
    """The same for labels, of which all, or some values, may be Outputs."""
    if isinstance(labels, Mapping):
        return {key: checked((*path, key), value, LabelValue) for key, value in labels.items()}
    return checked(path, labels, SelectorLabels)

"""What the components share: declaring a manifest, and checking an Output once it is known."""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from .istio.names import Manifest
from .rules.check import Checked, SettingsT, check
from .settings.validation import Path, SettingsError, resolved
from .settings.value_types import LabelValue, SelectorLabels, is_output

COMPONENTS = "astra-istio:index:"
"""How the type tokens of the package's components begin: a part of every URN in a user's state."""


def checked_args(
    model: type[SettingsT], name: str, args: Any, *, workload: str | None = None
) -> Checked[SettingsT]:
    """A component's arguments, checked. Each problem names the component, as a program may have several.

    Args:
        model: the settings that the component takes.
        name: the component's logical name.
        args: what the user wrote, or what another component has checked.
        workload: as :func:`check` takes it.

    Raises:
        SettingsError: with everything that is wrong.
    """
    if isinstance(args, Checked):
        return args
    try:
        return check(model, args, workload=workload)
    except SettingsError as error:
        raise SettingsError([named(name, problem) for problem in error.problems]) from None


def named(name: str, line: str) -> str:
    """A line about a setting of a component, with the component's name before the setting's path."""
    return f"{name}{'' if line.startswith((':', '[')) else '.'}{line}"


def declare(name: str, manifest: Manifest, *, parent: pulumi.Resource) -> None:
    """Declare a manifest as a child of a component, whose provider and other options it inherits."""
    CustomResource(
        name,
        api_version=manifest["apiVersion"],
        kind=manifest["kind"],
        metadata=manifest["metadata"],
        spec=manifest["spec"],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def sound(path: Path, value: Any, rule: Any) -> Any:
    """A value that keeps a rule. A plain one was checked before; an Output becomes one that fails otherwise.

    Args:
        path: what the value was given for, for the message.
        value: the value.
        rule: the annotated type of the plain value.
    """
    if not is_output(value):
        return value
    return pulumi.Output.from_input(value).apply(lambda known: resolved(path, known, rule))


def sound_labels(path: Path, labels: Any) -> Any:
    """The same for labels: all of them may be one Output, or some values may be Outputs."""
    if isinstance(labels, Mapping):
        return {key: sound((*path, key), value, LabelValue) for key, value in labels.items()}
    return sound(path, labels, SelectorLabels)

"""A Pulumi policy pack for stacks that capture traffic: docs/policy.md.

Pulumi starts it for ``pulumi preview --policy-pack policy``. The rules are in the package.
"""

import sys
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from components import SettingsError, policy
from components.resources import COMPONENTS

WORKLOAD = [f"{COMPONENTS}WorkloadCapture"]
SENSOR = [*WORKLOAD, f"{COMPONENTS}TrafficCapture"]
COLLECTOR = [*SENSOR, f"{COMPONENTS}CollectorEgress"]
FILTER = [
    "kubernetes:networking.istio.io/v1alpha3:EnvoyFilter",
    "kubernetes:extensions.istio.io/v1alpha1:TrafficExtension",
]

Check = Callable[[policy.Inputs, Mapping[str, Any]], Iterator[str]]


class Unknown(Awaitable[Any]):
    """Stands for a value that is not known at preview; the settings take it for an Output."""

    def __await__(self) -> Generator[Any, Any, NoReturn]:
        """Nobody waits for it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """As it is shown in a violation."""
        return "an Output"


def plain(value: Any) -> Any:
    """Inputs as dicts and lists: the SDK's own views of them raise at unknown values."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(values: Any, key: Any) -> Any:
    try:
        return plain(values[key])
    except UnknownValueError:
        return Unknown()


def rule(  # noqa: PLR0913 - what Pulumi wants to know of a policy
    name: str,
    description: str,
    check: Check,
    types: list[str],
    *,
    depth: int | None = None,
    config: Mapping[str, dict[str, Any]] | None = None,
) -> ResourceValidationPolicy:
    """A policy of the pack.

    Args:
        name: what a configuration of the pack calls it.
        description: what it demands.
        check: what is wrong with the inputs of a resource, by the policy's configuration.
        types: the types of resources that it is about.
        depth: how many of the package's components such a resource is, or is in; any number if None.
        config: JSON schemas of its configuration, each with a default.
    """
    schemas = config or {}

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type not in types or depth not in {None, len(policy.components_in(args.urn))}:
            args.not_applicable()
        given = args.get_config()
        try:
            for problem in check(
                plain(args.props), {key: given.get(key, schema["default"]) for key, schema in schemas.items()}
            ):
                report(problem, None)
        except SettingsError as error:
            report(f"cannot be checked: {error}", None)

    schema = PolicyConfigSchema({**schemas}) if schemas else None
    return ResourceValidationPolicy(name, description, validate, config_schema=schema)


def strings(description: str) -> dict[str, Any]:
    """The schema of a list that is empty by default."""
    return {"type": "array", "items": {"type": "string"}, "default": [], "description": description}


PolicyPack(
    name="astra-istio",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        rule(
            "selector",
            "A capture says which pods it is about, or says that it is about all of a namespace.",
            lambda inputs, _: policy.selector(inputs),
            WORKLOAD,
        ),
        rule(
            "redaction",
            "What the package masks by default is masked, unless an accepted reason is given.",
            lambda inputs, config: policy.redaction(inputs, config["reasons"]),
            WORKLOAD,
            config={"reasons": strings(f"Values of the label {policy.REASON_LABEL} that are accepted.")},
        ),
        rule(
            "limits",
            "No more of the traffic is captured than the organisation allows.",
            lambda inputs, config: policy.limits(inputs, config["maxSamplingRatio"], config["maxBodyBytes"]),
            WORKLOAD,
            config={
                "maxSamplingRatio": {"type": "number", "minimum": 0, "maximum": 1, "default": 1},
                "maxBodyBytes": {"type": "integer", "minimum": 0, "default": 262144},
            },
        ),
        rule(
            "collector",
            "Captured traffic does not leave the mesh in plain text.",
            lambda inputs, _: policy.collector(inputs),
            COLLECTOR,
            depth=1,
        ),
        rule(
            "sensor",
            "Spans go to sensors that the organisation knows; any sensor where none is configured.",
            lambda inputs, config: policy.sensor(inputs, config["sensorIds"]),
            SENSOR,
            depth=1,
            config={"sensorIds": strings("The organisation's sensors.")},
        ),
        rule(
            "component",
            "Capture scripts are declared by the package's components, which the other policies see.",
            lambda inputs, _: policy.handmade(inputs),
            FILTER,
            depth=0,
        ),
    ],
)

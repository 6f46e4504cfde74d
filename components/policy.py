"""Rules of an organisation for captures, over the settings that the components validated. Pure.

Each rule takes what a component was given (its inputs in Pulumi's state, in Python's spelling) and says what
is wrong, a line each. ``policy/`` makes a Pulumi policy pack of them; so may an organisation's own pack.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import reduce
from typing import Any

from pydantic.alias_generators import to_snake

from .istio import endpoint
from .istio.endpoint import Registry
from .istio.read import script_hash, settings_of, texts
from .resources import COMPONENTS
from .rules.check import check
from .settings import effects
from .settings.models import (
    Capture,
    CollectorEgressSettings,
    Location,
    RedactionMode,
    WorkloadCaptureSettings,
)

REASON_LABEL = "astra.security/redaction-off"
"""The common label that says why a capture masks less than the package does by default."""

Inputs = Mapping[str, Any]


def components_in(urn: str) -> list[str]:
    """The types of the package's components that a resource is in, and its own, from its URN."""
    return [type_ for type_ in urn.split("::")[2].split("$") if type_.startswith(COMPONENTS)]


def handmade(manifest: Inputs) -> Iterator[str]:
    """A capture script is declared by a component: only then do the other rules see its settings."""
    if script_hash(manifest) or any(settings_of(text) for text in texts(manifest.get("spec"))):
        yield "holds a capture script outside of WorkloadCapture, where nothing checks it: use the component"


def selector(inputs: Inputs) -> Iterator[str]:
    """Pods are selected, or ``labels: {}`` says that every pod of the namespace is meant."""
    if "labels" not in inputs and not inputs.get("target_refs"):
        yield (
            f"captures every pod of namespace {inputs['namespace']!r}: say by labels which pods, "
            "or `labels: {}` if all are meant"
        )


def redaction(inputs: Inputs, reasons: Collection[str]) -> Iterator[str]:
    """What the package masks by default is masked, or the label says an accepted reason why not."""
    weaker = list(_weaker(_capture(inputs)))
    reason = inputs.get("common_labels", {}).get(REASON_LABEL)
    if weaker and reason not in reasons:
        expected = f"one of {', '.join(sorted(reasons))}" if reasons else "none: no reason is accepted"
        given = f"{reason!r}" if reason else "no reason"
        yield f"{'; '.join(weaker)}: got {given} in the common label {REASON_LABEL}, expected {expected}"


def _weaker(capture: Capture) -> Iterator[str]:
    """Each setting that lets out what is masked or omitted by default."""
    if capture.redaction.mode is RedactionMode.NONE:
        yield "redaction.mode is none"
        return
    for setting, judgement in effects.JUDGEMENTS.items():
        if judgement.axis is not effects.Axis.MASKING:
            continue
        usual, given = _in_force(Capture(), setting), _in_force(capture, setting)
        effect = effects.effect(setting, usual, given)
        if effect is None or not effect.less:
            continue
        if not isinstance(given, list):
            told = f"is {given}"
        elif judgement.raises:
            told = f"lacks {', '.join(effects.added(setting, given, usual))}"
        else:
            told = f"has {', '.join(effects.added(setting, usual, given))}"
        yield f"{setting} {told}" + (f", {judgement.why}" if judgement.why else "")


def _in_force(capture: Capture, setting: str) -> Any:
    """A setting's value, with what its ``extra...`` adds, by its path in a stack's configuration."""
    *groups, name = to_snake(setting).split(".")
    holder = reduce(getattr, groups, capture)
    value = getattr(holder, name)
    return [*value, *getattr(holder, f"extra_{name}", [])] if isinstance(value, list) else value


def limits(inputs: Inputs, max_sampling_ratio: float, max_body_bytes: float) -> Iterator[str]:
    """The share of requests and the size of bodies stay within what the organisation allows."""
    capture = _capture(inputs)
    for name, value, limit in (
        ("samplingRatio", capture.sampling_ratio, max_sampling_ratio),
        ("maxBodyBytes", capture.max_body_bytes, max_body_bytes),
    ):
        if value > limit:
            yield f"{name}: got {value:g}, expected at most {limit:g}"


def _capture(inputs: Inputs) -> Capture:
    return check(WorkloadCaptureSettings, inputs, workload="workload").settings.capture


def collector(inputs: Inputs) -> Iterator[str]:
    """Captured traffic leaves the mesh encrypted only, by any reading of the URL."""
    own = {key: inputs[key] for key in CollectorEgressSettings.model_fields if key in inputs}
    way = check(CollectorEgressSettings, own).collector
    # The package declares no way to a Service: if `egress.clusterDomain` is wrong, proxies have none. It does
    # declare one to every other host, so there the setting proves nothing.
    is_service = way.registry is Registry.KUBERNETES
    if way.tls or is_service or (way.location is Location.MESH and endpoint.is_in_cluster(way.host)):
        return
    wanted = "an https URL"
    if way.host.count(".") == 1:
        full_name = f"{way.host}.svc.{way.cluster_domain}"
        wanted += f", or a Service's full name, http://{full_name}:{way.port}"
    yield (
        f"collectorUrl: got {inputs['collector_url']!r}, which takes captured traffic out of the mesh in "
        f"plain text: use {wanted}"
    )


def sensor(inputs: Inputs, sensor_ids: Collection[str]) -> Iterator[str]:
    """Spans go to sensors of the organisation; to any where it lists none."""
    sensor_id = inputs["sensor_id"]
    if sensor_ids and sensor_id.lower() not in {known.lower() for known in sensor_ids}:
        yield f"sensorId: got {sensor_id!r}, expected one of the organisation's {len(sensor_ids)} sensors"

"""Rules of an organisation for captures, over the settings that the components validated. Pure.

Each rule takes what a component was given (its inputs in Pulumi's state, in Python's spelling) and says what
is wrong, a line each. ``policy/`` makes a Pulumi policy pack of them; so may an organisation's own pack.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from .istio.manifests import SCRIPT_HASH
from .rules.check import check
from .settings.models import (
    Capture,
    CollectorEgressSettings,
    Location,
    Redaction,
    RedactionMode,
    WorkloadCaptureSettings,
)

COMPONENTS = "astra-istio:index:"
"""How the type tokens of the package's components begin."""

REASON_LABEL = "astra.security/redaction-off"
"""The common label that says why a capture masks less than the package does by default."""

Inputs = Mapping[str, Any]


def components_in(urn: str) -> list[str]:
    """The types of the package's components that a resource is in, and its own, from its URN."""
    return [type_ for type_ in urn.split("::")[2].split("$") if type_.startswith(COMPONENTS)]


def handmade(manifest: Inputs) -> Iterator[str]:
    """A capture script is in a component, or none of the other rules sees its settings."""
    if SCRIPT_HASH in (manifest["metadata"].get("annotations") or {}):
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
    weaker = list(_weaker(_capture(inputs).redaction))
    reason = inputs.get("common_labels", {}).get(REASON_LABEL)
    if weaker and reason not in reasons:
        expected = f"one of {', '.join(sorted(reasons))}" if reasons else "none: no reason is accepted"
        given = f"{reason!r}" if reason else "no reason"
        yield f"{'; '.join(weaker)}: got {given} in the common label {REASON_LABEL}, expected {expected}"


def _weaker(settings: Redaction) -> Iterator[str]:
    if settings.mode is RedactionMode.NONE:
        yield "redaction.mode is none"
        return
    usual = Redaction()
    for name, ours, defaults in (
        ("headers", settings.headers, usual.headers),
        ("fields", settings.fields, usual.fields),
    ):
        missing = [value for value in defaults if value not in ours]
        if missing:
            yield f"redaction.{name} lacks {', '.join(missing)}"


def limits(inputs: Inputs, max_sampling_ratio: float, max_body_bytes: float) -> Iterator[str]:
    """No more is captured than the organisation allows."""
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
    """Captured traffic leaves the mesh encrypted only."""
    own = {key: inputs[key] for key in CollectorEgressSettings.model_fields if key in inputs}
    checked = check(CollectorEgressSettings, own)
    if checked.collector.location is Location.EXTERNAL and not checked.collector.tls:
        yield (
            f"collectorUrl: got {checked.settings.collector_url!r}, which takes captured traffic out of the "
            "mesh in plain text: use an https URL"
        )


def sensor(inputs: Inputs, sensor_ids: Collection[str]) -> Iterator[str]:
    """Spans go to sensors of the organisation; to any where it lists none."""
    sensor_id = inputs["sensor_id"]
    if sensor_ids and sensor_id.lower() not in {known.lower() for known in sensor_ids}:
        yield f"sensorId: got {sensor_id!r}, expected one of the organisation's {len(sensor_ids)} sensors"

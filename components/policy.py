"""Rules of an organisation for captures, over the settings that the components validated. Pure.

Each rule takes what a component was given (its inputs in Pulumi's state, in Python's spelling) and says what
is wrong, a line each. ``policy/`` makes a Pulumi policy pack of them; so may an organisation's own pack.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from .istio import endpoint
from .istio.endpoint import Registry
from .istio.read import script_hash, settings_of, texts
from .resources import COMPONENTS
from .rules.check import check
from .settings.models import (
    BinaryBodies,
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
    """Each setting that lets out what is masked or omitted by default.

    A test asks for a decision about every new setting; one that weakens masking is told here.
    """
    redaction, usual = capture.redaction, Capture()
    if redaction.mode is RedactionMode.NONE:
        yield "redaction.mode is none"
        return
    given = dict(redaction)
    for name, defaults in dict(usual.redaction).items():
        # By their names: `extra...` only adds to another list, and `keep...` says what is not secret.
        if not isinstance(defaults, list) or name.startswith("extra_"):
            continue
        ours = [*given[name], *given.get(f"extra_{name}", [])]
        missing = [value for value in defaults if value not in ours]
        more = [value for value in ours if value not in defaults]
        if name.startswith("keep_") and more:
            yield f"redaction.{to_camel(name)} has {', '.join(more)}"
        elif not name.startswith("keep_") and missing:
            yield f"redaction.{to_camel(name)} lacks {', '.join(missing)}"
    if capture.binary_bodies is BinaryBodies.BYTES:
        yield "binaryBodies is bytes, which nothing masks"
    # A type matters for bodies that are no UTF-8 only: sent as text, names in them may not be found.
    more = [name for name in capture.content_types if not _is_covered(name, usual.content_types)]
    if more:
        yield f"contentTypes has {', '.join(more)}, which masking may not read"


def _is_covered(content_type: str, patterns: Collection[str]) -> bool:
    """Whether content types match all that one of them matches."""
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".+"), content_type.replace("*", "-"))
        for pattern in patterns
    )


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

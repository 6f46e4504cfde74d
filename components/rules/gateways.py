"""Gateways that are captured as if they had sidecars. Pure."""

import re
from collections.abc import Iterator, Mapping

from ..istio.names import GATEWAY_CLASS_NAME, GATEWAY_NAME
from ..settings.models import Direction, Mechanism, Workload
from ..settings.validation import Path, Problem

# What Istio's charts and profiles call gateways: `istio: ingressgateway`, `app: istio-ingress`.
_GATEWAY = re.compile(r"(istio-)?(ingress|egress|[a-z0-9-]*gateway)")


def problems(path: Path, workload: Workload) -> Iterator[Problem]:
    """Labels of a gateway with directions of a sidecar: Istio applies such a filter to no gateway.

    Args:
        path: the workload's place in the settings.
        workload: its settings.
    """
    if Direction.GATEWAY in workload.directions or not isinstance(workload.labels, Mapping):
        return
    if workload.mechanism is Mechanism.TRAFFIC_EXTENSION and Direction.OUTBOUND in workload.directions:
        return  # to Istio a gateway is a client, so this filter is applied
    for key, value in workload.labels.items():
        if _is_of_gateway(key, value):
            yield Problem(
                (*path, "directions"),
                f"got {', '.join(workload.directions)} with the label {key}={value}, which is a gateway's: "
                "Istio applies such a filter to sidecars only; set directions to [gateway]",
                is_warning=True,
            )
            return


def _is_of_gateway(key: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    # An application may be called `gateway` too; those of Istio begin with `istio-`.
    is_named = key == "istio" or (key == "app" and value.startswith("istio-"))
    return key in {GATEWAY_NAME, GATEWAY_CLASS_NAME} or (is_named and _GATEWAY.fullmatch(value) is not None)

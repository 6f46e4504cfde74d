"""Which pods a capture selects, and which of them stand for the others. Pure."""

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

from ..istio.names import GATEWAY_CLASS_NAME, GATEWAY_NAME, REVISION
from ..istio.read import Capture
from .facts import Pod

_PROXY_CONTAINER = "istio-proxy"
_AMBIENT = "ambient.istio.io/redirection"


def pod(manifest: dict[str, Any]) -> Pod:
    """A pod from its manifest, as the API server returns it."""
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status", {})
    # As a native sidecar the proxy is an init container.
    images = [
        container.get("image", "")
        for container in (*spec.get("containers", []), *spec.get("initContainers", []))
        if container["name"] == _PROXY_CONTAINER
    ]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        labels=labels,
        running=status.get("phase") == "Running" and "deletionTimestamp" not in metadata,
        proxy=bool(images),
        ambient=annotations.get(_AMBIENT) == "enabled",
        # A sidecar's pod has it as an annotation, a gateway's or waypoint's as a label.
        revision=annotations.get(REVISION) or labels.get(REVISION, ""),
        variant=(*sorted(images), *(owner["name"] for owner in metadata.get("ownerReferences", []))),
    )


def selected(capture: Capture, pods: Iterable[Pod], root_namespace: str) -> list[Pod]:
    """The pods that a capture selects: of its namespace, or of all namespaces if it is in the root namespace.

    If it targets a Gateway, these are the Gateway's own pods, in its namespace; if a GatewayClass, the pods
    of all its Gateways. Which waypoint serves a Service is not known here, so a Service has none.
    """
    everywhere = capture.namespace == root_namespace

    def is_selected(candidate: Pod) -> bool:
        near, labels = candidate.namespace == capture.namespace, candidate.labels
        if not capture.targets:
            return (near or everywhere) and capture.labels.items() <= labels.items()
        return (near and ("Gateway", labels.get(GATEWAY_NAME)) in capture.targets) or (
            everywhere and ("GatewayClass", labels.get(GATEWAY_CLASS_NAME)) in capture.targets
        )

    return [candidate for candidate in pods if is_selected(candidate)]


def sample(pods: Iterable[Pod], size: int | None) -> list[Pod]:
    """Some of the pods that can be asked: one of each variant comes before a second one of any.

    Args:
        pods: to choose from. A pod can be asked if it runs, and has a proxy.
        size: how many at most; None for all.
    """
    variants: dict[tuple[str, ...], list[Pod]] = {}
    for candidate in sorted(pods, key=str):
        if candidate.running and candidate.proxy:
            variants.setdefault((candidate.namespace, *candidate.variant), []).append(candidate)
    rounds: Iterable[Sequence[Pod | None]] = zip_longest(*variants.values())
    return [candidate for candidate in chain.from_iterable(rounds) if candidate][:size]

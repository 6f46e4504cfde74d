"""Whether a ``Sidecar`` resource hides the collector from a pod's proxy. Pure.

The rules are Istio's (istio/api, networking/v1alpha3/sidecar.proto).
"""

from collections.abc import Iterable
from typing import Any

from ..istio.names import Manifest
from .facts import Pod


def that_hides(
    sidecars: Iterable[Manifest], pod: Pod, host: str, namespace: str | None, root_namespace: str
) -> Manifest | None:
    """The Sidecar that hides a host from a pod's proxy; None if none does.

    Args:
        sidecars: those of the pod's namespace and of the root namespace.
        pod: whose proxy it is.
        host: a host of the mesh.
        namespace: the namespace of the host's Service or ServiceEntry; None if that is not known.
        root_namespace: the mesh's.
    """
    applying = _applying(list(sidecars), pod, root_namespace)
    if applying is None or any(_shows(entry, applying, host, namespace) for entry in _hosts(applying)):
        return None
    return applying


def _applying(sidecars: list[Manifest], pod: Pod, root_namespace: str) -> Manifest | None:
    """The Sidecar that applies to a pod: one that selects it, else its namespace's, else the mesh's.

    If there are several of a kind, any of them, as Istio leaves that open.
    """
    own = [sidecar for sidecar in sidecars if sidecar["metadata"]["namespace"] == pod.namespace]
    root = [sidecar for sidecar in sidecars if sidecar["metadata"]["namespace"] == root_namespace]
    selecting = [
        sidecar for sidecar in own if (labels := _labels(sidecar)) and labels.items() <= pod.labels.items()
    ]
    of_all = [sidecar for sidecar in (*own, *root) if not _labels(sidecar)]
    return next(iter([sidecar for sidecar in (*selecting, *of_all) if _hosts(sidecar)]), None)


def _labels(sidecar: Manifest) -> dict[str, str]:
    labels: dict[str, str] = sidecar["spec"].get("workloadSelector", {}).get("labels", {})
    return labels


def _hosts(sidecar: Manifest) -> list[str]:
    """Its egress hosts, ``NAMESPACE/HOST``. If it has none, another Sidecar decides what the proxy sees."""
    listeners: list[dict[str, Any]] = sidecar["spec"].get("egress", [])
    return [host for listener in listeners for host in listener.get("hosts", [])]


def _shows(entry: str, sidecar: Manifest, host: str, namespace: str | None) -> bool:
    own = sidecar["metadata"]["namespace"]
    of_namespace, _, name = entry.partition("/")
    of_namespace = own if of_namespace == "." else of_namespace
    return of_namespace != "~" and (
        (of_namespace == "*" or namespace is None or of_namespace == namespace)
        and (name in {"*", host} or (name.startswith("*.") and host.endswith(name[1:])))
    )

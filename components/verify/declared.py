"""What a stack declares, as far as it can be found again in a cluster and in its proxies. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..istio.manifests import SCRIPT_HASH, Manifest
from ..istio.read import settings_of
from ..settings.models import PART_OF

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""The label of the pods that Istio runs for a ``Gateway`` of the Gateway API, waypoints included."""

GATEWAY_CLASS_NAME = "gateway.networking.k8s.io/gateway-class-name"
"""The same for the class of their Gateway (istio/istio, istio-discovery/files/waypoint.yaml)."""

# The kinds of proxies, by the first part of their node id (istio/istio, pilot/pkg/model, `NodeType`).
SIDECAR, ROUTER, WAYPOINT = "sidecar", "router", "waypoint"

_CONTEXTS = {"SIDECAR_INBOUND": SIDECAR, "SIDECAR_OUTBOUND": SIDECAR, "GATEWAY": ROUTER}


@dataclass(frozen=True)
class HttpFilter:
    """An HTTP filter that runs a script.

    Attributes:
        name: its name in the filter chain.
        script: the Lua text.
    """

    name: str
    script: str


@dataclass(frozen=True)
class Capture:
    """The object that carries a workload's capture script.

    Attributes:
        kind: EnvoyFilter or TrafficExtension.
        namespace: its namespace.
        name: its name.
        labels: those of the pods that it selects; none for all.
        targets: what it targets instead of selecting pods: ``(kind, name)`` of Gateways, Services and so on.
        filters: what each kind of proxy gets: ``(kind of proxy, filter)``.
        cluster: Envoy's name of the cluster that the script exports to.
    """

    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    targets: tuple[tuple[str, str], ...]
    filters: tuple[tuple[str, HttpFilter], ...]
    cluster: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def host(self) -> str:
        """The collector's host, as the mesh knows it."""
        return self.cluster.rpartition("|")[2]

    def filters_of(self, proxy_kind: str) -> list[HttpFilter]:
        """What a proxy of a kind gets."""
        return [http_filter for kind, http_filter in self.filters if kind == proxy_kind]


def own(manifests: Iterable[Manifest]) -> list[Manifest]:
    """The package's own objects: a user's program may declare others beside them."""
    return [
        manifest
        for manifest in manifests
        if PART_OF.items() <= (manifest["metadata"].get("labels") or {}).items()
    ]


def captures(manifests: Sequence[Manifest]) -> list[Capture]:
    """The objects that carry scripts."""
    return [
        _capture(manifest)
        for manifest in manifests
        if SCRIPT_HASH in (manifest["metadata"].get("annotations") or {})
    ]


def _capture(manifest: Manifest) -> Capture:
    kind, spec, metadata = manifest["kind"], manifest["spec"], manifest["metadata"]
    targets = tuple((target["kind"], target["name"]) for target in spec.get("targetRefs", []))
    filters = (_patched if kind == "EnvoyFilter" else _extended)(manifest, WAYPOINT if targets else None)
    selector = spec.get("workloadSelector", {}).get("labels") or spec.get("selector", {}).get("matchLabels")
    return Capture(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        labels=selector or {},
        targets=targets,
        filters=tuple(filters),
        cluster=collector_cluster(filters[0][1].script),
    )


def _patched(manifest: Manifest, waypoint: str | None) -> list[tuple[str, HttpFilter]]:
    found = []
    for patch in manifest["spec"]["configPatches"]:
        value, context = patch["patch"]["value"], patch["match"]["context"]
        http_filter = HttpFilter(value["name"], value["typed_config"]["default_source_code"]["inline_string"])
        # To a waypoint, a SIDECAR_INBOUND patch applies (istio/istio, listener_builder.go).
        kinds = {_CONTEXTS[context], waypoint if context == "SIDECAR_INBOUND" else None}
        found += [(kind, http_filter) for kind in kinds if kind]
    return found


def _extended(manifest: Manifest, waypoint: str | None) -> list[tuple[str, HttpFilter]]:
    metadata, spec = manifest["metadata"], manifest["spec"]
    http_filter = HttpFilter(
        f"extensions.istio.io/trafficextension/{metadata['namespace']}.{metadata['name']}",
        spec["lua"]["inlineCode"],
    )
    # To Istio a gateway is a client.
    modes = {match.get("mode", "CLIENT_AND_SERVER") for match in spec.get("match", [{}])}
    kinds = {SIDECAR, waypoint, ROUTER if modes & {"CLIENT", "CLIENT_AND_SERVER"} else None}
    return [(kind, http_filter) for kind in kinds if kind]


def collector_cluster(script: str) -> str:
    """The cluster that a rendered script exports to.

    Raises:
        ValueError: the script is none of ours.
    """
    settings = settings_of(script)
    if settings is None:
        raise ValueError("not a capture script: it names no cluster")
    return str(settings["collector"]["cluster"])


def expects_tls(manifests: Iterable[Manifest], host: str) -> bool:
    """Whether a DestinationRule of the stack has proxies originate TLS to a host."""
    policies: list[dict[str, Any]] = [
        manifest["spec"].get("trafficPolicy", {})
        for manifest in manifests
        if manifest["kind"] == "DestinationRule" and manifest["spec"]["host"] == host
    ]
    return any(
        "tls" in settings
        for policy in policies
        for settings in (policy, *policy.get("portLevelSettings", []))
    )


def namespace_of_host(manifests: Iterable[Manifest], host: str) -> str | None:
    """The namespace that the collector's entry belongs to; None where another stack declares it."""
    if host.endswith(".svc.cluster.local"):
        return host.split(".")[1]
    for manifest in manifests:
        if manifest["kind"] == "ServiceEntry" and host in manifest["spec"]["hosts"]:
            return str(manifest["metadata"]["namespace"])
    return None

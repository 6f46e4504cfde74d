"""What the package wrote, found and read again, in manifests or in the objects of a cluster. Pure.

The one place that knows how to find the package's objects, scripts and settings. An object may be of another
release, and changed by hand: what cannot be read is left out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .endpoint import HTTPS_PORT
from .literals import parse_literal
from .names import PART_OF, SCRIPT_HASH, Manifest

ENTRY_KINDS = ("ServiceEntry", "DestinationRule")
"""The kinds of the objects that are a way to the collector."""

# The kinds of proxies, by the first part of their node id (istio/istio, pilot/pkg/model, `NodeType`).
SIDECAR, ROUTER, WAYPOINT = "sidecar", "router", "waypoint"

_CONTEXTS = {"SIDECAR_INBOUND": SIDECAR, "SIDECAR_OUTBOUND": SIDECAR, "GATEWAY": ROUTER}
_LOCATIONS = {"MESH_INTERNAL": "mesh", "MESH_EXTERNAL": "external"}
# A script may have no spaces around the "=": the first scripts of 0.1 had none.
_CONFIG = re.compile(r"^local config ?= ?(\{\n.*?\n\})$", re.DOTALL | re.MULTILINE)
_SERVICE = re.compile(r"(?P<name>[^.]+)\.(?P<namespace>[^.]+)\.svc\..+")


def own(manifests: Iterable[Manifest]) -> list[Manifest]:
    """The package's own objects: a user's program may declare others beside them."""
    return [
        manifest
        for manifest in manifests
        if PART_OF.items() <= (manifest["metadata"].get("labels") or {}).items()
    ]


def script_hash(manifest: Mapping[str, Any]) -> str | None:
    """The hash of the script that an object of the package holds; None if it holds none."""
    annotations: Mapping[str, str] = manifest.get("metadata", {}).get("annotations") or {}
    return annotations.get(SCRIPT_HASH)


def texts(value: object) -> Iterator[str]:
    """All strings in an object or a part of it, scripts that others wrote among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def settings_of(script: str) -> dict[str, Any] | None:
    """The settings in a script, by the names that ``script.render`` gives them.

    Returns:
        None if the text is no capture script, or if its settings are written in another way.
    """
    config = _CONFIG.search(script)
    try:
        settings = None if config is None else parse_literal(config[1])
    except (IndexError, ValueError):
        return None
    return settings if isinstance(settings, dict) else None


def parts_of(script: str) -> tuple[str, str] | None:
    """A capture script's code, and the lines of its settings.

    Returns:
        None for a text whose settings :func:`settings_of` cannot read.
    """
    config = _CONFIG.search(script)
    if config is None or settings_of(script) is None:
        return None
    return script[: config.start()] + script[config.end() :], config[0]


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
        script_hash: the hash of its script, the settings left out.
        labels: those of the pods that it selects; none for all.
        targets: what it targets instead of selecting pods: ``(kind, name)`` of Gateways, Services and so on.
        filters: what each kind of proxy gets: ``(kind of proxy, filter)``.
        settings: those of each of its scripts, in order; empty for a script whose settings cannot be read.
    """

    kind: str
    namespace: str
    name: str
    script_hash: str
    labels: Mapping[str, str]
    targets: tuple[tuple[str, str], ...]
    filters: tuple[tuple[str, HttpFilter], ...]
    settings: tuple[Mapping[str, Any], ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def scripts(self) -> list[str]:
        """Each of its scripts once."""
        return list(dict.fromkeys(http_filter.script for _, http_filter in self.filters))

    @property
    def cluster(self) -> str:
        """Envoy's name of the cluster that the script exports to; empty where the script does not say."""
        return str(next((settings["collector"]["cluster"] for settings in self.settings if settings), ""))

    @property
    def is_switched_off(self) -> bool:
        """Whether its scripts capture nothing, as `capture.enabled` says."""
        return all(settings.get("enabled") is False for settings in self.settings)

    @property
    def host(self) -> str:
        """The collector's host, as the mesh knows it."""
        return self.cluster.rpartition("|")[2]

    def filters_of(self, proxy_kind: str) -> list[HttpFilter]:
        """What a proxy of a kind gets."""
        return [http_filter for kind, http_filter in self.filters if kind == proxy_kind]


def captures(manifests: Iterable[Manifest]) -> list[Capture]:
    """The objects that carry scripts."""
    return [
        _capture(manifest, digest) for manifest in manifests if (digest := script_hash(manifest)) is not None
    ]


def _capture(manifest: Manifest, digest: str) -> Capture:
    spec, metadata = manifest["spec"], manifest["metadata"]
    targets = tuple((target["kind"], target["name"]) for target in spec.get("targetRefs", []))
    waypoint = WAYPOINT if targets else None
    filters = tuple(_extended(metadata, spec, waypoint) if "lua" in spec else _patched(spec, waypoint))
    selector = spec.get("workloadSelector", {}).get("labels") or spec.get("selector", {}).get("matchLabels")
    scripts = dict.fromkeys(http_filter.script for _, http_filter in filters)
    return Capture(
        kind=manifest["kind"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        script_hash=digest,
        labels=selector or {},
        targets=targets,
        filters=filters,
        settings=tuple(settings_of(script) or {} for script in scripts),
    )


def _patched(spec: Mapping[str, Any], waypoint: str | None) -> Iterator[tuple[str, HttpFilter]]:
    """The filters of an EnvoyFilter."""
    for patch in spec.get("configPatches", []):
        value, context = patch["patch"]["value"], patch["match"]["context"]
        script = value["typed_config"]["default_source_code"]["inline_string"]
        # To a waypoint, a SIDECAR_INBOUND patch applies (istio/istio, listener_builder.go).
        kinds = {_CONTEXTS[context], waypoint if context == "SIDECAR_INBOUND" else None}
        yield from ((kind, HttpFilter(value["name"], script)) for kind in kinds if kind)


def _extended(
    metadata: Mapping[str, Any], spec: Mapping[str, Any], waypoint: str | None
) -> Iterator[tuple[str, HttpFilter]]:
    """The filter of a TrafficExtension."""
    name = f"extensions.istio.io/trafficextension/{metadata['namespace']}.{metadata['name']}"
    # To Istio a gateway is a client.
    modes = {match.get("mode", "CLIENT_AND_SERVER") for match in spec.get("match", [{}])}
    kinds = {SIDECAR, waypoint, ROUTER if modes & {"CLIENT", "CLIENT_AND_SERVER"} else None}
    yield from ((kind, HttpFilter(name, spec["lua"]["inlineCode"])) for kind in kinds if kind)


@dataclass
class Entry:
    """The way to a collector, as the ServiceEntry and the DestinationRule of one name say it.

    Attributes:
        namespace: of the objects.
        host: of the service, which Envoy's cluster is named by.
        is_declared: whether a ServiceEntry declares the host; else Kubernetes knows it.
        settings: values by their path in a stack's configuration.
    """

    namespace: str
    host: str = ""
    is_declared: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    _address: str = ""
    _port: int | None = None

    @property
    def url(self) -> str | None:
        """The collector's URL without its path; None where the objects do not say its port."""
        if self._port is None:
            return None
        address = f"[{self._address}]" if ":" in self._address else self._address
        if self.settings.get("egress.tls.mode") not in {"SIMPLE", "MUTUAL"}:
            return f"http://{address}:{self._port}"
        return f"https://{address}" + ("" if self._port == HTTPS_PORT else f":{self._port}")

    def read(self, manifest: Manifest) -> None:
        """Take in one of the objects."""
        spec = manifest["spec"]
        if "exportTo" in spec:
            self.settings["egress.exportTo"] = spec["exportTo"]
        if manifest["kind"] == "ServiceEntry":
            # The package declares one of each; a program's transforms may have added others.
            port, self.host = spec["ports"][0], spec["hosts"][0]
            [endpoint, *_] = spec.get("endpoints") or [{"address": self.host}]
            self._address, self._port = endpoint["address"], port.get("targetPort", port["number"])
            self.is_declared = True
            self.settings["egress.location"] = _LOCATIONS.get(spec.get("location"))
            return
        self.host = spec["host"]
        self._address = self._address or self.host
        policy = spec.get("trafficPolicy", {})
        # Of a Kubernetes Service, which has no ServiceEntry.
        for of_port in policy.get("portLevelSettings", []):
            policy, self._port = of_port, of_port["port"]["number"]
        self.settings |= _policy_settings(policy)


def _policy_settings(policy: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings that a DestinationRule's policy says, by their path in a stack's configuration."""
    pool = policy.get("connectionPool", {})
    if "tcp" in pool:  # else there are no limits
        yield "egress.limits.maxConnections", pool["tcp"]["maxConnections"]
        yield "egress.limits.maxPendingRequests", pool["http"]["http1MaxPendingRequests"]
    for name, value in policy.get("tls", {}).items():
        if name != "subjectAltNames":  # the SNI once more
            yield f"egress.tls.{name}", value


def entries(manifests: Iterable[Manifest]) -> dict[str, Entry]:
    """The ways to collectors among manifests, by ``namespace/name``."""
    by_name: dict[str, Entry] = {}
    # A ServiceEntry knows the address, so it is read first.
    for manifest in sorted(own(manifests), key=lambda manifest: str(manifest["kind"]), reverse=True):
        metadata = manifest["metadata"]
        if manifest["kind"] in ENTRY_KINDS:
            name = f"{metadata['namespace']}/{metadata['name']}"
            by_name.setdefault(name, Entry(metadata["namespace"])).read(manifest)
    return by_name


def expects_tls(manifests: Iterable[Manifest], host: str) -> bool:
    """Whether a DestinationRule of the package has proxies originate TLS to a host."""
    return any(
        entry.host == host and "egress.tls.mode" in entry.settings for entry in entries(manifests).values()
    )


class Service(NamedTuple):
    """A Kubernetes Service.

    Attributes:
        name: its name.
        namespace: its namespace.
    """

    name: str
    namespace: str


def service_of_host(manifests: Sequence[Manifest], host: str) -> Service | None:
    """The Kubernetes Service that a host is the full name of, whatever the cluster's domain.

    A host that a ServiceEntry of the package declares is none.
    """
    service = _SERVICE.fullmatch(host)
    is_declared = any(entry.is_declared for entry in entries(manifests).values() if entry.host == host)
    return None if service is None or is_declared else Service(**service.groupdict())


def namespace_of_host(manifests: Sequence[Manifest], host: str) -> str | None:
    """The namespace that the collector's entry belongs to; None where another stack declares it."""
    service = service_of_host(manifests, host)
    if service is not None:
        return service.namespace
    return next((entry.namespace for entry in entries(manifests).values() if entry.host == host), None)

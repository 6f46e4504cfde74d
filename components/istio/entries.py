"""The settings that a rendered entry of a collector holds: what ``manifests`` wrote, read back. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..settings.models import PART_OF
from .endpoint import HTTPS_PORT
from .manifests import Manifest

_KINDS = ("ServiceEntry", "DestinationRule")
_LOCATIONS = {"MESH_INTERNAL": "mesh", "MESH_EXTERNAL": "external"}

Key = tuple[str, str]
"""The folder that an object was rendered to, and a name."""


@dataclass
class Entry:
    """What the objects of one name say.

    Attributes:
        host: of the service, which Envoy's cluster is named by.
        settings: by their path in a stack's configuration.
    """

    host: str = ""
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
            self.settings["egress.location"] = _LOCATIONS.get(spec.get("location"))
            return
        self.host = spec["host"]
        self._address = self._address or self.host
        policy = spec.get("trafficPolicy", {})
        # Of a Kubernetes Service, which has no ServiceEntry.
        for of_port in policy.get("portLevelSettings", []):
            policy, self._port = of_port, of_port["port"]["number"]
        self.settings |= _policy_settings(policy)


def entries(manifests: Mapping[str, Manifest]) -> dict[Key, Entry]:
    """The entries among manifests, by folder and ``namespace/name``."""
    found: dict[Key, Entry] = {}
    # A ServiceEntry knows the address, so it is read first.
    for file, manifest in sorted(manifests.items(), key=lambda item: item[1]["kind"], reverse=True):
        metadata = manifest["metadata"]
        if manifest["kind"] in _KINDS and PART_OF.items() <= metadata.get("labels", {}).items():
            key = folder_of(file), f"{metadata['namespace']}/{metadata['name']}"
            found.setdefault(key, Entry()).read(manifest)
    return found


def may_hold_entry(file: str) -> bool:
    """Whether a file may be a part of an entry, by the name that ``render`` gives it."""
    return file.rpartition("/")[2].startswith(tuple(f"{kind}." for kind in _KINDS))


def folder_of(file: str) -> str:
    """The folder of a file: each Kubernetes provider has its own."""
    return file.rpartition("/")[0]


def _policy_settings(policy: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    pool = policy.get("connectionPool")
    if pool is not None:
        yield "egress.limits.maxConnections", pool["tcp"]["maxConnections"]
        yield "egress.limits.maxPendingRequests", pool["http"]["http1MaxPendingRequests"]
    for name, value in policy.get("tls", {}).items():
        if name != "subjectAltNames":  # the SNI once more
            yield f"egress.tls.{name}", value

"""Are the stack's objects in the cluster, and as declared?"""

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

from ...istio.names import SCRIPT_HASH, Manifest
from ...istio.read import script_hash
from .. import rights
from ..facts import Facts, Unread
from ..findings import Finding, Level

_DEPLOY = "deploy the stack: `pulumi up`, or `make render` and `kubectl apply`"
_RESTORE = "see what changed it; `pulumi up --refresh`, or `make render` and `kubectl apply`, puts it back"
_SHOWN = 60


class Difference(NamedTuple):
    """A value that is not as declared.

    Attributes:
        path: where it is, such as ``spec.ports[0].number``.
        declared: the value declared; None for none.
        found: that in the cluster; None for none.
        in_script: it is a line of a script.
    """

    path: str
    declared: Any
    found: Any
    in_script: bool = False

    def __str__(self) -> str:
        return f"{self.path} is {_shown(self.found)}, declared {_shown(self.declared)}"


def check(facts: Facts) -> Iterator[Finding]:
    """Findings about each declared object."""
    for manifest in facts.manifests:
        metadata = manifest["metadata"]
        subject = f"{manifest['kind']} {metadata['namespace']}/{metadata['name']}"
        objects = facts.objects[manifest["kind"], metadata["namespace"]]
        if isinstance(objects, Unread):
            yield _unread(subject, objects)
            continue
        live = [item for item in objects if item["metadata"]["name"] == metadata["name"]]
        yield from _compared(subject, manifest, live[0] if live else None)


def _unread(subject: str, unread: Unread) -> Finding:
    if unread.missing:
        return Finding(
            Level.PROBLEM,
            "object-missing",
            subject,
            unread.reason,
            "install Istio with its CRDs; a TrafficExtension needs Istio 1.30 or later",
        )
    return Finding(Level.UNKNOWN, "object-unread", subject, unread.reason, rights.ASK)


def _compared(subject: str, declared: Manifest, live: Manifest | None) -> Iterator[Finding]:
    if live is None:
        yield Finding(Level.PROBLEM, "object-missing", subject, "is not in the cluster", _DEPLOY)
        return
    expected, hash_found = script_hash(declared), script_hash(live)
    if expected != hash_found:
        yield Finding(
            Level.PROBLEM,
            "old-script",
            subject,
            f"holds the script {_hash(hash_found)}, this release of the package declares {_hash(expected)}",
            f"{_DEPLOY}; or verify with the release that deployed it",
        )
    differing = list(differences(declared, live))
    if expected != hash_found:
        differing = [difference for difference in differing if not difference.in_script]
    if differing:
        more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
        yield Finding(Level.PROBLEM, "object-differs", subject, f"{differing[0]}{more}", _RESTORE)
    elif expected == hash_found:
        yield Finding(Level.OK, "object", subject, "is as declared")


def differences(declared: Manifest, live: Manifest) -> Iterator[Difference]:
    """What of an object is not as declared: its spec, and the labels and annotations that are declared.

    Others may add some; the script's hash is not compared here.
    """
    for part in ("labels", "annotations"):
        live_part = live["metadata"].get(part) or {}
        for key, value in declared["metadata"].get(part, {}).items():
            if live_part.get(key) != value and key != SCRIPT_HASH:
                yield Difference(f"metadata.{part}.{key}", value, live_part.get(key))
    yield from _differences("spec", declared["spec"], live.get("spec"))


def _differences(path: str, declared: Any, live: Any) -> Iterator[Difference]:
    if isinstance(declared, dict) and isinstance(live, dict):
        for key in sorted(declared.keys() | live.keys()):
            yield from _differences(f"{path}.{key}", declared.get(key), live.get(key))
    elif isinstance(declared, list) and isinstance(live, list) and len(declared) == len(live):
        for index, (one, other) in enumerate(zip(declared, live, strict=True)):
            yield from _differences(f"{path}[{index}]", one, other)
    elif isinstance(declared, str) and isinstance(live, str) and "\n" in declared:
        yield from _script_difference(path, declared, live)
    elif declared != live:
        yield Difference(path, declared, live)


def _script_difference(path: str, declared: str, live: str) -> Iterator[Difference]:
    """The first line that differs, which says more than the whole text."""
    lines = zip_longest(declared.splitlines(), live.splitlines())
    for number, (one, other) in enumerate(lines, 1):
        if one != other:
            yield Difference(f"{path} line {number}", one and one.strip(), other and other.strip(), True)
            return


def _shown(value: Any) -> str:
    text = "missing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _hash(value: str | None) -> str:
    return "without a hash" if value is None else value[:12]

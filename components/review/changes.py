"""What changes between two renderings of a stack. Pure.

Everything is read from the manifests: each revision's own code wrote them, with its own defaults.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from pydantic.alias_generators import to_camel

from ..istio import endpoint, script
from ..istio.names import Manifest
from ..istio.read import ENTRY_KINDS, Capture, Entry, captures, entries, settings_of
from ..settings import models
from ..settings.effects import Effect, effect
from ..settings.value_types import FILTER_NAME_PREFIX

SHOWN_HASH = 12
"""Characters of a hash that tell scripts apart."""

_URL = "collectorUrl"
_DIRECTIONS, _MECHANISM = "directions", "mechanism"
# Told of a workload itself, where that is new.
_ATTACHMENTS = ("labels", "targetRefs")

Manifests = Mapping[str, Manifest]
"""Manifests by the path of the file that they were rendered to."""

Key = tuple[str, str]
"""The folder that an object was rendered to (each Kubernetes provider has its own), and a name."""


class SettingChange(NamedTuple):
    """A setting that differs.

    Attributes:
        setting: its path in a stack's configuration.
        old: what it was: of two lists, what only the old one has.
        new: what it is: of two lists, what only the new one has.
        effect: what the change does to what leaves the proxies; None if nothing.
    """

    setting: str
    old: str
    new: str
    effect: Effect | None = None


@dataclass(frozen=True)
class Workload:
    """A captured workload, as its manifest says.

    Attributes:
        settings: what holds for it, defaults included, by the path that a stack's configuration gives it.
        script: the hash of its script's code.
    """

    settings: Mapping[str, Any]
    script: str


@dataclass(frozen=True)
class Changes:
    """What is different after a change.

    Attributes:
        workloads: added and removed ones, with their pods.
        settings: workloads, or entries of a collector, by what changed of their settings.
        added_settings: added workloads by what their settings have other than this release's defaults.
        scripts: workloads by old and new hash of the script's code.
        objects: names by kind and by ``added``, ``removed`` or ``changed``.
    """

    workloads: dict[str, list[str]] = field(default_factory=lambda: {"added": [], "removed": []})
    settings: dict[SettingChange, list[str]] = field(default_factory=dict)
    added_settings: dict[SettingChange, list[str]] = field(default_factory=dict)
    scripts: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    objects: dict[str, dict[str, list[str]]] = field(default_factory=dict)


def compare(before: Manifests, after: Manifests) -> Changes:
    """What differs between two renderings.

    Manifests that are the same in both may be left out, except those of collectors' entries: a changed script
    names only its Envoy cluster, and the entry says which URL that is.
    """
    changes = Changes()
    _compare_objects(before, after, changes)
    old_entries, new_entries = _entries(before), _entries(after)
    old_urls, new_urls = _urls(old_entries), _urls(new_entries)
    # If only one side declares the entry of a host, its URL is that of the other side, too.
    _compare_workloads(
        _workloads(before, new_urls | old_urls), _workloads(after, old_urls | new_urls), changes
    )
    _compare_entries(old_entries, new_entries, changes)
    return changes


def _compare_objects(before: Manifests, after: Manifests, changes: Changes) -> None:
    for file in sorted(before.keys() | after.keys()):
        old, new = before.get(file), after.get(file)
        if old != new:
            what = "added" if old is None else "removed" if new is None else "changed"
            manifest = new or old or {}
            metadata = manifest["metadata"]
            name = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
            changes.objects.setdefault(manifest["kind"], {}).setdefault(what, []).append(name)


def may_hold_entry(file: str) -> bool:
    """Whether a file may be a part of a collector's entry, by the name that ``render`` gives it."""
    return file.rpartition("/")[2].startswith(tuple(f"{kind}." for kind in ENTRY_KINDS))


def _entries(manifests: Manifests) -> dict[Key, Entry]:
    by_folder: dict[str, list[Manifest]] = {}
    for file, manifest in manifests.items():
        by_folder.setdefault(_folder(file), []).append(manifest)
    return {
        (folder, name): entry for folder, items in by_folder.items() for name, entry in entries(items).items()
    }


def _folder(file: str) -> str:
    return file.rpartition("/")[0]


def _urls(ways: Mapping[Key, Entry]) -> dict[Key, str]:
    """URLs of collectors, by the folder and the host of their entries."""
    return {(folder, entry.host): entry.url for (folder, _), entry in ways.items() if entry.url}


def _workloads(manifests: Manifests, urls: Mapping[Key, str]) -> dict[str, Workload]:
    return {
        f"{capture.namespace}/{capture.name.removeprefix(FILTER_NAME_PREFIX)}": _workload(
            capture, urls.get((_folder(file), capture.host))
        )
        for file, manifest in manifests.items()
        for capture in captures([manifest])
    }


def _workload(capture: Capture, url: str | None) -> Workload:
    """A workload from the object with its script.

    Args:
        capture: the object.
        url: of the collector; None if another stack declares its entry. Then the settings tell what the
            script itself says of the collector.
    """
    of_scripts = {key: value for settings in capture.settings for key, value in settings.items()}
    of_scripts.pop("direction", None)
    settings = {
        **_attachment(capture),
        _DIRECTIONS: [settings["direction"] for settings in capture.settings if settings],
        _MECHANISM: capture.kind,
        **dict(_flat(of_scripts)),
    }
    if url is not None:
        settings = {key: value for key, value in settings.items() if not key.startswith("collector.")}
        settings[_URL] = url + of_scripts["collector"]["path"]
    return Workload(settings, capture.script_hash)


def _attachment(capture: Capture) -> dict[str, list[str]]:
    if capture.targets:
        return {"targetRefs": [f"{kind}/{name}" for kind, name in capture.targets]}
    return {"labels": [f"{key}={value}" for key, value in sorted(capture.labels.items())]}


@cache
def _own_script() -> script.Script:
    """The script of a workload without settings of its own, in this release."""
    collector = endpoint.collector("http://collector.example:4318", models.Egress())
    return script.render(
        models.Capture(), sensor_id="", collector=collector, direction=models.Direction.INBOUND
    )


def own_scripts() -> list[str]:
    """The forms of this release's script."""
    return [_own_script().text, _own_script().inline_code]


def _defaults() -> Mapping[str, Any]:
    """The settings of a workload that gives none, in this release."""
    of_script = settings_of(_own_script().text) or {}
    direction = of_script.pop("direction")
    of_capture = {key: value for key, value in of_script.items() if key not in {"sensor_id", "collector"}}
    return {
        _DIRECTIONS: [direction],
        _MECHANISM: models.Mechanism.ENVOY_FILTER.value,
        **dict(_flat(of_capture)),
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        path = f"{prefix}{to_camel(key)}"
        if isinstance(value, dict):
            yield from _flat(value, f"{path}.")
        elif not key.startswith("extra_"):  # Told with the list that it adds to.
            added = settings.get(f"extra_{key}")
            yield path, [*value, *added] if added else value


def _compare_workloads(
    before: Mapping[str, Workload], after: Mapping[str, Workload], changes: Changes
) -> None:
    for what, ours, others in (("added", after, before), ("removed", before, after)):
        changes.workloads[what] += [
            f"{name} ({_pods(workload)})" for name, workload in sorted(ours.items()) if name not in others
        ]
    for name in sorted(after.keys() - before.keys()):
        settings = {key: value for key, value in after[name].settings.items() if key not in _ATTACHMENTS}
        # What such a workload has no setting for, as its script is in another form, is no difference.
        usual = {key: value for key, value in _defaults().items() if key in settings}
        _compare_settings(name, usual, settings, changes.added_settings)
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        _compare_settings(name, old.settings, new.settings, changes.settings)
        if old.script != new.script:
            hashes = old.script[:SHOWN_HASH], new.script[:SHOWN_HASH]
            changes.scripts.setdefault(hashes, []).append(name)


def _pods(workload: Workload) -> str:
    [attached] = [workload.settings[key] for key in _ATTACHMENTS if key in workload.settings]
    return ",".join(attached) or "none: the whole namespace"


def _compare_entries(before: Mapping[Key, Entry], after: Mapping[Key, Entry], changes: Changes) -> None:
    told = any(change.setting == _URL for change in changes.settings)
    for key in sorted(before.keys() & after.keys()):
        old, new = ({} if told else {_URL: of[key].url} for of in (before, after))
        _compare_settings(key[1], old | before[key].settings, new | after[key].settings, changes.settings)


def _compare_settings(
    name: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    changes: dict[SettingChange, list[str]],
) -> None:
    for setting in [*new, *sorted(old.keys() - new.keys())]:
        pair = old.get(setting), new.get(setting)
        if pair[0] != pair[1]:
            change = SettingChange(setting, *_shown(*pair), effect(setting, *pair))
            changes.setdefault(change, []).append(name)


def _shown(old: Any, new: Any) -> tuple[str, str]:
    """Two values as they are told apart: of two lists, what only one of them has."""
    if isinstance(old, list) and isinstance(new, list):
        removed = [value for value in old if value not in new]
        more = [value for value in new if value not in old]
        if not removed and not more:
            return "the same", "in another order"
        return _items("-", removed) if old else "none", _items("+", more) if new else "none"
    return _text(old), _text(new)


def _items(sign: str, values: list[Any]) -> str:
    return ", ".join(f"{sign}{value}" for value in values)


def _text(value: Any) -> str:
    match value:
        case None:
            return "not there"
        case bool():
            return "on" if value else "off"
        case list():
            return ", ".join(map(str, value)) or "none"
    return str(value)

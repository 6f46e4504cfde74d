"""A stack's configuration, as the Pulumi engine hands it to a program, as settings. Pure."""

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from .rules.check import Checked, check
from .settings.models import TrafficCaptureSettings
from .settings.validation import Secret, SettingsError, Spelling, object_keys, spelled


def stack_config(
    config: Mapping[str, str], secrets: AbstractSet[str], project: str
) -> Checked[TrafficCaptureSettings]:
    """The settings of ``TrafficCapture`` from a stack's configuration.

    Args:
        config: all keys of the stack, as ``namespace:name``, and their values: objects as JSON.
        secrets: those of the keys that hold a secret, at any depth.
        project: the project's name, the namespace of its own keys.

    Raises:
        SettingsError: with everything that is wrong, the keys as the stack file spells them.
    """
    objects = object_keys(TrafficCaptureSettings, Spelling.CONFIG)
    values = {}
    for key, text in config.items():
        namespace, _, name = key.partition(":")
        if namespace != project:
            continue
        if key in secrets:
            values[name] = _with_secrets(text)
        else:
            values[name] = _decoded(text) if name in objects else text
    misplaced = _misplaced(config, project)
    try:
        checked = check(TrafficCaptureSettings, values, Spelling.CONFIG)
    except SettingsError as error:
        raise SettingsError([*misplaced, *error.problems]) from None
    if misplaced:
        raise SettingsError(misplaced)
    return checked


def _misplaced(keys: Iterable[str], project: str) -> list[str]:
    """What is wrong with our keys in other namespaces than the project's, where nobody reads them."""
    own = {spelled(name, Spelling.CONFIG) for name in TrafficCaptureSettings.model_fields}
    return [
        f"{key}: nobody reads this key, did you mean {project}:{name}?"
        for key in keys
        for namespace, _, name in [key.rpartition(":")]
        if namespace != project and name in own
    ]


def _decoded(text: str) -> Any:
    try:
        return json.loads(text or "null")  # the engine's text for nothing at all
    except (json.JSONDecodeError, RecursionError):
        return text


def _with_secrets(text: str) -> Any:
    """The value of a key that holds a secret, with each one told apart where they are still encrypted."""
    secrets = []

    def encrypted(item: dict[str, Any]) -> Any:
        if item.keys() != {"secure"}:
            return item
        secrets.append(Secret())
        return secrets[-1]

    try:
        value = json.loads(text, object_hook=encrypted)
    except (json.JSONDecodeError, RecursionError):
        return Secret()
    return value if secrets else Secret()

"""Manifests as the diff of a review shows them: the code of a script once, and only where it changed. Pure.

Code is left out by its text, never by the hash that an object claims: it is BASE's, it is what ``lua/`` has
here, or it stands in the diff as a file of its own. Any other code stands in its object.
"""

from collections.abc import Callable, Collection
from typing import Any

from ..istio import read
from ..istio.names import Manifest
from ..render.files import to_yaml
from .changes import SHOWN_HASH, Manifests, own_scripts

_CODE_FILE = "capture-script"
_LEFT_OUT = "-- (the code)\n"

Texts = dict[str, str]
"""Texts by the path of their file."""


def as_texts(before: Manifests, after: Manifests) -> tuple[Texts, Texts]:
    """Both sides of a review as files to compare.

    Returns:
        The manifests of each side, and a file for each code that changed.
    """
    changed = {
        (old, new)
        for file in before.keys() & after.keys()
        for old, new in zip(_codes(before[file]), _codes(after[file]), strict=False)
        if old != new
    }
    known = {code for manifest in before.values() for code in _codes(manifest)}
    known |= {new for _, new in changed}
    known |= {parts[0] for text in own_scripts() if (parts := read.parts_of(text))}
    texts: tuple[Texts, Texts] = {}, {}
    for ours, others, side in ((before, after, texts[0]), (after, before, texts[1])):
        for file, manifest in ours.items():
            side[file] = to_yaml(_without_known(manifest, known, is_new_or_gone=file not in others))
    for number, pair in enumerate(sorted(changed), 1):
        for code, side in zip(pair, texts, strict=True):
            side[f"{_CODE_FILE}-{number}.lua"] = code
    return texts


def _codes(manifest: Manifest) -> list[str]:
    """The code of each script of an object, each once; none where nothing says that it is a capture's."""
    if read.script_hash(manifest) is None:
        return []
    parts = map(read.parts_of, read.texts(manifest))
    return list(dict.fromkeys(code for code, _ in filter(None, parts)))


def _without_known(manifest: Manifest, known: Collection[str], is_new_or_gone: bool) -> Manifest:
    """An object with the settings of its scripts alone, where their code is known.

    If it is new or gone, one line stands for the settings too: the review's tables tell them, as far as all
    scripts of the object have the same.
    """
    if not _codes(manifest):
        return manifest
    hides_settings = is_new_or_gone and _has_one_set_of_settings(manifest)
    line = f"capture script {str(read.script_hash(manifest))[:SHOWN_HASH]}"

    def replace(text: str) -> str:
        parts = read.parts_of(text)
        if parts is None or parts[0] not in known:
            return text
        return line if hides_settings else f"{parts[1]}\n{_LEFT_OUT}"

    replaced: Manifest = _replaced(manifest, replace)
    return replaced


def _has_one_set_of_settings(manifest: Manifest) -> bool:
    settings = [found for text in read.texts(manifest) if (found := read.settings_of(text))]
    return all({**found, "direction": None} == {**settings[0], "direction": None} for found in settings)


def _replaced(value: Any, replace: Callable[[str], str]) -> Any:
    """A value with each of its texts replaced."""
    match value:
        case str():
            return replace(value)
        case dict():
            return {key: _replaced(item, replace) for key, item in value.items()}
        case list():
            return [_replaced(item, replace) for item in value]
    return value

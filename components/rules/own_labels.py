"""The labels by which the package's objects are found again. Pure."""

from collections.abc import Iterator

from ..istio.names import PART_OF
from ..settings.validation import Problem, shown
from .parts import Parts


def problems(parts: Parts) -> Iterator[Problem]:
    """Common labels that say something else in the place of the package's own."""
    for key, own in PART_OF.items():
        given = (parts.common_labels or {}).get(key, own)
        if given != own:
            got = shown(given) if isinstance(given, str) else "an Output"
            yield Problem(
                ("common_labels", key),
                f"got {got}, expected another key: by this label kubectl, verify and review find the objects "
                "of the package",
            )

"""What the form of spans and their encoding ask of each other. Pure."""

from collections.abc import Iterator

from ..settings.models import Capture, Compatibility, Encoding
from ..settings.validation import Path, Problem
from .parts import Parts


def problems(parts: Parts) -> Iterator[Problem]:
    """An encoding that the guide's script does not have, for the whole stack or else for a workload."""
    if parts.capture is None:
        return
    places: dict[Path, Capture] = {("capture",): parts.capture}
    if not _is_refused(parts.capture):
        places |= {
            (*path, "capture"): parts.capture.overridden_by(workload.capture)
            for (path, _), workload in parts.workloads.items()
        }
    for path, capture in places.items():
        if _is_refused(capture):
            yield Problem(
                (*path, "export", "encoding"),
                "got protobuf, expected json with compatibility: guide, as the guide's script sends JSON: "
                "leave encoding out",
            )


def _is_refused(capture: Capture) -> bool:
    return capture.compatibility is Compatibility.GUIDE and capture.export.encoding is Encoding.PROTOBUF

"""What the form of spans and their encoding ask of each other. Pure."""

from collections.abc import Iterator

from ..settings.models import Capture, Compatibility, Encoding
from ..settings.validation import Path, Problem


def encoding_problems(path: Path, capture: Capture) -> Iterator[Problem]:
    """An encoding that the guide's script does not have.

    Args:
        path: the place of the capture settings.
        capture: the settings, those of the stack merged in.
    """
    if capture.compatibility is Compatibility.GUIDE and capture.export.encoding is Encoding.PROTOBUF:
        yield Problem(
            (*path, "export", "encoding"),
            "got protobuf, expected json with compatibility: guide, as the guide's script sends JSON: "
            "leave encoding out",
        )

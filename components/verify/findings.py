"""What a check has to say."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is, worst first."""

    PROBLEM = "problem"
    """Requests are not captured, or spans do not arrive, or not as declared."""

    UNKNOWN = "unknown"
    """It could not be checked."""

    NOTE = "note"
    """Worth knowing; nothing is wrong."""

    OK = "ok"


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    Attributes:
        level: how bad it is.
        check: what was checked, in a word: the documentation explains each.
        subject: the object, or the pod as ``NAME.NAMESPACE``.
        message: what was found, one line.
        next: what to do about it, one line; empty where there is nothing to do.
    """

    level: Level
    check: str
    subject: str
    message: str
    next: str = ""

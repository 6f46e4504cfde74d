"""What a changed setting does to what leaves a proxy: more or less is captured, more or less is masked. Pure.

The one place that judges settings: reviews mark changes by it, and the policy of redaction refuses what masks
less than the defaults do. A setting in :data:`NEUTRAL` does neither.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Axis(StrEnum):
    """What a setting has more or less of."""

    MASKING = "masks"
    CAPTURE = "captures"


def _is_among(item: object, others: Collection[Any]) -> bool:
    return item in others


def _is_type_among(content_type: str, patterns: Collection[str]) -> bool:
    """Whether one of the patterns matches everything that a content type, or a pattern of them, matches."""
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".+"), content_type.replace("*", "-"))
        for pattern in patterns
    )


def _is_host_among(host: str, patterns: Collection[str]) -> bool:
    """Whether one of the patterns matches everything that a host, or a pattern of hosts, matches.

    ``*`` matches all hosts, ``*.example.com`` all names below that domain.
    """
    return host in patterns or any(
        pattern.startswith("*") and host.endswith(pattern[1:]) for pattern in patterns
    )


def _is_path_among(path: str, patterns: Collection[str]) -> bool:
    """Whether one of the patterns matches everything that a path, or a pattern of paths, matches.

    ``*`` at the end stands for any rest.
    """
    return path in patterns or any(
        pattern.endswith("*") and path.startswith(pattern[:-1]) for pattern in patterns
    )


@dataclass(frozen=True)
class Judgement:
    """What it means if a setting has more: a larger number, a longer list, a later one of its values.

    Attributes:
        axis: what it has an effect on.
        raises: whether more of the setting masks or captures more; False if it does less of it.
        ranks: the setting's values from little to much; empty for numbers and lists.
        is_among: whether an item of a list adds nothing to what the other items say.
        why: why more of the setting masks less, where that is not obvious: the end of a sentence.
    """

    axis: Axis
    raises: bool = True
    ranks: Sequence[object] = ()
    is_among: Callable[[Any, Collection[Any]], bool] = _is_among
    why: str = ""


@dataclass(frozen=True)
class Effect:
    """What a change does.

    Attributes:
        axis: what it has an effect on.
        less: whether there is less of that than before.
        more: whether there is more; lists that lose some items and gain others do both.
    """

    axis: Axis
    less: bool
    more: bool

    def __str__(self) -> str:
        words = [word for word, holds in (("less", self.less), ("more", self.more)) if holds]
        return f"{self.axis} {' and '.join(words)}"


_MORE_IS_CAPTURED = Judgement(Axis.CAPTURE)
_MORE_IS_MASKED = Judgement(Axis.MASKING)

JUDGEMENTS: Mapping[str, Judgement] = MappingProxyType(
    {
        "redaction.mode": Judgement(Axis.MASKING, ranks=("none", "mask")),
        "redaction.headers": _MORE_IS_MASKED,
        "redaction.fields": _MORE_IS_MASKED,
        "redaction.values": _MORE_IS_MASKED,
        "redaction.keepFields": Judgement(Axis.MASKING, raises=False),
        "binaryBodies": Judgement(
            Axis.MASKING, raises=False, ranks=("omit", "bytes"), why="which nothing masks"
        ),
        # A type matters for bodies that are no UTF-8 only: sent as text, names in them may not be found.
        "contentTypes": Judgement(
            Axis.MASKING, raises=False, is_among=_is_type_among, why="which masking may not read"
        ),
        "enabled": Judgement(Axis.CAPTURE, ranks=(False, True)),
        "samplingRatio": _MORE_IS_CAPTURED,
        "maxBodyBytes": _MORE_IS_CAPTURED,
        "maxHeaderValueBytes": _MORE_IS_CAPTURED,
        "maxHeadersBytes": _MORE_IS_CAPTURED,
        "maxPathBytes": _MORE_IS_CAPTURED,
        "maxSpansPerSecond": _MORE_IS_CAPTURED,
        "maxSpansPerEndpoint": _MORE_IS_CAPTURED,
        "compressedBodies": Judgement(Axis.CAPTURE, ranks=("omit", "inflate")),
        "headers": _MORE_IS_CAPTURED,
        "hosts": Judgement(Axis.CAPTURE, is_among=_is_host_among),
        "skipMethods": Judgement(Axis.CAPTURE, raises=False),
        "skipPaths": Judgement(Axis.CAPTURE, raises=False, is_among=_is_path_among),
        "skipContentTypes": Judgement(Axis.CAPTURE, raises=False, is_among=_is_type_among),
        # Which requests of which pods.
        "directions": _MORE_IS_CAPTURED,
        "labels": Judgement(Axis.CAPTURE, raises=False),
        "targetRefs": _MORE_IS_CAPTURED,
    }
)
"""The judged settings, by their path in a stack's configuration: below ``capture``, or in a workload.

A list that an ``extra...`` setting adds to, such as ``redaction.headers``, is judged together with what it
adds.
"""

NEUTRAL = frozenset(
    {
        "scheme",
        "trustedHops",
        "scopeName",
        "compatibility",  # the form of a span: the guide's is masked like any other
        "export.encoding",
        "export.timeoutMs",
        "export.maxBatchSpans",
        "export.maxBatchBytes",
        "export.maxDelayMs",
    }
)
"""Settings of a capture that change neither: those of the form of spans, and of how they travel."""


def added(setting: str, old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    """The items of the new list that add something to what the old list says."""
    judgement = JUDGEMENTS.get(setting)
    is_among = judgement.is_among if judgement else _is_among
    return [item for item in new if not is_among(item, old)]


def effect(setting: str, old: Any, new: Any) -> Effect | None:
    """What a change does to what leaves a proxy; None if nothing, or if nothing can be said.

    Args:
        setting: its path, as in :data:`JUDGEMENTS`.
        old: its value before the change; None where it had none.
        new: its value after the change; None where it has none.
    """
    judgement = JUDGEMENTS.get(setting)
    if judgement is None:
        return None
    if isinstance(old, list) and isinstance(new, list):
        grows, shrinks = bool(added(setting, old, new)), bool(added(setting, new, old))
    else:
        old_amount, new_amount = _amount(judgement, old), _amount(judgement, new)
        if old_amount is None or new_amount is None:
            return None
        grows, shrinks = new_amount > old_amount, new_amount < old_amount
    if not grows and not shrinks:
        return None
    less, more = (shrinks, grows) if judgement.raises else (grows, shrinks)
    return Effect(judgement.axis, less, more)


def _amount(judgement: Judgement, value: object) -> float | None:
    """How much a value is of a setting; None where another release means something else by it."""
    if judgement.ranks:
        return judgement.ranks.index(value) if value in judgement.ranks else None
    if value is False:  # a script's word for no limit
        return math.inf
    return float(value) if isinstance(value, int | float) else None

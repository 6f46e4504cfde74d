"""JSON from a cluster or from a proxy, either of which may be hostile: bounded before it is taken. Pure."""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 100
MAX_NUMBER = 2**64 - 1
"""The largest counter of Envoy and of Kubernetes."""


def parse(answer: bytes, max_values: int) -> Any:
    """The value of an answer.

    Args:
        answer: its bytes.
        max_values: how many values it may hold: one that takes three bytes in JSON takes a hundred here.

    Raises:
        ValueError: it is no JSON (RFC 8259, without NaN and Infinity), or more than is taken. The message is
            the end of a sentence.
    """
    if sum(answer.count(mark) for mark in (b"[", b"{", b",")) > max_values:
        raise ValueError(f"has more than {max_values} values")
    try:
        value = json.loads(answer, parse_constant=_refused, parse_float=_float, parse_int=_int)
    except RecursionError:
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError:
        raise ValueError("is no JSON") from None
    _check_depth(value)
    return value


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _int(text: str) -> int:
    # Python takes quadratic time for the digits, and refuses to print more than 4,300 of them.
    return count(text)


def count(value: str | float) -> int:
    """A counter, which Envoy writes as a number or as text.

    Raises:
        ValueError: it is none.
    """
    digits = str(value)
    if len(digits.lstrip("-")) > len(str(MAX_NUMBER)) or abs(int(digits)) > MAX_NUMBER:
        raise ValueError("a number of more than 64 bits")
    return int(digits)


def _check_depth(value: Any) -> None:
    """What walks an answer later goes as deep as it does."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        depth += 1

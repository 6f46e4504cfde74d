"""Findings as a table for people, as Markdown for pull requests, and as JSON for programs. Pure."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..output.escaping import in_markdown
from ..output.markdown import table
from .findings import Finding, Level

HEALTHY, FINDINGS, UNCHECKED = 0, 1, 2
"""Exit statuses: all is well; there are problems; something could not be checked."""

_VERDICTS = {
    HEALTHY: "healthy",
    FINDINGS: "problems found",
    UNCHECKED: "no problem found, but not all could be checked",
}
_SUBJECTS = 3  # objects or pods that a row names; it counts further ones
_FINE = 8  # fine findings of one check that are listed; if there are more, one row counts them all
_MIN_WIDTH = 40  # characters for the text of a finding, however narrow the terminal is


def exit_status(findings: Iterable[Finding]) -> int:
    """0 if healthy, 1 with problems, 2 if something could not be checked."""
    levels = {finding.level for finding in findings}
    if Level.PROBLEM in levels:
        return FINDINGS
    return UNCHECKED if Level.UNKNOWN in levels else HEALTHY


def as_json(stack: str, findings: Sequence[Finding]) -> str:
    """All findings, those that are fine too."""
    status = exit_status(findings)
    document = {
        "stack": stack,
        "exitStatus": status,
        "verdict": _VERDICTS[status],
        "findings": [
            {
                "level": finding.level.value,
                "check": finding.check,
                "subject": finding.subject,
                "message": finding.message,
                "next": finding.next,
            }
            for finding in findings
        ],
    }
    return _json(document)


def unchecked_as_json(stack: str, reason: str) -> str:
    """The same form where nothing could be checked."""
    document = {"stack": stack, "exitStatus": UNCHECKED, "verdict": reason, "findings": []}
    return _json(document)


def _json(document: dict[str, Any]) -> str:
    """In ASCII: a program reads the values as they are, and a terminal obeys none of them."""
    return json.dumps(document, indent=2).replace("\x7f", "\\u007f") + "\n"


def as_table(stack: str, findings: Sequence[Finding], width: int) -> str:
    """The findings as a table, worst first, with the next step of each. Many that are fine are one count.

    Args:
        stack: the stack's name.
        findings: all of them.
        width: of the terminal, in columns.
    """
    rows, fine = _grouped(findings)
    column = 2 + max(map(len, [*fine, *(check for _, check, _, _ in rows)]), default=0)
    lines: list[str] = []
    for (level, check, message, step), subjects in rows.items():
        head = f"{level.value:<9}{check:<{column}}"
        lines += _wrapped(head, f"{_names(subjects)}: {message}", width)
        if step:
            lines += _wrapped(" " * len(head), f"-> {step}", width)
    lines += [f"{'ok':<9}{check:<{column}}{count} are fine" for check, count in fine.items()]
    return "\n".join([*lines, "", f"stack {stack}: {_VERDICTS[exit_status(findings)]}", ""])


def as_markdown(stack: str, findings: Sequence[Finding]) -> str:
    """The same as Markdown, for a pull request or a CI run's summary."""
    rows, fine = _grouped(findings)
    cells = [
        (level.value, check, _names(subjects), message, step)
        for (level, check, message, step), subjects in rows.items()
    ]
    cells += [("ok", check, "", f"{count} are fine", "") for check, count in fine.items()]
    found = table("Findings", ("", "finding", "where", "what", "next step"), cells) if cells else ""
    return f"# Stack {in_markdown(stack)}: {_VERDICTS[exit_status(findings)]}\n\n{found}"


def unchecked_as_markdown(stack: str, reason: str) -> str:
    """The same form where nothing could be checked."""
    return f"# Stack {in_markdown(stack)}: not checked\n\n{in_markdown(reason)}\n"


def _grouped(
    findings: Sequence[Finding],
) -> tuple[dict[tuple[Level, str, str, str], list[str]], dict[str, int]]:
    """Where each thing was found, the worst first; and by check, how many fine ones are not listed."""
    counts = Counter(finding.check for finding in findings if finding.level is Level.OK)
    fine = {check: count for check, count in counts.items() if count > _FINE}
    rows: dict[tuple[Level, str, str, str], list[str]] = {}
    for level in Level:
        for finding in findings:
            if finding.level is level and not (level is Level.OK and finding.check in fine):
                key = (level, finding.check, finding.message, finding.next)
                rows.setdefault(key, []).append(finding.subject)
    return rows, fine


def _names(subjects: Sequence[str]) -> str:
    names = ", ".join(subjects[:_SUBJECTS])
    return names if len(subjects) <= _SUBJECTS else f"{names} and {len(subjects) - _SUBJECTS} more"


def _wrapped(head: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(head) + _MIN_WIDTH),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )

"""Changes as Markdown that also reads well in a terminal. Pure."""

from collections.abc import Sequence

from ..output.markdown import table
from .changes import Changes

_SHOWN_NAMES = 8


def summary(changes: Changes) -> str:
    """Tables of what changed, the most important first."""
    tables = []
    if any(changes.workloads.values()):
        rows = [(what, name) for what, names in changes.workloads.items() for name in names]
        tables.append(table("Workloads", ("", "namespace/workload (labels)"), rows))
    if changes.settings:
        tables.append(
            table(
                "Settings",
                ("setting", "from", "to", "of"),
                [(*key, _names(names)) for key, names in changes.settings.items()],
            )
        )
    if changes.scripts:
        tables.append(
            table(
                "Script",
                ("from", "to", "workloads"),
                [(*key, _names(names)) for key, names in changes.scripts.items()],
            )
        )
    objects = [
        (kind, what, _names(names))
        for kind, by_what in sorted(changes.objects.items())
        for what, names in by_what.items()
    ]
    if objects:
        tables.append(table("Objects", ("kind", "", "namespace/name"), objects))
    return "\n".join(tables) or "No changes.\n"


def without_repeats(diff: str) -> str:
    """A diff by git in which files that change alike are shown once, with the names of the others."""
    alike: dict[tuple[str, ...], list[tuple[str, str, str]]] = {}
    for of_file in f"\n{diff}".split("\ndiff --git ")[1:]:
        # Between that line and the names stand modes and blob ids.
        old, new, body = of_file.rstrip("\n").partition("\n--- ")[2].split("\n", 2)
        changed = tuple(line for line in body.split("\n") if line[0] in "+-")
        alike.setdefault(changed, []).append((old.rstrip("\t"), new.removeprefix("+++ ").rstrip("\t"), body))
    shown = []
    for (old, new, body), *others in alike.values():
        repeats = f"# The same in {_names([name for _, name, _ in others])}.\n" if others else ""
        shown.append(f"--- {old}\n+++ {new}\n{repeats}{body}\n")
    return "".join(shown)


def _names(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")

"""Changes as Markdown that also reads well in a terminal. Pure."""

from collections.abc import Mapping, Sequence

from ..output.markdown import table
from ..settings.effects import Axis
from .changes import Changes, SettingChange

_SHOWN_NAMES = 8
_MAX_WIDTH = 120

Rows = list[tuple[str, ...]]


def summary(changes: Changes) -> str:
    """Tables of what changed, the most important first."""
    tables = [
        ("Workloads", ("", "namespace/workload (labels)"), _workloads(changes)),
        (
            "Settings of added workloads",
            ("", "setting", "default", "here", "of"),
            _settings(changes.added_settings),
        ),
        ("Settings", ("", "setting", "from", "to", "of"), _settings(changes.settings)),
        ("Script", ("from", "to", "workloads"), _scripts(changes)),
        ("Objects", ("kind", "", "namespace/name"), _objects(changes)),
    ]
    shown = [table(title, header, rows, _MAX_WIDTH) for title, header, rows in tables if rows]
    return "\n".join(shown) or "No changes.\n"


def _workloads(changes: Changes) -> Rows:
    return [(what, name) for what, names in changes.workloads.items() for name in names]


def _scripts(changes: Changes) -> Rows:
    return [(*hashes, _names(names)) for hashes, names in changes.scripts.items()]


def _objects(changes: Changes) -> Rows:
    return [
        (kind, what, _names(names))
        for kind, by_what in sorted(changes.objects.items())
        for what, names in by_what.items()
    ]


def _settings(changes: Mapping[SettingChange, Sequence[str]]) -> Rows:
    """A row for each change, those with an effect to look at first."""
    return [
        (str(change.effect or ""), change.setting, change.old, change.new, _names(changes[change]))
        for change in sorted(changes, key=_rank)
    ]


def _rank(change: SettingChange) -> int:
    """What asks for most attention has the lowest rank."""
    effect = change.effect
    if effect is None:
        return 3
    if effect.axis is Axis.MASKING:
        return 0 if effect.less else 2
    return 1 if effect.more else 2


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

"""The reference of every setting, docs/settings.md: ``python -m tools.settings_reference`` (``make docs``).

What a setting is comes from the models that check it (``components/settings/``); which test shows what it
does, from the marks of the tests that run a real Envoy: ``@pytest.mark.setting("capture.maxBodyBytes")``.
"""

import argparse
import ast
import json
import re
import types
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from components.settings import models
from components.settings.validation import Spelling, expected, spelled

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "settings.md"
TESTS = ("tests/envoy", "tests/mesh")

# The end of a number's key says what it counts.
_UNITS = {
    "Bytes": "bytes",
    "Ms": "milliseconds",
    "Ratio": "share of requests, 1 is all",
    "PerSecond": "spans per second",
    "PerEndpoint": "spans per minute",
    "Spans": "spans",
    "Connections": "connections",
    "Requests": "requests",
    "Hops": "proxies",
}
_SHORT_LIST = 4
_WIDTH = 116

_HEAD = """\
# Settings

<!-- Written by `make docs` from components/settings/ and the tests. Do not edit. -->

Every setting of a stack, as a stack file spells it; in Python the names are in snake_case. `*` stands for a
name of your choice. Write the keys below `config:`, each with `astra-istio-instrumentation:` before it, as in
`astra-istio-instrumentation:capture`. A value that does not fit is refused before anything is declared. The
message names the key, the value, and what was expected.

Each setting has a test that shows its effect in a real Envoy: see [Tests](#tests).
"""


class Setting(NamedTuple):
    """One setting.

    Attributes:
        key: its path in a stack's configuration; ``*`` is a name of the user's, ``[]`` an item of a list.
        model: the model that holds it.
        name: its field there.
    """

    key: str
    model: type[BaseModel]
    name: str

    @property
    def field(self) -> FieldInfo:
        """The field."""
        return self.model.model_fields[self.name]


class Group(NamedTuple):
    """Settings that belong together.

    Attributes:
        key: the path before their names; empty for a stack's own.
        model: the model that holds them.
        settings: in the model's order, without those that are groups.
    """

    key: str
    model: type[BaseModel]
    settings: list[Setting]


class EnvoyTest(NamedTuple):
    """A test that shows what a setting does.

    Attributes:
        file: its path in the repository.
        name: of the function.
    """

    file: str
    name: str

    @property
    def sentence(self) -> str:
        """What the test states."""
        return self.name.removeprefix("test_").replace("_", " ")


def groups(model: type[BaseModel] = models.TrafficCaptureSettings, key: str = "") -> Iterator[Group]:
    """Every setting of a stack, by group, outer ones first."""
    own, inner = Group(key, model, []), list[tuple[type[BaseModel], str]]()
    for name, field in model.model_fields.items():
        path = f"{key}.{spelled(name, Spelling.CONFIG)}".removeprefix(".")
        nested, suffix = _nested(field.annotation)
        described_elsewhere = nested is models.Capture and key != ""
        can_be_null = nested and field.default is not None and types.NoneType in get_args(field.annotation)
        if nested is None or suffix or described_elsewhere or can_be_null:
            own.settings.append(Setting(path, model, name))
        if nested and not described_elsewhere:
            inner.append((nested, path + suffix))
    yield own
    for nested, path in inner:
        yield from groups(nested, path)


def _nested(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The model that a value is, or holds many of, and how that is written after the key."""
    if get_origin(annotation) is Annotated:
        return _nested(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    suffix = {dict: ".*", list: "[]"}.get(get_origin(annotation) or annotation, "")
    for argument in get_args(annotation):
        model, inner = _nested(argument)
        if model:
            return model, suffix + inner
    return None, ""


def shown_by(folders: Sequence[str] = TESTS) -> Mapping[str, list[EnvoyTest]]:
    """The tests with a ``setting`` mark, by the settings that it names."""
    tests = defaultdict[str, list[EnvoyTest]](list)
    for folder in folders:
        for path in sorted((ROOT / folder).glob("test_*.py")):
            for function in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    for key in _marks(function):
                        tests[key].append(EnvoyTest(path.relative_to(ROOT).as_posix(), function.name))
    return tests


def _marks(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for decorator in function.decorator_list:
        for call in ast.walk(decorator):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.setting":
                yield from map(ast.literal_eval, call.args)


def page() -> str:
    """The whole page."""
    every_group = list(groups())
    overview = ["| setting | default |", "|---|---|"]
    sections, lists = list[str](), list[str]()
    for group in every_group:
        sections.append(_heading(group))
        for setting in group.settings:
            overview.append(f"| [`{setting.key}`](#{_anchor(setting.key)}) | {_default(setting)} |")
            sections.append(_section(setting))
            if _is_long(setting.field.default):
                lists.append(_long_default(setting))
    long_defaults = ["## Long defaults\n", *lists]
    parts = [_HEAD, "\n".join(overview) + "\n", *sections, _in_python(), *long_defaults, _tests(every_group)]
    return "\n".join(parts)


def _heading(group: Group) -> str:
    title = _title(group.key) if group.key else "The stack"
    text = str(group.model.__doc__).replace("``", "`")
    if group.key == "capture":
        text += (
            " These settings are for all workloads; a workload's own `capture` replaces single ones of them."
        )
    elif group.key == "egress":
        text += " These settings are for the whole stack."
    elif group.key == "workloads.*":
        text += " Each workload has its own settings."
    return f"## {title}\n\n{_wrapped(text)}\n"


def _title(group_key: str) -> str:
    return f"Settings of `{group_key}`"


def _section(setting: Setting) -> str:
    field = setting.field
    facts = {
        "Python": f"`{setting.name}` of `{_args(setting.model)}`",
        "Value": _value(setting),
        "Default": _default(setting),
    }
    lines = [_wrapped(f"- {name}: {fact}", "  ") for name, fact in facts.items() if fact]
    return f"### `{setting.key}`\n\n{_wrapped(str(field.description))}\n\n" + "\n".join(lines) + "\n"


def _args(model: type[BaseModel]) -> str:
    return f"{model.__name__.removesuffix('Settings')}Args"


def _value(setting: Setting) -> str:
    text = expected(setting.model, setting.name)
    nested, suffix = _nested(setting.field.annotation)
    if nested:
        group = "capture" if nested is models.Capture else setting.key + suffix
        text += f": see [{_title(group)}](#{_anchor(_title(group))})"
    if "number from" in text:
        key = setting.key.rpartition(".")[2].lower()
        text += f" ({next(unit for end, unit in _UNITS.items() if key.endswith(end.lower()))})"
    return text


def _default(setting: Setting) -> str:
    default = setting.field.default
    if setting.field.is_required():
        return "required"
    if default is None:
        return "not set"
    if isinstance(default, BaseModel):
        return "the defaults of its settings" if setting.name != "capture" else "the stack's"
    if _is_long(default):
        return f"[{len(default)} entries](#{_anchor(f'Default of {setting.key}')})"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _is_long(default: object) -> bool:
    return isinstance(default, list) and len(default) > _SHORT_LIST


def _long_default(setting: Setting) -> str:
    text = _wrapped(", ".join(map(str, setting.field.default)))
    return f"### Default of `{setting.key}`\n\n```text\n{text}\n```\n"


def _in_python() -> str:
    lines = []
    for model in (
        models.TrafficCaptureSettings,
        models.WorkloadCaptureSettings,
        models.CollectorEgressSettings,
    ):
        keys = ", ".join(f"`{name}`" for name in model.model_fields)
        component = model.__name__.removesuffix("Settings")
        lines.append(_wrapped(f"- `{component}` takes `{_args(model)}`: {keys}.", "  "))
    own = models.WorkloadCaptureSettings.model_fields["workload"].description
    lines.append(_wrapped(f"- `workload` is Python's only: {str(own)[0].lower()}{str(own)[1:]}", "  "))
    return "## In Python\n\n" + "\n".join(lines) + "\n"


def _tests(every_group: Sequence[Group]) -> str:
    tests = shown_by()
    rows = ["| setting | what its tests show |", "|---|---|"]
    for setting in (setting for group in every_group for setting in group.settings):
        shown = "; ".join(
            f"{test.sentence} ([{Path(test.file).name}](../{test.file}))"
            for test in tests.get(setting.key, [])
        )
        rows.append(f"| [`{setting.key}`](#{_anchor(setting.key)}) | {shown} |")
    head = (
        "## Tests\n\nTests of tests/envoy run in a real Envoy, those of tests/mesh also with a real istiod.\n"
    )
    return "\n".join([head, *rows]) + "\n"


def _anchor(heading: str) -> str:
    """GitHub's anchor of a heading."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def _wrapped(text: str, indent: str = "") -> str:
    """Lines of at most the width, broken at spaces outside of backticks and links."""
    lines = [""]
    for word in re.findall(r"(?:`[^`]*`|\[[^\]]*\]\([^)]*\)|\S)+", text):
        if lines[-1].strip() and len(lines[-1]) + len(word) >= _WIDTH:
            lines.append(indent)
        lines[-1] += word if not lines[-1].strip() else f" {word}"
    return "\n".join(lines)


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m tools.settings_reference",
        description="Write docs/settings.md anew, from the settings and the tests that show them.",
    ).parse_args()
    PAGE.write_text(page(), "utf-8")

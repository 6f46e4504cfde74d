"""The components' arguments, components/args.py: ``python -m tools.arguments`` (``make docs``).

They are the models of components/settings/models.py once more, as TypedDicts with a string under each field:
that is what Pulumi's component analyzer reads, and what an editor completes.
"""

import argparse
import textwrap
import types
from collections.abc import Awaitable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from components.settings import models

FILE = Path(__file__).parent.parent / "components" / "args.py"
MODELS: tuple[type[BaseModel], ...] = (
    models.Tls,
    models.Limits,
    models.Egress,
    models.Redaction,
    models.Export,
    models.Capture,
    models.TargetRef,
    models.Workload,
    models.CollectorEgressSettings,
    models.WorkloadCaptureSettings,
    models.TrafficCaptureSettings,
)
"""Each after those that it refers to."""

_HEAD = '''\
"""The components' arguments, as their callers write them.

Written by `make docs` from components/settings/models.py, which checks them. Do not edit.
"""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi

from .settings.models import (
'''


def module() -> str:
    """The whole module."""
    enums = sorted({enum for model in MODELS for enum in _enums(model)})
    classes = "".join(f"\n\n{_class(model)}" for model in MODELS)
    imported = "".join(f"    {name},\n" for name in enums)
    return f"{_HEAD}{imported})\n{classes}"


def _enums(model: type[BaseModel]) -> Iterator[str]:
    left = [field.annotation for field in model.model_fields.values()]
    while left:
        annotation = left.pop()
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            yield annotation.__name__
        left += get_args(annotation)


def _class(model: type[BaseModel]) -> str:
    name = model.__name__.removesuffix("Settings")
    doc = f"Arguments of ``{name}``." if model.__name__ != name else str(model.__doc__)
    # A caller reads first what is needed.
    fields = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    lines = [f"class {name}Args(TypedDict):", _doc(doc), ""]
    for field, info in fields:
        text = _type(info.annotation)
        lines += [f"    {field}: {text if info.is_required() else f'NotRequired[{text}]'}"]
        lines += [_doc(str(info.description))]
    return "\n".join(lines) + "\n"


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in {Union, types.UnionType}:
        if any(get_origin(argument) is Awaitable for argument in arguments):
            return f"pulumi.Input[{_type(arguments[0])}]"
        return " | ".join(map(_type, arguments))
    if origin is types.NoneType:
        return "None"
    if issubclass(origin, BaseModel):
        return f"{origin.__name__}Args"
    name = "Mapping" if issubclass(origin, dict) else origin.__name__
    return f"{name}[{', '.join(map(_type, arguments))}]" if arguments else str(name)


def _doc(text: str) -> str:
    return textwrap.fill(
        f'"""{text}"""', 110, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
    )


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m tools.arguments",
        description="Write components/args.py anew, from the settings' models.",
    ).parse_args()
    FILE.write_text(module(), "utf-8")

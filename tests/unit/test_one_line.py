"""A reviewer sees one changed setting of one workload as one changed line of that workload's filter."""

import difflib
import json
import shutil
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from components import render
from components.render import files as render_files
from components.settings.models import Capture
from components.settings.validation import Spelling, parse, spelled

ROOT = Path(__file__).parents[2]
OTHER_TEXTS = ("x-other", "other/type", "other words", "/other*", "OTHER")

Setting = tuple[str, ...]


def leaves(model: BaseModel, path: Setting = ()) -> Iterator[tuple[Setting, Any]]:
    """Every setting with its default."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        here = (*path, spelled(name, Spelling.CONFIG))
        yield from leaves(value, here) if isinstance(value, BaseModel) else [(here, value)]


def others(default: Any) -> list[Any]:
    """Values of the default's type, some of them other than it and legal."""
    match default:
        case bool():
            return [not default]
        case Enum():
            return [value.value for value in type(default) if value is not default]
        case [Enum(), *rest]:
            return [rest]
        case list():
            return [[*default, text] for text in OTHER_TEXTS]
        case str():
            return list(OTHER_TEXTS)
    return [1, "json"] if default is None else [default - 1, default + 1]


def nested(path: Setting, value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def changed(path: Setting, default: Any) -> dict[str, Any]:
    """Capture settings in which one is not its default."""
    for value in others(default):
        try:
            parse(Capture, nested(path, value), Spelling.CONFIG)
        except ValidationError:
            continue
        return nested(path, value)
    pytest.fail(f"{'.'.join(path)}: none of {others(default)} is legal, expected one: add it")


def rendered(project: Path, out: Path, capture: dict[str, Any]) -> dict[str, list[str]]:
    """The lines of each rendered file."""
    config = {
        "sensorId": "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77",
        "collectorUrl": "http://otel.obs:4318",
        "workloads": {
            name: {"namespace": "shop", "labels": {"app": name}, "capture": settings}
            for name, settings in (("changed", capture), ("other", {}))
        },
    }
    # JSON is YAML.
    (project / "stacks" / "Pulumi.dev.yaml").write_text(json.dumps({"config": config}), "utf-8")
    files = render_files.write_clusters({"": render.manifests(project, "dev")}, out, stack="dev")
    return {file.name: file.read_text("utf-8").splitlines() for file in files}


@pytest.mark.parametrize(
    ("path", "default"), [pytest.param(*leaf, id=".".join(leaf[0])) for leaf in leaves(Capture())]
)
def test_a_changed_setting_is_one_changed_line_of_the_workloads_filter(
    path: Setting, default: Any, tmp_path: Path
) -> None:
    (tmp_path / "stacks").mkdir()
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    before = rendered(tmp_path, tmp_path / "before", {})
    after = rendered(tmp_path, tmp_path / "after", changed(path, default))
    assert before.keys() == after.keys()
    name = "EnvoyFilter.shop.astra-istio-mesh-filter-changed.yaml"
    assert [file for file in before if before[file] != after[file]] == [name]
    lines = list(difflib.unified_diff(before[name], after[name], n=0, lineterm=""))[2:]
    assert len([line for line in lines if line.startswith("@@")]) == 1
    added = [line[1:] for line in lines if line.startswith("+")]
    removed = [line[1:] for line in lines if line.startswith("-")]
    # A longer list has a line more, a shorter one a line less, and no other.
    assert (len(removed), len(added)) in ({(0, 1), (1, 0)} if isinstance(default, list) else {(1, 1)})
    script_indent = " " * 14
    assert all(line.startswith(script_indent) for line in removed + added)

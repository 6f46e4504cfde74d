"""What users build on, as tests/unit/contract.yaml has it: a change of that file is a change for them.

docs/stability.md says what which change means. ``UPDATE_GOLDEN=1`` writes the file anew.
"""

import json
import os
import re
import runpy
from enum import StrEnum
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime.stack import Stack
from pydantic import BaseModel

import components
from components import CollectorEgress, TrafficCapture, WorkloadCapture, args
from components.settings import models
from components.version import VERSION
from tests.unit.conftest import Engine
from tools import settings_reference

ROOT = Path(__file__).parents[2]
CONTRACT = Path(__file__).parent / "contract.yaml"
SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
# One of each object that there is.
CONFIG: dict[str, Any] = {
    "sensorId": SENSOR_ID,
    "collectorUrl": "https://collector.example.com",
    "egress": {"waypoints": True},
    "commonLabels": {"istio.io/rev": "1-30-0"},
    "workloads": {
        "reviews": {"namespace": "books", "labels": {"app": "reviews"}},
        "edge": {
            "namespace": "edge",
            "labels": {"istio": "ingressgateway"},
            "mechanism": "TrafficExtension",
            "directions": ["gateway"],
        },
    },
}


def test_what_users_build_on_is_as_it_was(engine: Engine) -> None:
    text = yaml.dump(contract(engine), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    if os.environ.get("UPDATE_GOLDEN"):
        CONTRACT.write_text(text, "utf-8")
    assert text == CONTRACT.read_text("utf-8"), (
        "docs/stability.md says what a change of tests/unit/contract.yaml means for users; "
        "if it is meant, write it anew with UPDATE_GOLDEN=1, and say so in CHANGELOG.md"
    )


def test_the_version_is_that_of_the_changelogs_first_entry() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == VERSION


class _Dumper(yaml.SafeDumper):
    """Lists indented, as stack files have them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, indentless=False)


def contract(engine: Engine) -> dict[str, Any]:
    exports = run(engine)
    objects = [resource for resource in engine.declared if resource.type.startswith("kubernetes:")]
    return {
        "resources (type, name, parent)": sorted(
            f"{resource.type} {resource.name} {resource.parent}" for resource in engine.declared
        ),
        "objects (kind, namespace, name, annotations)": sorted(
            " ".join([of["kind"], of["metadata"]["namespace"], of["metadata"]["name"], *annotations(of)])
            for of in (resource.inputs for resource in objects)
        ),
        "labels of every object": [dict(items) for items in sorted({labels(of.inputs) for of in objects})],
        "filters in Envoy (name, prefix of its statistics)": sorted(envoy_filters(objects)),
        "exports of the program": sorted(exports),
        "outputs of the components": {
            component.__name__: list(component.__annotations__)
            for component in (TrafficCapture, CollectorEgress, WorkloadCapture)
        },
        "names to import": sorted(components.__all__),
        "arguments, required ones with a star": {
            name: sorted(
                f"{key}*" if key in vars(found)["__required_keys__"] else key for key in found.__annotations__
            )
            for name, found in vars(args).items()
            if name.endswith("Args")
        },
        "choices": {
            name: list(map(str, found))
            for name, found in vars(models).items()
            if isinstance(found, type) and issubclass(found, StrEnum) and found is not StrEnum
        },
        "keys of a stack and their defaults": {
            setting.key: default(setting.field)
            for group in settings_reference.groups()
            for setting in group.settings
        },
    }


def run(engine: Engine) -> dict[str, Any]:
    """Run the program as the engine does, and return what it exports."""
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in CONFIG.items()}
    pulumi.runtime.set_all_config({f"tests:{key}": value for key, value in values.items()}, [])
    exports: dict[str, Any] = {}

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
        root = pulumi.runtime.get_root_resource()
        assert isinstance(root, Stack)
        pulumi.Output.from_input(root.outputs).apply(exports.update)

    engine.run(program)
    return exports


def annotations(manifest: dict[str, Any]) -> list[str]:
    return sorted(manifest["metadata"].get("annotations", {}))


def labels(manifest: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(manifest["metadata"]["labels"].items()))


def envoy_filters(objects: Any) -> Any:
    for resource in objects:
        for patch in resource.inputs["spec"].get("configPatches", []):
            value = patch["patch"].get("value", {})
            if "default_source_code" in value.get("typed_config", {}):
                yield f"{value['name']} {value['typed_config']['stat_prefix']}"


def default(field: Any) -> Any:
    if field.is_required():
        return "(required)"
    if isinstance(field.default, BaseModel):
        return "(as its settings)"
    return json.loads(json.dumps(field.default))

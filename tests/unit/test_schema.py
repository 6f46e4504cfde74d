"""One source for every setting: the models, the TypedDicts and Pulumi.yaml say the same."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi.provider.experimental.analyzer import Analyzer
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from components import CollectorEgress, TrafficCapture, WorkloadCapture
from components.settings import models
from tools import arguments

ROOT = Path(__file__).parents[2]


def test_the_arguments_are_those_of_the_models_today() -> None:
    assert arguments.FILE.read_text("utf-8") == arguments.module(), "run `make docs`"


@pytest.mark.parametrize("model", arguments.MODELS, ids=lambda model: model.__name__)
def test_a_description_says_the_bounds_and_a_numbers_default(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        said = (field.description or "").split()
        numbers = [word.rstrip(".,") for word in said]
        bounds = [getattr(item, "ge", getattr(item, "le", None)) for item in field.metadata]
        default = field.default if isinstance(field.default, int | float) else None
        for number in (*bounds, default):
            if number is not None and not isinstance(number, bool):
                assert f"{number:g}" in numbers or str(number) in numbers, (name, number)


def test_every_setting_of_a_stack_is_declared_in_pulumi_yaml_with_its_description() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text("utf-8"))["config"]
    expected = {
        to_camel(name): field.description
        for name, field in models.TrafficCaptureSettings.model_fields.items()
    }
    assert {key: value["description"] for key, value in declared.items()} == expected


def test_pulumi_yaml_requires_what_the_models_require_as_a_key_without_a_default_is_required() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text("utf-8"))["config"]
    fields = models.TrafficCaptureSettings.model_fields.items()
    assert {key for key, value in declared.items() if "default" not in value} == {
        to_camel(name) for name, field in fields if field.is_required()
    }
    assert all(value["default"] == {} for value in declared.values() if "default" in value)
    assert {key for key, value in declared.items() if value["type"] == "string"} == {
        "sensorId",
        "collectorUrl",
    }


@pytest.mark.parametrize("component", [CollectorEgress, WorkloadCapture, TrafficCapture])
def test_pulumis_analyzer_can_offer_a_component_to_other_languages(component: type) -> None:
    definition = Analyzer("astra-istio").analyze([component])
    found: Any = definition["component_definitions"][component.__name__]
    assert found.inputs["collectorUrl"].description == (
        "OTLP/HTTP endpoint of the Astra Traffic Collector; an empty path means /v1/traces."
    )

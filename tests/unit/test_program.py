"""The Pulumi program: from a stack's configuration to its outputs."""

import json
import runpy
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime.stack import Stack

from components import SettingsError
from tests.unit.conftest import Engine

PROGRAM = Path(__file__).parents[2] / "__main__.py"
SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
CONFIG = {
    "sensorId": SENSOR_ID,
    "collectorUrl": "https://collector.example.com",
    "workloads": json.dumps({"w": {"namespace": "shop"}, "v": {"namespace": "shop", "labels": {"app": "v"}}}),
    "egress": "{}",
    "capture": "{}",
    "commonLabels": "{}",
}


def run(engine: Engine, config: dict[str, str], secrets: list[str]) -> dict[str, Any]:
    """Run the program as the engine does, and return what it exports."""
    namespaced = {f"tests:{key}": value for key, value in config.items()}
    pulumi.runtime.set_all_config({**namespaced, "kubernetes:context": "kind"}, secrets)
    exports: dict[str, Any] = {}

    def program() -> None:
        runpy.run_path(str(PROGRAM), run_name="__main__")
        root = pulumi.runtime.get_root_resource()
        assert isinstance(root, Stack)
        pulumi.Output.from_input(root.outputs).apply(exports.update)

    engine.run(program)
    return exports


def test_a_stack_exports_the_collector_and_what_captures_each_workload(engine: Engine) -> None:
    assert run(engine, CONFIG, []) == {
        "collectorHost": "collector.example.com",
        "collectorPort": 443,
        "collectorCluster": "outbound|4318||collector.example.com",
        "capturedWorkloads": {
            "w": {"namespace": "shop", "filterName": "astra-istio-mesh-filter-w"},
            "v": {"namespace": "shop", "filterName": "astra-istio-mesh-filter-v"},
        },
    }


def test_a_bad_configuration_is_one_clean_message_and_declares_nothing(engine: Engine) -> None:
    with pytest.raises(SettingsError) as refusal:
        run(engine, {**CONFIG, "sensorId": "x", "sensorID": SENSOR_ID}, [])
    assert isinstance(refusal.value, pulumi.RunError)
    assert [problem.split(":")[0] for problem in refusal.value.problems] == ["sensorId", "sensorID"]
    assert engine.declared == []


def test_a_secret_sensor_id_is_refused_with_the_reason(engine: Engine) -> None:
    with pytest.raises(
        SettingsError, match=r"^sensorId: got a secret, .* hides the whole script from review$"
    ):
        run(engine, CONFIG, ["tests:sensorId"])
    assert engine.declared == []

"""This repository's program in a process of its own, speaking to an engine."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.package.conftest import ROOT
from tests.package.engine import RecordingEngine

PYTHON = Path(sys.executable)
STACKS = sorted(path.name.split(".")[1] for path in (ROOT / "stacks").glob("Pulumi.*.yaml"))


def config(stack: str) -> dict[str, str]:
    """A committed stack's configuration as the engine hands it over."""
    path = ROOT / "stacks" / f"Pulumi.{stack}.yaml"
    values = yaml.safe_load(path.read_text("utf-8"))["config"]
    return {
        key.replace("astra-istio-instrumentation:", "tests:"): value
        if isinstance(value, str)
        else json.dumps(value)
        for key, value in values.items()
    }


@pytest.mark.parametrize("stack", STACKS)
def test_a_committed_stack_runs_without_a_word(engine: RecordingEngine, stack: str) -> None:
    ran = engine.run(PYTHON, ROOT, config(stack))
    assert (ran.returncode, ran.stdout, ran.stderr, engine.log) == (0, "", "", [])
    objects = {resource.type for resource in engine.resources if resource.type.startswith("kubernetes:")}
    assert "kubernetes:networking.istio.io/v1alpha3:EnvoyFilter" in objects
    assert set(engine.outputs["tests-test"]) == {
        "collectorHost",
        "collectorPort",
        "collectorCluster",
        "capturedWorkloads",
    }


def test_a_bad_configuration_is_one_message_without_a_traceback_and_declares_nothing(
    engine: RecordingEngine,
) -> None:
    bad = {**config("dev"), "tests:sensorId": "x", "tests:capture": json.dumps({"samplingRato": 1})}
    ran = engine.run(PYTHON, ROOT, bad)
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "")
    [(severity, message)] = engine.log
    assert severity == "ERROR"
    assert message.splitlines() == [
        "2 problems in the settings:",
        "  sensorId: got 'x', expected the sensor's UUID, such as 12345678-9abc-4def-8123-456789abcdef",
        "  capture.samplingRato: unknown key, did you mean samplingRatio?",
    ]
    assert engine.resources == []

"""The policy pack under the real engine: what it is asked there, and what a user sees."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from components.policy import REASON_LABEL
from tests.engine.conftest import ROOT, SENSOR_ID, Project

pytestmark = pytest.mark.timeout(300)

PACKAGE = ("components", "lua")
ALL_OF_SHOP: dict[str, Any] = {"checkout": {"namespace": "shop"}}
UNMASKED: dict[str, Any] = {"capture": {"redaction": {"mode": "none"}}}
LOAD_TEST = {"commonLabels": {REASON_LABEL: "load-test"}}
OUTSIDE: dict[str, Any] = {
    "collectorUrl": "http://collector.example.com:4318",
    "egress": {"location": "external"},
}
OTHER_SENSOR = "00000000-0000-4000-8000-000000000001"
COPIED = """
from pulumi_kubernetes.apiextensions import CustomResource

CustomResource(
    "copy",
    api_version="networking.istio.io/v1alpha3",
    kind="EnvoyFilter",
    metadata={
        "name": "copy",
        "namespace": "shop",
        "annotations": {"astra.security/capture-script-sha256": "0"},
    },
    spec={"configPatches": []},
)
"""


@pytest.fixture
def pack(project: Project, virtualenv: Path) -> Path:
    """A copy of the pack beside the package, in the environment that the program has."""
    folder = project.folder.parent / "checkout"
    shutil.copytree(ROOT / "policy", folder / "policy", ignore=shutil.ignore_patterns("__pycache__", "venv"))
    for name in PACKAGE:
        (folder / name).symlink_to(ROOT / name)
    manifest = folder / "policy" / "PulumiPolicy.yaml"
    content = yaml.safe_load(manifest.read_text("utf-8"))
    content["runtime"]["options"]["virtualenv"] = str(virtualenv)
    manifest.write_text(yaml.safe_dump(content), "utf-8")
    return folder / "policy"


def preview(project: Project, pack: Path, config: dict[str, Any]) -> str:
    """What a preview under the pack prints."""
    file = project.folder.parent / "policy.json"
    file.write_text(json.dumps(config), "utf-8")
    previewed = project.stack().preview(
        policy_packs=[str(pack)], policy_pack_configs=[str(file)], color="never"
    )
    return previewed.stdout


def violations(told: str) -> list[str]:
    """The policies that were violated, with the resource of each."""
    lines = [line.strip() for line in told.splitlines()]
    marked = [line.split()[2:] for line in lines if line.startswith("- [mandatory]")]
    return [f"{policy} {resource.rstrip(')')}" for policy, _, resource in marked]


@pytest.mark.parametrize(
    ("stack", "config"),
    [
        ({}, {}),
        ({"workloads": {"checkout": {"namespace": "shop", "labels": {}}}}, {}),
        ({**UNMASKED, **LOAD_TEST}, {"redaction": {"reasons": ["load-test"]}}),
        ({"capture": {"samplingRatio": 0.5}}, {"limits": {"maxSamplingRatio": 0.5}}),
        ({"collectorUrl": "https://collector.example.com"}, {}),
        ({}, {"sensor": {"sensorIds": [OTHER_SENSOR, SENSOR_ID.upper()]}}),
        (UNMASKED, {"redaction": {"enforcementLevel": "disabled"}}),
    ],
    ids=["usual", "whole namespace", "accepted reason", "at the limit", "https", "known sensor", "disabled"],
)
def test_what_the_pack_allows_passes_a_preview(
    rendering: Project, pack: Path, stack: dict[str, Any], config: dict[str, Any]
) -> None:
    rendering.configure(**stack)
    told = preview(rendering, pack, config)
    assert "astra-istio@" in told  # the pack ran
    assert violations(told) == []


@pytest.mark.parametrize(
    ("stack", "config", "expected"),
    [
        (
            {"workloads": ALL_OF_SHOP},
            {},
            (
                "selector astra-checkout",
                "captures every pod of namespace 'shop': say by labels which pods, or `labels: {}` if",
            ),
        ),
        (
            UNMASKED,
            {},
            (
                "redaction astra-checkout",
                (
                    f"redaction.mode is none: got no reason in the common label {REASON_LABEL}, "
                    "expected none: no reason is accepted"
                ),
            ),
        ),
        (
            {**UNMASKED, **LOAD_TEST},
            {"redaction": {"reasons": ["demo"]}},
            (
                "redaction astra-checkout",
                f"got 'load-test' in the common label {REASON_LABEL}, expected one of demo",
            ),
        ),
        (
            {},
            {"limits": {"maxSamplingRatio": 0.5}},
            ("limits astra-checkout", "samplingRatio: got 1, expected at most 0.5"),
        ),
        (
            OUTSIDE,
            {},
            (
                "collector astra",
                "which takes captured traffic out of the mesh in plain text: use an https URL",
            ),
        ),
        (
            {},
            {"sensor": {"sensorIds": [OTHER_SENSOR]}},
            ("sensor astra", f"sensorId: got {SENSOR_ID!r}, expected one of the organisation's 1 sensors"),
        ),
    ],
    ids=["selector", "redaction", "another reason", "limits", "collector", "sensor"],
)
def test_a_violation_fails_the_preview_and_says_what_to_do(
    rendering: Project, pack: Path, stack: dict[str, Any], config: dict[str, Any], expected: tuple[str, str]
) -> None:
    violation, message = expected
    rendering.configure(**stack)
    told = refusal(rendering, pack, config)
    assert message in told
    assert violations(told) == [violation]


def test_a_capture_script_outside_of_the_components_fails_the_preview(rendering: Project, pack: Path) -> None:
    rendering.program(COPIED)
    told = refusal(rendering, pack, {})
    assert (
        "holds a capture script outside of WorkloadCapture, where nothing checks it: use the component"
        in told
    )
    assert violations(told) == ["component copy"]


def test_a_configuration_that_breaks_a_schema_is_refused_by_the_engine(
    rendering: Project, pack: Path
) -> None:
    assert "maxSamplingRatio" in refusal(rendering, pack, {"limits": {"maxSamplingRatio": 2}})


def refusal(project: Project, pack: Path, config: dict[str, Any]) -> str:
    """What a preview prints that fails."""
    with pytest.raises(auto.CommandError) as caught:
        preview(project, pack, config)
    return str(caught.value)

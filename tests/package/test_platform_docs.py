"""docs/platform.md: its first program, followed to the letter by somebody who has only the wheel."""

import re
from pathlib import Path

import pytest

from tests.package.conftest import ROOT, Installed
from tests.package.engine import RecordingEngine

pytestmark = pytest.mark.timeout(600)  # the first installation downloads a hundred megabytes

FILES = dict(
    re.findall(
        r"^`([\w.]+)`:\n\n```\w*\n(.*?)^```$",
        (ROOT / "docs" / "platform.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def test_the_documented_stack_has_its_four_files() -> None:
    assert sorted(FILES) == ["Pulumi.dev.yaml", "Pulumi.yaml", "__main__.py", "requirements.txt"]


def test_the_requirements_name_the_wheel_of_this_version(installed: Installed) -> None:
    assert FILES["requirements.txt"] == f"./{installed.wheel.name}\n"


def test_the_documented_stack_renders(installed: Installed, project: Path) -> None:
    ran = installed.run("-m", "astra_istio.render", "--stack", "dev", "--out", "rendered", cwd=project)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "rendered/DestinationRule.istio-system.allow-otel-collector-endpoint.yaml",
        "rendered/EnvoyFilter.shop.astra-istio-mesh-filter-catalog.yaml",
        "rendered/EnvoyFilter.shop.astra-istio-mesh-filter-checkout.yaml",
    ]


def test_the_documented_stack_previews(installed: Installed, project: Path, engine: RecordingEngine) -> None:
    url = "http://astra-traffic-collector.astra-collector.svc.cluster.local:4318"
    sensor = "00000000-0000-4000-8000-000000000001"
    ran = engine.run(installed.python, project, {"tests:sensorId": sensor, "tests:collectorUrl": url})
    assert (ran.returncode, ran.stderr, engine.log) == (0, "", [])
    assert engine.outputs["tests-test"] == {
        "collectorCluster": "outbound|4318||astra-traffic-collector.astra-collector.svc.cluster.local"
    }


def test_the_documented_mistake_is_told_as_documented(
    installed: Installed, project: Path, engine: RecordingEngine
) -> None:
    program = project / "__main__.py"
    program.write_text(FILES["__main__.py"].replace('"sampling_ratio": 0.1', '"sampling_ratio": 10'), "utf-8")
    config = {
        "tests:sensorId": "00000000-0000-4000-8000-000000000001",
        "tests:collectorUrl": "http://a.b:4318",
    }
    ran = engine.run(installed.python, project, config)
    message = "workloads.catalog.capture.sampling_ratio: got 10, expected a number from 0 to 1"
    assert (ran.returncode, engine.log) == (1, [("ERROR", message)])
    assert f"    {message}\n" in (ROOT / "docs" / "platform.md").read_text("utf-8")

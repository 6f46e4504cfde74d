"""The program of docs/recipes.md that deploys Astra's chart and the capture, with the installed package."""

import re
from pathlib import Path

import pytest
from pulumi.runtime.rpc import unwrap_rpc_secret

from tests.package.conftest import ROOT, Installed
from tests.package.engine import RecordingEngine

pytestmark = pytest.mark.timeout(600)  # the first installation downloads a hundred megabytes

CONFIG = {
    "tests:collectorId": "collector",
    "tests:clientId": "client",
    "tests:clientSecret": "hunter2",
    "tests:tokenUrl": "https://auth.example.com/token",
    "tests:sensorId": "00000000-0000-4000-8000-000000000001",
}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    text = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    [block] = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "__main__.py").write_text(block, "utf-8")
    return tmp_path


@pytest.mark.parametrize("dry_run", [True, False], ids=["preview", "up"])
def test_spans_go_to_the_service_that_the_chart_is_told_to_make(
    installed: Installed, engine: RecordingEngine, program: Path, dry_run: bool
) -> None:
    ran = engine.run(installed.python, program, CONFIG, dry_run=dry_run)
    assert (ran.returncode, ran.stderr, engine.log) == (0, "", [])
    [chart] = [item.inputs for item in engine.resources if item.type == "kubernetes:helm.sh/v4:Chart"]
    [rule] = [item.inputs for item in engine.resources if item.type.endswith(":DestinationRule")]
    [script] = [item.inputs for item in engine.resources if item.type.endswith(":EnvoyFilter")]
    values = unwrap_rpc_secret(chart["values"])  # with the collector's secret among them, all are one
    host = f"{values['fullnameOverride']}.{chart['namespace']}.svc.cluster.local"
    assert rule["spec"]["host"] == host
    assert f'cluster = "outbound|4318||{host}"' in str(script)


def test_the_secret_of_the_collector_is_in_no_object_of_the_capture(
    installed: Installed, engine: RecordingEngine, program: Path
) -> None:
    engine.run(installed.python, program, CONFIG)
    holding = {item.type for item in engine.resources if "hunter2" in str(item.inputs)}
    assert holding == {"kubernetes:helm.sh/v4:Chart"}

"""The stacks and examples of the repository, asked of the policy pack that it ships."""

import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

import components
from components import CollectorEgress, TrafficCapture
from components.render.stack_file import Loader, load
from components.rules.check import check
from components.settings.models import TrafficCaptureSettings
from components.settings.validation import Spelling
from components.stack_config import stack_config
from tests.policy.conftest import Pack

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
STACKS = sorted(path.name.split(".")[1] for path in (ROOT / "stacks").glob("Pulumi.*.yaml"))
SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
URL = "https://collector.example.com"

Build = Callable[[], object]


def declared(settings: Any) -> Build:
    return lambda: TrafficCapture("astra", settings)


def in_yaml() -> Build:
    """What examples/yaml declares; what it takes from elsewhere has stand-ins."""
    text = (EXAMPLES / "yaml" / "Pulumi.yaml").read_text("utf-8")
    for name, value in (("sensorId", SENSOR_ID), ("collectorUrl", URL), ("shop.metadata.name", "shop")):
        text = text.replace(f"${{{name}}}", value)
    properties = yaml.load(text, Loader)["resources"]["astra"]["properties"]  # noqa: S506 - a SafeLoader
    return declared(check(TrafficCaptureSettings, properties, Spelling.CONFIG))


def in_typescript() -> Build:
    """What examples/typescript declares: its object's literal is YAML once the names in it have values."""
    text = (EXAMPLES / "typescript" / "index.ts").read_text("utf-8")
    [literal] = re.findall(r'new astra\.TrafficCapture\("astra", (\{.*?\n  \})\);', text, re.DOTALL)
    values = {
        'config.require("sensorId")': SENSOR_ID,
        "collectorUrl,": f"collectorUrl: {URL},",
        "astra.TlsMode.SIMPLE": "SIMPLE",
        "astra.Direction.INBOUND": "inbound",
        "astra.Direction.OUTBOUND": "outbound",
    }
    for name, value in values.items():
        literal = literal.replace(name, value)
    return declared(check(TrafficCaptureSettings, yaml.load(literal, Loader), Spelling.CONFIG))  # noqa: S506


def in_python(monkeypatch: pytest.MonkeyPatch) -> Build:
    """What examples/platform declares in one cluster for its teams."""
    monkeypatch.setitem(sys.modules, "astra_istio", components)
    team_namespace: Any = runpy.run_path(str(EXAMPLES / "platform" / "team.py"))["TeamNamespace"]
    config = yaml.load((EXAMPLES / "platform" / "Pulumi.dev.yaml").read_text("utf-8"), Loader)["config"]  # noqa: S506

    def build() -> None:
        CollectorEgress("collector", cast("Any", {"collector_url": URL}))
        for namespace, workloads in config["acme-platform:teams"].items():
            common = {"collector_url": URL, "sensor_id": SENSOR_ID}
            team_namespace(namespace, {"namespace": namespace, "workloads": workloads, **common})

    return build


def test_the_example_in_yaml_passes_the_shipped_policies(pack: Pack) -> None:
    assert pack.violations(in_yaml(), preview=True) == []


def test_the_example_in_typescript_passes_the_shipped_policies(pack: Pack) -> None:
    assert pack.violations(in_typescript(), preview=True) == []


def test_the_example_in_python_passes_the_shipped_policies(
    pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pack.violations(in_python(monkeypatch), preview=True) == []


@pytest.mark.parametrize("stack", STACKS)
def test_the_stacks_pass_the_shipped_policies(pack: Pack, stack: str) -> None:
    configuration = load(ROOT, stack)
    settings = stack_config(configuration.values, configuration.secrets, configuration.project)
    assert pack.violations(declared(settings), preview=True) == []


def test_an_example_that_masks_less_would_be_told(pack: Pack) -> None:
    weaker = {"sensor_id": SENSOR_ID, "collector_url": URL, "capture": {"redaction": {"fields": ["iban"]}}}
    workloads = {"w": {"namespace": "shop", "labels": {"app": "w"}}}
    found = pack.violations(declared({**weaker, "workloads": workloads}), preview=True)
    assert [violation.policy for violation in found] == ["redaction"]

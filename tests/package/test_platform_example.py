"""examples/platform with the installed package: rendered, and run as the engine runs it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.package.conftest import ROOT, Installed
from tests.package.engine import RecordingEngine

pytestmark = pytest.mark.timeout(600)  # the first installation downloads a hundred megabytes

PLATFORM = ROOT / "examples" / "platform"
URL = "https://collector.dev.acme.example"
SENSORS = {"east": "3b1f7c52-5d0e-4a7e-9a54-0b6a5d2c8f10", "west": "9e6d2a40-1c3b-4f5d-8e21-7f4c6b0a9d33"}


def config() -> dict[str, str]:
    """The dev stack's configuration as the engine hands it over."""
    values = yaml.safe_load((PLATFORM / "Pulumi.dev.yaml").read_text("utf-8"))["config"]
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return {key.replace("acme-platform:", "tests:"): text for key, text in texts.items()}


def scripts(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): path.read_text("utf-8") for path in out.rglob("EnvoyFilter.*.yaml")}


def test_each_cluster_gets_a_way_to_the_collector_and_every_team_its_namespace_and_captures(
    installed: Installed, tmp_path: Path
) -> None:
    ran = installed.run(
        "-m", "astra_istio.render", "--project", PLATFORM, "--stack", "dev", "--out", "out", cwd=tmp_path
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    files = [
        "DestinationRule.istio-system.allow-otel-collector-endpoint.yaml",
        "EnvoyFilter.payments.astra-istio-mesh-filter-gateway.yaml",
        "EnvoyFilter.shop.astra-istio-mesh-filter-catalog.yaml",
        "EnvoyFilter.shop.astra-istio-mesh-filter-checkout.yaml",
        "Namespace.payments.yaml",
        "Namespace.shop.yaml",
        "ServiceEntry.istio-system.allow-otel-collector-endpoint.yaml",
    ]
    out = tmp_path / "out"
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.yaml")) == [
        f"{cluster}/{file}" for cluster in ("east", "west") for file in files
    ]
    for name, text in scripts(out).items():
        assert f'sensor_id = "{SENSORS[name.partition("/")[0]]}"' in text
        assert 'cluster = "outbound|4318||collector.dev.acme.example"' in text


@pytest.mark.parametrize("dry_run", [True, False], ids=["preview", "up"])
def test_every_object_of_a_cluster_is_declared_by_that_clusters_provider(
    installed: Installed, engine: RecordingEngine, dry_run: bool
) -> None:
    engine.references["acme/collector/dev"] = {"collectorUrl": URL}
    ran = engine.run(installed.python, PLATFORM, config(), dry_run=dry_run)
    assert (ran.returncode, ran.stdout, ran.stderr, engine.log) == (0, "", "", [])
    providers = {
        resource.name: resource.inputs
        for resource in engine.resources
        if resource.type.startswith("pulumi:providers:")
    }
    assert providers == {"east": {"context": "dev-east"}, "west": {"context": "dev-west"}}
    objects = [resource for resource in engine.resources if resource.type.startswith("kubernetes:")]
    used = {resource.name: resource.provider.split("::")[3] for resource in objects}
    assert used == {name: name.partition("-")[0] for name in used}
    assert len(objects) == 14
    parents = {resource.name: resource.parent for resource in engine.resources}
    assert parents["east-shop-checkout"] == "east-shop"
    assert parents["east-shop-checkout-envoy-filter"] == "east-shop-checkout"


def test_every_input_is_known_at_preview(installed: Installed, engine: RecordingEngine) -> None:
    engine.references["acme/collector/dev"] = {"collectorUrl": URL}
    engine.run(installed.python, PLATFORM, config())
    filters: list[dict[str, Any]] = [
        resource.inputs for resource in engine.resources if resource.type.endswith(":EnvoyFilter")
    ]
    assert {found["metadata"]["namespace"] for found in filters} == {"shop", "payments"}
    patches = [patch for found in filters for patch in found["spec"]["configPatches"]]
    sources = [patch["patch"]["value"]["typed_config"]["default_source_code"] for patch in patches]
    assert len(sources) == 6
    assert all(source["inline_string"].startswith("-- astra-istio-capture ") for source in sources)


def test_a_collector_stack_without_the_url_is_a_line_and_declares_nothing(
    installed: Installed, engine: RecordingEngine
) -> None:
    engine.references["acme/collector/dev"] = {}
    ran = engine.run(installed.python, PLATFORM, config())
    assert ran.returncode == 1
    assert engine.log == [("ERROR", "acme/collector/dev: no output collectorUrl in plain text")]
    assert engine.resources == []

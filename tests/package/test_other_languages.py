"""The examples in YAML and TypeScript, held against the plugin."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.package.conftest import ROOT
from tests.package.engine import RecordingEngine
from tests.package.plugin import Plugin
from tests.package.typescript import declarations

EXAMPLES = ROOT / "examples"
NODE_MODULES = ROOT / ".cache" / "typescript"
PACKAGES = ["typescript@5.9.3", "@pulumi/pulumi@3.270.0"]


def without_interpolations(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: without_interpolations(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [without_interpolations(item, known) for item in value]
    return known[value] if isinstance(value, str) and value.startswith("${") else value


def test_the_yaml_example_declares_its_captures(
    plugin: Plugin, schema: dict[str, Any], engine: RecordingEngine
) -> None:
    program = yaml.safe_load((EXAMPLES / "yaml" / "Pulumi.yaml").read_text("utf-8"))
    stack = yaml.safe_load((EXAMPLES / "yaml" / "Pulumi.dev.yaml").read_text("utf-8"))["config"]
    known = {f"${{{key}}}": stack[f"{program['name']}:{key}"] for key in program["config"]}
    known["${shop.metadata.name}"] = program["resources"]["shop"]["properties"]["metadata"]["name"]
    resource = program["resources"]["astra"]
    assert resource["type"] in schema["resources"]
    inputs = without_interpolations(resource["properties"], known)
    outputs = plugin.construct(engine, resource["type"].rpartition(":")[2], inputs)
    filters = [found.name for found in engine.resources if found.type.endswith(":EnvoyFilter")]
    assert sorted(filters) == ["astra-catalog-envoy-filter", "astra-checkout-envoy-filter"]
    [exported] = program["outputs"].values()
    assert exported == "${astra.collectorCluster}"
    assert "collectorCluster" in outputs


@pytest.mark.parametrize("example", ["typescript", "yaml"])
def test_an_example_takes_the_plugin_of_this_repository(example: str) -> None:
    program = yaml.safe_load((EXAMPLES / example / "Pulumi.yaml").read_text("utf-8"))
    folder = EXAMPLES / example / program["packages"]["astra-istio"]
    assert (folder / "PulumiPlugin.yaml").is_file()


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """TypeScript, and Pulumi's own SDK for it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on the PATH: TypeScript's compiler comes from the npm registry")
    folder = NODE_MODULES / "node_modules"
    stamp = NODE_MODULES / "installed"
    if not stamp.exists() or stamp.read_text("utf-8") != json.dumps(PACKAGES):
        terminal = request.config.pluginmanager.getplugin("terminalreporter")
        terminal.write_line("Installing TypeScript and Pulumi's SDK for it (about 15 s, once) ...")
        shutil.rmtree(NODE_MODULES, ignore_errors=True)
        NODE_MODULES.mkdir(parents=True)
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(NODE_MODULES)]
        subprocess.run([*command, *PACKAGES], check=True, capture_output=True)
        stamp.write_text(json.dumps(PACKAGES), "utf-8")
    return folder


@pytest.fixture
def project(node_modules: Path, schema: dict[str, Any], tmp_path: Path) -> Path:
    """The TypeScript example with the declarations of the SDK that `pulumi install` would generate."""
    folder = tmp_path / "project"
    shutil.copytree(EXAMPLES / "typescript", folder)
    sdk = folder / "node_modules" / "@astra" / "astra-istio"
    sdk.mkdir(parents=True)
    (sdk / "index.d.ts").write_text(declarations(schema), "utf-8")
    # The SDK is found beside the program, and everything else further up.
    (tmp_path / "node_modules").symlink_to(node_modules)
    return folder


def compile_(project: Path, node_modules: Path) -> list[str]:
    """What the compiler complains about."""
    tsc = node_modules / ".bin" / "tsc"
    ran = subprocess.run(
        [str(tsc), "--project", str(project)], capture_output=True, text=True, check=False, cwd=project
    )
    return ran.stdout.splitlines()


@pytest.mark.timeout(600)
def test_the_typescript_example_fits_the_types_of_the_plugin(project: Path, node_modules: Path) -> None:
    assert compile_(project, node_modules) == []


WRONG = """
import * as astra from "@astra/astra-istio";
import * as pulumi from "@pulumi/pulumi";
const url = "https://collector.example.com";
new astra.CollectorEgress("unknown key", { collectorUrl: url, egres: {} });
new astra.CollectorEgress("not of the enum", { collectorUrl: url, egress: { tls: { mode: "PLAIN" } } });
new astra.CollectorEgress("Output", { collectorUrl: pulumi.output(url) });
new astra.WorkloadCapture("missing", { collectorUrl: url, namespace: pulumi.output("shop") });
"""


@pytest.mark.timeout(600)
def test_the_types_refuse_what_the_components_would_refuse(project: Path, node_modules: Path) -> None:
    (project / "index.ts").write_text(WRONG, "utf-8")
    complaints = [re.sub(r"\(.*?\): error TS\d+:", "", line) for line in compile_(project, node_modules)]
    expected = [
        (
            "Object literal may only specify known properties, but 'egres' does not exist in type "
            "'CollectorEgressComponentArgs'. Did you mean to write 'egress'?"
        ),
        "Type '\"PLAIN\"' is not assignable to type 'TlsMode | undefined'.",
        "Type 'Output<string>' is not assignable to type 'string'.",
        (
            "Argument of type '{ collectorUrl: string; namespace: pulumi.Output<string>; }' is not "
            "assignable to parameter of type 'WorkloadCaptureComponentArgs'."
        ),
    ]
    found = [line.removeprefix("index.ts ") for line in complaints if line.startswith("index.ts ")]
    assert found == expected

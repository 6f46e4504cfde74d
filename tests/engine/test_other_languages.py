"""The plugin and the YAML example with the real engine.

The engine installs a plugin's dependencies before it starts it. Here it finds them installed, and asks PyPI
for newer versions of pip, setuptools and wheel only.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from tests.engine.conftest import ROOT, Project, Steps

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def checkout(project: Project, virtualenv: Path) -> Path:
    """The plugin and the examples in a folder of their own, with nothing to install for the plugin."""
    folder = project.folder.parent / "checkout"
    ignored = shutil.ignore_patterns(".venv", "node_modules", "sdks", "__pycache__")
    for name in ("plugin", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    manifest = folder / "plugin" / "PulumiPlugin.yaml"
    content = yaml.safe_load(manifest.read_text("utf-8"))
    content["runtime"]["options"]["virtualenv"] = str(virtualenv)
    manifest.write_text(yaml.safe_dump(content), "utf-8")
    (folder / "plugin" / "requirements.txt").write_text("", "utf-8")
    return folder


def pulumi(project: Project, folder: Path, *arguments: str) -> str:
    return auto.PulumiCommand().run([*arguments], str(folder), project.environment).stdout


def test_the_engine_reads_the_plugins_schema(project: Project, checkout: Path) -> None:
    schema: dict[str, Any] = json.loads(
        pulumi(project, checkout, "package", "get-schema", str(checkout / "plugin"))
    )
    assert sorted(schema["resources"]) == [
        "astra-istio:index:CollectorEgress",
        "astra-istio:index:TrafficCapture",
        "astra-istio:index:WorkloadCapture",
    ]
    assert schema["resources"]["astra-istio:index:TrafficCapture"]["requiredInputs"] == [
        "collectorUrl",
        "sensorId",
        "workloads",
    ]


def test_the_yaml_example_previews(project: Project, checkout: Path) -> None:
    folder = checkout / "examples" / "yaml"
    pulumi(project, folder, "install")
    options = auto.LocalWorkspaceOptions(env_vars=project.environment, pulumi_command=auto.PulumiCommand())
    stack = auto.create_or_select_stack("dev", work_dir=str(folder), opts=options)
    steps = Steps()
    stack.preview(on_event=steps)
    assert steps.of == dict.fromkeys(
        [
            "shop",
            "astra",
            "astra-egress",
            "astra-egress-service-entry",
            "astra-egress-destination-rule",
            "astra-checkout",
            "astra-checkout-envoy-filter",
            "astra-catalog",
            "astra-catalog-envoy-filter",
        ],
        "create",
    )


def test_a_mistake_in_the_yaml_example_is_told_without_a_traceback(project: Project, checkout: Path) -> None:
    folder = checkout / "examples" / "yaml"
    stack_file = folder / "Pulumi.dev.yaml"
    stack_file.write_text(stack_file.read_text("utf-8").replace("https://", "gopher://"), "utf-8")
    pulumi(project, folder, "install")
    options = auto.LocalWorkspaceOptions(env_vars=project.environment, pulumi_command=auto.PulumiCommand())
    stack = auto.create_or_select_stack("dev", work_dir=str(folder), opts=options)
    with pytest.raises(auto.CommandError) as caught:
        stack.preview(color="never")
    assert "collectorUrl: got 'gopher://collector.dev.acme.example'" in str(caught.value)
    assert "Traceback" not in str(caught.value)

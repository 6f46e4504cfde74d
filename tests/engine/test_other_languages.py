"""The plugin and the examples with the real engine.

The engine installs a plugin's dependencies before it starts it. Here it finds them installed, and asks PyPI
for newer versions of pip, setuptools and wheel only. TypeScript and Pulumi's SDK for it come from npm.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from tests.engine.conftest import RESOURCES, ROOT, Project, Steps, capture_in

pytestmark = pytest.mark.timeout(300)

COLLECTOR = "https://collector.dev.acme.example"
IGNORED = shutil.ignore_patterns(".venv", "node_modules", "sdks", "rendered", "__pycache__")
CAPTURE = RESOURCES | {"astra-catalog", "astra-catalog-envoy-filter"}


@pytest.fixture
def checkout(project: Project, virtualenv: Path) -> Path:
    """The plugin and the examples in a folder of their own, with nothing to install for the plugin."""
    folder = project.folder.parent / "checkout"
    for name in ("plugin", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=IGNORED)
    manifest = folder / "plugin" / "PulumiPlugin.yaml"
    content = yaml.safe_load(manifest.read_text("utf-8"))
    content["runtime"]["options"]["virtualenv"] = str(virtualenv)
    manifest.write_text(yaml.safe_dump(content), "utf-8")
    (folder / "plugin" / "requirements.txt").write_text("", "utf-8")
    return folder


def pulumi(project: Project, folder: Path, *arguments: str) -> str:
    return auto.PulumiCommand().run([*arguments], str(folder), project.environment).stdout


def dev(project: Project, folder: Path) -> auto.Stack:
    """The stack `dev` of a program, in the same backend as the others."""
    options = auto.LocalWorkspaceOptions(env_vars=project.environment, pulumi_command=auto.PulumiCommand())
    return auto.create_or_select_stack("dev", work_dir=str(folder), opts=options)


@pytest.fixture
def collector(project: Project) -> str:
    """A stack that exports the collector's URL, by the full name that it has in a backend of files."""
    folder = project.folder.parent / "collector"
    folder.mkdir()
    program = {"name": "collector", "runtime": "yaml", "outputs": {"collectorUrl": COLLECTOR}}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(program), "utf-8")
    dev(project, folder).up()
    return "organization/collector/dev"


def refer_to(collector: str, folder: Path) -> None:
    stack_file = folder / "Pulumi.dev.yaml"
    text = stack_file.read_text("utf-8")
    assert "acme/collector/dev" in text
    stack_file.write_text(text.replace("acme/collector/dev", collector), "utf-8")


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
    steps = Steps()
    dev(project, folder).preview(on_event=steps)
    assert steps.of == dict.fromkeys(["shop", *CAPTURE], "create")


@pytest.mark.timeout(600)  # npm installs a hundred megabytes
def test_the_typescript_example_previews_with_the_url_of_another_stack(
    project: Project, checkout: Path, collector: str
) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not on the PATH: TypeScript and Pulumi's SDK for it come from its registry")
    folder = checkout / "examples" / "typescript"
    refer_to(collector, folder)
    pulumi(project, folder, "install")
    steps = Steps()
    dev(project, folder).preview(on_event=steps)
    assert steps.of == dict.fromkeys(CAPTURE, "create")
    _, declared = steps.inputs["astra-checkout-envoy-filter"]
    assert capture_in(declared).cluster == "outbound|4318||collector.dev.acme.example"


def test_the_platform_example_previews_in_both_clusters_with_the_url_of_another_stack(
    project: Project, checkout: Path, virtualenv: Path, collector: str
) -> None:
    folder = checkout / "examples" / "platform"
    refer_to(collector, folder)
    # In place of what `pulumi install` does: the package under its name, as its wheel has it.
    packages = checkout / "packages"
    shutil.copytree(ROOT / "components", packages / "astra_istio", ignore=IGNORED)
    shutil.copytree(ROOT / "lua", packages / "astra_istio" / "lua")
    project.environment["PYTHONPATH"] = str(packages)
    manifest = folder / "Pulumi.yaml"
    content = yaml.safe_load(manifest.read_text("utf-8"))
    content["runtime"]["options"]["virtualenv"] = str(virtualenv)
    manifest.write_text(yaml.safe_dump(content), "utf-8")

    steps = Steps()
    dev(project, folder).preview(on_event=steps)  # neither cluster answers, so nothing is asked of one
    captures = ["shop-checkout", "shop-catalog", "payments-gateway"]
    of_cluster = [
        "collector",
        "collector-service-entry",
        "collector-destination-rule",
        "shop-namespace",
        "payments-namespace",
        *captures,
        *(f"{name}-envoy-filter" for name in captures),
    ]
    expected = [f"{cluster}-{name}" for cluster in ("east", "west") for name in of_cluster]
    assert steps.of == dict.fromkeys(expected, "create")
    _, declared = steps.inputs["west-payments-gateway-envoy-filter"]
    assert capture_in(declared).cluster == "outbound|4318||collector.dev.acme.example"


def test_a_mistake_in_the_yaml_example_is_told_without_a_traceback(project: Project, checkout: Path) -> None:
    folder = checkout / "examples" / "yaml"
    stack_file = folder / "Pulumi.dev.yaml"
    stack_file.write_text(stack_file.read_text("utf-8").replace("https://", "gopher://"), "utf-8")
    pulumi(project, folder, "install")
    stack = dev(project, folder)
    with pytest.raises(auto.CommandError) as caught:
        stack.preview(color="never")
    assert "collectorUrl: got 'gopher://collector.dev.acme.example'" in str(caught.value)
    assert "Traceback" not in str(caught.value)

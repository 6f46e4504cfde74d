"""README.md and docs/platform.md: their stacks, followed to the letter by somebody who has only the wheel."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.render import stack_file
from tests.package.conftest import ROOT, Installed
from tests.package.engine import RecordingEngine

pytestmark = pytest.mark.timeout(600)  # the first installation downloads a hundred megabytes

NAMES = ["Pulumi.dev.yaml", "Pulumi.yaml", "__main__.py", "requirements.txt"]
COLLECTOR = "DestinationRule.istio-system.allow-otel-collector-endpoint.yaml"
WORKLOADS = {"README.md": ["default.productpage"], "docs/platform.md": ["shop.catalog", "shop.checkout"]}
OUTPUTS = {
    "README.md": {},
    "docs/platform.md": {
        "collectorCluster": "outbound|4318||astra-traffic-collector.astra-collector.svc.cluster.local"
    },
}

EACH = pytest.mark.parametrize("document", WORKLOADS)


def text(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


def files(document: str) -> dict[str, str]:
    """What a document says to put into which file."""
    return dict(re.findall(r"^`([\w.]+)`:\n\n```\w*\n(.*?)^```$", text(document), re.MULTILINE | re.DOTALL))


def commands(document: str) -> list[list[str]]:
    """What it says to run once the files are there, up to the next heading."""
    prose = re.sub(r"^```\w*\n.*?^```$", "", text(document), flags=re.MULTILINE | re.DOTALL)
    section = re.split(r"^#", prose.partition("`__main__.py`:")[2], maxsplit=1, flags=re.MULTILINE)[0]
    lines = re.findall(r"^ {4}((?:python3|\.venv/\S+|pulumi) .*)", section, re.MULTILINE)
    return [shlex.split(part, comments=True) for line in lines for part in line.split(" && ")]


@pytest.fixture
def project(document: str, installed: Installed, tmp_path: Path) -> Path:
    """The documented files, the wheel beside them."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name, content in files(document).items():
        (folder / name).write_text(content, "utf-8")
    shutil.copy(installed.wheel, folder)
    return folder


@EACH
def test_the_documented_stack_is_four_files_and_five_commands(document: str) -> None:
    assert sorted(files(document)) == NAMES
    assert [shlex.join(command) for command in commands(document)] == [
        "python3 -m venv .venv",
        ".venv/bin/pip install -r requirements.txt",
        ".venv/bin/python -m astra_istio.render --stack dev --out rendered",
        "pulumi stack init dev",
        "pulumi preview --diff --stack dev",
    ]


@EACH
def test_the_documented_requirements_are_met_by_the_wheel(
    document: str, installed: Installed, project: Path
) -> None:
    """With the documented command, in an environment that has the rest, so without a package index."""
    [arguments] = [command[1:] for command in commands(document) if command[0] == ".venv/bin/pip"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(installed.python)]
    ran = subprocess.run(
        [*pip, *arguments, "--no-index", "--force-reinstall", "--no-deps"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert files(document)["requirements.txt"] == f"./{installed.wheel.name}\n"


@EACH
def test_the_documented_stack_renders(document: str, installed: Installed, project: Path) -> None:
    [arguments] = [command[1:] for command in commands(document) if command[0] == ".venv/bin/python"]
    ran = installed.run(*arguments, cwd=project)
    assert (ran.returncode, ran.stderr) == (0, "")
    filters = [workload.replace(".", ".astra-istio-mesh-filter-") for workload in WORKLOADS[document]]
    assert ran.stdout.splitlines() == [
        f"rendered/{COLLECTOR}",
        *(f"rendered/EnvoyFilter.{name}.yaml" for name in filters),
    ]


@EACH
def test_the_documented_stack_previews(
    document: str, installed: Installed, project: Path, engine: RecordingEngine
) -> None:
    name = stack_file.load(project, "dev").project
    values = stack_file.load(project, "dev").values
    config = {key.replace(f"{name}:", "tests:"): value for key, value in values.items()}
    ran = engine.run(installed.python, project, config)
    assert (ran.returncode, ran.stderr, engine.log) == (0, "", [])
    assert engine.outputs.get("tests-test", {}) == OUTPUTS[document]
    names = [resource.name for resource in engine.resources if resource.type.endswith(":EnvoyFilter")]
    expected = [f"astra-{workload.partition('.')[2]}-envoy-filter" for workload in WORKLOADS[document]]
    assert sorted(names) == expected


@pytest.mark.parametrize("document", ["docs/platform.md"])
def test_the_documented_mistake_is_told_as_documented(
    document: str, installed: Installed, project: Path, engine: RecordingEngine
) -> None:
    program = project / "__main__.py"
    program.write_text(
        files(document)["__main__.py"].replace('"sampling_ratio": 0.1', '"sampling_ratio": 10'), "utf-8"
    )
    config = {
        "tests:sensorId": "00000000-0000-4000-8000-000000000001",
        "tests:collectorUrl": "http://a.b:4318",
    }
    ran = engine.run(installed.python, project, config)
    message = "astra.workloads.catalog.capture.sampling_ratio: got 10, expected a number from 0 to 1"
    assert (ran.returncode, engine.log) == (1, [("ERROR", message)])
    assert f"    {message}\n" in text(document)

"""The real Pulumi engine, through its Automation API: its own home, a local backend, no downloads.

The engine and the Kubernetes provider are in no package registry. Where a machine lacks them, the tests skip.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from components.istio import read

ROOT = Path(__file__).parents[2]
PROJECT = "astra-istio-instrumentation"
SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
URL = "http://astra-traffic-collector.astra-collector:4318/v1/traces"

RESOURCES = {
    "astra",
    "astra-egress",
    "astra-egress-service-entry",
    "astra-egress-destination-rule",
    "astra-checkout",
    "astra-checkout-envoy-filter",
}
# The same captures under another name, with an alias; and under the usual one.
RENAMED = """
import pulumi
from components import TrafficCapture

config = pulumi.Config()
TrafficCapture(
    "capture",
    {
        "sensor_id": config.require("sensorId"),
        "collector_url": config.require("collectorUrl"),
        "egress": config.require_object("egress"),
        "workloads": config.require_object("workloads"),
    },
    pulumi.ResourceOptions(aliases=[pulumi.Alias(name="astra")]),
)
"""
NAMED = RENAMED.replace('"capture",', '"astra",').replace(
    'pulumi.ResourceOptions(aliases=[pulumi.Alias(name="astra")])', "None"
)


@dataclass(frozen=True)
class Engine:
    """Where the engine's parts are.

    Attributes:
        pulumi: the command; its language hosts lie beside it.
        provider: the Kubernetes provider.
    """

    pulumi: Path
    provider: Path


def find(name: str, pattern: str) -> Path:
    """An executable on the PATH, or the newest of those in Pulumi's home that match a pattern."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    on_path = shutil.which(name)
    installed = sorted(home.glob(pattern), key=lambda path: path.stat().st_mtime)
    if on_path is None and not installed:
        pytest.skip(f"{name} is neither on the PATH nor in {home} ({pattern})")
    return Path(on_path) if on_path is not None else installed[-1]


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine(
        pulumi=find("pulumi", "bin/pulumi"),
        provider=find(
            "pulumi-resource-kubernetes", "plugins/resource-kubernetes-v4.*/pulumi-resource-kubernetes"
        ),
    )


def link_into_cache(provider: Path, home: Path) -> None:
    """Put the provider where the engine keeps plugins, as the version that the SDK asks for.

    ``pulumi install`` and ``pulumi package`` look there only, and not on the PATH.
    """
    plugin = json.loads(files("pulumi_kubernetes").joinpath("pulumi-plugin.json").read_text("utf-8"))
    folder = home / "plugins" / f"resource-kubernetes-v{plugin['version']}"
    folder.mkdir(parents=True)
    (folder / "pulumi-resource-kubernetes").symlink_to(provider.resolve())


@pytest.fixture(scope="session")
def virtualenv(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that has what this one has, for the engine to do with as it likes."""
    del engine  # without one there is no use for it
    folder = tmp_path_factory.mktemp("virtualenv")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    return folder


@dataclass(frozen=True)
class Project:
    """A copy of this repository's project, with one stack, `dev`.

    Attributes:
        folder: where ``Pulumi.yaml`` is.
        environment: what the engine's process gets beside this one's environment.
    """

    folder: Path
    environment: dict[str, str]

    @property
    def stack_file(self) -> Path:
        return self.folder / "stacks" / "Pulumi.dev.yaml"

    def configure(self, **values: Any) -> None:
        """Set keys of the stack; None removes one. Keys of other namespaces are written with their colon."""
        content = yaml.safe_load(self.stack_file.read_text("utf-8")) if self.stack_file.exists() else {}
        config = content.setdefault("config", {})
        for key, value in values.items():
            full_key = key if ":" in key else f"{PROJECT}:{key}"
            if value is None:
                config.pop(full_key)
            else:
                config[full_key] = value
        self.stack_file.write_text(yaml.safe_dump(content), "utf-8")

    def program(self, text: str) -> None:
        (self.folder / "__main__.py").write_text(text, "utf-8")

    def stack(self) -> auto.Stack:
        options = auto.LocalWorkspaceOptions(
            env_vars=self.environment,
            pulumi_home=self.environment["PULUMI_HOME"],
            pulumi_command=auto.PulumiCommand(),
        )
        return auto.create_or_select_stack("dev", work_dir=str(self.folder), opts=options)


@pytest.fixture
def project(engine: Engine, virtualenv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = tmp_path / "project"
    (folder / "stacks").mkdir(parents=True)
    shutil.copy(ROOT / "__main__.py", folder)
    settings = yaml.safe_load((ROOT / "Pulumi.yaml").read_text("utf-8"))
    settings["runtime"]["options"]["virtualenv"] = str(virtualenv)
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    for name in ("backend", "home"):
        (tmp_path / name).mkdir()
    link_into_cache(engine.provider, tmp_path / "home")
    # Previews and updates take a provider on the PATH, and the Automation API looks for `pulumi` there.
    path = f"{engine.pulumi.parent}{os.pathsep}{engine.provider.parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    project = Project(
        folder,
        {
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_BACKEND_URL": f"file://{tmp_path / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "tests",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PYTHONPATH": str(ROOT),
            "KUBECONFIG": str(tmp_path / "no-cluster"),
        },
    )
    workload = {"namespace": "shop", "labels": {"app": "checkout"}}
    project.configure(sensorId=SENSOR_ID, collectorUrl=URL, workloads={"checkout": workload})
    return project


@pytest.fixture
def rendering(project: Project) -> Project:
    """The project with a provider that writes manifests to a folder and needs no cluster."""
    project.configure(**{"kubernetes:renderYamlToDirectory": str(project.folder / "rendered")})
    return project


@pytest.fixture(scope="session")
def cluster(engine: Engine) -> Iterator[Any]:
    """A real API server with Istio's CRDs, of the mesh lab."""
    del engine  # without one there is nothing to start a cluster for
    try:
        lab: Any = importlib.import_module("lab.cluster")
    except ModuleNotFoundError:
        pytest.skip("lab.cluster, which starts an API server, is not in this checkout")
    # Building takes longer than a test may.
    missing = [binary.name for binary in lab.build.API_BINARIES if not binary.path.exists()]
    if missing:
        pytest.skip(f"{', '.join(missing)} not built yet: `make test-mesh` builds them")
    try:
        with lab.running(istio=False) as mesh:
            yield mesh
    except lab.ClusterError as error:
        pytest.skip(f"no API server: {error}")


def resources(stack: auto.Stack) -> list[dict[str, Any]]:
    """The resources in a stack's state."""
    found: list[dict[str, Any]] = (stack.export_stack().deployment or {}).get("resources", [])
    return found


def capture_in(manifest: Any) -> read.Capture:
    """What the package reads in an object that carries a capture script."""
    [capture] = read.captures([manifest])
    return capture


def refusal(project: Project) -> str:
    """What a preview that fails prints."""
    with pytest.raises(auto.CommandError) as caught:
        project.stack().preview(color="never")
    return str(caught.value)


class Steps:
    """What the engine does with each resource, from its events: pass it as ``on_event``.

    Attributes:
        of: the operation by the resource's name, of our components and of Kubernetes objects.
        inputs: the inputs before and after, by the name of a Kubernetes object.
    """

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self.inputs: dict[str, tuple[Any, Any]] = {}

    def __call__(self, event: auto.EngineEvent) -> None:
        if event.resource_pre_event is None:
            return
        step = event.resource_pre_event.metadata
        name = step.urn.rpartition("::")[2]
        if step.type.startswith(("astra-istio:", "kubernetes:")):
            self.of[name] = step.op.value
        if step.type.startswith("kubernetes:"):
            self.inputs[name] = (step.old and step.old.inputs, step.new and step.new.inputs)

    @property
    def changed(self) -> dict[str, str]:
        return {name: operation for name, operation in self.of.items() if operation != "same"}

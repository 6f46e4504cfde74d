"""What the tests of this folder are made of, tried without an engine."""

import os
from pathlib import Path
from typing import Any

import pulumi_kubernetes
import pytest
import yaml
from pulumi.automation.events import EngineEvent

from lab import stack
from tests.engine.conftest import Project, Steps, capture_in, find, link_into_cache

NAME = "pulumi-resource-kubernetes"
INSTALLED = f"plugins/resource-kubernetes-v4.*/{NAME}"


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", "utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Pulumi, and a PATH with one empty folder, ``bin`` beside the home."""
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "home"


def test_a_provider_on_the_path_is_found_before_one_in_pulumis_home(home: Path) -> None:
    program(home / "plugins" / "resource-kubernetes-v4.34.2" / NAME)
    on_path = program(home.parent / "bin" / NAME)
    assert find(NAME, INSTALLED) == on_path


def test_of_the_providers_in_pulumis_home_the_one_installed_last_is_found(home: Path) -> None:
    newer = program(home / "plugins" / "resource-kubernetes-v4.9.0" / NAME)
    older = program(home / "plugins" / "resource-kubernetes-v4.34.2" / NAME)
    os.utime(older, (0, 0))
    assert find(NAME, INSTALLED) == newer


def test_a_test_without_a_provider_is_skipped_with_where_it_was_looked_for(home: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match=f"neither on the PATH nor in {home}"):
        find(NAME, INSTALLED)


def test_the_provider_is_in_the_cache_under_the_version_that_the_sdk_asks_for(tmp_path: Path) -> None:
    provider = program(tmp_path / "bin" / NAME)
    link_into_cache(provider, tmp_path / "home")
    asked_for = Path(pulumi_kubernetes.__file__).with_name("pulumi-plugin.json")
    version = yaml.safe_load(asked_for.read_text("utf-8"))["version"]
    linked = tmp_path / "home" / "plugins" / f"resource-kubernetes-v{version}" / NAME
    assert linked.samefile(provider)
    assert not linked.parent.is_symlink()  # the engine looks into folders, and not behind links to some


@pytest.mark.parametrize("mechanism", ["EnvoyFilter", "TrafficExtension"])
def test_the_settings_of_a_filter_are_read_whatever_its_script_looks_like(mechanism: str) -> None:
    workload = {"namespace": "shop", "labels": {"app": "checkout"}, "mechanism": mechanism}
    manifests = stack.manifests(workloads={"checkout": workload}, capture={"samplingRatio": 0.5})
    [manifest] = [found for found in manifests if found["kind"] == mechanism]
    [settings] = capture_in(manifest).settings
    assert settings["sampling_ratio"] == 0.5


def test_a_project_keeps_the_keys_that_are_not_set_anew(tmp_path: Path) -> None:
    project = Project(tmp_path, {})
    project.stack_file.parent.mkdir()
    project.configure(sensorId="x", collectorUrl="y")
    project.configure(sensorId=None, **{"kubernetes:context": "z"})
    assert yaml.safe_load(project.stack_file.read_text("utf-8")) == {
        "config": {"astra-istio-instrumentation:collectorUrl": "y", "kubernetes:context": "z"}
    }


def event(kind: str, name: str, operation: str, **states: Any) -> EngineEvent:
    """An event as the engine writes it."""
    urn = f"urn:pulumi:dev::tests::{kind}::{name}"
    states = {
        side: {"type": kind, "urn": urn, "id": "", "parent": "", "provider": "", "inputs": inputs}
        for side, inputs in states.items()
    }
    step = {"op": operation, "urn": urn, "type": kind, "provider": "", **states}
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, "resourcePreEvent": {"metadata": step}})


def test_steps_are_the_operations_on_our_resources_with_the_inputs_of_kubernetes_objects() -> None:
    steps = Steps()
    for told in (
        EngineEvent.from_json({"sequence": 0, "timestamp": 0, "preludeEvent": {"config": {}}}),
        event("pulumi:pulumi:Stack", "tests-dev", "same", old={}, new={}),
        event("astra-istio:index:TrafficCapture", "astra", "update", old={}, new={}),
        event("kubernetes:core/v1:Namespace", "shop", "same", old={"a": 1}, new={"a": 1}),
        event("kubernetes:core/v1:Namespace", "new", "create", new={"a": 2}),
    ):
        steps(told)
    assert steps.of == {"astra": "update", "shop": "same", "new": "create"}
    assert steps.changed == {"astra": "update", "new": "create"}
    assert steps.inputs == {"shop": ({"a": 1}, {"a": 1}), "new": (None, {"a": 2})}

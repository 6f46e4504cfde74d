"""The policy pack under the real engine: what it is asked there, and what a user sees."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = ("Pulumi.yaml", "__main__.py", "requirements.txt", "components", "lua", "policy", "stacks")

pytestmark = [
    pytest.mark.skipif(
        shutil.which("pulumi") is None, reason="needs the Pulumi engine, `pulumi` on the PATH"
    ),
    pytest.mark.timeout(600),  # the engine fills two virtual environments
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project with its stack `dev`, on a backend of its own."""
    folder = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("__pycache__", "venv")
    for name in PROJECT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    (folder / "state").mkdir()
    for command, where in (("install", folder), ("install", folder / "policy"), ("stack init dev", folder)):
        done = pulumi(folder, *command.split(), where=where)
        assert done.returncode == 0, done.stderr
    return folder


def pulumi(project: Path, *arguments: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
    backend = {"PULUMI_BACKEND_URL": f"file://{project / 'state'}", "PULUMI_CONFIG_PASSPHRASE": "test"}
    return subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],  # noqa: S607 - found on the PATH
        cwd=where or project,
        env={**os.environ, **backend, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        capture_output=True,
        text=True,
        check=False,
    )


def preview(project: Path, config: dict[str, dict[str, object]]) -> subprocess.CompletedProcess[str]:
    (project / "config.json").write_text(json.dumps(config), "utf-8")
    pack = ("--policy-pack", "policy", "--policy-pack-config", "config.json")
    return pulumi(project, "preview", "--stack", "dev", *pack)


def test_the_dev_stack_passes_a_preview_with_the_pack(project: Path) -> None:
    done = preview(project, {})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "astra-istio" in done.stdout


def test_a_violation_fails_the_preview_and_says_what_to_do(project: Path) -> None:
    done = preview(project, {"limits": {"maxSamplingRatio": 0.5}})
    assert done.returncode != 0
    assert "samplingRatio: got 1, expected at most 0.5" in done.stdout


def test_a_configuration_that_breaks_a_schema_is_refused_by_the_engine(project: Path) -> None:
    done = preview(project, {"limits": {"maxSamplingRatio": 2}})
    assert done.returncode != 0
    assert "maxSamplingRatio" in done.stdout + done.stderr

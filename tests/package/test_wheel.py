"""What `pip install` gives: the components under their own name, with the script of this repository."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from components.render.__main__ import main
from components.verify import rights
from components.version import VERSION
from tests.package.conftest import ROOT, Installed, build

pytestmark = pytest.mark.timeout(600)  # the first installation downloads a hundred megabytes

STACKS = sorted(path.name.split(".")[1] for path in (ROOT / "stacks").glob("Pulumi.*.yaml"))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """This repository's program and stacks in a folder of somebody else's, with the installed package."""
    folder = tmp_path / "project"
    (folder / "stacks").mkdir(parents=True)
    for file in (ROOT / "Pulumi.yaml", *(ROOT / "stacks").iterdir()):
        (folder / file.relative_to(ROOT)).write_bytes(file.read_bytes())
    program = (ROOT / "__main__.py").read_text("utf-8")
    (folder / "__main__.py").write_text(program.replace("from components", "from astra_istio"), "utf-8")
    return folder


def test_the_wheel_holds_the_components_the_lua_modules_and_the_marker_of_types(wheel: Path) -> None:
    inside = {name for name in contents(wheel) if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT / "components") for path in (ROOT / "components").rglob("*.py")}
    assert inside == {
        *(f"astra_istio/{path}" for path in modules),
        *(f"astra_istio/lua/{path.name}" for path in (ROOT / "lua").glob("*.lua")),
        "astra_istio/py.typed",
        "pulumi_astra_istio/pulumi-plugin.json",
    }


def test_a_wheel_built_from_the_source_distribution_is_the_same(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    rebuilt = build(tmp_path / archive.name.removesuffix(".tar.gz"), tmp_path)
    assert contents(rebuilt) == contents(wheel)


def test_the_installed_package_has_one_version_and_nothing_of_the_repository(
    installed: Installed, tmp_path: Path
) -> None:
    code = """if True:
        import importlib.metadata, importlib.util
        from astra_istio.version import VERSION
        assert importlib.util.find_spec("components") is None
        print(importlib.metadata.version("pulumi-astra-istio"), VERSION)
    """
    ran = installed.run("-c", code, cwd=tmp_path)
    assert (ran.stdout, ran.stderr) == (f"{VERSION} {VERSION}\n", "")


def test_pulumi_finds_that_the_distribution_has_no_provider_to_download(
    installed: Installed, tmp_path: Path
) -> None:
    # How pulumi-language-python looks for it (pulumi/pulumi, sdk/python/cmd/pulumi-language-python/main.go).
    code = """if True:
        import importlib.metadata, importlib.util, json, pathlib
        name = importlib.metadata.distribution("pulumi-astra-istio").metadata["Name"].replace("-", "_")
        [folder] = importlib.util.find_spec(name).submodule_search_locations
        print(json.loads((pathlib.Path(folder) / "pulumi-plugin.json").read_text()))
    """
    ran = installed.run("-c", code, cwd=tmp_path)
    assert (ran.stdout, ran.stderr) == ("{'resource': False}\n", "")


@pytest.mark.parametrize("stack", STACKS)
def test_it_renders_the_same_bytes_as_the_repository(
    installed: Installed, project: Path, tmp_path: Path, stack: str
) -> None:
    ran = installed.run(
        "-m", "astra_istio.render", "--project", project, "--stack", stack, "--out", "out", cwd=tmp_path
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    here = tmp_path / "here"
    assert main(["--project", str(ROOT), "--stack", stack, "--out", str(here)]) == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert files == {path.name: path.read_bytes() for path in here.iterdir()}
    assert any(b"-- astra-istio-capture" in text for text in files.values())


def test_a_mistake_is_told_in_a_line_without_a_traceback(
    installed: Installed, project: Path, tmp_path: Path
) -> None:
    stack = project / "stacks" / "Pulumi.dev.yaml"
    stack.write_text(stack.read_text("utf-8").replace("namespace: default", "namespace: Default"), "utf-8")
    ran = installed.run(
        "-m", "astra_istio.render", "--project", project, "--stack", "dev", "--out", "out", cwd=tmp_path
    )
    assert ran.returncode == 1
    assert ran.stderr == (
        "workloads.productpage.namespace: got 'Default', expected a namespace: at most 63 of a-z, 0-9 and "
        "'-', no '-' at an end\n"
    )
    assert not (tmp_path / "out").exists()


def test_help_names_the_command_that_was_given(installed: Installed, tmp_path: Path) -> None:
    ran = installed.run("-m", "astra_istio.render", "--help", cwd=tmp_path)
    assert ran.stdout.startswith("usage: python -m astra_istio.render ")


def test_verify_names_the_command_that_was_given(installed: Installed, tmp_path: Path) -> None:
    ran = installed.run("-m", "astra_istio.verify", "--help", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("usage: python -m astra_istio.verify ")


def test_verify_prints_the_rights_that_it_takes_where_there_is_nothing(
    installed: Installed, tmp_path: Path
) -> None:
    ran = installed.run("-m", "astra_istio.verify", "--rights", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == rights.CLUSTER_ROLE


def test_verify_without_a_cluster_says_what_to_do_next(
    installed: Installed, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    ran = installed.run("-m", "astra_istio.verify", "--project", project, "--stack", "dev", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1] == (
        "kubectl: No such file or directory; install it, and put it on the PATH"
    )

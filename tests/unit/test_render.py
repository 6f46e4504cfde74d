"""Rendering a stack without the engine: the real program, its manifests, and files."""

import gc
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components import render
from components.istio.read import captures
from components.istio.script import MAX_SCRIPT_BYTES
from components.render import files as render_files
from components.render.__main__ import main
from components.render.stack_file import Loader
from lab.cluster import build

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
STACKS = sorted(path.name.split(".")[1] for path in (ROOT / "stacks").glob("Pulumi.*.yaml"))
SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
URL = "http://otel.obs:4318"

SOUND = f"""
config:
  sensorId: {SENSOR_ID}
  collectorUrl: {URL}
  workloads: {{w: {{namespace: shop, labels: {{app: w}}}}}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """This project with one stack, `dev`."""
    folder = tmp_path / "project"
    (folder / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "stacks" / "Pulumi.dev.yaml").write_text(SOUND, "utf-8")
    return folder


def configure(project: Path, text: str) -> None:
    (project / "stacks" / "Pulumi.dev.yaml").write_text(text, "utf-8")


def run(project: Path, out: Path, stack: str = "dev") -> int:
    return main(["--project", str(project), "--stack", stack, "--out", str(out)])


def test_a_folder_of_a_variable_that_is_not_set_is_not_the_current_one(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(SystemExit) as ended:
        main(["--stack", "dev", "--out="])
    assert ended.value.code == 2
    assert "--out: got nothing, expected a folder" in capsys.readouterr().err
    assert list(project.glob("*Filter*")) == []


def test_a_file_is_no_folder_for_manifests(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project / "Pulumi.yaml"
    assert run(project, file) == 1
    assert capsys.readouterr().err == f"{file}: is no folder, expected one for the manifests\n"


def without_scripts(value: Any) -> Any:
    """The manifests that a change of the Lua code leaves alone."""
    if isinstance(value, dict):
        return {key: without_scripts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_scripts(item) for item in value]
    if isinstance(value, str) and value.startswith("-- astra-istio-capture"):
        [direction] = re.findall(r"direction = \"(\w+)\"", value)
        return f"the script for {direction}"
    return "the hash" if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) else value


@pytest.mark.parametrize("stack", STACKS)
def test_every_committed_stack_declares_what_its_golden_file_says(stack: str) -> None:
    text = yaml.safe_dump_all(without_scripts(render.manifests(ROOT, stack)), sort_keys=True)
    golden = GOLDEN / f"{stack}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")


@pytest.mark.parametrize("stack", STACKS)
def test_every_script_of_a_committed_stack_is_within_the_budget(stack: str) -> None:
    sizes = [
        len(text.encode()) for capture in captures(render.manifests(ROOT, stack)) for text in capture.scripts
    ]
    assert sizes
    assert max(sizes) < MAX_SCRIPT_BYTES


def test_no_golden_file_is_left_of_a_stack_that_is_gone() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == STACKS


def test_the_dev_stack_declares_the_guides_entry() -> None:
    [entry] = [manifest for manifest in render.manifests(ROOT, "dev") if manifest["kind"] == "ServiceEntry"]
    assert (entry["metadata"]["name"], entry["metadata"]["namespace"]) == (
        "allow-otel-collector-endpoint",
        "istio-system",
    )
    assert entry["spec"] == {
        "hosts": ["astra-traffic-collector.astra-collector"],
        "ports": [{"number": 4318, "name": "http-otlp", "protocol": "HTTP"}],
        "resolution": "DNS",
        "location": "MESH_INTERNAL",
    }


def test_the_same_stack_gives_the_same_bytes(project: Path, tmp_path: Path) -> None:
    assert run(project, tmp_path / "one") == 0
    assert run(project, tmp_path / "two") == 0
    one = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    two = {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert one == two


def test_each_object_has_a_file_named_by_kind_namespace_and_name(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(project, out) == 0
    names = [
        "DestinationRule.istio-system.allow-otel-collector-endpoint.yaml",
        "EnvoyFilter.shop.astra-istio-mesh-filter-w.yaml",
        "ServiceEntry.istio-system.allow-otel-collector-endpoint.yaml",
    ]
    assert sorted(path.name for path in out.iterdir()) == names
    assert capsys.readouterr() == ("".join(f"{out / name}\n" for name in names), "")


def test_a_file_holds_its_object_with_the_script_as_a_literal_block(project: Path, tmp_path: Path) -> None:
    run(project, tmp_path)
    text = (tmp_path / "EnvoyFilter.shop.astra-istio-mesh-filter-w.yaml").read_text("utf-8")
    [manifest] = [found for found in render.manifests(project, "dev") if found["kind"] == "EnvoyFilter"]
    assert yaml.safe_load(text) == manifest
    assert "            inline_string: |\n              -- astra-istio-capture " in text
    assert "priority: 20\n" in text


def test_files_that_are_no_longer_declared_are_removed_and_others_left_alone(
    project: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(project, out)
    (out / "kustomization.yaml").write_text("resources: []\n", "utf-8")
    (out / "notes.txt").write_text(f"{render_files.MARK}\n", "utf-8")
    configure(project, SOUND.replace("{w:", "{v:"))
    assert run(project, out) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "DestinationRule.istio-system.allow-otel-collector-endpoint.yaml",
        "EnvoyFilter.shop.astra-istio-mesh-filter-v.yaml",
        "ServiceEntry.istio-system.allow-otel-collector-endpoint.yaml",
        "kustomization.yaml",
        "notes.txt",
    ]


def test_a_file_of_somebody_else_is_not_overwritten(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "EnvoyFilter.shop.astra-istio-mesh-filter-w.yaml"
    mine.write_text("kind: EnvoyFilter\n", "utf-8")
    assert run(project, tmp_path) == 1
    told = f"{mine}: not written by render and left alone: move it, or render to another folder\n"
    assert capsys.readouterr().err == told
    assert [path.name for path in tmp_path.glob("*.yaml")] == [mine.name]


def test_a_folder_belongs_to_the_stack_that_was_rendered_to_it(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(project, out) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    shutil.copy(project / "stacks" / "Pulumi.dev.yaml", project / "stacks" / "Pulumi.prod.yaml")
    capsys.readouterr()
    assert run(project, out, stack="prod") == 1
    assert capsys.readouterr().err == (
        f"{out}: holds what was rendered from stack astra-istio-instrumentation/dev: "
        "render to another folder, or remove those files first\n"
    )
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_folder_belongs_to_the_project_of_the_stack_too(project: Path, tmp_path: Path) -> None:
    out, pulumi_yaml = tmp_path / "out", project / "Pulumi.yaml"
    assert run(project, out) == 0
    pulumi_yaml.write_text(pulumi_yaml.read_text("utf-8").replace("name: astra-", "name: other-"), "utf-8")
    configure(project, SOUND.replace("{w:", "{v:"))
    assert run(project, out) == 1
    assert len(list(out.glob("*-w.yaml"))) == 1


@pytest.mark.parametrize("name", [".{}.tmp", "{}"])
def test_a_planted_link_is_not_written_through(project: Path, tmp_path: Path, name: str) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    assert run(project, out) == 0
    for path in [*out.iterdir()]:
        elsewhere.write_bytes(path.read_bytes())
        link = out / name.format(path.name)
        link.unlink(missing_ok=True)
        link.symlink_to(elsewhere)
    configure(project, SOUND.replace("app: w", "app: other"))
    before = elsewhere.read_bytes()
    assert run(project, out) == 0
    assert elsewhere.read_bytes() == before
    rendered = list(out.glob("[A-Z]*.yaml"))
    assert len(rendered) == 3
    assert not any(path.is_symlink() for path in rendered)


def test_a_rendering_leaves_no_other_file_and_its_files_can_be_read_by_whom_the_umask_lets(
    project: Path, tmp_path: Path
) -> None:
    assert run(project, tmp_path / "out") == 0
    (tmp_path / "usual").touch()
    files = list((tmp_path / "out").iterdir())
    assert {path.suffix for path in files} == {".yaml"}
    assert {path.stat().st_mode for path in files} == {(tmp_path / "usual").stat().st_mode}


def test_no_name_of_an_object_leads_out_of_the_folder(tmp_path: Path) -> None:
    config_map = {"kind": "ConfigMap", "metadata": {"name": "../../escaped", "namespace": "n"}}
    with pytest.raises(render.RenderError, match=r"cannot name a file, expected no '/'$"):
        render_files.write_clusters({"": [config_map]}, tmp_path / "out", stack="dev")
    assert list(tmp_path.iterdir()) == []


def test_what_the_program_refuses_is_refused_with_its_words_and_nothing_is_written(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, f"{SOUND}  capture: {{samplingRatio: 2, sampling: 1}}\n  colour: red\n")
    out = tmp_path / "out"
    assert run(project, out) == 1
    assert not out.exists()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "capture.samplingRatio: got 2, expected a number from 0 to 1",
        "capture.sampling: unknown key, did you mean samplingRatio?",
        "colour: unknown key, did you mean collectorUrl?",
    ]


def test_what_the_engine_refuses_is_told_with_what_the_program_refuses(project: Path) -> None:
    configure(project, "config: {workloads: {w: {namespace: N}}, egress: x, collectorUrl: 'http://a.b'}")
    with pytest.raises(render.RenderError) as refusal:
        render.manifests(project, "dev")
    assert str(refusal.value).splitlines() == [
        "egress: got 'x', expected a mapping, with keys such as create, name, namespace",
        "sensorId: missing, expected the sensor's UUID, such as 12345678-9abc-4def-8123-456789abcdef",
        (
            "workloads.w.namespace: got 'N', expected a namespace: at most 63 of a-z, 0-9 and '-', no "
            "'-' at an end"
        ),
        "collectorUrl: got 'http://a.b', expected a port after the host (OTLP/HTTP's is 4318): say the port",
    ]


def test_an_earlier_rendering_stays_when_the_configuration_goes_bad(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(project, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    configure(project, SOUND.replace("shop", "Shop"))
    assert run(project, out) == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_an_encrypted_value_is_named_and_the_reason_given(project: Path) -> None:
    configure(project, SOUND.replace("namespace: shop", "namespace: {secure: AAABBB}"))
    with pytest.raises(render.RenderError) as refusal:
        render.manifests(project, "dev")
    assert str(refusal.value) == (
        "workloads.w.namespace: got a secret, expected a namespace: at most 63 of a-z, 0-9 and '-', no "
        "'-' at an end, in plain text: one secret in the script hides the whole script from review"
    )


def test_an_encrypted_value_that_another_program_reads_cannot_be_rendered(project: Path) -> None:
    configure(project, SOUND.replace(f"sensorId: {SENSOR_ID}", "sensorId: {secure: AAABBB}"))
    (project / "__main__.py").write_text("", "utf-8")
    with pytest.raises(
        render.RenderError, match=r"^sensorId: only the Pulumi engine can decrypt a `secure:` value$"
    ):
        render.manifests(project, "dev")


def test_a_mistyped_project_is_told(project: Path) -> None:
    configure(project, f"{SOUND}  astra-istio:capture: {{samplingRatio: 0.5}}\n")
    with pytest.raises(render.RenderError) as refusal:
        render.manifests(project, "dev")
    assert str(refusal.value) == (
        "astra-istio:capture: nobody reads this key, did you mean astra-istio-instrumentation:capture?"
    )


def test_a_missing_stack_is_told_with_those_there_are(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(project, tmp_path / "out", stack="prod") == 1
    assert capsys.readouterr().err == f"no stack 'prod' in {project / 'stacks'}, expected one of dev\n"


def test_warnings_of_the_program_are_shown(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, f"{SOUND}  egress: {{location: external}}\n")
    assert run(project, tmp_path) == 0
    assert capsys.readouterr().err == (
        f"warning: {URL}: captured traffic leaves the mesh in plain text; use an https URL\n"
    )


def test_a_folder_that_cannot_be_made_is_one_line(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(project, tmp_path / "file" / "out") == 1
    assert capsys.readouterr().err == f"{tmp_path / 'file' / 'out'}: Not a directory\n"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_program_that_asks_the_engine_for_something_is_refused(project: Path) -> None:
    (project / "__main__.py").write_text(ASKING_THE_ENGINE, "utf-8")
    with pytest.raises(
        render.RenderError, match=r"^org/net/prod: .* say them in stack-references\.yaml beside"
    ):
        render.manifests(project, "dev")
    gc.collect()


def test_a_program_that_fails_shows_its_whole_traceback(project: Path, tmp_path: Path) -> None:
    (project / "__main__.py").write_text("def divide(): 1 / 0\ndivide()\n", "utf-8")
    command = [sys.executable, "-m", "components.render", "--stack", "dev", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [*command, "--project", str(project)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f'File "{project / "__main__.py"}", line 2, in <module>' in done.stderr
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


WITH_AN_OUTPUT = f"""
import pulumi
from components import WorkloadCapture
namespace = pulumi.Output.from_input("{{namespace}}")
settings = dict(sensor_id="{SENSOR_ID}", collector_url="{URL}", namespace=namespace)
WorkloadCapture("w", settings)
"""

ASKING_THE_ENGINE = """
import pulumi
other = pulumi.StackReference("org/net/prod")
pulumi.export("id", other.get_output("id"))
"""


def test_an_output_in_a_name_is_resolved(project: Path) -> None:
    (project / "__main__.py").write_text(WITH_AN_OUTPUT.format(namespace="shop"), "utf-8")
    [manifest] = render.manifests(project, "dev")
    assert manifest["metadata"]["namespace"] == "shop"


def test_what_is_missing_is_told_with_what_was_left_out(project: Path) -> None:
    configure(
        project, "environment: [prod/astra]\nconfig: {workloads: {a: {namespace: n, labels: {app: a}}}}"
    )
    with pytest.raises(render.RenderError) as refusal:
        render.manifests(project, "dev")
    *missing, environment = str(refusal.value).splitlines()
    assert {line.partition(":")[0] for line in missing} == {"sensorId", "collectorUrl"}
    assert environment.startswith(
        "environment: left out, only the Pulumi engine can open it. `pulumi preview` and"
    )
    assert "below `config:`" in environment


def test_a_stack_that_says_all_in_its_file_renders_beside_an_environment(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(project, "environment: [prod/astra]\n" + SOUND)
    assert run(project, tmp_path / "out") == 0
    assert "warning: environment: left out" in capsys.readouterr().err


def test_an_output_that_turns_out_bad_is_refused(project: Path) -> None:
    (project / "__main__.py").write_text(WITH_AN_OUTPUT.format(namespace="Shop"), "utf-8")
    with pytest.raises(render.RenderError, match=r"^w\.namespace: got 'Shop', expected a namespace"):
        render.manifests(project, "dev")


def test_no_two_objects_share_a_file(project: Path, tmp_path: Path) -> None:
    workloads = {
        "one": {"namespace": "a", "filterName": "b-c"},
        "two": {"namespace": "a-b", "filterName": "c"},
    }
    configure(project, SOUND.replace("{w: {namespace: shop, labels: {app: w}}}", str(workloads)))
    files = render_files.write_clusters({"": render.manifests(project, "dev")}, tmp_path / "out", stack="dev")
    assert [file.name for file in files if file.name.startswith("EnvoyFilter")] == [
        "EnvoyFilter.a.b-c.yaml",
        "EnvoyFilter.a-b.c.yaml",
    ]


# What YAML 1.1, YAML 1.2 and Go's readers, which take some of both and more, read as no text.
WORDS = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
LOOKALIKES = [
    *(spelled for word in WORDS for spelled in (word, word.upper(), word.capitalize(), word.swapcase())),
    *(
        "tRUE",
        "nULL",
        "~",
        "",
        "<<",
        "=",
        "-",
        "?",
        "!",
        "&a",
        "*a",
        "#",
        "a #b",
        "a: b",
        "[a",
        "{a",
        "%a",
        "@a",
        "`a",
    ),
    *(
        "0",
        "7",
        "07",
        "08",
        "0_8",
        "0o17",
        "0O7",
        "0o_7",
        "0b1",
        "0B1",
        "0x1F",
        "0X1F",
        "0x_1",
        "0x1p3",
        "+1",
        "-1",
    ),
    *(
        "1_000",
        "1__0",
        "1e3",
        "12e34567",
        "1E3",
        "1e+3",
        "1e1_0",
        "1.",
        ".5",
        ".5_0",
        "-.5",
        "1.30",
        "+0x1",
        "-0o7",
    ),
    *("12:30", "1:30.5", "190:20:30", ".inf", "-.INF", "+.inf", ".nan", ".NaN", "inf", "nan", "Infinity"),
    *("2026-01-31", "2026-1-1", "2026-01-31T10:00:00Z", "2026-01-31 10:00:00", "2026-01-31t10:00:00.5 +1:00"),
    *(
        "---",
        "...",
        "--- a",
        " a",
        "a ",
        "\ta",
        "a\t",
        "a\tb",
        "a\n",
        "\na",
        " a\nb",
        "a\n\n",
        "a \nb",
        "a\n---\nb",
    ),
    *(f"a{character}b" for character in "\r\x85\u2028\u2029\ufeff\0\x1b\x7f\xa0\U0001f600"),
    *(f"{character}\nb" for character in "\r\x85\u2028\u2029\ufeff\x1b\t\U0001f600#-"),
]


@given(st.text() | st.sampled_from(LOOKALIKES))
def test_strings_stay_strings_in_every_version_of_yaml(text: str) -> None:
    written = render_files.to_yaml({text: text})
    assert yaml.safe_load(written) == {text: text}
    assert yaml.load(written, Loader) == {text: text}  # noqa: S506 - a SafeLoader


def test_strings_stay_strings_to_kubectl() -> None:
    kubectl = build.KUBECTL.path if build.KUBECTL.path.exists() else shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl, on the PATH or built by `make test-mesh`")
    spec = {"keys": dict.fromkeys(LOOKALIKES, ""), "values": LOOKALIKES, "flags": [True, None, 1, 0.5]}
    manifest = {"apiVersion": "v1", "kind": "Any", "metadata": {"name": "any"}, "spec": spec}
    # Its reader of files, without a cluster.
    command = [kubectl, "annotate", "--local", "-f", "-", "read=back", "-o", "json"]
    done = subprocess.run(
        command, input=render_files.to_yaml(manifest), capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout)["spec"] == spec


def test_an_object_without_a_namespace_is_written_too(tmp_path: Path) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    assert render_files.write_clusters({"": [namespace]}, tmp_path, stack="dev") == [
        tmp_path / "Namespace.shop.yaml"
    ]


def test_an_object_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(render.RenderError, match=r"^ConfigMap: metadata.name is missing"):
        render_files.write_clusters({"": [{"apiVersion": "v1", "kind": "ConfigMap"}]}, tmp_path, stack="dev")

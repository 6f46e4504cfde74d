"""A stack's life with the real engine and a Kubernetes provider that writes files."""

import difflib
import re
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from components import render
from tests.engine.conftest import (
    NAMED,
    RENAMED,
    RESOURCES,
    ROOT,
    SENSOR_ID,
    Project,
    Steps,
    capture_in,
    refusal,
    resources,
)

pytestmark = pytest.mark.timeout(300)

BOTH: dict[str, Any] = {
    name: {"namespace": "shop", "labels": {"app": name}} for name in ("checkout", "catalog")
}


def rendered(project: Project) -> dict[tuple[str, ...], Any]:
    """The manifests that the provider wrote, by kind, namespace and name."""
    manifests = [
        yaml.safe_load(path.read_text("utf-8"))
        for path in (project.folder / "rendered" / "1-manifest").glob("*.yaml")
    ]
    return by_identity(manifests)


def by_identity(manifests: list[dict[str, Any]]) -> dict[tuple[str, ...], Any]:
    return {
        (found["kind"], found["metadata"]["namespace"], found["metadata"]["name"]): found
        for found in manifests
    }


def changed_lines(old: str, new: str) -> list[str]:
    """The lines of a text that were removed ("- ...") and added ("+ ..."), indentation aside."""
    changed = (line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[0] in "-+")
    return [unindented(line) for line in changed]


def unindented(line: str) -> str:
    return " ".join(line.split())


def test_a_preview_of_a_new_stack_creates_everything_and_writes_nothing(rendering: Project) -> None:
    steps = Steps()
    rendering.stack().preview(on_event=steps)
    assert steps.of == dict.fromkeys(RESOURCES, "create")
    assert rendered(rendering) == {}


def test_up_declares_what_render_writes_and_a_second_preview_finds_no_change(rendering: Project) -> None:
    stack = rendering.stack()
    up = stack.up()
    assert up.summary.result == "succeeded"
    # Labels and annotations too: with server-side apply, its default, the provider adds none of its own.
    assert rendered(rendering) == by_identity(render.manifests(rendering.folder, "dev"))
    assert {key: output.value for key, output in up.outputs.items()} == {
        "collectorHost": "astra-traffic-collector.astra-collector",
        "collectorPort": 4318,
        "collectorCluster": "outbound|4318||astra-traffic-collector.astra-collector",
        "capturedWorkloads": {
            "checkout": {"namespace": "shop", "filterName": "astra-istio-mesh-filter-checkout"}
        },
    }
    steps = Steps()
    stack.preview(expect_no_changes=True, on_event=steps)
    assert steps.of == dict.fromkeys(RESOURCES, "same")


def test_a_new_stack_adds_the_salt_of_its_passphrase_to_its_file_and_keeps_the_rest(
    rendering: Project,
) -> None:
    before = yaml.safe_load(rendering.stack_file.read_text("utf-8"))
    rendering.stack()
    after = yaml.safe_load(rendering.stack_file.read_text("utf-8"))
    assert after.pop("encryptionsalt")
    assert after == before


def test_a_refresh_needs_a_cluster_although_the_stack_only_renders(rendering: Project) -> None:
    stack = rendering.stack()
    stack.up()
    with pytest.raises(auto.CommandError, match="failed to read resource state due to unreachable cluster"):
        stack.refresh(color="never")


def test_a_refresh_without_a_cluster_changes_nothing_where_the_provider_may_skip_it(
    rendering: Project,
) -> None:
    rendering.environment["PULUMI_K8S_SKIP_UPDATE_UNREACHABLE"] = "true"
    stack = rendering.stack()
    stack.up()
    stack.refresh()
    stack.preview(expect_no_changes=True)


def test_a_changed_setting_of_a_workload_is_one_changed_line_of_its_filter_and_nothing_else(
    rendering: Project,
) -> None:
    rendering.configure(workloads=BOTH)
    stack = rendering.stack()
    stack.up()
    half = {**BOTH["checkout"], "capture": {"samplingRatio": 0.5}}
    rendering.configure(workloads={**BOTH, "checkout": half})
    steps = Steps()
    preview = stack.preview(diff=True, color="never", on_event=steps)

    assert steps.changed == dict.fromkeys(
        ["astra", "astra-checkout", "astra-checkout-envoy-filter"], "update"
    )
    old, new = steps.inputs["astra-checkout-envoy-filter"]
    before, after = capture_in(old), capture_in(new)
    assert after.settings == ({**before.settings[0], "sampling_ratio": 0.5},)
    assert old["metadata"] == new["metadata"]  # the code's hash among it
    [old_script], [new_script] = before.scripts, after.scripts
    changed = changed_lines(old_script, new_script)
    assert [line[0] for line in changed] == ["-", "+"]
    # What a person reads: the engine's diff has both lines, once each.
    told = map(unindented, preview.stdout.splitlines())
    assert [line for line in told if line in changed] == changed


def test_a_workload_that_is_removed_takes_its_filter_along_and_leaves_the_others(rendering: Project) -> None:
    rendering.configure(workloads=BOTH)
    stack = rendering.stack()
    stack.up()
    rendering.configure(workloads={"checkout": BOTH["checkout"]})
    steps = Steps()
    stack.up(on_event=steps)
    assert steps.changed == {
        "astra": "update",
        "astra-catalog": "delete",
        "astra-catalog-envoy-filter": "delete",
    }
    assert rendered(rendering) == by_identity(render.manifests(rendering.folder, "dev"))


def test_a_renamed_component_with_an_alias_keeps_its_objects(rendering: Project) -> None:
    rendering.program(NAMED)
    stack = rendering.stack()
    stack.up()
    before = rendered(rendering)
    rendering.program(RENAMED)
    steps = Steps()
    stack.up(expect_no_changes=True, on_event=steps)
    assert steps.of == {name.replace("astra", "capture", 1): "same" for name in RESOURCES}
    assert rendered(rendering) == before


def test_destroy_leaves_nothing(rendering: Project) -> None:
    stack = rendering.stack()
    stack.up()
    assert rendered(rendering)
    stack.destroy()
    assert rendered(rendering) == {}
    assert resources(stack) == []
    stack.workspace.remove_stack("dev")


def test_a_bad_configuration_is_told_at_preview_without_a_traceback(rendering: Project) -> None:
    rendering.configure(capture={"samplingRato": 1, "maxBodyBytes": -1})
    told = refusal(rendering)
    assert "capture.maxBodyBytes: got -1, expected a whole number from 0 to 262144" in told
    assert "capture.samplingRato: unknown key, did you mean samplingRatio?" in told
    assert "Traceback" not in told
    assert rendered(rendering) == {}


def test_a_required_key_that_is_missing_is_told_by_the_engine(rendering: Project) -> None:
    rendering.configure(sensorId=None)
    assert "Stack 'dev' is missing configuration value 'sensorId'" in refusal(rendering)


def test_a_value_of_another_type_is_told_by_the_engine(rendering: Project) -> None:
    rendering.configure(egress=["mesh"])
    assert re.search(
        r"Stack 'dev' with configuration key '[^']*egress' must be of type 'object'", refusal(rendering)
    )


def test_a_secret_sensor_is_refused_with_the_reason(rendering: Project) -> None:
    stack = rendering.stack()
    stack.set_config("sensorId", auto.ConfigValue(SENSOR_ID, secret=True))
    told = refusal(rendering)
    assert "sensorId: got a secret, expected the sensor's UUID" in told
    assert "hides the whole script from review" in told


def test_the_engine_reads_the_folder_of_stack_files_and_the_automation_api_does_not(
    rendering: Project,
) -> None:
    stack = rendering.stack()
    assert stack.get_config("collectorUrl").value.startswith("http://astra-traffic-collector")
    with pytest.raises(FileNotFoundError):
        stack.workspace.stack_settings("dev")


@pytest.mark.parametrize("stack", sorted(path.name for path in (ROOT / "stacks").iterdir()))
def test_a_committed_stack_previews(rendering: Project, stack: str) -> None:
    committed = yaml.safe_load((ROOT / "stacks" / stack).read_text("utf-8"))["config"]
    target = {"kubernetes:renderYamlToDirectory": str(rendering.folder / "rendered")}
    rendering.stack_file.write_text(yaml.safe_dump({"config": committed | target}), "utf-8")
    steps = Steps()
    rendering.stack().preview(on_event=steps)
    assert set(steps.of.values()) == {"create"}

"""A stack of a thousand workloads: docs/scale.md has the figures."""

from pathlib import Path

import pytest

from components import render
from tools import scale

CPU_SECONDS = 20  # the bar for a run on an idle machine; CPU time, as a busy one says nothing by the clock
MEMORY_MIB = 560


@pytest.mark.timeout(300)
def test_a_thousand_workloads_render_within_20_seconds_and_560_mib(tmp_path: Path) -> None:
    folder, out = tmp_path / "project", tmp_path / "out"
    folder.mkdir()
    cost = scale.render(scale.project(folder, scale.A_FILTER_PER_WORKLOAD), out)
    assert len(list(out.glob("EnvoyFilter.*.yaml"))) == 1000
    assert cost.cpu_seconds < CPU_SECONDS
    assert cost.memory_mib < MEMORY_MIB


def test_workloads_with_the_same_settings_share_one_script_in_memory(tmp_path: Path) -> None:
    workloads = dict(list(scale.A_FILTER_PER_WORKLOAD.items())[:20])
    manifests = render.manifests(scale.project(tmp_path, workloads), "big")
    scripts = [
        patch["patch"]["value"]["typed_config"]["default_source_code"]["inline_string"]
        for manifest in manifests
        if manifest["kind"] == "EnvoyFilter"
        for patch in manifest["spec"]["configPatches"]
    ]
    assert len(scripts) == 20
    assert len({id(script) for script in scripts}) == 1

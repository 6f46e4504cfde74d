"""The command of `make fuzz` ends when it is told to, and says what it found until then."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.fuzz import inputs
from lab.fuzz.floods import BAR_MB, Flood, held


def test_ctrl_c_ends_it_with_what_was_found(tmp_path: Path) -> None:
    out = tmp_path / "worst.json"
    command = [sys.executable, "-u", "-m", "lab.fuzz", "5", "--seed", "7", "--out", str(out)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout
        assert running.stdout.readline() == "Seed 7, 5 minutes.\n"
        assert "s left" in running.stdout.readline()  # it says so every ten seconds
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate()
    assert running.returncode == 130
    assert "Worst inputs" in said
    assert [inputs.loaded(item) for item in json.loads(out.read_text())]
    assert [path.name for path in tmp_path.iterdir()] == ["worst.json"]  # Envoy's folder is gone with it


@pytest.mark.anyio
@pytest.mark.timeout(50)  # a flood that waits for what Envoy refused ends after 60 s
@pytest.mark.parametrize(("kind", "unit"), [("HTTP/2 streams", "\n"), ("open requests", "\0")])
async def test_a_flood_ends_if_envoy_refuses_its_requests(kind: str, unit: str) -> None:
    found = await held(Flood(kind, streams=100, unit=unit, lines=1))
    assert found.peak < BAR_MB

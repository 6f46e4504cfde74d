"""Every command says how it is used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for folder in ("components", "lab", "tools")
    for file in (ROOT / folder).rglob("*.py")
    if 'if __name__ == "__main__":' in file.read_text("utf-8")
)


def test_the_commands_of_the_makefile_are_among_them() -> None:
    assert set(COMMANDS) >= {
        "components.render",
        "components.review",
        "components.verify",
        "lab.bench",
        "lab.cluster",
        "lab.demo",
        "lab.encoding",
        "lab.fuzz",
        "lab.versions",
        "tools.install",
        "tools.settings_reference",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_how_it_is_used(command: str, tmp_path: Path) -> None:
    # What one command alone needs is missing in the environment of the others.
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError(name=__name__)", "utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", command, "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("usage: python")

"""What is installed is what was pinned: every requirement has the hashes of its files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINS = [
    *sorted(ROOT.glob("requirements*.txt")),
    ROOT / "policy" / "requirements.txt",
    ROOT / "tools" / "uv.txt",
]


@pytest.mark.parametrize("file", PINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_requirement_is_a_version_with_its_hashes(file: Path) -> None:
    """Where one has hashes, pip and uv ask for those of all, and check them."""
    pin = r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n"
    assert re.fullmatch(rf"({pin})+", file.read_text("utf-8"))


def test_make_pins_with_hashes_and_names_no_registry() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = [line for line in makefile.splitlines() if "uv pip compile" in line]
    assert commands
    assert all("--generate-hashes" in line and "--no-emit-index-url" in line for line in commands)

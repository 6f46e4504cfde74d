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
    [command] = re.findall(r"^COMPILE = (.*)$", makefile, re.MULTILINE)
    assert "uv pip compile" not in makefile.replace(command, "")
    assert {"--generate-hashes", "--no-emit-index-url"} <= set(command.split())


def test_nothing_is_built_with_what_was_not_pinned() -> None:
    """Unless it is told not to, pip builds with the newest of what is asked for."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    lines = [line for line in makefile.splitlines() if re.search(r"pip (wheel|install)\b", line)]
    assert lines
    assert all("--no-build-isolation" in line or "--no-index" in line for line in lines)

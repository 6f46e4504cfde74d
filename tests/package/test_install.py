"""How make fills a virtual environment: from where pip would, whole or not at all, one line if it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import install

ROOT = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:1/simple"


def cloned(folder: Path) -> Path:
    """What a fresh clone has of it."""
    (folder / "tools").mkdir()
    for name in ("install.py", "uv.txt"):
        shutil.copy(ROOT / "tools" / name, folder / "tools")
    (folder / "requirements.txt").write_text("six==1.17.0\n", "utf-8")
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return cloned(tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with an environment that is full."""
    folder = cloned(tmp_path_factory.mktemp("clone"))
    ran = fill(folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    return folder


def fill(
    clone: Path, requirements: str = "requirements.txt", **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/install.py", ".venv", requirements, ".venv/.done"]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, check=False)


def imported(clone: Path, module: str) -> bool:
    python = clone / ".venv" / "bin" / "python"
    return (
        subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0
    )


def test_a_fresh_clone_gets_a_full_environment_with_pip_in_it(filled: Path) -> None:
    assert (filled / ".venv" / ".done").exists()
    assert imported(filled, "six")
    assert imported(filled, "pip")


def test_a_registry_that_does_not_answer_is_one_line_and_leaves_no_environment(clone: Path) -> None:
    ran = fill(clone, PIP_INDEX_URL=NOBODY, PIP_RETRIES="1", PIP_FIND_LINKS="")
    assert ran.returncode == 1
    [line] = ran.stderr.splitlines()
    assert line.startswith("install: could not install ")
    assert ": no answer from the package registry (the whole output: .cache/install.log). Next: " in line
    assert not (clone / ".venv").exists()


def test_what_cannot_be_added_is_one_line_and_leaves_the_environment_as_it_was(filled: Path) -> None:
    (filled / "other.txt").write_text(f"idna==3.11 --hash=sha256:{'0' * 64}\n", "utf-8")
    ran = fill(filled, "other.txt")
    assert ran.returncode == 1
    [line] = ran.stderr.splitlines()
    assert line.startswith("install: could not install other.txt: ")
    assert imported(filled, "six")
    assert not imported(filled, "idna")


def test_an_environment_that_was_never_full_is_made_anew(filled: Path) -> None:
    (filled / ".venv" / ".unfinished").touch()
    (filled / ".venv" / "rest").touch()
    assert fill(filled).returncode == 0
    assert not (filled / ".venv" / "rest").exists()
    assert not (filled / ".venv" / ".unfinished").exists()
    assert imported(filled, "six")


def test_a_clone_that_cannot_be_written_to_is_one_line(clone: Path) -> None:
    (clone / ".cache").touch()  # the user who runs tests may be root, whom no mode of a folder stops
    ran = fill(clone)
    assert ran.returncode == 1
    assert ran.stderr == (
        "install: .cache: File exists. Next: run this in a copy of the repository that can be written to.\n"
    )


def test_what_pip_is_told_on_this_machine_is_told_to_uv(tmp_path: Path) -> None:
    configured = (
        f"global.find-links='{tmp_path}\\n/not/there\\nhttps://a.example/wheels'\n"
        "global.index-url='https://user:word@a.example/simple'\n"
        "global.extra-index-url='https://b.example/simple\\nhttps://c.example/simple'\n"
        "install.trusted-host='b.example'\n"
        ":env:.cert='/etc/ca.pem'\n"
        ":env:.disable-pip-version-check='1'\n"
        ":env:.index-url='https://d.example/simple'\n"
    )
    assert install.uv_settings(configured) == {
        "UV_DEFAULT_INDEX": "https://d.example/simple",
        "UV_INDEX": "https://b.example/simple https://c.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": f"{tmp_path},https://a.example/wheels",
        "UV_INSECURE_HOST": "b.example",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }
    assert install.uv_settings("") == {}

"""The package as its users get it: built, and installed where there is nothing else."""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.package.engine import RecordingEngine, recording
from tests.package.plugin import Plugin, started_plugin

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = Path(sys.prefix) / ".wheels"


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel and what the wheel says that it needs.

    Attributes:
        wheel: the wheel that is installed in it.
        python: its interpreter.
    """

    wheel: Path
    python: Path

    def run(self, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run its Python, which sees nothing of this repository."""
        command = [str(self.python), "-I", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input"]
    subprocess.run([*command, *map(str, arguments)], check=True, stdout=sys.stderr)


def build(source: Path, out: Path) -> Path:
    """The wheel of a source tree or archive, built by the backend of this environment."""
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source)
    [wheel] = out.glob("*.whl")
    return wheel


def requirements(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().splitlines()
    return [line for line in lines if line.startswith(("Requires-Dist:", "Requires-Python:"))]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(wheel: Path, request: pytest.FixtureRequest) -> Installed:
    """The wheel in an environment of its own: neither pip nor a package that it does not ask for.

    The environment is kept, without the wheel, for as long as the wheel asks for the same.
    """
    pins = ROOT / "requirements.txt"
    wanted = "\n".join([sys.version, pins.read_text("utf-8"), *requirements(wheel)])
    environment = ENVIRONMENTS / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    python, complete = environment / "bin" / "python", environment / "complete"
    if not complete.exists():
        terminal = request.config.pluginmanager.getplugin("terminalreporter")
        terminal.write_line("Installing the wheel and what it needs (about 30 s, once) ...")
        shutil.rmtree(ENVIRONMENTS, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
        # As the engine installs a program's requirements, whose hashes pip then checks.
        pip("--python", python, "install", "--no-compile", "--requirement", pins)
        pip("--python", python, "install", "--no-compile", "--no-deps", wheel)
        pip("--python", python, "check")
        complete.touch()
    else:
        pip("--python", python, "install", "--no-compile", "--no-deps", "--force-reinstall", wheel)
    return Installed(wheel, python)


@pytest.fixture
def engine() -> Iterator[RecordingEngine]:
    with recording() as engine:
        yield engine


@pytest.fixture(scope="session")
def plugin() -> Iterator[Plugin]:
    with started_plugin() as plugin:
        yield plugin


@pytest.fixture(scope="session")
def schema(plugin: Plugin) -> dict[str, Any]:
    """The package's schema, as the engine asks the plugin for it."""
    return plugin.schema()

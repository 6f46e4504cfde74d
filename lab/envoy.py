"""A real Envoy as a child process: ready when handed over, gone when the block is left."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from . import versions

_START_SECONDS = 30
_STOP_SECONDS = 5
_LOG_LINES = 12
# Becomes Envoy, after asking the kernel (Linux only) to kill it when the thread that started it ends: a lab
# that is killed leaves nothing behind. A preexec_fn would do the same, but is unsafe where there are threads.
_LAUNCHER = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""


class EnvoyError(Exception):
    """Envoy did not start. The message ends with the last lines of its log."""


@dataclass(frozen=True)
class Envoy:
    """A running Envoy.

    Attributes:
        pid: its process.
        ports: the port of each listener on loopback, by listener name.
    """

    pid: int
    ports: Mapping[str, int]
    _log: Path
    _admin: httpx.AsyncClient

    async def stats(self, pattern: str = "") -> dict[str, int]:
        """Its counters and gauges.

        Args:
            pattern: a regular expression that a name has to contain.
        """
        response = await self._admin.get("/stats", params={"format": "json", "filter": pattern})
        return {stat["name"]: stat["value"] for stat in response.json()["stats"] if "name" in stat}

    def log(self) -> str:
        """What it has logged so far, one ``[level][logger] message`` per line."""
        return self._log.read_text("utf-8", "replace")


@asynccontextmanager
async def running(
    bootstrap: Mapping[str, Any], *, workers: int = 1, lua_log_level: str = "warning"
) -> AsyncIterator[Envoy]:
    """Run Envoy for as long as the block lasts.

    Args:
        bootstrap: its configuration, with an ``admin`` on port 0.
        workers: its worker threads (``--concurrency``).
        lua_log_level: what Lua scripts may log; everything else logs at ``warning``, as in Istio.

    Raises:
        EnvoyError: the bootstrap is refused, a port is in use, or it is not ready after 30 seconds.
        VersionError: the Envoy that was selected is not there.
    """
    with tempfile.TemporaryDirectory(prefix="lab-envoy-") as name:
        folder = Path(name)
        (folder / "bootstrap.json").write_text(json.dumps(bootstrap))
        log = folder / "log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _LAUNCHER),
                versions.binary(versions.selected()),
                *("--config-path", folder / "bootstrap.json"),
                *("--admin-address-path", folder / "admin"),
                *("--concurrency", str(workers)),
                "--disable-hot-restart",  # which would have every Envoy of this machine share memory
                *("--log-level", "warning", "--component-log-level", f"lua:{lua_log_level}"),
                *("--log-format", "[%l][%n] %v"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # ctrl-C reaches us alone: we stop it in order
            )
        try:
            async with _admin(process, folder / "admin", log) as admin:
                yield Envoy(process.pid, await _listener_ports(admin), log, admin)
        finally:
            await _stop(process)


@asynccontextmanager
async def _admin(
    process: asyncio.subprocess.Process, address: Path, log: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the admin interface, once Envoy is ready."""
    started = time.monotonic()
    exited = asyncio.ensure_future(process.wait())
    client = httpx.AsyncClient(trust_env=False)
    async with client:
        pause = 0.02
        while not await _ready(client, address):
            if time.monotonic() - started > _START_SECONDS:
                raise EnvoyError(f"Envoy is not ready after {_START_SECONDS} s. {_tail(log)}")
            await asyncio.wait({exited}, timeout=pause)
            if exited.done():
                raise EnvoyError(f"Envoy ended with exit code {exited.result()}. {_tail(log)}")
            pause = min(pause * 1.5, 0.5)
        yield client


async def _ready(client: httpx.AsyncClient, address: Path) -> bool:
    try:
        client.base_url = f"http://{address.read_text().strip()}"  # noqa: ASYNC240  # some bytes in a local file
        return (await client.get("/ready")).is_success
    except (FileNotFoundError, httpx.InvalidURL, httpx.TransportError, httpx.UnsupportedProtocol):
        return False  # the address is not written yet, or not wholly


async def _listener_ports(admin: httpx.AsyncClient) -> dict[str, int]:
    listeners = (await admin.get("/listeners", params={"format": "json"})).json()["listener_statuses"]
    return {item["name"]: item["local_address"]["socket_address"]["port_value"] for item in listeners}


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:]
    return "\n  ".join(["Its log ends with:", *lines]) if lines else "It logged nothing."

"""A real Envoy as a child process: ready when handed over, gone when the block is left."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from . import versions
from .child import LAUNCHER, kill

_LOG_LINES = 12


class EnvoyError(Exception):
    """Envoy did not start. The message ends with the last lines of its log."""


@dataclass(frozen=True)
class Envoy:
    """A running Envoy.

    Attributes:
        pid: its process.
        admin: ``host:port`` of its admin interface.
        ports: the port of each listener on loopback, by listener name, as it started.
    """

    pid: int
    admin: str
    ports: Mapping[str, int]
    _log: Path
    _admin: httpx.AsyncClient
    _process: asyncio.subprocess.Process

    async def ended(self) -> None:
        """Wait until it has ended, by itself or by somebody else's hand."""
        await self._process.wait()

    async def config_dump(self) -> Any:
        """Its configuration, endpoints included: ``/config_dump?include_eds``."""
        return (await self._admin.get("/config_dump", params={"include_eds": ""})).json()

    async def stats(self, pattern: str = "") -> dict[str, int]:
        """Its counters and gauges.

        Args:
            pattern: a regular expression that a name has to contain.
        """
        response = await self._admin.get("/stats", params={"format": "json", "filter": pattern})
        return {stat["name"]: stat["value"] for stat in response.json()["stats"] if "name" in stat}

    async def memory(self) -> dict[str, int]:
        """What its allocator holds, in bytes: ``/memory``; ``pageheap_free`` is held and not in use."""
        return {name: int(size) for name, size in (await self._admin.get("/memory")).json().items()}

    def log(self) -> str:
        """What it has logged so far, one ``[level][logger] message`` per line."""
        return self._log.read_text("utf-8", "replace")


@asynccontextmanager
async def running(  # noqa: PLR0913  # by keyword
    bootstrap: Mapping[str, Any],
    *,
    workers: int = 1,
    lua_log_level: str = "warning",
    version: str | None = None,
    log: Path | None = None,
    arguments: Sequence[str] = (),
    under: Sequence[str | Path] = (),
    start_seconds: float = 30,
    stop_seconds: float = 5,
) -> AsyncIterator[Envoy]:
    """Run Envoy for as long as the block lasts.

    Args:
        bootstrap: its configuration, with an ``admin`` on port 0.
        workers: its worker threads (``--concurrency``).
        lua_log_level: what Lua scripts may log; everything else logs at ``warning``, as in Istio.
        version: of Envoy; `versions.selected` if not given.
        log: takes its log; a file that is gone with it if not given.
        arguments: more of its command line.
        under: what runs it, such as Valgrind: an absolute path and arguments, which Envoy's command follows.
        start_seconds: how long it may take to be ready, and later to answer on its admin interface.
        stop_seconds: how long it may take to end; then it is killed.

    Raises:
        EnvoyError: the bootstrap is refused, a port is in use, or it is not ready in time.
        VersionError: the Envoy that was selected is not there.
    """
    with tempfile.TemporaryDirectory(prefix="lab-envoy-") as name:
        folder = Path(name)
        (folder / "bootstrap.json").write_text(json.dumps(bootstrap))
        log = log or folder / "log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *LAUNCHER,
                *under,
                versions.binary(version or versions.selected()),
                *("--config-path", folder / "bootstrap.json"),
                *("--admin-address-path", folder / "admin"),
                *("--concurrency", str(workers)),
                "--disable-hot-restart",  # which would have every Envoy of this machine share memory
                *("--log-level", "warning", "--component-log-level", f"lua:{lua_log_level}"),
                *("--log-format", "[%l][%n] %v"),
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # ctrl-C reaches us alone: we stop it in order
            )
        try:
            async with _admin(process, folder / "admin", log, start_seconds) as admin:
                address = admin.base_url.netloc.decode()
                yield Envoy(process.pid, address, await _listener_ports(admin), log, admin, process)
        finally:
            await _stop(process, stop_seconds)


@asynccontextmanager
async def _admin(
    process: asyncio.subprocess.Process, address: Path, log: Path, start_seconds: float
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the admin interface, once Envoy is ready."""
    async with httpx.AsyncClient(trust_env=False, timeout=start_seconds) as client:
        try:
            async with asyncio.timeout(start_seconds):
                await _until_ready(process, client, address, log)
        except TimeoutError:
            raise EnvoyError(f"Envoy is not ready after {start_seconds} s. {_tail(log)}") from None
        yield client


async def _until_ready(
    process: asyncio.subprocess.Process, client: httpx.AsyncClient, address: Path, log: Path
) -> None:
    exited = asyncio.ensure_future(process.wait())
    pause = 0.02
    while not await _ready(client, address):
        await asyncio.wait({exited}, timeout=pause)
        if exited.done():
            raise EnvoyError(f"Envoy ended with exit code {exited.result()}. {_tail(log)}")
        pause = min(pause * 1.5, 0.5)


async def _ready(client: httpx.AsyncClient, address: Path) -> bool:
    try:
        client.base_url = f"http://{address.read_text().strip()}"  # noqa: ASYNC240  # some bytes in a local file
        return (await client.get("/ready")).is_success
    except (FileNotFoundError, httpx.InvalidURL, httpx.TransportError, httpx.UnsupportedProtocol):
        return False  # the address is not written yet, or not wholly


async def _listener_ports(admin: httpx.AsyncClient) -> dict[str, int]:
    listeners = (await admin.get("/listeners", params={"format": "json"})).json().get("listener_statuses", [])
    addresses = {item["name"]: item["local_address"] for item in listeners}
    return {
        name: address["socket_address"]["port_value"]
        for name, address in addresses.items()
        if "socket_address" in address  # a waypoint's listeners connect to each other inside of Envoy
    }


async def _stop(process: asyncio.subprocess.Process, seconds: float) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
    finally:
        await kill(process)


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:]
    return "\n  ".join(["Its log ends with:", *lines]) if lines else "It logged nothing."

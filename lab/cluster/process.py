"""Child processes of the control plane: each with a log, awaited until ready, ended whatever happens."""

import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.child import LAUNCHER
from lab.server import LOOPBACK

from .error import ClusterError

_START_SECONDS = 90
_STOP_SECONDS = 10
_POLL_SECONDS = 0.1
_LOG_LINES = 8
_PORTS = range(20_000, 32_768)


@contextmanager
def running(
    command: Iterable[object],
    *,
    log: Path,
    ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command for as long as the block lasts.

    Args:
        command: an absolute path and its arguments, in any type that says itself as a string.
        log: takes its output; its folder is the command's working directory.
        ready: asked again and again until it says yes.
        env: its environment; ours if not given.

    Raises:
        ClusterError: it ended, or is not ready after 90 seconds.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*LAUNCHER, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            cwd=log.parent,
            start_new_session=True,  # ctrl-C reaches us alone: we stop it in order
        )
    try:
        _await_ready(process, log, ready)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now.

    It is none of those that the kernel gives to outgoing connections (Linux: 32768 and up): such a connection
    would take it before the process listens that it is for.

    Raises:
        ClusterError: none was found.
    """
    for port in random.SystemRandom().sample(_PORTS, k=len(_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise ClusterError("no port is free")


def accepts(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _await_ready(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not ready():
        if process.poll() is not None:
            raise ClusterError(f"{log.stem} ended with exit code {process.returncode}. {_tail(log)}")
        if time.monotonic() - started > _START_SECONDS:
            raise ClusterError(f"{log.stem} is not ready after {_START_SECONDS} s. {_tail(log)}")
        time.sleep(_POLL_SECONDS)


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:]
    return "\n  ".join([f"{log} ends with:", *lines])

"""etcd, as the API server's storage."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.server import LOOPBACK

from . import build, process


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run etcd for as long as the block lasts.

    Args:
        folder: takes its data and log.

    Yields:
        Its URL.
    """
    port = process.free_port()
    url, peer_url = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{process.free_port()}"
    command = [
        *(build.ETCD.path, "--data-dir", folder / "etcd", "--log-level", "warn"),
        *("--listen-client-urls", url, "--advertise-client-urls", url),
        *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
        *("--initial-cluster", f"default={peer_url}"),
        "--unsafe-no-fsync",  # nothing is to survive
    ]
    with process.running(command, log=folder / "etcd.log", ready=lambda: process.accepts(LOOPBACK, port)):
        yield url

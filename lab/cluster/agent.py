"""Istio's agent beside a proxy: its SDS server, with certificates that istiod signed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import build, process
from .istiod import Istiod
from .kubectl import Kubectl

SOCKET = Path("var/run/secrets/workload-spiffe-uds/socket")
_AUDIENCE = "istio-ca"


@contextmanager
def running(folder: Path, istiod: Istiod, kubectl: Kubectl, namespace: str) -> Iterator[Path]:
    """Run it for as long as the block lasts, for the default service account of a namespace.

    Args:
        folder: takes its log, token and socket.
        istiod: the certificate authority.
        kubectl: makes the token.
        namespace: of the workload.

    Yields:
        Its Unix socket.
    """
    token = folder / "token"
    kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=30s")
    token.write_text(kubectl("create", "token", "default", "-n", namespace, "--audience", _AUDIENCE).strip())
    socket = folder / SOCKET
    command = [
        *(build.AGENT.path, "-ca", istiod.ca, "-root", istiod.root, "-token", token),
        *("-namespace", namespace),
    ]
    with process.running(command, log=folder / "agent.log", ready=socket.exists):
        yield socket

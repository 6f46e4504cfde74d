"""As much of a kubelet as ``kubectl port-forward`` needs: all ports of a node's pods lead to one address."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.server import LOOPBACK

from . import build, process
from .control_plane import Mesh


@contextmanager
def running(mesh: Mesh, node: str, *, to: str) -> Iterator[None]:
    """Run a node for as long as the block lasts.

    Args:
        mesh: the cluster.
        node: its name, which pods say in ``spec.nodeName``.
        to: ``host:port`` that every port of every pod leads to.

    Raises:
        ClusterError: it does not start.
    """
    port = process.free_port()
    certificate = mesh.authority.certificate(node)
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}
    status = {
        "addresses": [{"type": "InternalIP", "address": LOOPBACK}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    command: list[str | Path] = [
        *(build.KUBELET.path, "-listen", f"{LOOPBACK}:{port}", "-to", to),
        *("-certificate", certificate.chain, "-key", certificate.key),
    ]
    with (
        process.running(
            command, log=mesh.logs / f"kubelet-{node}.log", ready=lambda: process.accepts(LOOPBACK, port)
        ),
        mesh.kubectl.applied([manifest]),
    ):
        patch = json.dumps({"status": status})
        mesh.kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", patch)
        yield

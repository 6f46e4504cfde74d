"""A real control plane on one machine, without containers: API server, istiod, and proxies of the mesh.

    with cluster.running() as mesh:
        mesh.kubectl("get", "namespaces")

Everything listens on loopback and is gone when the block is left.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import api_server, build, etcd, istiod, resolver
from .certificates import Authority
from .control_plane import Mesh
from .error import ClusterError
from .istiod import Istiod
from .kubectl import Kubectl, KubectlError
from .otel import OpenTelemetryCollector, Pair
from .proxy import Proxy

__all__ = [
    "ClusterError",
    "Istiod",
    "Kubectl",
    "KubectlError",
    "Mesh",
    "OpenTelemetryCollector",
    "Pair",
    "Proxy",
    "running",
]


@contextmanager
def running(*, istio: bool = True, domain: str = istiod.DOMAIN) -> Iterator[Mesh]:
    """Run a cluster for as long as the block lasts, building first what is missing.

    Logs of a run that fails or is interrupted are kept; where, is said on standard error.

    Args:
        istio: False leaves istiod out: the API server with Istio's CRDs, and its controllers.
        domain: with which the full names of Services end.

    Raises:
        ClusterError: Go is missing, or a part does not start.
    """
    build.ensure(build.BINARIES if istio else build.API_BINARIES)
    logs = Path(tempfile.mkdtemp(prefix="lab-cluster-"))
    keep = True
    try:
        with _parts(logs, istio=istio, domain=domain) as mesh:
            yield mesh
            keep = mesh.keep_logs
    finally:
        if keep:
            print(f"The cluster's logs are in {logs}", file=sys.stderr)
        else:
            shutil.rmtree(logs)


@contextmanager
def _parts(folder: Path, *, istio: bool, domain: str) -> Iterator[Mesh]:
    names: dict[str, str] = {}
    with ExitStack() as stack:
        authority = Authority(folder / "certificates")
        etcd_url = stack.enter_context(etcd.running(folder))
        kubeconfig = stack.enter_context(api_server.running(folder, etcd_url, authority))
        kubectl = Kubectl(kubeconfig)
        stack.enter_context(api_server.controllers(folder, kubeconfig))
        istiod.install_crds(kubectl)
        control_plane: Istiod | None = None
        if istio:
            dns_port = stack.enter_context(resolver.serving(names))
            control_plane = stack.enter_context(
                istiod.running(folder, kubeconfig, kubectl, authority, dns_port=dns_port, domain=domain)
            )
        yield Mesh(
            folder, kubeconfig, kubectl=kubectl, authority=authority, istiod=control_plane, names=names
        )

"""A real kube-apiserver, and the kubeconfig of its administrator."""

import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from lab.server import LOOPBACK

from . import build, process
from .certificates import Authority

_CONTEXT = "lab"


@contextmanager
def running(folder: Path, etcd_url: str, authority: Authority) -> Iterator[Path]:
    """Run the API server for as long as the block lasts.

    Args:
        folder: takes its log, tokens and kubeconfig.
        etcd_url: its storage.
        authority: signs its certificate.

    Yields:
        The kubeconfig, with all rights.
    """
    port, token = process.free_port(), secrets.token_hex(16)
    url = f"https://{LOOPBACK}:{port}"
    certificate = authority.certificate("kube-apiserver", "kubernetes.default.svc")
    tokens = folder / "tokens.csv"
    tokens.write_text(f"{token},admin,admin,system:masters\n")
    command = [
        *(build.API_SERVER.path, "--etcd-servers", etcd_url, "--authorization-mode", "RBAC"),
        *("--bind-address", LOOPBACK, "--secure-port", str(port), "--endpoint-reconciler-type", "none"),
        *("--tls-cert-file", certificate.chain, "--tls-private-key-file", certificate.key),
        *("--token-auth-file", tokens, "--service-cluster-ip-range", "10.96.0.0/16"),
        *("--service-account-issuer", url, "--service-account-key-file", certificate.key),
        *("--service-account-signing-key-file", certificate.key),
    ]
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(url, authority.ca, token)))
    with (
        httpx.Client(base_url=url, verify=authority.client_context(), trust_env=False) as client,
        process.running(command, log=folder / "kube-apiserver.log", ready=lambda: _is_ready(client)),
    ):
        yield kubeconfig


@contextmanager
def controllers(folder: Path, kubeconfig: Path) -> Iterator[None]:
    """Run kube-controller-manager for as long as the block lasts: with it, what is deleted goes away.

    Args:
        folder: takes its log.
        kubeconfig: of the API server.
    """
    names = ("garbage-collector-controller", "namespace-controller", "serviceaccount-controller")
    command = [
        *(build.CONTROLLER_MANAGER.path, "--kubeconfig", kubeconfig, "--leader-elect=false"),
        *("--controllers", ",".join(names), "--secure-port", "0"),
    ]
    log = folder / "kube-controller-manager.log"
    with process.running(command, log=log, ready=lambda: "Proceeding to collect garbage" in log.read_text()):
        yield


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except (httpx.TransportError, ssl.SSLError):
        return False


def _kubeconfig(url: str, ca: Path, token: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _CONTEXT, "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": _CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": _CONTEXT, "context": {"cluster": _CONTEXT, "user": _CONTEXT}}],
        "current-context": _CONTEXT,
    }

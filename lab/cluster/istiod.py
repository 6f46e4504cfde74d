"""A real istiod, with its validating webhook, and what an installation of Istio puts into the cluster.

Stock Envoy lacks the filters of Istio's own build (metadata exchange, ALPN, ``istio.stats``): they are
switched off.
"""

import base64
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from lab.bootstrap import ROOT_NAMESPACE
from lab.server import LOOPBACK

from . import build, process
from .certificates import Authority
from .kubectl import Kubectl

DOMAIN = "cluster.local"
CLUSTER_ID = "Kubernetes"

_ENVIRONMENT = {
    "CLUSTER_ID": CLUSTER_ID,
    "POD_NAME": "istiod-lab",
    "POD_NAMESPACE": ROOT_NAMESPACE,
    "PILOT_ENABLE_AMBIENT": "true",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_SENDING_HBONE": "false",  # by sidecars, as by default without ambient
    "REVISION": "default",  # as in Istio's chart: objects of other revisions are left alone
    "VALIDATION_WEBHOOK_CONFIG_NAME": "istio-validator",
    "INJECTION_WEBHOOK_CONFIG_NAME": "",
}
_CARES = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
_VALIDATED = ("security.istio.io", "networking.istio.io", "telemetry.istio.io", "extensions.istio.io")


class Istiod:
    """A running istiod.

    Attributes:
        xds: ``host:port`` of its discovery service, in plain text.
        ca: ``host:port`` of its certificate authority, with TLS.
        root: the authority that signed that one's certificate, a PEM file.
        http: ``host:port`` of its debug endpoints: ``/debug/config_dump?proxyID=POD.NAMESPACE`` and others.
        domain: the cluster's, with which the full names of Services end.
    """

    def __init__(  # noqa: PLR0913  # by keyword
        self,
        *,
        xds: str,
        ca: str,
        root: Path,
        http: str,
        domain: str,
        kubectl: Kubectl,
        mesh_config: Mapping[str, Any],
    ) -> None:
        self.xds = xds
        self.ca = ca
        self.root = root
        self.http = http
        self.domain = domain
        self._kubectl = kubectl
        self._mesh_config = mesh_config

    @contextmanager
    def mesh_config(self, **changes: Any) -> Iterator[None]:
        """Change fields of MeshConfig for as long as the block lasts.

        Args:
            changes: fields as MeshConfig spells them, each replacing its whole value.
        """
        self._kubectl.apply([_mesh_config_map({**self._mesh_config, **changes})], dry_run=False)
        try:
            yield
        finally:
            self._kubectl.apply([_mesh_config_map(self._mesh_config)], dry_run=False)


def install_crds(kubectl: Kubectl) -> None:
    """Install the CRDs of Istio and of the Gateway API."""
    istio = build.module_folder("istio", "istio.io/api") / "kubernetes" / "customresourcedefinitions.gen.yaml"
    gateway = build.module_folder("istio", "sigs.k8s.io/gateway-api") / "config" / "crd" / "standard"
    files = [istio, *gateway.glob("gateway.networking.k8s.io_*s.yaml")]
    options = [option for file in files if "_vap_" not in file.name for option in ("-f", file)]
    kubectl("apply", "--server-side", *options)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


@contextmanager
def running(  # noqa: PLR0913  # two by keyword
    folder: Path, kubeconfig: Path, kubectl: Kubectl, authority: Authority, *, dns_port: int, domain: str
) -> Iterator[Istiod]:
    """Run istiod for as long as the block lasts, its webhook refusing what is invalid.

    Args:
        folder: takes its log.
        kubeconfig: of the API server, which has the CRDs.
        kubectl: of the same.
        authority: signs the webhook's certificate.
        dns_port: of the DNS server that all proxies ask.
        domain: the cluster's.
    """
    xds, ca, http, webhook, monitoring = (f"{LOOPBACK}:{process.free_port()}" for _ in range(5))
    certificate = authority.certificate("istiod", f"istiod.{ROOT_NAMESPACE}.svc")
    mesh_config = {
        "defaultProviders": {},
        # A sidecar binds these without iptables too, and nobody connects to them here.
        "proxyListenPort": process.free_port(),
        "proxyInboundListenPort": process.free_port(),
    }
    kubectl.apply([_namespace(ROOT_NAMESPACE), _mesh_config_map(mesh_config), _dns(dns_port)], dry_run=False)
    command = [
        *(build.ISTIOD.path, "discovery", "--kubeconfig", kubeconfig, "--clusterID", CLUSTER_ID),
        *("--namespace", ROOT_NAMESPACE, "--domain", domain, "--meshConfig", folder / "absent"),
        *("--grpcAddr", xds, "--httpAddr", http, "--httpsAddr", webhook, "--monitoringAddr", monitoring),
        *("--secureGRPCAddr", ca, "--tlsCertFile", certificate.chain, "--tlsKeyFile", certificate.key),
        *("--caCertFile", certificate.ca, "--shutdownDuration", "1s"),
    ]
    with process.running(
        command,
        log=folder / "pilot-discovery.log",
        ready=lambda: _is_ready(http),
        env={**os.environ, **_ENVIRONMENT},
    ):
        kubectl.apply([_webhook(webhook, certificate.ca)], dry_run=False)
        yield Istiod(
            xds=xds,
            ca=ca,
            root=certificate.ca,
            http=http,
            domain=domain,
            kubectl=kubectl,
            mesh_config=mesh_config,
        )


def _is_ready(http: str) -> bool:
    try:
        return httpx.get(f"http://{http}/ready", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _mesh_config_map(mesh_config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "istio", "namespace": ROOT_NAMESPACE},
        "data": {"mesh": yaml.safe_dump(dict(mesh_config))},
    }


def _dns(port: int) -> dict[str, Any]:
    """Sends the proxies' DNS queries to the lab: istiod names no server, so they would ask the machine's."""
    resolver = {
        "name": "envoy.network.dns_resolver.cares",
        "typed_config": {
            "@type": f"type.googleapis.com/{_CARES}",
            "resolvers": [{"socket_address": {"address": LOOPBACK, "port_value": port}}],
            "dns_resolver_options": {"no_default_search_domain": True},
        },
    }
    patch = {
        "applyTo": "CLUSTER",
        "match": {"context": "ANY"},
        "patch": {"operation": "MERGE", "value": {"typed_dns_resolver_config": resolver}},
    }
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "lab-dns", "namespace": ROOT_NAMESPACE},
        "spec": {"priority": 1, "configPatches": [patch]},
    }


def _webhook(address: str, ca: Path) -> dict[str, Any]:
    """As Istio's chart has it, with a URL in place of a Service."""
    rule = {
        "operations": ["CREATE", "UPDATE"],
        "apiGroups": list(_VALIDATED),
        "apiVersions": ["*"],
        "resources": ["*"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"istio-validator-{ROOT_NAMESPACE}"},
        "webhooks": [
            {
                "name": "rev.validation.istio.io",
                "clientConfig": {
                    "url": f"https://{address}/validate",
                    "caBundle": base64.b64encode(ca.read_bytes()).decode(),
                },
                "rules": [rule],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }

"""Ways to the collector: in the cluster, outside with TLS, and past the mesh's own settings."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab import cluster, server
from lab.cluster import dump, objects
from lab.cluster.certificates import Authority, Certificate
from lab.cluster.process import free_port
from lab.collector import Collector
from lab.otlp import Span
from tests.mesh import scenario

pytestmark = pytest.mark.anyio

EXTERNAL = "collector.example.com"
EXTERNAL_CLUSTER = f"outbound|4318||{EXTERNAL}"
PORT = 8443
TRACE = "0af7651916cd43dd8448eb211c80319c"


async def captured_by_service(
    mesh: cluster.Mesh, namespace: str, shop: int, host: str, stack: list[Any]
) -> tuple[list[Span], dict[str, int]]:
    """A request as the Collector behind a Service gets it, and the limits of the way to that."""
    name, address = f"outbound|4318||{host}", mesh.address()
    service = objects.service(namespace, "collector", port=4318, address=address, target_port=4318)
    async with (
        mesh.applied([*stack, *service]),
        mesh.collector(address=address) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
        proxy.client() as client,
    ):
        await scenario.capturing(proxy, cluster=name)
        await proxy.until(
            lambda config: dump.endpoints(config).get(name) == [f"{address}:4318"], "an endpoint"
        )
        await client.get("/api/products")
        spans = await collector.spans(1)
        [thresholds] = dump.clusters(await proxy.config_dump())[name]["circuit_breakers"]["thresholds"]
    return spans, thresholds


async def test_a_collector_in_the_cluster_needs_its_full_name_and_no_entry(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    host = f"collector.{namespace}.svc.cluster.local"
    stack = scenario.manifests(namespace, collectorUrl=f"http://{host}:4318")
    spans, limits = await captured_by_service(mesh, namespace, shop, host, stack)
    assert [item["kind"] for item in stack] == ["DestinationRule", "EnvoyFilter"]
    assert scenario.targets(spans) == ["GET /api/products"]
    assert (limits["max_connections"], limits["max_pending_requests"]) == (8, 32)


async def test_a_collector_with_a_sidecar_is_reached_by_the_meshs_own_mtls(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    host = f"collector.{namespace}.svc.cluster.local"
    name = f"outbound|4318||{host}"
    workload = {"namespace": namespace, "labels": {"app": "shop"}}
    stack = scenario.manifests(namespace, collectorUrl=f"http://{host}:4318", workloads={"shop": workload})
    async with (
        mesh.applied([*stack, strict_mtls(namespace, {"app": "collector"})]),
        mesh.collector(address=server.LOOPBACK, port=(port := free_port())) as collector,
        mesh.proxy(namespace, {"app": "collector"}, app_port=port) as gate,
        mesh.applied(
            objects.service(
                namespace,
                "collector",
                port=4318,
                address=server.LOOPBACK,
                target_port=gate.inbound,
                service_account="default",
            )
        ),
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
        proxy.client() as client,
        gate.client() as stranger,
    ):
        await scenario.capturing(proxy, cluster=name)
        await proxy.until(lambda config: dump.endpoints(config).get(name), "an endpoint")
        with pytest.raises(httpx.TransportError):
            await stranger.post("/v1/traces", json={"resourceSpans": []})
        response = await client.get("/api/products")
        spans = await collector.spans(1)
        handshakes = await proxy.envoy.stats(r"collector\..*ssl\.handshake$")
    assert response.status_code == 200
    assert scenario.targets(spans) == ["GET /api/products"]
    assert list(handshakes.values()) == [1]


async def captured_twice(  # noqa: PLR0913
    mesh: cluster.Mesh,
    namespace: str,
    shop: int,
    tls: dict[str, str],
    certificate: Certificate,
    *,
    mutual: bool = False,
    asked: list[str | None] | None = None,
) -> tuple[Span, Span]:
    """The same request as the real Collector wrote it, and as a plain receiver behind TLS decodes it.

    ``asked`` takes the server name of each connection to the plain receiver.
    """

    async def exchange(collector: Any) -> Span:
        async with mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy, proxy.client() as client:
            await scenario.capturing(proxy, cluster=EXTERNAL_CLUSTER)
            headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
            await client.post("/api/products", json={"name": "Tamper"}, headers=headers)
            spans: list[Span] = await collector.spans(1)
            [span] = spans
            return span

    async with mesh.applied(external(namespace, tls)):
        with mesh.tls_collector(EXTERNAL, certificate, port=PORT, mutual=mutual) as collector:
            written = await exchange(collector)
        async with receiver(mesh, certificate, asked) as strict:
            return written, await exchange(strict)


@pytest.mark.setting("egress.tls.caCertificates")
@pytest.mark.parametrize("name", [EXTERNAL, "*.example.com"])
async def test_an_external_collector_is_reached_by_tls_and_gets_what_a_plain_receiver_decodes(
    mesh: cluster.Mesh, namespace: str, shop: int, name: str
) -> None:
    certificate = mesh.authority.certificate(name)
    tls = {"caCertificates": str(certificate.ca)}
    written, received = await captured_twice(mesh, namespace, shop, tls, certificate)
    assert written.trace_id == TRACE
    assert lasting(written) == lasting(received)


@pytest.mark.setting("egress.tls.mode", "egress.tls.clientCertificate", "egress.tls.privateKey")
async def test_mutual_tls_presents_the_proxys_certificate(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    certificate = mesh.authority.certificate(EXTERNAL)
    client_certificate = mesh.authority.certificate("proxy")
    tls = {
        "mode": "MUTUAL",
        "caCertificates": str(certificate.ca),
        "clientCertificate": str(client_certificate.chain),
        "privateKey": str(client_certificate.key),
    }
    written, received = await captured_twice(mesh, namespace, shop, tls, certificate, mutual=True)
    assert written.trace_id == TRACE
    assert lasting(written) == lasting(received)


UNVERIFIED = r"ssl\.fail_verify_error"
UNVERIFIED_NAME = r"ssl\.fail_verify_(san|error)"
TURNED_AWAY = r"upstream_cx_destroy_remote_with_active_rq|connection_error"


@pytest.mark.parametrize(
    ("host", "trusted", "client", "statistic"),
    [
        pytest.param(EXTERNAL, False, None, UNVERIFIED, id="of an authority that the proxy does not know"),
        pytest.param("other.example.com", True, None, UNVERIFIED_NAME, id="of another host"),
        pytest.param(EXTERNAL, True, "none", TURNED_AWAY, id="wanted of us"),
        pytest.param(EXTERNAL, True, "strange", TURNED_AWAY, id="of ours that the collector does not know"),
    ],
)
async def test_a_wrong_certificate_loses_spans_and_no_request(  # noqa: PLR0913
    mesh: cluster.Mesh,
    namespace: str,
    shop: int,
    *,
    host: str,
    trusted: bool,
    client: str | None,
    statistic: str,
) -> None:
    strangers = Authority(mesh.logs / "strangers")
    tls = {"caCertificates": str(mesh.authority.ca if trusted else strangers.ca)}
    if client == "strange":
        own = strangers.certificate("proxy")
        tls |= {"mode": "MUTUAL", "clientCertificate": str(own.chain), "privateKey": str(own.key)}
    certificate = mesh.authority.certificate(host)
    async with mesh.applied(external(namespace, tls)):
        with mesh.tls_collector(EXTERNAL, certificate, port=PORT, mutual=client is not None) as collector:
            async with (
                mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
                proxy.client() as caller,
            ):
                await scenario.capturing(proxy, cluster=EXTERNAL_CLUSTER)
                statuses = [(await caller.get("/api/products")).status_code for _ in range(3)]
                await scenario.counted(proxy, rf"{EXTERNAL};?\.({statistic})")
                spans = await collector.spans(0)
    assert statuses == [200, 200, 200]
    assert spans == []


async def test_a_ca_file_that_is_missing_loses_spans_and_no_request_until_it_is_there(
    mesh: cluster.Mesh, namespace: str, shop: int, tmp_path: Path
) -> None:
    ca_file = tmp_path / "ca.crt"
    certificate = mesh.authority.certificate(EXTERNAL)
    async with mesh.applied(external(namespace, {"caCertificates": str(ca_file)})):
        with mesh.tls_collector(EXTERNAL, certificate, port=PORT) as collector:
            async with (
                mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
                proxy.client() as client,
            ):
                await scenario.capturing(proxy, cluster=EXTERNAL_CLUSTER)
                lost = await client.get("/api/products/1")
                await scenario.counted(proxy, rf"{EXTERNAL};?\..*upstream_context_secrets_not_ready")
                ca_file.write_bytes(certificate.ca.read_bytes())
                await scenario.counted(proxy, rf"{EXTERNAL};?\..*ssl_context_update_by_sds")
                seen = await client.get("/api/products/2")
                spans = await collector.spans(1)
    assert (lost.status_code, seen.status_code) == (200, 200)
    assert scenario.targets(spans) == ["GET /api/products/2"]


async def test_a_renewed_ca_file_is_read_without_a_restart(
    mesh: cluster.Mesh, namespace: str, shop: int, tmp_path: Path
) -> None:
    ca_file, renewed = tmp_path / "ca.crt", tmp_path / "renewed.crt"
    ca_file.write_bytes(Authority(tmp_path / "strangers").ca.read_bytes())
    certificate = mesh.authority.certificate(EXTERNAL)
    renewed.write_bytes(certificate.ca.read_bytes())
    async with mesh.applied(external(namespace, {"caCertificates": str(ca_file)})):
        with mesh.tls_collector(EXTERNAL, certificate, port=PORT) as collector:
            async with (
                mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
                proxy.client() as client,
            ):
                await scenario.capturing(proxy, cluster=EXTERNAL_CLUSTER)
                await client.get("/api/products/1")
                await scenario.counted(proxy, rf"{EXTERNAL};?\.{UNVERIFIED}")
                updates = rf"{EXTERNAL};?\..*ssl_context_update_by_sds$"
                before = sum((await proxy.envoy.stats(updates)).values())
                renewed.replace(ca_file)
                await proxy.until_statistics(
                    updates, lambda found: sum(found.values()) > before, "the renewed file"
                )
                await client.get("/api/products/2")
                spans = await collector.spans(1)
    assert scenario.targets(spans) == ["GET /api/products/2"]


async def test_registry_only_blocks_what_the_mesh_does_not_know_and_no_span(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    with mesh.istiod.mesh_config(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}):
        async with (
            mesh.applied(scenario.manifests(namespace)),
            mesh.collector(scenario.HOST) as collector,
            mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
            proxy.client("inbound") as inbound,
            proxy.client("outbound") as outbound,
        ):
            await scenario.capturing(proxy)
            await proxy.until(lambda config: "PassthroughCluster" not in dump.routed(config), "REGISTRY_ONLY")
            blocked = await outbound.get("/", headers={"host": "unknown.example.com"})
            response = await inbound.get("/api/products")
            spans = await collector.spans(1)
    assert (blocked.status_code, response.status_code) == (502, 200)
    assert scenario.targets(spans) == ["GET /api/products"]


async def test_a_sidecar_that_hides_the_collector_loses_spans_and_no_request_until_it_is_opened(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    labels = {"app": "shop"}
    async with (
        mesh.applied(scenario.manifests(namespace)),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, labels, app_port=shop, egress_hosts=["./*"]) as proxy,
        proxy.client() as client,
    ):
        await proxy.until(
            lambda config: "astra-capture-shop" in dump.filter_names(config, proxy.inbound), "the filter"
        )
        assert scenario.CLUSTER not in dump.clusters(await proxy.config_dump())
        hidden = await client.get("/api/products/1")
        await scenario.counted(proxy, r"lua\.astra_capture\.dropped_no_cluster")
        opened = objects.sidecar(
            namespace,
            proxy.pod,
            labels,
            inbound=proxy.inbound,
            app_port=shop,
            egress_hosts=["./*", "istio-system/*"],
        )
        mesh.kubectl.apply([opened])
        await scenario.capturing(proxy)
        seen = await client.get("/api/products/2")
        spans = await collector.spans(1)
        log = proxy.envoy.log()
    assert (hidden.status_code, seen.status_code) == (200, 200)
    assert scenario.targets(spans) == ["GET /api/products/2"]
    assert "astra capture" in log


def strict_mtls(namespace: str, labels: dict[str, str]) -> scenario.Json:
    """Istio's rule that pods take no plain text."""
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "strict", "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "mtls": {"mode": "STRICT"}},
    }


def external(namespace: str, tls: dict[str, str]) -> list[scenario.Json]:
    """A stack whose collector is outside of the mesh."""
    egress = {"tls": tls, "exportTo": [namespace]}
    return scenario.manifests(namespace, collectorUrl=f"https://{EXTERNAL}:{PORT}", egress=egress)


@asynccontextmanager
async def receiver(
    mesh: cluster.Mesh, certificate: Certificate, asked: list[str | None] | None
) -> AsyncIterator[Collector]:
    """The strict receiver with TLS, where the external collector is expected."""
    strict = Collector()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    if asked is not None:
        context.sni_callback = lambda _socket, name, _context: asked.append(name)
    address = mesh.names[EXTERNAL] = mesh.address()
    try:
        async with server.serve(strict.application(), host=address, port=PORT, tls=context):
            yield strict
    finally:
        del mesh.names[EXTERNAL]


def lasting(span: Span) -> Span:
    """What two captures of one request have in common: all but ids, times and the listener's port."""
    attributes = dict(span.attributes) | {"http.host": ""}
    for side in ("request", "response"):
        kept = {
            name: value
            for name, value in scenario.headers(span, side).items()
            if name not in ("date", "host", "x-request-id", "x-envoy-upstream-service-time")
        }
        attributes[f"http.{side}.headers"] = json.dumps(kept)
    return replace(span, span_id="", start_ns=0, end_ns=0, attributes=attributes)

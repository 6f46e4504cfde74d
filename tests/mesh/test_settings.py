"""Settings whose effect is on what istiod reads. tests/envoy/test_settings.py has the others."""

from collections.abc import Iterator

import pytest

from lab import cluster
from lab.cluster import dump
from tests.mesh import scenario
from tests.mesh.test_collectors import TRACE, captured_by_service, captured_twice, lasting

pytestmark = pytest.mark.anyio

DOMAIN = "acme.corp"


@pytest.fixture
def mesh_of_another_domain() -> Iterator[cluster.Mesh]:
    with cluster.running(domain=DOMAIN) as mesh:
        yield mesh


@pytest.mark.setting("egress.namespace", "egress.exportTo")
async def test_an_entry_in_a_namespace_and_exported_to_it_is_known_there_only(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    stack = scenario.manifests(namespace, egress={"namespace": namespace, "exportTo": ["."]})
    with mesh.namespace() as elsewhere:
        async with (
            mesh.applied(stack),
            mesh.collector(scenario.HOST) as collector,
            mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
            proxy.client() as client,
        ):
            await scenario.capturing(proxy)
            await client.get("/api/products")
            assert scenario.targets(await collector.spans(1)) == ["GET /api/products"]
            async with mesh.proxy(elsewhere, {"app": "shop"}, app_port=shop) as other:
                assert scenario.CLUSTER not in dump.clusters(await other.config_dump())


@pytest.mark.setting("egress.name")
async def test_entries_of_two_names_stand_side_by_side(mesh: cluster.Mesh, namespace: str, shop: int) -> None:
    second = "outbound|4318||second.astra-collector"
    workloads = {"two": {"namespace": namespace, "labels": {"app": "two"}}}
    stack = scenario.manifests(
        namespace,
        collectorUrl="http://second.astra-collector:4318",
        egress={"name": "second"},
        workloads=workloads,
    )
    async with (
        mesh.applied(scenario.manifests(namespace)),
        mesh.applied(stack),
        mesh.proxy(namespace, {"app": "two"}, app_port=shop) as proxy,
    ):
        await scenario.capturing(proxy, workload="two", cluster=second)
        assert scenario.CLUSTER in dump.clusters(await proxy.config_dump())


@pytest.mark.setting("workloads.*.filterName")
async def test_a_filter_takes_the_place_of_one_that_has_its_name(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    def named(workload: str) -> list[scenario.Json]:
        settings = {"namespace": namespace, "labels": {"app": "shop"}, "filterName": "shared"}
        return scenario.manifests(namespace, workloads={workload: settings})

    async with (
        mesh.applied(named("one")),
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
    ):
        await scenario.capturing(proxy, workload="one")
        mesh.kubectl.apply(named("two"))
        await scenario.capturing(proxy, workload="two")
        names = dump.filter_names(await proxy.config_dump(), proxy.inbound)
    assert [name for name in names if name.startswith("astra-")] == ["astra-capture-two"]


@pytest.mark.setting("commonLabels")
async def test_a_revision_in_the_common_labels_leaves_the_objects_to_that_control_plane(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    def labelled(workload: str, labels: dict[str, str]) -> list[scenario.Json]:
        workloads = {workload: {"namespace": namespace, "labels": {"app": "shop"}}}
        return scenario.manifests(
            namespace, workloads=workloads, commonLabels=labels, egress={"name": workload}
        )

    async with (
        mesh.applied(labelled("theirs", {"istio.io/rev": "canary"})),
        mesh.applied(labelled("ours", {"team": "security"})),
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
    ):
        await scenario.capturing(proxy, workload="ours")
        names = dump.filter_names(await proxy.config_dump(), proxy.inbound)
        listed = mesh.kubectl("get", "envoyfilters", "-n", namespace, "-l", "team=security", "-o", "name")
    assert [name for name in names if name.startswith("astra-")] == ["astra-capture-ours"]
    assert listed.split() == ["envoyfilter.networking.istio.io/astra-istio-mesh-filter-ours"]


@pytest.mark.setting("egress.tls.sni")
async def test_the_collector_is_asked_for_by_the_server_name_and_checked_against_the_ca(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    certificate = mesh.authority.certificate("tenant.example.com")
    tls = {"sni": "tenant.example.com", "caCertificates": str(certificate.ca)}
    asked: list[str | None] = []
    written, received = await captured_twice(mesh, namespace, shop, tls, certificate, asked=asked)
    assert asked == ["tenant.example.com"]
    assert written.trace_id == TRACE
    assert lasting(written) == lasting(received)


@pytest.mark.setting("egress.clusterDomain")
async def test_a_service_of_a_cluster_of_another_domain_needs_no_entry_and_keeps_its_limits(
    mesh_of_another_domain: cluster.Mesh, shop: int
) -> None:
    mesh = mesh_of_another_domain
    with mesh.namespace() as namespace:
        host = f"collector.{namespace}.svc.{DOMAIN}"
        stack = scenario.manifests(
            namespace, collectorUrl=f"http://{host}:4318", egress={"clusterDomain": DOMAIN}
        )
        spans, limits = await captured_by_service(mesh, namespace, shop, host, stack)
    assert [manifest["kind"] for manifest in stack] == ["DestinationRule", "EnvoyFilter"]
    assert scenario.targets(spans) == ["GET /api/products"]
    assert limits["max_connections"] == 8

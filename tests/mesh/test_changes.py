"""What changes while traffic flows: a setting, the end of it all, and the step from the guide's own YAML."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import yaml

from lab import cluster
from lab.cluster import KubectlError, Proxy, dump
from lab.server import LOOPBACK
from lab.stack import PROJECT
from tests.mesh import scenario

pytestmark = pytest.mark.anyio

GUIDES_FILTER = "astra-istio-mesh-filter"


async def test_a_changed_setting_reaches_a_proxy_under_load_without_a_failed_request_or_a_lost_span(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    before, after = (scenario.manifests(namespace, capture={"maxBodyBytes": size}) for size in (65536, 10))
    async with (
        mesh.applied(before),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop, workers=2) as proxy,
    ):
        await scenario.capturing(proxy)
        old = dump.scripts(await proxy.config_dump(), proxy.inbound)["astra-capture-shop"]
        async with load(proxy) as traffic:
            await traffic.more(50)
            await asyncio.to_thread(mesh.kubectl.apply, after)
            await proxy.until(
                lambda config: (
                    dump.scripts(config, proxy.inbound).get("astra-capture-shop") not in (None, old)
                ),
                "the changed script",
            )
            await traffic.more(50)
        spans = await collector.spans(traffic.statuses.total())
    cut = Counter(span.attributes.get("http.response.body.truncated") for span in spans)
    assert set(traffic.statuses) == {200}
    assert len(spans) == traffic.statuses.total()
    assert min(cut[True], cut[None]) > 10


async def test_removal_leaves_nothing_behind_and_fails_no_request(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    stack = scenario.manifests(namespace)
    async with (
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
    ):
        objects, filters = everything(mesh), dump.filter_names(await proxy.config_dump(), proxy.inbound)
        clusters = set(dump.clusters(await proxy.config_dump()))
        async with mesh.applied(stack):
            await scenario.capturing(proxy)
            assert len(everything(mesh) - objects) == len(stack)
            async with load(proxy) as traffic:
                await traffic.more(20)
                await asyncio.to_thread(mesh.kubectl.delete, stack)
                await proxy.until(
                    lambda config: (
                        dump.filter_names(config, proxy.inbound) == filters
                        and set(dump.clusters(config)) == clusters
                    ),
                    "what was there before",
                )
                await traffic.more(20)
        spans = len(await collector.spans(20))
        left = everything(mesh)
    assert set(traffic.statuses) == {200}
    assert left == objects
    assert 20 <= spans < traffic.statuses.total()


@pytest.mark.setting("workloads.*.filterName")
async def test_what_the_guide_installed_is_adopted_by_its_names_and_each_request_captured_once(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    workload = {"namespace": "istio-system", "labels": {"app": namespace}, "filterName": GUIDES_FILTER}
    stack = scenario.manifests(namespace, workloads={"shop": workload})
    by_hand = guides_objects({"app": namespace})
    async with (
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": namespace}, app_port=shop) as proxy,
        proxy.client() as client,
    ):
        try:
            mesh.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(by_hand))
            await proxy.until(
                lambda config: (
                    "envoy.filters.http.lua" in dump.filter_names(config, proxy.inbound)
                    and scenario.CLUSTER in dump.clusters(config)
                ),
                "the guide's filter",
            )
            with pytest.raises(KubectlError, match=r"conflict with \"kubectl-client-side-apply\""):
                mesh.kubectl.preview(stack)
            mesh.kubectl.apply(stack, force=True)
            await scenario.capturing(proxy)
            response = await client.get("/api/products")
            spans = await scenario.complete(collector, 1, client)
            names = dump.filter_names(await proxy.config_dump(), proxy.inbound)
            installed = everything(mesh)
        finally:
            mesh.kubectl.delete(stack)
    assert response.status_code == 200
    assert scenario.targets(spans) == ["GET /api/products", "GET /last"]
    assert "envoy.filters.http.lua" not in names
    assert {name for name in installed if GUIDES_FILTER in name} == {
        f"istio-system EnvoyFilter/{GUIDES_FILTER}"
    }
    assert not {name for name in everything(mesh) if "astra" in name or "allow-otel" in name}


def guides_objects(labels: dict[str, str]) -> list[scenario.Json]:
    """The two files of the guide, with its script."""
    entry = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "ServiceEntry",
        "metadata": {"name": "allow-otel-collector-endpoint", "namespace": "istio-system"},
        "spec": {
            "hosts": [scenario.HOST],
            "ports": [{"number": 4318, "name": "http-otlp", "protocol": "HTTP"}],
            "resolution": "DNS",
            "location": "MESH_INTERNAL",
        },
    }
    lua = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "inlineCode": (PROJECT / "lab" / "data" / "guide.lua").read_text(),
    }
    manager = {"filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}}
    patch = {
        "applyTo": "HTTP_FILTER",
        "match": {"context": "SIDECAR_INBOUND", "listener": manager},
        "patch": {
            "operation": "INSERT_BEFORE",
            "value": {"name": "envoy.filters.http.lua", "typed_config": lua},
        },
    }
    envoy_filter = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": GUIDES_FILTER, "namespace": "istio-system"},
        "spec": {"workloadSelector": {"labels": labels}, "configPatches": [patch]},
    }
    return [entry, envoy_filter]


def everything(mesh: cluster.Mesh) -> set[str]:
    """Each of Istio's objects, in any namespace but those of other tests that are still being deleted."""
    namespaces = mesh.kubectl("get", "namespaces", "--field-selector=status.phase=Active", "-o", "name")
    kinds = mesh.kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
    listed = ",".join(kind for kind in kinds if kind.endswith(".istio.io"))
    line = "{{.metadata.namespace}} {{.kind}}/{{.metadata.name}}{{println}}"
    template = f"--output=go-template={{{{range .items}}}}{line}{{{{end}}}}"
    found = mesh.kubectl("get", listed, "--all-namespaces", template).splitlines()
    return {item for item in found if f"namespace/{item.split()[0]}" in namespaces.split()}


class Load:
    """Requests without a pause, over connections that stay and over new ones.

    Attributes:
        statuses: how many were answered by each.
    """

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self._answered = asyncio.Condition()

    async def more(self, count: int) -> None:
        """Wait until so many more are answered.

        Raises:
            TimeoutError: fewer are, within 30 seconds.
        """
        goal = self.statuses.total() + count
        try:
            async with asyncio.timeout(30), self._answered:
                await self._answered.wait_for(lambda: self.statuses.total() >= goal)
        except TimeoutError:
            raise TimeoutError(
                f"{self.statuses.total()} of {goal} requests answered within 30 s: {dict(self.statuses)}"
            ) from None

    async def send(self, client: httpx.AsyncClient, done: asyncio.Event) -> None:
        """One request after the other until it is done."""
        while not done.is_set():
            response = await client.get("/api/products")
            async with self._answered:
                self.statuses[response.status_code] += 1
                self._answered.notify_all()


@asynccontextmanager
async def load(proxy: Proxy) -> AsyncIterator[Load]:
    """Four clients at once; a request that fails fails the block."""
    result, done = Load(), asyncio.Event()
    fresh = httpx.AsyncClient(
        base_url=f"http://{LOOPBACK}:{proxy.inbound}",
        limits=httpx.Limits(max_keepalive_connections=0),
        timeout=30,
        trust_env=False,
    )
    async with proxy.client() as lasting, fresh, asyncio.TaskGroup() as tasks:
        for client in (lasting, lasting, fresh, fresh):
            tasks.create_task(result.send(client, done))
        try:
            yield result
        finally:
            done.set()

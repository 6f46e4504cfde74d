"""What a scenario says about proxies and spans."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from lab import stack
from lab.cluster import Pair, Proxy, dump
from lab.otlp import Span

HOST = "astra-traffic-collector.astra-collector"
URL = f"http://{HOST}:4318/v1/traces"
CLUSTER = f"outbound|4318||{HOST}"
SENSOR = "00000000-0000-4000-8000-000000000001"
LAST = "/last"

Json = dict[str, Any]


def manifests(namespace: str, **config: Any) -> list[Json]:
    """A stack that captures the pods ``app: shop`` of a namespace for the guide's collector.

    Args:
        namespace: of the pods.
        config: keys of the stack's configuration, replacing these.
    """
    workloads = {"shop": {"namespace": namespace, "labels": {"app": "shop"}}}
    return stack.manifests(**{"sensorId": SENSOR, "collectorUrl": URL, "workloads": workloads, **config})


async def capturing(
    proxy: Proxy, *, workload: str = "shop", listener: str = "inbound", cluster: str = CLUSTER
) -> None:
    """Wait until a proxy has the capture filter in a listener, and the collector's cluster."""
    port = getattr(proxy, listener)
    await proxy.until(
        lambda config: (
            f"astra-capture-{workload}" in dump.filter_names(config, port)
            and cluster in dump.clusters(config)
        ),
        f"the filter of {workload} and the cluster {cluster}",
    )


async def reaching(proxy: Proxy, host: str, port: int = 80) -> None:
    """Wait until a sidecar routes requests to a Kubernetes Service, and knows an endpoint of it."""
    await proxy.until(
        lambda config: (
            f"{host}:{port}" in dump.domains(config)
            and dump.endpoints(config).get(f"outbound|{port}||{host}")
        ),
        f"a way to {host}",
    )


async def counted(proxy: Proxy, name: str) -> None:
    """Wait until a statistic whose name ends so, as a regular expression, is above zero.

    Raises:
        TimeoutError: it is not within 15 seconds.
    """
    await proxy.until_statistics(f"{name}$", lambda found: any(found.values()), "one above zero")


async def complete(collector: Pair, count: int, *clients: httpx.AsyncClient) -> list[Span]:
    """The so many spans that are expected, and those of one more request of each client, to `LAST`.

    A second span of an earlier request would be here before the last one's: these are all.
    """
    await collector.spans(count)
    for client in clients:
        await client.get(LAST)
    return await collector.spans(count + len(clients))


def targets(spans: list[Span]) -> list[str]:
    """Method and path of each span, sorted."""
    return sorted(f"{span.attributes['http.method']!s} {span.attributes['http.target']!s}" for span in spans)


def headers(span: Span, side: str) -> Mapping[str, str]:
    """The captured request or response headers."""
    result: dict[str, str] = json.loads(str(span.attributes[f"http.{side}.headers"]))
    return result

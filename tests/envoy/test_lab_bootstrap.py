"""What the lab makes of manifests is what istiod makes of them."""

from typing import Any

import pytest

from lab import bootstrap
from lab.bootstrap import Json, Listener, Workload

POD = Workload("shop", {"app": "orders", "version": "v1"})
HOST = "collector.example.com"


def envoy_filter(
    name: str, *, namespace: str = "shop", priority: int = 0, context: str = "SIDECAR_INBOUND", **spec: Any
) -> Json:
    patch = {
        "applyTo": "HTTP_FILTER",
        "match": {"context": context},
        "patch": {"operation": "INSERT_FIRST", "value": {"name": name}},
    }
    return {
        "kind": "EnvoyFilter",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"configPatches": [patch], "priority": priority, **spec},
    }


def extension(name: str, *, priority: int, mode: str = "SERVER") -> Json:
    spec = {"lua": {"inlineCode": "-- " + name}, "match": [{"mode": mode}], "priority": priority}
    return {"kind": "TrafficExtension", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def service_entry(*ports: int) -> Json:
    spec = {"hosts": [HOST], "ports": [{"number": port} for port in ports]}
    return {"kind": "ServiceEntry", "metadata": {"name": "entry", "namespace": "istio-system"}, "spec": spec}


def destination_rule(**policy: Any) -> Json:
    spec = {"host": HOST, "trafficPolicy": policy}
    return {
        "kind": "DestinationRule",
        "metadata": {"name": "rule", "namespace": "istio-system"},
        "spec": spec,
    }


def filter_names(manifests: list[Json], context: str = "SIDECAR_INBOUND") -> list[str]:
    return [item["name"] for item in bootstrap.http_filters(manifests, context, POD)]


def cluster(name: str, *manifests: Json) -> Json:
    config = bootstrap.build(manifests, workload=POD, listeners=[Listener()], app_port=1, collector_port=2)
    [found] = [item for item in config["static_resources"]["clusters"] if item["name"] == name]
    return dict(found)


def test_the_filter_with_the_highest_priority_runs_first() -> None:
    filters = [envoy_filter("low", priority=10), envoy_filter("high", priority=20)]

    assert filter_names(filters) == filter_names(filters[::-1]) == ["high", "low"]


def test_at_equal_priority_the_workloads_namespace_runs_before_the_root_namespace() -> None:
    filters = [envoy_filter("own"), envoy_filter("root", namespace="istio-system")]

    assert filter_names(filters) == ["own", "root"]


def test_a_filter_attached_to_a_gateway_or_waypoint_applies_to_no_pods() -> None:
    targets: Json = {"targetRefs": [{"kind": "Gateway", "name": "waypoint"}]}
    attached, selecting = envoy_filter("attached", **targets), envoy_filter("selecting")

    assert filter_names([attached, selecting]) == ["selecting"]
    with pytest.raises(ValueError, match="no capture filter for pods"):
        bootstrap.first_capture([attached])


def test_a_filter_applies_to_pods_that_have_all_of_its_labels() -> None:
    filters = [
        envoy_filter("all"),
        envoy_filter("subset", workloadSelector={"labels": {"app": "orders"}}),
        envoy_filter("more", workloadSelector={"labels": {"app": "orders", "tier": "web"}}),
        envoy_filter("other value", workloadSelector={"labels": {"app": "carts"}}),
        envoy_filter("other namespace", namespace="billing"),
    ]

    assert sorted(filter_names(filters)) == ["all", "subset"]


def test_a_filter_applies_in_its_context_only() -> None:
    filters = [envoy_filter("in"), envoy_filter("out", context="SIDECAR_OUTBOUND")]

    assert filter_names(filters, "SIDECAR_OUTBOUND") == ["out"]


def test_an_extension_runs_after_filters_and_before_extensions_of_lower_priority() -> None:
    manifests = [extension("low", priority=10), extension("high", priority=20), envoy_filter("filter")]

    prefix = "extensions.istio.io/trafficextension/shop."
    assert filter_names(manifests) == ["filter", f"{prefix}high", f"{prefix}low"]


def test_an_extension_for_clients_runs_outbound_and_in_gateways() -> None:
    manifests = [extension("client", priority=10, mode="CLIENT")]

    counts = [
        len(filter_names(manifests, name)) for name in ("SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY")
    ]
    assert counts == [0, 1, 1]


def test_any_other_patch_is_refused() -> None:
    manifest = envoy_filter("filter")
    manifest["spec"]["configPatches"][0]["patch"]["operation"] = "ADD"

    with pytest.raises(ValueError, match="HTTP_FILTER ADD"):
        filter_names([manifest])


def test_the_connection_pool_becomes_circuit_breakers_of_the_entrys_cluster() -> None:
    pool = {
        "tcp": {"maxConnections": 8, "connectTimeout": "2s"},
        "http": {"http1MaxPendingRequests": 16, "http2MaxRequests": 24},
    }

    found = cluster(f"outbound|4318||{HOST}", service_entry(4318), destination_rule(connectionPool=pool))

    [limits] = found["circuit_breakers"]["thresholds"]
    assert limits.items() >= {"max_connections": 8, "max_pending_requests": 16, "max_requests": 24}.items()
    assert limits["max_retries"] == 2**32 - 1
    assert found["connect_timeout"] == "2s"


def test_settings_of_a_port_replace_those_of_the_host() -> None:
    rule = destination_rule(
        connectionPool={"tcp": {"maxConnections": 1}},
        portLevelSettings=[{"port": {"number": 4318}, "connectionPool": {"http": {"http2MaxRequests": 2}}}],
    )

    [limits] = cluster(f"outbound|4318||{HOST}", service_entry(4318), rule)["circuit_breakers"]["thresholds"]

    assert (limits["max_connections"], limits["max_requests"]) == (2**32 - 1, 2)


def test_a_rule_without_an_entry_stands_for_a_kubernetes_service() -> None:
    rule = destination_rule(portLevelSettings=[{"port": {"number": 4318}}])

    assert cluster(f"outbound|4318||{HOST}", rule)


def test_an_unknown_connection_pool_setting_is_refused() -> None:
    rule = destination_rule(connectionPool={"tcp": {"maxConnectionDuration": "1h"}})

    with pytest.raises(ValueError, match="maxConnectionDuration"):
        cluster(f"outbound|4318||{HOST}", service_entry(4318), rule)


def test_manifests_without_a_capture_filter_are_refused() -> None:
    with pytest.raises(ValueError, match="no capture filter"):
        bootstrap.first_capture([service_entry(4318)])

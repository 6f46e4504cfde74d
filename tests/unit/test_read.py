"""What verify looks for: taken from the manifests that a stack really renders."""

import pytest

from components.istio import read
from lab import stack
from lab.bootstrap import Json

OTHERS = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def capture_of(
    *, mechanism: str = "EnvoyFilter", direction: str = "inbound", **config: object
) -> read.Capture:
    workload = {
        "namespace": "shop",
        "labels": {"app": "w"},
        "mechanism": mechanism,
        "directions": [direction],
    }
    [capture] = read.captures(stack.manifests(workloads={"w": workload}, **config))
    return capture


@pytest.mark.parametrize(
    ("url", "cluster"),
    [
        ("http://otel.obs:4318", "outbound|4318||otel.obs"),
        ("https://collector.example.com", "outbound|4318||collector.example.com"),
        (
            "http://[2001:db8::7]:4318",
            "outbound|4318||collector-2001-0db8-0000-0000-0000-0000-0000-0007.astra.internal",
        ),
        (f"http://{'x' * 60}.{'y' * 60}.{'z' * 60}:80", f"outbound|80||{'x' * 60}.{'y' * 60}.{'z' * 60}"),
    ],
)
def test_the_cluster_of_the_collector_is_read_from_the_script(url: str, cluster: str) -> None:
    egress = {"location": "external"} if url.startswith("https") else {}
    assert capture_of(collectorUrl=url, egress=egress).cluster == cluster


def test_a_script_in_another_form_names_no_cluster() -> None:
    [manifest] = read.own(found for found in stack.manifests() if found["kind"] == "EnvoyFilter")
    value = manifest["spec"]["configPatches"][0]["patch"]["value"]
    value["typed_config"]["default_source_code"]["inline_string"] = "function envoy_on_request(handle) end"
    [capture] = read.captures([manifest])
    assert (capture.cluster, capture.host) == ("", "")


def test_objects_that_a_program_declares_beside_the_package_are_left_out() -> None:
    manifests = stack.manifests()
    assert read.own([OTHERS, *manifests]) == manifests


@pytest.mark.parametrize(
    ("mechanism", "direction", "proxies"),
    [
        ("EnvoyFilter", "inbound", {"sidecar"}),
        ("EnvoyFilter", "outbound", {"sidecar"}),
        ("EnvoyFilter", "gateway", {"router"}),
        ("TrafficExtension", "inbound", {"sidecar"}),
        ("TrafficExtension", "outbound", {"sidecar", "router"}),
    ],
)
def test_each_kind_of_proxy_is_expected_to_have_what_istio_gives_it(
    mechanism: str, direction: str, proxies: set[str]
) -> None:
    capture = capture_of(mechanism=mechanism, direction=direction)
    assert {kind for kind, _ in capture.filters} == proxies


def test_a_traffic_extension_is_known_by_the_name_that_istio_gives_its_filter() -> None:
    capture = capture_of(mechanism="TrafficExtension")
    [(_, http_filter)] = capture.filters
    assert http_filter.name == "extensions.istio.io/trafficextension/shop.astra-istio-mesh-filter-w"
    assert capture.cluster.startswith("outbound|4318||")


def test_a_filter_with_targets_is_expected_in_their_waypoint() -> None:
    [manifest] = [found for found in stack.manifests() if found["kind"] == "EnvoyFilter"]
    spec: Json = {**manifest["spec"], "targetRefs": [{"kind": "Gateway", "name": "waypoint"}]}
    del spec["workloadSelector"]
    [capture] = read.captures([{**manifest, "spec": spec}])
    assert capture.targets == (("Gateway", "waypoint"),)
    assert [found.name for found in capture.filters_of("waypoint")] == ["astra-capture-productpage"]


def test_a_filter_that_only_makes_the_collector_known_carries_no_script() -> None:
    known = {
        "kind": "EnvoyFilter",
        "metadata": {
            "name": "e",
            "namespace": "istio-system",
            "annotations": {"envoyfilter.istio.io/x": "otel.obs"},
        },
        "spec": {"targetRefs": [{"kind": "GatewayClass", "name": "istio-waypoint"}]},
    }
    assert read.captures([known]) == []


@pytest.mark.parametrize(("url", "tls"), [("https://c.example.com", True), ("http://otel.obs:4318", False)])
def test_tls_is_expected_where_the_destination_rule_says_so(url: str, tls: bool) -> None:
    manifests = stack.manifests(collectorUrl=url)
    [capture] = read.captures(manifests)
    assert read.expects_tls(manifests, capture.host) is tls


def test_tls_to_a_port_of_a_service_is_expected_too() -> None:
    manifests = stack.manifests(collectorUrl="https://otel.obs.svc.cluster.local:4318")
    assert read.expects_tls(manifests, "otel.obs.svc.cluster.local")


@pytest.mark.parametrize(
    ("config", "namespace"),
    [
        ({"collectorUrl": "http://otel.obs:4318"}, "istio-system"),
        ({"collectorUrl": "http://otel.obs.svc.cluster.local:4318"}, "obs"),
        (
            {"collectorUrl": "http://otel.obs.svc.acme.corp:4318", "egress": {"clusterDomain": "acme.corp"}},
            "obs",
        ),
        ({"collectorUrl": "http://otel.obs.svc.acme.corp:4318"}, "istio-system"),
        ({"collectorUrl": "http://otel.obs:4318", "egress": {"create": False}}, None),
    ],
)
def test_a_host_belongs_to_the_namespace_of_its_entry(config: Json, namespace: str | None) -> None:
    manifests = stack.manifests(**config)
    [capture] = read.captures(manifests)
    assert read.namespace_of_host(manifests, capture.host) == namespace

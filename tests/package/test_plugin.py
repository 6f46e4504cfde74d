"""The plugin in a process of its own, asked as the engine asks it, and what it declares to an engine."""

from typing import Any

import grpc
import pytest

from tests.package.engine import RecordingEngine
from tests.package.plugin import Plugin

URL = "http://astra-traffic-collector.astra-collector:4318/v1/traces"
SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # an unknown value on Pulumi's wire
SIGNATURE, OUTPUT = "4dabf18193072939515e22adb298388d", "d0e6a833031e9bbcd3f4e8bde6ca49a4"


def inputs(**changes: Any) -> dict[str, Any]:
    workloads = {"productpage": {"namespace": "default", "labels": {"app": "productpage"}}}
    return {"sensorId": SENSOR_ID, "collectorUrl": URL, "workloads": workloads, **changes}


def output(value: str | None, dependency: str) -> dict[str, Any]:
    """An Output on Pulumi's wire; unknown without a value."""
    known = {} if value is None else {"value": value}
    return {SIGNATURE: OUTPUT, **known, "dependencies": [dependency]}


def refusal(plugin: Plugin, engine: RecordingEngine, component: str, given: dict[str, Any]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        plugin.construct(engine, component, given)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    message: str = caught.value.details()
    return message


def declared(engine: RecordingEngine, kind: str) -> dict[str, Any]:
    [found] = [resource.inputs for resource in engine.resources if resource.type.endswith(f":{kind}")]
    return found


def script(engine: RecordingEngine) -> str:
    [patch] = declared(engine, "EnvoyFilter")["spec"]["configPatches"]
    text: str = patch["patch"]["value"]["typed_config"]["default_source_code"]["inline_string"]
    return text


@pytest.mark.parametrize("dry_run", [True, False], ids=["preview", "up"])
def test_a_component_declares_the_same_resources_as_in_python(
    plugin: Plugin, engine: RecordingEngine, dry_run: bool
) -> None:
    outputs = plugin.construct(engine, "TrafficCapture", inputs(), dry_run=dry_run)
    assert [(resource.type, resource.name, resource.parent) for resource in sorted(engine.resources)] == [
        ("astra-istio:index:CollectorEgress", "astra-egress", "astra"),
        ("astra-istio:index:TrafficCapture", "astra", ""),
        ("astra-istio:index:WorkloadCapture", "astra-productpage", "astra"),
        (
            "kubernetes:networking.istio.io/v1:DestinationRule",
            "astra-egress-destination-rule",
            "astra-egress",
        ),
        ("kubernetes:networking.istio.io/v1:ServiceEntry", "astra-egress-service-entry", "astra-egress"),
        (
            "kubernetes:networking.istio.io/v1alpha3:EnvoyFilter",
            "astra-productpage-envoy-filter",
            "astra-productpage",
        ),
    ]
    assert outputs == {
        "collectorHost": "astra-traffic-collector.astra-collector",
        "collectorPort": 4318,
        "collectorCluster": "outbound|4318||astra-traffic-collector.astra-collector",
        "capturedWorkloads": {
            "productpage": {"namespace": "default", "filterName": "astra-istio-mesh-filter-productpage"}
        },
    }


def test_settings_of_every_kind_reach_the_script(plugin: Plugin, engine: RecordingEngine) -> None:
    capture = {
        "samplingRatio": 0.25,
        "maxBodyBytes": 1024,
        "binaryBodies": "bytes",
        "skipPaths": ["/healthz"],
        "redaction": {"mode": "none"},
        "export": {"maxBatchSpans": 8},
    }
    workload = {"namespace": "shop", "directions": ["outbound"], "labels": {"app": "w"}, "capture": capture}
    plugin.construct(engine, "TrafficCapture", inputs(workloads={"w": workload}))
    lines = [line.strip() for line in script(engine).splitlines()]
    for line in (
        'direction = "outbound",',
        "sampling_ratio = 0.25,",
        "max_body_bytes = 1024,",
        'binary_bodies = "bytes",',
        "/healthz",
        'mode = "none",',
        "max_batch_spans = 8,",
    ):
        assert line in lines


def test_a_null_is_as_if_left_out_since_pulumi_drops_it_on_the_way(
    plugin: Plugin, engine: RecordingEngine
) -> None:
    plugin.construct(engine, "CollectorEgress", {"collectorUrl": URL, "egress": {"limits": None}})
    http = declared(engine, "DestinationRule")["spec"]["trafficPolicy"]["connectionPool"]["http"]
    assert http["http1MaxPendingRequests"] == 32


def test_an_output_as_a_namespace_is_kept_with_what_it_depends_on(
    plugin: Plugin, engine: RecordingEngine
) -> None:
    namespace = "urn:pulumi:test::tests::kubernetes:core/v1:Namespace::shop"
    workload = {"namespace": output("shop", namespace), "labels": {"app": "w"}}
    outputs = plugin.construct(engine, "TrafficCapture", inputs(workloads={"w": workload}))
    assert declared(engine, "EnvoyFilter")["metadata"]["namespace"] == "shop"
    assert outputs["capturedWorkloads"]["w"]["namespace"] == "shop"


def test_a_namespace_that_is_known_only_later_leaves_the_script_known(
    plugin: Plugin, engine: RecordingEngine
) -> None:
    namespace = "urn:pulumi:test::tests::kubernetes:core/v1:Namespace::shop"
    given = {
        "sensorId": SENSOR_ID,
        "collectorUrl": URL,
        "namespace": output(None, namespace),
        "labels": {"app": "w"},
    }
    plugin.construct(engine, "WorkloadCapture", given)
    assert script(engine).startswith("-- astra-istio-capture ")


def test_children_use_the_provider_that_was_given(plugin: Plugin, engine: RecordingEngine) -> None:
    east = "urn:pulumi:test::tests::pulumi:providers:kubernetes::east::east-id"
    plugin.construct(engine, "TrafficCapture", inputs(), providers={"kubernetes": east})
    objects = [resource for resource in engine.resources if resource.type.startswith("kubernetes:")]
    assert {resource.provider for resource in objects} == {east}
    assert len(objects) == 3


def test_mistakes_are_told_together_in_the_programs_spelling_without_a_traceback(
    plugin: Plugin, engine: RecordingEngine
) -> None:
    bad = inputs(capture={"samplingRato": 1, "maxBodyBytes": -1}, sensorId="x")
    assert refusal(plugin, engine, "TrafficCapture", bad).splitlines() == [
        "3 problems in the settings:",
        "  sensorId: got 'x', expected the sensor's UUID, such as 12345678-9abc-4def-8123-456789abcdef",
        "  capture.maxBodyBytes: got -1, expected a whole number from 0 to 262144",
        "  capture.samplingRato: unknown key, did you mean samplingRatio?",
    ]
    assert engine.resources == []


@pytest.mark.parametrize("component", ["CollectorEgress", "TrafficCapture", "WorkloadCapture"])
def test_a_missing_url_is_told_as_missing(plugin: Plugin, engine: RecordingEngine, component: str) -> None:
    given = {"namespace": "n", "sensorId": SENSOR_ID, "workloads": {"w": {"namespace": "n"}}}
    keys = {"CollectorEgress": [], "TrafficCapture": ["sensorId", "workloads"]}.get(
        component, ["namespace", "sensorId"]
    )
    message = refusal(plugin, engine, component, {key: given[key] for key in keys})
    assert message.startswith("collectorUrl: missing, expected a URL")


def test_a_url_that_is_not_known_at_preview_is_refused_with_the_reason(
    plugin: Plugin, engine: RecordingEngine
) -> None:
    url = output(None, "urn:pulumi:test::tests::pulumi:pulumi:StackReference::other")
    message = refusal(plugin, engine, "CollectorEgress", {"collectorUrl": url})
    assert message.startswith("collectorUrl: got an Output, expected a URL")
    assert "known at preview" in message

"""Filters as Kubernetes objects: contexts, order, selection."""

from typing import Any

import pytest

from components.istio import endpoint
from components.istio.manifests import (
    Attachment,
    Identity,
    collector_of_waypoints,
    envoy_filter,
    traffic_extension,
)
from components.istio.names import Manifest
from components.istio.script import Script
from components.settings.models import Direction, Egress, TargetKind, TargetRef

IDENTITY = Identity("astra-istio-mesh-filter-w", "shop", {"istio.io/rev": "canary"})
SCRIPT = Script("-- lua\n", "c0de")
LABELLED, WHOLE = Attachment({"app": "w"}), Attachment({})
COLLECTOR = endpoint.collector("https://collector.example", Egress())
REFERENCED = {"envoyfilter.istio.io/referenced-services": "collector.example"}
GATEWAY_API = "gateway.networking.k8s.io"


def attached(*targets: tuple[TargetKind, str]) -> Attachment:
    return Attachment({}, [TargetRef(kind=kind, name=name) for kind, name in targets])


WAYPOINT = attached((TargetKind.GATEWAY, "waypoint"))


def captured(direction: Direction, attachment: Attachment) -> Manifest:
    return envoy_filter({direction: SCRIPT}, IDENTITY, attachment, http_filter="f", collector=COLLECTOR)


def test_an_envoy_filter_has_a_patch_per_direction_first_in_the_chain() -> None:
    scripts = {Direction.INBOUND: SCRIPT, Direction.OUTBOUND: Script("-- out\n", "c0de")}
    manifest = envoy_filter(scripts, IDENTITY, LABELLED, http_filter="astra-capture-w", collector=COLLECTOR)

    def patch(context: str, text: str) -> dict[str, Any]:
        hcm = {"name": "envoy.filters.network.http_connection_manager"}
        return {
            "applyTo": "HTTP_FILTER",
            "match": {"context": context, "listener": {"filterChain": {"filter": hcm}}},
            "patch": {
                "operation": "INSERT_FIRST",
                "value": {
                    "name": "astra-capture-w",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                        "default_source_code": {"inline_string": text},
                        "stat_prefix": "astra_capture",
                        "clear_route_cache": False,
                    },
                },
            },
        }

    assert manifest == {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {
            "name": "astra-istio-mesh-filter-w",
            "namespace": "shop",
            "labels": {"app.kubernetes.io/part-of": "astra-istio-instrumentation", "istio.io/rev": "canary"},
            "annotations": {"astra.security/capture-script-sha256": "c0de"},
        },
        "spec": {
            "configPatches": [patch("SIDECAR_INBOUND", "-- lua\n"), patch("SIDECAR_OUTBOUND", "-- out\n")],
            "priority": 20,
            "workloadSelector": {"labels": {"app": "w"}},
        },
    }


def test_the_filter_of_a_whole_namespace_selects_nothing_and_comes_after_those_of_workloads() -> None:
    whole = captured(Direction.INBOUND, WHOLE)["spec"]
    assert "workloadSelector" not in whole
    assert whole["priority"] == 10
    extension = traffic_extension(Direction.INBOUND, SCRIPT, IDENTITY, WHOLE)["spec"]
    assert "selector" not in extension
    assert extension["priority"] == 10


@pytest.mark.parametrize(
    ("direction", "context", "mode"),
    [
        (Direction.INBOUND, "SIDECAR_INBOUND", "SERVER"),
        (Direction.OUTBOUND, "SIDECAR_OUTBOUND", "CLIENT"),
        (Direction.GATEWAY, "GATEWAY", "CLIENT"),
    ],
)
def test_a_direction_has_its_name_in_each_of_istios_apis(
    direction: Direction, context: str, mode: str
) -> None:
    spec = captured(direction, WHOLE)["spec"]
    assert spec["configPatches"][0]["match"]["context"] == context
    extension = traffic_extension(direction, SCRIPT, IDENTITY, LABELLED)
    assert extension["apiVersion"] == "extensions.istio.io/v1alpha1"
    assert extension["spec"] == {
        "lua": {"inlineCode": SCRIPT.inline_code},
        "match": [{"mode": mode}],
        "phase": "AUTHN",
        "priority": 20,
        "selector": {"matchLabels": {"app": "w"}},
    }


def test_a_waypoints_envoy_filter_leaves_tunnels_alone_and_brings_the_collectors_cluster() -> None:
    manifest = captured(Direction.INBOUND, WAYPOINT)
    [patch] = manifest["spec"]["configPatches"]
    assert patch["match"]["context"] == "SIDECAR_INBOUND"
    assert patch["match"]["listener"]["name"] == "main_internal"
    assert manifest["spec"]["targetRefs"] == [{"group": GATEWAY_API, "kind": "Gateway", "name": "waypoint"}]
    assert "workloadSelector" not in manifest["spec"]
    assert REFERENCED.items() <= manifest["metadata"]["annotations"].items()


@pytest.mark.parametrize("attachment", [LABELLED, WAYPOINT], ids=["labels", "targets"])
def test_a_gateways_envoy_filter_brings_the_collectors_cluster_too(attachment: Attachment) -> None:
    manifest = captured(Direction.GATEWAY, attachment)
    [patch] = manifest["spec"]["configPatches"]
    assert "name" not in patch["match"]["listener"]
    assert REFERENCED.items() <= manifest["metadata"]["annotations"].items()


@pytest.mark.parametrize(
    ("target", "group", "priority"),
    [
        ((TargetKind.GATEWAY, "waypoint"), GATEWAY_API, 10),
        ((TargetKind.GATEWAY_CLASS, "istio-waypoint"), GATEWAY_API, 10),
        ((TargetKind.SERVICE, "reviews"), None, 20),
        ((TargetKind.SERVICE_ENTRY, "payments"), "networking.istio.io", 20),
    ],
)
def test_a_traffic_extension_names_the_group_of_its_target_and_a_service_comes_before_its_waypoint(
    target: tuple[TargetKind, str], group: str | None, priority: int
) -> None:
    spec = traffic_extension(Direction.INBOUND, SCRIPT, IDENTITY, attached(target))["spec"]
    named = {"kind": target[0].value, "name": target[1]}
    assert spec["targetRefs"] == [named if group is None else {"group": group, **named}]
    assert spec["priority"] == priority
    assert spec["match"] == [{"mode": "SERVER"}]
    assert "selector" not in spec


def test_what_gives_waypoints_the_collectors_cluster_patches_nothing() -> None:
    manifest = collector_of_waypoints(COLLECTOR, IDENTITY)
    assert manifest["metadata"]["annotations"] == REFERENCED
    assert manifest["spec"] == {
        "targetRefs": [{"group": GATEWAY_API, "kind": "GatewayClass", "name": "istio-waypoint"}]
    }

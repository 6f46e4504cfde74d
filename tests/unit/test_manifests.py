"""Filters as Kubernetes objects: contexts, order, selection."""

from typing import Any

import pytest

from components.manifests import Identity, envoy_filter, traffic_extension
from components.script import Script
from components.settings import Direction

IDENTITY = Identity("astra-istio-mesh-filter-w", "shop", {"istio.io/rev": "canary"})
SCRIPT = Script("-- lua\n", "c0de")


def test_an_envoy_filter_has_a_patch_per_direction_first_in_the_chain() -> None:
    scripts = {Direction.INBOUND: SCRIPT, Direction.OUTBOUND: Script("-- out\n", "c0de")}
    manifest = envoy_filter(scripts, IDENTITY, selector={"app": "w"}, http_filter="astra-capture-w")

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
    whole = envoy_filter({Direction.INBOUND: SCRIPT}, IDENTITY, selector={}, http_filter="f")["spec"]
    assert "workloadSelector" not in whole
    assert whole["priority"] == 10
    extension = traffic_extension(Direction.INBOUND, SCRIPT, IDENTITY, selector={})["spec"]
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
    spec = envoy_filter({direction: SCRIPT}, IDENTITY, selector={}, http_filter="f")["spec"]
    assert spec["configPatches"][0]["match"]["context"] == context
    extension = traffic_extension(direction, SCRIPT, IDENTITY, selector={"app": "w"})
    assert extension["apiVersion"] == "extensions.istio.io/v1alpha1"
    assert extension["spec"] == {
        "lua": {"inlineCode": "-- lua\n"},
        "match": [{"mode": mode}],
        "phase": "AUTHN",
        "priority": 20,
        "selector": {"matchLabels": {"app": "w"}},
    }

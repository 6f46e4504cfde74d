"""Rules between settings: what overlaps, what shares a name, what would lose spans or loop."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from components.istio import script
from components.rules.check import check
from components.settings.models import (
    CollectorEgressSettings,
    TrafficCaptureSettings,
    WorkloadCaptureSettings,
)
from components.settings.validation import SettingsError, Spelling

SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"


def said_of(workloads: dict[str, Any], url: str = "http://otel.obs:4318", **egress: Any) -> list[str]:
    """Why workloads are refused, else what is warned of; those without labels say that they mean all pods."""
    workloads = {
        name: workload if "targetRefs" in workload else {"labels": {}, **workload}
        for name, workload in workloads.items()
    }
    values = {"sensorId": SENSOR_ID, "collectorUrl": url, "egress": egress, "workloads": workloads}
    try:
        checked = check(TrafficCaptureSettings, values, Spelling.CONFIG)
    except SettingsError as refusal:
        return list(refusal.problems)
    return list(checked.warnings)


def pair(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    return said_of({"one": {"namespace": "n", **one}, "two": {"namespace": "n", **two}})


def test_forgotten_labels_are_warned_of() -> None:
    values = {
        "sensorId": SENSOR_ID,
        "collectorUrl": "http://otel.obs:4318",
        "workloads": {"forgotten": {"namespace": "n"}, "meant": {"namespace": "m", "labels": {}}},
    }
    assert list(check(TrafficCaptureSettings, values, Spelling.CONFIG).warnings) == [
        (
            "workloads.forgotten: captures every pod of its namespace; say labels, or `labels: {}` if "
            "all are meant"
        )
    ]


OWN_LABEL = "app.kubernetes.io/part-of"


def with_common_labels(labels: dict[str, Any]) -> list[str]:
    values = {"sensorId": SENSOR_ID, "collectorUrl": "http://otel.obs:4318", "commonLabels": labels}
    workloads = {"w": {"namespace": "n", "labels": {"app": "w"}}}
    try:
        check(TrafficCaptureSettings, {**values, "workloads": workloads}, Spelling.CONFIG)
    except SettingsError as refusal:
        return list(refusal.problems)
    return []


def test_the_label_that_finds_the_packages_objects_cannot_be_replaced() -> None:
    assert with_common_labels({OWN_LABEL: "shop", "team": "a"}) == [
        (
            f"commonLabels[\"{OWN_LABEL}\"]: got 'shop', expected another key: by this label kubectl, verify "
            "and review find the objects of the package"
        )
    ]


def test_the_packages_label_as_it_is_and_others_of_its_prefix_are_allowed() -> None:
    labels = {OWN_LABEL: "astra-istio-instrumentation", "app.kubernetes.io/managed-by": "pulumi"}
    assert with_common_labels(labels) == []


class Later:
    """A value that nobody knows yet."""

    def __await__(self) -> Iterator[None]:
        raise AssertionError("nobody waits for it")


def test_the_packages_label_cannot_be_replaced_by_an_output_or_for_one_component_alone() -> None:
    label = {OWN_LABEL: Later()}
    values = {"collector_url": "http://otel.obs:4318", "common_labels": label}
    workload = {"namespace": "n", "labels": {"app": "w"}, "sensor_id": SENSOR_ID, "workload": "w"}
    models: list[tuple[Any, dict[str, Any]]] = [
        (CollectorEgressSettings, values),
        (WorkloadCaptureSettings, values | workload),
    ]
    for model, of_model in models:
        with pytest.raises(SettingsError, match=r"^common_labels\[.*\]: got an Output, expected another key"):
            check(model, of_model)


X = {"labels": {"app": "x"}}


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        (X, X, "inbound"),
        (X, {"labels": {"app": "x", "version": "v1"}}, "inbound"),
        ({"labels": {"app": "x", "version": "v1"}}, X, "inbound"),
        ({}, {}, "inbound"),
        ({"directions": ["inbound", "outbound"]}, {"directions": ["outbound"]}, "outbound"),
        ({"directions": ["gateway"], **X}, {"directions": ["gateway"], **X}, "gateway"),
    ],
    ids=["equal", "subset", "superset", "both whole", "one shared direction", "gateways"],
)
def test_workloads_that_select_the_same_pods_are_refused(one: Any, two: Any, shared: str) -> None:
    assert pair(one, two) == [
        (
            f"workloads.two.labels: selects pods that one selects, both {shared} in namespace 'n': "
            "give them labels that differ in a value, or make them one workload"
        )
    ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({}, X),
        (X, {}),
        (X, {"labels": {"app": "y"}}),
        (X, {"labels": {"app": "y", "version": "v1"}}),
        (X, {"labels": {"version": "v1"}}),
        (X, {"directions": ["outbound"], **X}),
        ({"directions": ["gateway"]}, {"directions": ["inbound"]}),
        (X, {"namespace": "m", **X}),
    ],
    ids=[
        "labelled in a whole namespace",
        "whole namespace around a labelled one",
        "other value",
        "other value and another label",
        "other label",
        "other direction",
        "gateway and sidecars",
        "other namespace",
    ],
)
def test_workloads_that_do_not_are_allowed(one: Any, two: Any) -> None:
    assert pair(one, two) == []


def test_each_pair_that_overlaps_is_told() -> None:
    three = said_of({name: {"namespace": "n"} for name in ("a", "b", "c")})
    assert [problem.split(",")[0] for problem in three] == [
        "workloads.b.labels: selects pods that a selects",
        "workloads.c.labels: selects pods that a selects",
        "workloads.c.labels: selects pods that b selects",
    ]


def test_two_filters_of_one_name_in_one_namespace_are_refused() -> None:
    one = {**X, "filterName": "astra-istio-mesh-filter-two"}
    assert pair(one, {"labels": {"app": "y"}}) == [
        (
            "workloads.two.filterName: got 'astra-istio-mesh-filter-two', expected a name of its "
            "own: one in the "
            "same namespace has it"
        )
    ]


def test_filters_of_other_namespaces_or_kinds_may_share_a_name() -> None:
    named = {"filterName": "mine"}
    assert pair({**X, **named}, {"namespace": "m", **X, **named}) == []
    assert pair({**X, **named}, {"labels": {"app": "y"}, "mechanism": "TrafficExtension", **named}) == []


LOOP = (
    "workloads.w.namespace: got 'obs' without labels, which captures the collector's own pods, and what "
    "others send to them: say by labels which pods to capture"
)


@pytest.mark.parametrize("url", ["http://otel.obs:4318", "http://otel.obs.svc.cluster.local:4318"])
def test_the_collectors_own_namespace_is_not_captured_as_a_whole(url: str) -> None:
    assert said_of({"w": {"namespace": "obs"}}, url) == [LOOP]


def test_nor_is_it_in_a_cluster_of_another_domain() -> None:
    url = "http://otel.obs.svc.acme.corp:4318"
    assert said_of({"w": {"namespace": "obs"}}, url, clusterDomain="acme.corp") == [LOOP]


@pytest.mark.parametrize(
    ("workload", "url"),
    [
        ({"namespace": "obs", **X}, "http://otel.obs:4318"),
        ({"namespace": "obs", "directions": ["outbound"]}, "http://otel.obs:4318"),
        ({"namespace": "obs"}, "https://otel.obs:4318"),
    ],
    ids=["labelled", "outbound", "the collector is outside"],
)
def test_in_the_collectors_namespace_other_pods_may_be_captured(workload: dict[str, Any], url: str) -> None:
    assert said_of({"w": workload}, url) == []


def test_a_workload_that_cannot_see_the_collectors_entry_is_refused() -> None:
    assert said_of({"w": {"namespace": "n"}}, exportTo=["m", "."]) == [
        (
            "workloads.w.namespace: got 'n', expected one that the collector's entry is exported to "
            "(m, .), or "
            "spans would be dropped"
        )
    ]


@pytest.mark.parametrize(
    "egress",
    [
        {"exportTo": ["*"]},
        {"exportTo": ["m", "n"]},
        {"exportTo": ["."], "namespace": "n"},
        {"exportTo": ["m"], "create": False},
        {},
    ],
    ids=["all", "named", "own", "another stack's entry", "the mesh's default"],
)
def test_a_workload_that_sees_the_collectors_entry_is_allowed(egress: dict[str, Any]) -> None:
    assert said_of({"w": {"namespace": "n", **X}}, **egress) == []


def test_what_concerns_the_collector_is_not_guessed_while_its_url_is_wrong() -> None:
    [problem] = said_of({"w": {"namespace": "obs"}}, "http://otel.obs")
    assert problem.startswith("collectorUrl: ")


def test_the_url_is_checked_while_the_egress_settings_are_wrong() -> None:
    found = said_of({"w": {"namespace": "n"}}, "http://otel.obs", create=1)
    assert [problem.split(":")[0] for problem in found] == ["egress.create", "collectorUrl"]


def test_a_script_too_long_for_a_traffic_extension_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    too_long = SimpleNamespace(inline_code="x" * 65537)
    monkeypatch.setattr(script, "render", lambda *_, **__: too_long)
    workload = {"namespace": "n", "mechanism": "TrafficExtension"}
    assert said_of({"w": workload}) == [
        (
            "workloads.w.mechanism: got a script of 65537 bytes, expected at most 65536: shorten its "
            "lists, or use "
            "EnvoyFilter"
        )
    ]
    assert said_of({"w": {"namespace": "n"}}) == []


EXTENSION = {"mechanism": "TrafficExtension"}
WAYPOINT = {"targetRefs": [{"kind": "Gateway", "name": "waypoint"}]}
SERVICE = {"targetRefs": [{"kind": "Service", "name": "reviews"}]}
CLASS = {"targetRefs": [{"kind": "GatewayClass", "name": "istio-waypoint"}]}
UNEXPORTED = (
    "workloads.w.mechanism: got 'TrafficExtension' on a waypoint, which would capture and never export, as "
    "it "
    "has no cluster for the collector: set egress.waypoints to true, or use EnvoyFilter, which brings it"
)


def attached(workload: dict[str, Any], **egress: Any) -> list[str]:
    return said_of({"w": {"namespace": "n", **workload}}, **egress)


@pytest.mark.parametrize(
    "workload",
    [
        WAYPOINT,
        {**CLASS, "namespace": "istio-system"},
        {**WAYPOINT, "directions": ["gateway"]},
        {**WAYPOINT, "directions": ["gateway"], **EXTENSION},
    ],
    ids=["a waypoint", "all waypoints", "a gateway", "a gateway's extension"],
)
def test_a_capture_may_be_attached_to_proxies_of_the_gateway_api(workload: dict[str, Any]) -> None:
    assert attached(workload) == []


@pytest.mark.parametrize("targets", [WAYPOINT, SERVICE, {**CLASS, "namespace": "istio-system"}])
def test_a_traffic_extension_that_a_waypoint_could_not_export_from_is_refused(
    targets: dict[str, Any],
) -> None:
    assert attached({**targets, **EXTENSION}) == [UNEXPORTED]
    assert attached({**targets, **EXTENSION}, waypoints=True) == []
    assert attached({**targets, **EXTENSION}, waypoints=True, create=False) == []


@pytest.mark.parametrize("kind", ["Service", "ServiceEntry"])
def test_an_envoy_filter_attached_to_a_service_is_refused_as_istio_would_ignore_it(kind: str) -> None:
    assert attached({"targetRefs": [{"kind": kind, "name": "reviews"}]}) == [
        (
            f"workloads.w.targetRefs[0].kind: got '{kind}', expected Gateway or GatewayClass: Istio attaches "
            f"an "
            f"EnvoyFilter to no {kind}; name the waypoint, or use TrafficExtension"
        )
    ]


@pytest.mark.parametrize("kind", ["GatewayClass", "Service", "ServiceEntry"])
def test_a_gateway_is_named_as_a_gateway(kind: str) -> None:
    targets = {"targetRefs": [{"kind": kind, "name": "istio-waypoint"}], "namespace": "istio-system"}
    assert attached({**targets, "directions": ["gateway"]}) == [
        (
            f"workloads.w.targetRefs[0].kind: got '{kind}', expected Gateway with direction gateway: by a "
            f"{kind} "
            "Istio finds waypoints"
        )
    ]


def test_a_gateway_class_is_refused_outside_of_the_meshs_root_namespace() -> None:
    assert attached(CLASS) == [
        (
            "workloads.w.namespace: got 'n', expected 'istio-system' with a GatewayClass, which Istio heeds "
            "in the "
            "mesh's root namespace only (egress.namespace says which)"
        )
    ]
    assert attached(CLASS, namespace="n") == []


def test_another_gateway_class_is_refused() -> None:
    other = {"targetRefs": [{"kind": "GatewayClass", "name": "istio"}], "namespace": "istio-system"}
    assert attached(other) == [
        (
            "workloads.w.targetRefs[0].name: got 'istio', expected istio-waypoint: Istio attaches to no "
            "other class"
        )
    ]


@pytest.mark.parametrize("directions", [["outbound"], ["inbound", "outbound"]])
def test_targets_have_no_outbound_requests(directions: list[str]) -> None:
    assert attached({**WAYPOINT, "directions": directions}) == [
        (
            f"workloads.w.directions: got {', '.join(directions)}, expected inbound (a waypoint) or gateway: "
            f"targets "
            "select no sidecar; say by labels which pods' outbound requests to capture"
        )
    ]


def test_labels_beside_targets_are_refused() -> None:
    assert attached({**WAYPOINT, **X}) == [
        (
            "workloads.w.labels: got {'app': 'x'} and targetRefs too, expected one of them: Istio selects by "
            "labels or by targets"
        )
    ]


def test_a_target_twice_in_one_workload_is_refused() -> None:
    assert attached({"targetRefs": WAYPOINT["targetRefs"] * 2}) == [
        "workloads.w.targetRefs[1].name: got 'waypoint' twice, expected each target once"
    ]


def test_the_collectors_own_service_is_not_captured() -> None:
    collector = {"targetRefs": [{"kind": "Service", "name": "otel"}], **EXTENSION}
    assert said_of({"w": {"namespace": "obs", **collector}}, waypoints=True) == [
        (
            "workloads.w.targetRefs[0].name: got 'otel', the collector itself, which receives what was "
            "captured: "
            "leave it out"
        )
    ]
    assert attached(collector, waypoints=True) == []


def test_a_whole_waypoint_of_the_collectors_namespace_may_be_captured_as_its_own_calls_do_not_pass_it() -> (
    None
):
    assert attached({"namespace": "obs", **WAYPOINT}) == []


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        (WAYPOINT, WAYPOINT, "Gateway 'waypoint' in common with one, both inbound"),
        (
            {**WAYPOINT, "directions": ["gateway"]},
            {**WAYPOINT, "directions": ["gateway"], **EXTENSION},
            "Gateway 'waypoint' in common with one, both gateway",
        ),
    ],
    ids=["waypoint", "gateway, by two mechanisms"],
)
def test_workloads_with_a_target_in_common_are_refused(one: Any, two: Any, shared: str) -> None:
    assert pair(one, two) == [
        f"workloads.two.targetRefs: has {shared} in namespace 'n': name it in one of them"
    ]


def test_a_waypoint_and_a_gateway_of_other_names_are_allowed() -> None:
    assert pair(WAYPOINT, {"targetRefs": [{"kind": "Gateway", "name": "other"}]}) == []
    assert pair(WAYPOINT, {**WAYPOINT, "directions": ["gateway"]}) == []


HIDDEN = (
    "workloads.two.mechanism: got 'TrafficExtension' inside of what one captures by an EnvoyFilter, which "
    "always "
    "comes first, so that these settings would have no effect: use one mechanism for both"
)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({}, {**X, **EXTENSION}),
        ({"namespace": "istio-system", **X}, {**X, **EXTENSION}),
        (
            {"namespace": "istio-system", "directions": ["outbound"]},
            {"directions": ["outbound"], **EXTENSION},
        ),
        (WAYPOINT, {**SERVICE, **EXTENSION}),
        ({"namespace": "istio-system", **CLASS}, {**WAYPOINT, **EXTENSION}),
    ],
    ids=["whole namespace", "labels in the mesh", "whole mesh", "waypoint", "all waypoints"],
)
def test_a_traffic_extension_within_an_envoy_filter_is_refused_as_it_would_never_run(
    one: Any, two: Any
) -> None:
    workloads = {"one": {"namespace": "n", **one}, "two": {"namespace": "n", **two}}
    assert said_of(workloads, waypoints=True) == [HIDDEN]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({**EXTENSION}, X),
        ({}, {**X, **EXTENSION, "directions": ["outbound"]}),
        ({"namespace": "m", **X}, {**X, **EXTENSION}),
        ({**WAYPOINT, **EXTENSION}, {**SERVICE, **EXTENSION}),
        (WAYPOINT, {"targetRefs": [{"kind": "Gateway", "name": "other"}], **EXTENSION}),
    ],
    ids=["the EnvoyFilter inside", "other direction", "other namespace", "one mechanism", "other waypoint"],
)
def test_mechanisms_may_be_mixed_where_the_smaller_comes_first_or_nothing_is_shared(
    one: Any, two: Any
) -> None:
    workloads = {"one": {"namespace": "n", **one}, "two": {"namespace": "n", **two}}
    assert said_of(workloads, waypoints=True) == []


def test_a_capture_at_a_waypoint_and_at_sidecars_of_one_namespace_is_allowed_with_a_warning() -> None:
    assert pair(X, WAYPOINT) == [
        (
            "workloads.two: captures at a waypoint: a request that goes on to a sidecar which one captures "
            "is "
            "captured there again"
        )
    ]
    assert pair({**X, "directions": ["outbound"]}, WAYPOINT) == []
    assert pair({**X, "namespace": "m"}, WAYPOINT) == []


NO_PROTOBUF = (
    "got protobuf, expected json with compatibility: guide, as the guide's script sends JSON: "
    "leave encoding out"
)


@pytest.mark.parametrize(
    ("stack", "workload", "place"),
    [
        ({"compatibility": "guide", "export": {"encoding": "protobuf"}}, {}, "capture"),
        ({"export": {"encoding": "protobuf"}}, {"compatibility": "guide"}, "workloads.w.capture"),
        ({}, {"compatibility": "guide", "export": {"encoding": "protobuf"}}, "workloads.w.capture"),
    ],
    ids=["of the stack", "of both", "of a workload"],
)
def test_the_guides_form_of_spans_is_refused_in_protobuf(
    stack: dict[str, Any], workload: dict[str, Any], place: str
) -> None:
    values = {
        "sensorId": SENSOR_ID,
        "collectorUrl": "http://otel.obs:4318",
        "capture": stack,
        "workloads": {"w": {"namespace": "n", "labels": {}, "capture": workload}},
    }
    with pytest.raises(SettingsError) as refusal:
        check(TrafficCaptureSettings, values, Spelling.CONFIG)
    assert list(refusal.value.problems) == [f"{place}.export.encoding: {NO_PROTOBUF}"]


@pytest.mark.parametrize(
    "label",
    [
        *({"istio": value} for value in ("ingressgateway", "egressgateway", "eastwestgateway", "ingress")),
        *({"app": value} for value in ("istio-ingressgateway", "istio-ingress")),
        {"gateway.networking.k8s.io/gateway-name": "shop"},
    ],
)
@pytest.mark.parametrize("directions", [None, ["outbound"], ["inbound", "outbound"]])
def test_a_gateways_labels_with_the_directions_of_a_sidecar_are_warned_of(
    label: dict[str, str], directions: list[str] | None
) -> None:
    workload = {"namespace": "n", "labels": label, **({"directions": directions} if directions else {})}
    [((key, value), told)] = zip(label.items(), said_of({"w": workload}), strict=True)
    assert told.startswith(
        f"workloads.w.directions: got {', '.join(directions or ['inbound'])} with the label "
    )
    assert f"{key}={value}, which is a gateway's" in told
    assert told.endswith("set directions to [gateway]")
    assert said_of({"w": {**workload, "directions": ["gateway"]}}) == []


@pytest.mark.parametrize(
    "labels", [{"app": "gateway"}, {"app": "api-gateway"}, {"istio": "pilot"}, {"team": "ingressgateway"}]
)
def test_other_labels_are_no_gateways(labels: dict[str, str]) -> None:
    assert said_of({"w": {"namespace": "n", "labels": labels}}) == []


def test_a_traffic_extension_for_outbound_requests_is_applied_to_gateways() -> None:
    workload = {
        "labels": {"istio": "ingressgateway"},
        "mechanism": "TrafficExtension",
        "directions": ["outbound"],
    }
    assert said_of({"w": {"namespace": "n", **workload}}) == []

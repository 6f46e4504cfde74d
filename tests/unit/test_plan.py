"""Rules between settings: what overlaps, what shares a name, what would lose spans or loop."""

from typing import Any

import pytest

from components import plan, script
from components.script import Script
from components.validation import SettingsError, Spelling

SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"


def check(workloads: dict[str, Any], url: str = "http://otel.obs:4318", **egress: Any) -> list[str]:
    values = {"sensorId": SENSOR_ID, "collectorUrl": url, "egress": egress, "workloads": workloads}
    try:
        settings, collector = plan.traffic_capture(values, Spelling.CONFIG)
    except SettingsError as refusal:
        return list(refusal.problems)
    return plan.warnings(settings, collector)


def pair(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    return check({"one": {"namespace": "n", **one}, "two": {"namespace": "n", **two}})


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
    three = check({name: {"namespace": "n"} for name in ("a", "b", "c")})
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
    "workloads.w.namespace: got 'obs' without labels, which captures the collector's own pods, and each "
    "captured call again: say by labels which pods to capture"
)


@pytest.mark.parametrize("url", ["http://otel.obs:4318", "http://otel.obs.svc.cluster.local:4318"])
def test_the_collectors_own_namespace_is_not_captured_as_a_whole(url: str) -> None:
    assert check({"w": {"namespace": "obs"}}, url) == [LOOP]


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
    assert check({"w": workload}, url) == []


def test_a_workload_that_cannot_see_the_collectors_entry_is_refused() -> None:
    assert check({"w": {"namespace": "n"}}, exportTo=["m", "."]) == [
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
    assert check({"w": {"namespace": "n", **X}}, **egress) == []


def test_what_concerns_the_collector_is_not_guessed_while_its_url_is_wrong() -> None:
    [problem] = check({"w": {"namespace": "obs"}}, "http://otel.obs")
    assert problem.startswith("collectorUrl: ")


def test_the_url_is_checked_while_the_egress_settings_are_wrong() -> None:
    found = check({"w": {"namespace": "n"}}, "http://otel.obs", create=1)
    assert [problem.split(":")[0] for problem in found] == ["egress.create", "collectorUrl"]


def test_a_script_too_long_for_a_traffic_extension_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "render", lambda *_, **__: Script("x" * 65537, ""))
    workload = {"namespace": "n", "mechanism": "TrafficExtension"}
    assert check({"w": workload}) == [
        (
            "workloads.w.mechanism: got a script of 65537 bytes, expected at most 65536: shorten its "
            "lists, or use "
            "EnvoyFilter"
        )
    ]
    assert check({"w": {"namespace": "n"}}) == []

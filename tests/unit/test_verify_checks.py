"""From facts to findings: each thing that can be wrong is told, with its next step, and nothing else is."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from components.istio import read
from components.istio.names import SCRIPT_HASH
from components.istio.read import HttpFilter
from components.verify import checks
from components.verify.checks.deployed import differences
from components.verify.facts import Cluster, Exports, Facts, Pod, Proxy, Unread
from components.verify.findings import Finding, Level
from lab import stack
from lab.bootstrap import Json

POD = Pod("shop", "w-1", {"app": "w"}, running=True, proxy=True)
WORKLOADS = {"w": {"namespace": "shop", "labels": {"app": "w"}}}
HTTPS = "https://collector.example.com"
SERVICE = "http://otel.obs.svc.cluster.local:4318"
ARRIVED = Exports(answered=3, refused=0, over_limit=0)
Change = Callable[[Facts], Facts]


@cache
def rendered(url: str, mechanism: str, enabled: bool) -> list[Json]:
    workloads = {"w": {**WORKLOADS["w"], "mechanism": mechanism}}
    return stack.manifests(workloads=workloads, collectorUrl=url, capture={"enabled": enabled})


def healthy(
    url: str = "http://otel.obs:4318", mechanism: str = "EnvoyFilter", *, enabled: bool = True
) -> Facts:
    manifests = copy.deepcopy(rendered(url, mechanism, enabled))
    captures = read.captures(manifests)
    objects: dict[tuple[str, str], Any] = {("Sidecar", "shop"): [], ("Sidecar", "istio-system"): []}
    for manifest in copy.deepcopy(manifests):
        objects.setdefault((manifest["kind"], manifest["metadata"]["namespace"]), []).append(manifest)
    [capture] = captures
    proxy = Proxy(
        kind="sidecar",
        version=(1, 40),
        filters=frozenset(capture.filters_of("sidecar")),
        clusters={capture.cluster: Cluster(tls=url.startswith("https"), ports=(4318,), exports=ARRIVED)},
        counters={"errors": 0, "captured": 3, "exported": 3},
    )
    return Facts(
        manifests=manifests,
        captures=captures,
        objects=objects,
        pods={"shop": [POD]},
        checked={str(capture): [POD]},
        proxies={str(POD): proxy},
        root_namespace="istio-system",
        interval=10,
    )


def found(facts: Facts) -> list[Finding]:
    return [finding for finding in checks.findings(facts) if finding.level is not Level.OK]


def only(facts: Facts) -> Finding:
    [finding] = found(facts)
    return finding


def with_proxy(facts: Facts, **changes: Any) -> Facts:
    proxy = facts.proxies[str(POD)]
    assert isinstance(proxy, Proxy)
    return replace(facts, proxies={str(POD): replace(proxy, **changes)})


def with_cluster(facts: Facts, **changes: Any) -> Facts:
    [(name, cluster)] = cluster_of(facts).items()
    return with_proxy(facts, clusters={name: replace(cluster, **changes)})


def cluster_of(facts: Facts) -> dict[str, Cluster]:
    proxy = facts.proxies[str(POD)]
    assert isinstance(proxy, Proxy)
    return dict(proxy.clusters)


def live(facts: Facts, kind: str) -> Json:
    """The cluster's only object of a kind."""
    [manifest] = [
        item
        for (of, _), items in facts.objects.items()
        if of == kind and not isinstance(items, Unread)
        for item in items
    ]
    return manifest


def without(facts: Facts, kind: str) -> Facts:
    return replace(
        facts, objects={key: [] if key[0] == kind else items for key, items in facts.objects.items()}
    )


@pytest.mark.parametrize("mechanism", ["EnvoyFilter", "TrafficExtension"])
@pytest.mark.parametrize("url", ["http://otel.obs:4318", HTTPS, SERVICE])
def test_nothing_is_wrong_with_a_healthy_mesh(url: str, mechanism: str) -> None:
    facts = healthy(url, mechanism)
    assert found(facts) == []
    assert {finding.check for finding in checks.findings(facts)} == {
        "object",
        "pods",
        "filter",
        "cluster",
        "exports",
    }


# The objects.


@pytest.mark.parametrize("kind", ["ServiceEntry", "DestinationRule"])
def test_an_object_that_is_not_there_is_missing(kind: str) -> None:
    finding = only(without(healthy(), kind))
    assert (finding.level, finding.check) == (Level.PROBLEM, "object-missing")
    assert finding.subject == f"{kind} istio-system/allow-otel-collector-endpoint"
    assert "pulumi up" in finding.next


def test_a_filter_that_is_in_no_object_is_not_asked_of_the_proxies() -> None:
    facts = with_proxy(without(healthy(), "EnvoyFilter"), filters=frozenset())
    assert only(facts).check == "object-missing"


def test_an_object_with_another_value_differs_there() -> None:
    facts = healthy()
    live(facts, "DestinationRule")["spec"]["trafficPolicy"]["connectionPool"]["tcp"]["maxConnections"] = 1
    finding = only(facts)
    assert (finding.level, finding.check) == (Level.PROBLEM, "object-differs")
    assert finding.message == "spec.trafficPolicy.connectionPool.tcp.maxConnections is 1, declared 8"


def test_an_object_that_selects_other_pods_differs() -> None:
    facts = healthy()
    live(facts, "EnvoyFilter")["spec"]["workloadSelector"]["labels"] = {"app": "x"}
    assert only(facts).message == 'spec.workloadSelector.labels.app is "x", declared "w"'


@pytest.mark.parametrize(
    ("mechanism", "setting"), [("EnvoyFilter", "sampling_ratio = "), ("TrafficExtension", "sampling_ratio=")]
)
def test_an_object_with_another_setting_differs_in_that_line_of_its_script(
    mechanism: str, setting: str
) -> None:
    facts = healthy(mechanism=mechanism)
    manifest = live(facts, mechanism)
    [(path, text)] = [(path, text) for path, text in texts(manifest["spec"]) if "\n" in text]
    set_at(manifest["spec"], path, text.replace(f"{setting}1,", f"{setting}0.5,"))
    finding = only(facts)
    assert finding.check == "object-differs"
    assert finding.message.endswith(f'is "{setting}0.5,", declared "{setting}1,"')
    assert "line" in finding.message


def test_an_object_of_another_release_holds_an_old_script() -> None:
    facts = healthy()
    manifest = live(facts, "EnvoyFilter")
    manifest["metadata"]["annotations"][SCRIPT_HASH] = "0123456789ab" + "0" * 52
    set_at(manifest["spec"], script_path(manifest), "-- astra-istio-capture 0.0.9\n")
    facts = with_proxy(
        facts, filters=frozenset({HttpFilter("astra-capture-w", "-- astra-istio-capture 0.0.9\n")})
    )
    finding = only(facts)
    assert (finding.level, finding.check) == (Level.PROBLEM, "old-script")
    assert finding.subject == "EnvoyFilter shop/astra-istio-mesh-filter-w"
    assert finding.message.startswith("holds the script 0123456789ab, this release of the package declares ")


def test_labels_and_annotations_of_others_are_no_difference() -> None:
    facts = healthy()
    for items in facts.objects.values():
        for item in [] if isinstance(items, Unread) else items:
            item["metadata"].setdefault("annotations", {})["example.com/by"] = "somebody"
            item["metadata"]["labels"]["team"] = "shop"
            item["metadata"]["uid"] = "1"
            item["status"] = {"conditions": []}
    assert found(facts) == []


def test_a_label_that_is_declared_is_compared() -> None:
    declared_object = {"metadata": {"labels": {"istio.io/rev": "canary"}}, "spec": {}}
    [difference] = differences(declared_object, {"metadata": {}, "spec": {}})
    assert str(difference) == 'metadata.labels.istio.io/rev is missing, declared "canary"'


def test_an_annotation_that_is_declared_is_compared() -> None:
    declared_object = {"metadata": {"annotations": {"a/b": "otel.obs", SCRIPT_HASH: "1"}}, "spec": {}}
    [difference] = differences(declared_object, {"metadata": {"annotations": {"c": "d"}}, "spec": {}})
    assert str(difference) == 'metadata.annotations.a/b is missing, declared "otel.obs"'


def test_objects_that_may_not_be_read_are_not_checked_and_that_is_told() -> None:
    facts = healthy()
    unread = Unread("serviceentries is forbidden")
    facts = replace(facts, objects={**facts.objects, ("ServiceEntry", "istio-system"): unread})
    finding = only(facts)
    assert (finding.level, finding.check, finding.message) == (Level.UNKNOWN, "object-unread", unread.reason)
    assert "--rights" in finding.next


def test_a_kind_that_the_cluster_does_not_know_is_a_problem() -> None:
    facts = with_proxy(healthy(mechanism="TrafficExtension"), filters=frozenset())
    unread = Unread("the cluster knows no trafficextensions", missing=True)
    facts = replace(facts, objects={**facts.objects, ("TrafficExtension", "shop"): unread})
    finding = only(facts)
    assert (finding.level, finding.check) == (Level.PROBLEM, "object-missing")
    assert "Istio 1.30" in finding.next


# The pods.


def with_pods(*pods: Pod) -> Facts:
    facts = healthy()
    [capture] = facts.captures
    return replace(facts, pods={"shop": list(pods)}, checked={str(capture): []}, proxies={})


def test_labels_that_no_pod_has_select_none() -> None:
    finding = only(with_pods(replace(POD, labels={"app": "x"})))
    assert (finding.level, finding.check) == (Level.PROBLEM, "no-pods")
    assert finding.message == "selects no pod: none in namespace shop has the labels app=w"


def test_pods_that_do_not_run_are_told() -> None:
    finding = only(with_pods(replace(POD, running=False)))
    assert (finding.level, finding.check) == (Level.PROBLEM, "no-running-pods")


def test_pods_without_a_proxy_are_told_and_the_injection_is_named() -> None:
    finding = only(with_pods(replace(POD, proxy=False)))
    assert (finding.level, finding.check) == (Level.PROBLEM, "no-proxy")
    assert finding.message == "1 of 1 running pods have no proxy: w-1.shop"
    assert "inject" in finding.next


def test_pods_in_ambient_mode_are_sent_to_a_waypoint() -> None:
    finding = only(with_pods(replace(POD, proxy=False, ambient=True)))
    assert finding.check == "no-proxy"
    assert "waypoint" in finding.next


def test_pods_that_may_not_be_read_are_told() -> None:
    finding = only(replace(with_pods(), pods={"shop": Unread("pods is forbidden")}))
    assert (finding.level, finding.check) == (Level.UNKNOWN, "pods-unread")


def test_the_waypoint_of_a_service_is_not_known() -> None:
    facts = with_pods()
    [capture] = facts.captures
    capture = replace(capture, targets=(("Service", "w"),), labels={})
    finding = only(replace(facts, captures=[capture], checked={str(capture): []}))
    assert (finding.level, finding.check) == (Level.UNKNOWN, "waypoint-unknown")


def test_a_stack_without_captures_is_not_healthy_as_no_proxy_was_asked() -> None:
    facts = replace(healthy(), captures=[], checked={}, proxies={})
    assert (only(facts).level, only(facts).check) == (Level.UNKNOWN, "no-captures")


# The proxies.


def test_a_proxy_that_cannot_be_asked_is_told() -> None:
    finding = only(replace(healthy(), proxies={str(POD): Unread("kubectl port-forward: pod not found")}))
    assert (finding.level, finding.check) == (Level.UNKNOWN, "proxy-unread")


def test_a_proxy_without_the_filter_is_told() -> None:
    finding = only(with_proxy(healthy(), filters=frozenset({HttpFilter("somebody's", "-- x")})))
    assert (finding.level, finding.check, finding.subject) == (Level.PROBLEM, "filter-missing", "w-1.shop")
    assert "istio.io/rev" in finding.next


@pytest.mark.parametrize(
    ("kind", "name", "step"),
    [("router", "gateway", "directions to gateway"), ("waypoint", "waypoint", "by targetRefs")],
)
def test_a_proxy_of_a_kind_that_the_capture_has_no_filter_for_is_told(
    kind: str, name: str, step: str
) -> None:
    finding = only(with_proxy(healthy(), kind=kind, filters=frozenset()))
    assert (finding.level, finding.check, finding.subject) == (Level.PROBLEM, "wrong-direction", "w-1.shop")
    assert f"is a {name}, to which Istio applies no filter of EnvoyFilter shop/" in finding.message
    assert step in finding.next


def test_a_gateway_among_the_pods_of_a_whole_namespace_is_a_note() -> None:
    facts = healthy()
    [capture] = facts.captures
    whole = replace(capture, labels={})
    gateway, proxy = replace(POD, name="g-1"), facts.proxies[str(POD)]
    assert isinstance(proxy, Proxy)
    both = replace(
        facts,
        captures=[whole],
        pods={"shop": [POD, gateway]},
        checked={str(whole): [POD, gateway]},
        proxies={str(POD): proxy, str(gateway): replace(proxy, kind="router", filters=frozenset())},
    )
    assert [(found.level, found.check) for found in [only(both)]] == [(Level.NOTE, "wrong-direction")]
    alone = replace(both, pods={"shop": [gateway]}, checked={str(whole): [gateway]})
    assert only(alone).level is Level.PROBLEM


@pytest.mark.parametrize("tag", ["stable", "1-29-0"])
def test_a_proxy_whose_control_plane_does_not_read_the_object_is_told_with_both_revisions(tag: str) -> None:
    facts = of_revisions("1-30-0", tag)
    finding = only(with_proxy(facts, filters=frozenset()))
    assert finding.check == "filter-missing"
    assert f"the object is for revision {tag}, and the pod's control plane is revision 1-30-0" in finding.next


def test_a_capture_that_kubectl_has_switched_off_is_told_by_its_label() -> None:
    facts = with_proxy(of_revisions("default", None), filters=frozenset())
    live(facts, "EnvoyFilter")["metadata"]["labels"]["istio.io/rev"] = "switched-off"
    assert "the object is for revision switched-off" in only(facts).next


@pytest.mark.parametrize(("pod", "label"), [("1-30-0", "1-30-0"), ("", "1-30-0"), ("1-30-0", None)])
def test_revisions_are_not_blamed_where_they_agree_or_are_not_known(pod: str, label: str | None) -> None:
    finding = only(with_proxy(of_revisions(pod, label), filters=frozenset()))
    assert finding.check == "filter-missing"
    assert "the object is for revision" not in finding.next


def of_revisions(of_pod: str, of_objects: str | None) -> Facts:
    """A healthy mesh where the pod and the stack's objects say a revision."""
    facts = healthy()
    live_objects = [
        item for items in facts.objects.values() if not isinstance(items, Unread) for item in items
    ]
    for manifest in [*facts.manifests, *live_objects]:
        if of_objects is not None:
            manifest["metadata"]["labels"]["istio.io/rev"] = of_objects
    [capture] = facts.captures
    return replace(facts, checked={str(capture): [replace(POD, revision=of_pod)]})


def test_a_proxy_with_another_script_than_the_object_holds_is_told() -> None:
    old = HttpFilter("astra-capture-w", "-- astra-istio-capture 0.0.9\n...")
    finding = only(with_proxy(healthy(), filters=frozenset({old})))
    assert (finding.level, finding.check, finding.subject) == (Level.PROBLEM, "old-script", "w-1.shop")
    assert "astra-istio-capture 0.0.9" in finding.message


def test_the_script_of_the_setup_guide_beside_ours_is_told() -> None:
    facts = healthy()
    [capture] = facts.captures
    guide = HttpFilter("envoy.filters.http.lua", 'handle:logInfo("[Astra Instrumentation] Processing")')
    finding = only(with_proxy(facts, filters=frozenset({*capture.filters_of("sidecar"), guide})))
    assert (finding.level, finding.check) == (Level.PROBLEM, "guide-filter")
    assert "--force-conflicts" in finding.next


def test_a_listener_that_the_proxy_refuses_is_told_with_the_reason() -> None:
    finding = only(with_proxy(healthy(), rejected=("script load error: [string]:1",)))
    assert (finding.level, finding.check) == (Level.PROBLEM, "listener-rejected")
    assert "script load error" in finding.message


def test_a_proxy_without_the_cluster_of_an_entry_is_told() -> None:
    finding = only(with_proxy(healthy(), clusters={}))
    assert (finding.level, finding.check) == (Level.PROBLEM, "cluster-missing")
    assert "ServiceEntry" in finding.next


def test_a_proxy_without_the_cluster_of_a_service_is_told() -> None:
    finding = only(with_proxy(healthy(SERVICE), clusters={}))
    assert finding.check == "cluster-missing"
    assert "Service otel in namespace obs" in finding.next


def test_a_sidecar_that_hides_the_collector_is_named_with_what_to_add() -> None:
    facts = with_proxy(healthy(SERVICE), clusters={})
    hides = {"metadata": {"name": "default", "namespace": "shop"}, "spec": {"egress": [{"hosts": ["./*"]}]}}
    finding = only(replace(facts, objects={**facts.objects, ("Sidecar", "shop"): [hides]}))
    assert (finding.level, finding.check) == (Level.PROBLEM, "hidden-by-sidecar")
    assert "Sidecar shop/default hides otel.obs.svc.cluster.local" in finding.message
    assert finding.next == "add obs/otel.obs.svc.cluster.local to the Sidecar's egress.hosts"


def test_sidecars_that_may_not_be_read_are_a_doubt() -> None:
    facts = with_proxy(healthy(), clusters={})
    finding = only(
        replace(facts, objects={**facts.objects, ("Sidecar", "shop"): Unread("sidecars is forbidden")})
    )
    assert finding.check == "cluster-missing"
    assert "sidecars is forbidden" in finding.next


@pytest.mark.parametrize("change", [{"tls": False}, {"tls": False, "ports": (443,)}])
def test_plain_text_where_tls_is_declared_is_told(change: Json) -> None:
    finding = only(with_cluster(healthy(HTTPS), **change))
    assert (finding.level, finding.check) == (Level.PROBLEM, "no-tls")
    assert "DestinationRule" in finding.next


def test_plain_text_to_port_443_is_told_where_another_stack_declares_the_entry() -> None:
    assert only(with_cluster(healthy(), ports=(443,))).check == "no-tls"


def test_a_host_that_does_not_resolve_is_told() -> None:
    facts = with_cluster(healthy(), warming=True, ports=(), exports=Exports())
    finding = only(facts)
    assert (finding.level, finding.check) == (Level.PROBLEM, "cluster-warming")


def test_a_collector_without_endpoints_is_told() -> None:
    facts = with_cluster(healthy(), ports=(), exports=Exports())
    finding = only(facts)
    assert (finding.level, finding.check) == (Level.PROBLEM, "no-endpoints")


# The spans.


@pytest.mark.parametrize(
    ("exports", "why", "step"),
    [
        (Exports(failed=3, connect_failed=3), "3 connections failed", "is the collector running"),
        (Exports(failed=3, timed_out=3), "3 timed out", "overloaded"),
        (Exports(failed=3), "3 answered with 5xx, or reset", "log"),
        (Exports(answered=3, refused=3, over_limit=0), "3 answered with 4xx", "authentication"),
        (Exports(refused=0, over_limit=3), "3 over the limits", "egress.limits"),
    ],
)
def test_exports_that_get_lost_are_told_with_why(exports: Exports, why: str, step: str) -> None:
    finding = only(with_cluster(healthy(), exports=exports))
    assert (finding.level, finding.check) == (Level.PROBLEM, "losing-spans")
    assert finding.message.startswith("3 of 3 exports got lost since the proxy started")
    assert why in finding.message
    assert step in finding.next
    assert "it looks twice" in finding.next


def later(facts: Facts, **exports: int) -> Facts:
    return with_proxy(facts, later=dict.fromkeys(cluster_of(facts), Exports(**exports)))


def test_exports_that_get_lost_while_verify_looks_are_counted_alone() -> None:
    facts = with_cluster(healthy(), exports=Exports(answered=100, failed=2, connect_failed=2))
    finding = only(later(facts, answered=100, failed=5, connect_failed=5))
    assert (finding.level, finding.check) == (Level.PROBLEM, "losing-spans")
    assert finding.message == "3 of 3 exports got lost in the last 10 s: 3 connections failed"


def test_a_loss_that_is_over_is_a_note() -> None:
    facts = with_cluster(healthy(), exports=Exports(answered=100, failed=2, timed_out=2))
    finding = only(later(facts, answered=103, failed=2, timed_out=2))
    assert (finding.level, finding.check) == (Level.NOTE, "lost-spans")
    assert finding.message.endswith("2 timed out; none in the last 10 s, when 3 arrived")


def test_an_idle_workload_is_not_taken_for_a_healthy_one() -> None:
    finding = only(with_cluster(healthy(), exports=Exports()))
    assert (finding.level, finding.check) == (Level.UNKNOWN, "no-exports")
    assert "send requests" in finding.next


def test_a_capture_that_is_not_enabled_is_a_note_and_needs_no_requests() -> None:
    facts = with_cluster(healthy(enabled=False), exports=Exports(refused=0, over_limit=0))
    finding = only(facts)
    assert (finding.level, finding.check) == (Level.NOTE, "not-enabled")


def test_one_pod_that_exports_is_enough_for_its_workload() -> None:
    facts = healthy()
    [capture] = facts.captures
    other = replace(POD, name="w-2")
    idle = with_cluster(facts, exports=Exports()).proxies[str(POD)]
    facts = replace(
        facts,
        pods={"shop": [POD, other]},
        checked={str(capture): [POD, other]},
        proxies={**facts.proxies, str(other): idle},
    )
    assert found(facts) == []


@pytest.mark.parametrize(
    ("mechanism", "suffixes"),
    [
        ("EnvoyFilter", "lua.astra_capture.errors,lua.astra_capture.dropped_no_cluster"),
        ("TrafficExtension", "lua.errors,lua.dropped_no_cluster"),
    ],
)
def test_hidden_statistics_are_told_and_spans_are_seen_all_the_same(mechanism: str, suffixes: str) -> None:
    facts = with_proxy(with_cluster(healthy(mechanism=mechanism), exports=Exports(answered=3)), counters={})
    finding = only(facts)
    assert (finding.level, finding.check) == (Level.NOTE, "statistics-hidden")
    assert f"{suffixes}, sidecar.istio.io/statsInclusionPrefixes: cluster.outbound|4318||" in finding.next
    assert "exports" in {finding.check for finding in checks.findings(facts)}


def test_errors_in_lua_are_told() -> None:
    finding = only(with_proxy(healthy(), counters={"errors": 2, "executions": 5}))
    assert (finding.level, finding.check) == (Level.PROBLEM, "lua-errors")
    assert finding.next.startswith("`kubectl logs -n shop w-1 -c istio-proxy`")


def test_spans_that_were_dropped_before_there_was_a_cluster_are_a_note() -> None:
    finding = only(with_proxy(healthy(), counters={"errors": 0, "dropped_no_cluster": 4}))
    assert (finding.level, finding.check) == (Level.NOTE, "dropped-spans")


def texts(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], str]]:
    if isinstance(value, str):
        return [(path, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in texts(item, (*path, key))]


def set_at(value: Any, path: tuple[Any, ...], text: str) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = text


def script_path(manifest: Json) -> tuple[Any, ...]:
    [path] = [path for path, text in texts(manifest["spec"]) if "\n" in text]
    return path

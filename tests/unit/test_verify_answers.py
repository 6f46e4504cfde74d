"""What a proxy's admin interface says, in the forms that a test with a real Envoy does not come by."""

import pytest

from components.istio.read import HttpFilter
from components.verify import answers
from components.verify.facts import Exports
from lab.bootstrap import Json

CLUSTER = "outbound|4318||otel.obs"
LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"


def listener(*scripts: str, default: str | None = None) -> Json:
    def chain(script: str) -> Json:
        http_filter = {
            "name": "capture",
            "typed_config": {"@type": LUA, "default_source_code": {"inline_string": script}},
        }
        return {"filters": [{"typed_config": {"http_filters": [http_filter, {"name": "router"}]}}]}

    chains: Json = {"filter_chains": [chain(script) for script in scripts]}
    return {**chains, "default_filter_chain": chain(default)} if default else chains


def host(port: int = 4318, **stats: int) -> Json:
    return {
        "address": {"socket_address": {"address": "10.0.0.7", "port_value": port}},
        "stats": [
            {"name": name, "value": str(value)} if value else {"name": name} for name, value in stats.items()
        ],
    }


def test_filters_of_every_chain_and_of_active_and_static_listeners_are_found() -> None:
    listeners: list[Json] = [
        {"name": "virtualInbound", "active_state": {"listener": listener("a", "b", default="c")}},
        {"listener": listener("d")},
        {
            "name": "tcp",
            "active_state": {"listener": {"filter_chains": [{"filters": [{"name": "tcp_proxy"}]}]}},
        },
    ]
    assert answers.lua_filters(listeners) == {HttpFilter("capture", script) for script in "abcd"}


def test_a_listener_that_only_warms_up_has_no_filters_yet() -> None:
    assert answers.lua_filters([{"name": "x", "warming_state": {"listener": listener("a")}}]) == frozenset()


def test_the_deprecated_field_of_the_setup_guide_is_read() -> None:
    config = {"name": "envoy.filters.http.lua", "typed_config": {"@type": LUA, "inline_code": "-- guide"}}
    chains = {"filter_chains": [{"filters": [{"typed_config": {"http_filters": [config]}}]}]}
    assert answers.lua_filters([{"listener": chains}]) == {HttpFilter("envoy.filters.http.lua", "-- guide")}


def test_each_reason_for_refusing_listeners_is_told_once_on_one_line() -> None:
    refused = {"error_state": {"details": "script load error:\n  [string]:1: x"}}
    assert answers.rejections([refused, refused, {}]) == ("script load error: [string]:1: x",)


def test_a_cluster_with_tls_and_one_that_warms_up_are_told_apart() -> None:
    tls = {"name": CLUSTER, "transport_socket": {"name": "envoy.transport_sockets.tls"}}
    status = {"name": CLUSTER, "host_statuses": [host(443)]}
    active = answers.clusters([{"cluster": tls}], [], [status], {})[CLUSTER]
    assert (active.tls, active.warming, active.ports) == (True, False, (443,))
    warming = answers.clusters([], [{"cluster": {"name": CLUSTER}}], [], {})[CLUSTER]
    assert (warming.tls, warming.warming, warming.ports) == (False, True, ())


@pytest.mark.parametrize("end", ["", ";"])
def test_exports_are_summed_over_endpoints_and_completed_by_visible_statistics(end: str) -> None:
    hosts = [
        host(rq_success=3, rq_error=2, cx_connect_fail=1, rq_timeout=0),
        host(rq_success=4, rq_timeout=1),
    ]
    stats = {
        f"cluster.{CLUSTER}{end}.upstream_rq_total": 9,
        f"cluster.{CLUSTER}{end}.upstream_rq_4xx": 5,
        f"cluster.{CLUSTER}{end}.upstream_rq_pending_overflow": 6,
    }
    assert answers.exports(CLUSTER, hosts, stats) == Exports(7, 2, 1, 1, refused=5, over_limit=6)


def test_a_status_class_that_envoy_has_not_seen_counts_as_none_of_it() -> None:
    assert answers.exports(CLUSTER, [], {f"cluster.{CLUSTER}.upstream_rq_total": 0}) == Exports(
        refused=0, over_limit=0
    )


def test_what_hidden_statistics_would_say_is_not_known() -> None:
    assert answers.exports(CLUSTER, [host(rq_success=1)], {}) == Exports(answered=1)


def test_later_exports_count_from_an_earlier_reading_and_never_below_zero() -> None:
    earlier = Exports(answered=5, failed=2, connect_failed=2, refused=1, over_limit=0)
    later = Exports(answered=7, failed=0, connect_failed=3, refused=1, over_limit=4)
    assert later.since(earlier) == Exports(answered=2, connect_failed=1, refused=0, over_limit=4)


def test_counters_are_summed_over_filter_chains() -> None:
    values = {
        "http.inbound_0.0.0.0_8080;.lua.astra_capture.captured": 2,
        "http.inbound_0.0.0.0_9090;.lua.astra_capture.captured": 3,
        "http.outbound_0.0.0.0_80;.lua.errors": 1,
    }
    assert answers.lua_counters(values) == {"captured": 5, "errors": 1}


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        ({"id": "sidecar~10.0.0.1~w.shop~shop.svc"}, "sidecar"),
        ({"id": "router~10.0.0.1~g~n"}, "router"),
        ({}, ""),
    ],
)
def test_the_kind_of_a_proxy_is_in_its_node_id(node: Json, kind: str) -> None:
    assert answers.kind({"node": node}) == kind


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("9e5580/1.40.0/Clean/RELEASE/BoringSSL", (1, 40)),
        ("a1b2/1.36.5-dev/Clean/RELEASE/BoringSSL", (1, 36)),
    ],
)
def test_the_version_is_envoys_also_in_istios_build(text: str, version: tuple[int, int]) -> None:
    assert answers.version({"version": text}) == version


def test_names_of_clusters_are_literal_in_a_pattern() -> None:
    assert answers.any_of(["outbound|80||b.c", "a"]) == r"a|outbound\|80\|\|b\.c"

"""How many spans of one endpoint a minute may have, and what an endpoint is."""

import time

import pytest

from tests.lua.fake_envoy import OK, Headers, Proxy

REMEMBERED = 512  # endpoints that are never forgotten for others


def request(path: str, method: str = "GET", host: str = "shop.example.com") -> Headers:
    return [(":authority", host), (":path", path), (":method", method), (":scheme", "http")]


def spans_of(proxy: Proxy, *requests: Headers) -> int:
    """How many of the requests become spans."""
    before = len(proxy.spans)
    for headers in requests:
        proxy.exchange(headers)
    assert proxy.errors == proxy.warnings == []
    return len(proxy.spans) - before


def is_one_endpoint(proxy: Proxy, *requests: Headers) -> bool:
    """Whether requests share a budget of one span; False: each has one of its own."""
    spans = spans_of(proxy, *requests)
    assert spans in {1, len(requests)}
    return spans == 1


@pytest.fixture
def single(start):
    """A proxy with a budget of one span."""
    return start(max_spans_per_endpoint=1)


def test_an_endpoint_has_so_many_spans_a_minute(start):
    proxy = start(max_spans_per_endpoint=3)
    assert spans_of(proxy, *[request("/orders")] * 10) == 3


def test_the_next_minute_has_a_budget_of_its_own(start):
    proxy = start(max_spans_per_endpoint=3)
    spans_of(proxy, *[request("/orders")] * 10)
    proxy.advance(60)
    assert spans_of(proxy, *[request("/orders")] * 10) == 3


def test_a_clock_that_is_set_back_begins_a_new_minute(single):
    spans_of(single, request("/orders"))
    single.advance(-3600)
    assert spans_of(single, *[request("/orders")] * 2) == 1


def test_without_the_setting_every_request_is_captured(proxy):
    assert spans_of(proxy, *[request("/orders")] * 100) == 100


def test_a_rare_endpoint_is_seen_beside_a_hot_one(single):
    spans_of(single, *[request("/hot")] * 1000)
    assert spans_of(single, request("/rare")) == 1


def test_what_is_left_out_is_counted(single):
    spans_of(single, *[request("/orders")] * 10)
    single.advance(60)
    spans_of(single, request("/orders"))
    assert single.counters["over_endpoint_budget"] == 9


@pytest.mark.parametrize(
    "other",
    [
        request("/orders", method="POST"),
        request("/orders", host="admin.example.com"),
        request("/orders/new"),
        request("/orders/"),
        request("/Orders"),
        request("orders", host="shop.example.com/"),
    ],
    ids=["method", "host", "longer path", "slash", "case", "a host with a slash"],
)
def test_another_method_host_or_path_is_another_endpoint(single, other):
    assert not is_one_endpoint(single, request("/orders"), other)


def test_the_query_is_no_part_of_an_endpoint(single):
    assert is_one_endpoint(single, request("/orders"), request("/orders?page=1"), request("/orders?page=2"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "250"),
        ("2026-01-31", "2026-02-01"),
        ("10.0.0.1", "10.0.0.2"),
        ("5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77", "6C1E5A52-7B0F-4D39-9A2B-3F1F0D5F7E11"),
        ("507f1f77bcf86cd799439011", "507f191e810c19729de860ea"),
        ("deadbee1", "0badf00d"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRY"),
        ("cus_NffrFeUfNV2Hib", "cus_4QFJOjw2pOmAGJ"),
        ("dQw4w9WgXcQ-dQw4w9", "a1B2c3D4e5F6g7H8"),
        ("V1StGXR8_Z5jdHi6B-myT", "IRFa-VaY2b_a1B2c3D4"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcde", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIyIn0.fghij"),
        ("ORD-12345", "ORD-67890"),
        ("user_1234", "user_56789"),
        ("user1234", "user56789"),
        ("customer000000123456", "customer000000654321"),
        ("INV-2024-0001", "INV-2024-0002"),
        ("order-number-20240001", "order-number-20240002"),
        ("42:cancel", "43:cancel"),
        ("12345.json", "6.json"),
        ("1.mp4", "2.mp4"),
        ("Orders(12345)", "Orders(6)"),
    ],
)
def test_paths_that_differ_in_an_id_are_one_endpoint(single, one, other):
    assert is_one_endpoint(single, request(f"/orders/{one}/items"), request(f"/orders/{other}/items"))
    assert is_one_endpoint(single, request(f"/customers/{one}"), request(f"/customers/{other}?all"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("v1", "v2"),
        ("oauth2", "oauth1"),
        ("deadbeef", "cafebabe"),
        ("page-1", "page-2"),
        ("authorization-server", "protected-resource"),
        ("1", "1'"),
        ("1", "1%20or%201=1"),
        ("1", "1;admin"),
        ("250", "ü250"),
        ("1", "one"),
        ("grpc.health.v1.Health", "envoy.service.auth.v3.Authorization"),
        ("acme.orders.v1.OrderService", "acme.admin.v1.UserAdminService"),
        ("acme.orders.v1alpha1.OrderService", "acme.admin.v1alpha1.UserAdminService"),
        ("list-all-orders-v2", "impersonate-user-v2"),
        ("export_orders_to_s3", "export_secrets_to_s3"),
        ("CustomerServiceV12", "InternalPaymentServiceV12"),
        ("export_orders_20241128", "export_secrets_20241128"),
        ("ORD-12345", "INV-12345"),
        ("ORD-123", "ORD-124"),
        ("ORD-12345", "ORD-12345'"),
        ("42:cancel", "42:refund"),
        ("42.json", "42.env"),
        ("42", "42.json"),
        ("Orders(42)", "Users(42)"),
        ("Orders(42)", "Orders(42)-1"),
    ],
)
def test_paths_that_differ_in_something_else_are_two(single, one, other):
    assert not is_one_endpoint(single, request(f"/orders/{one}/items"), request(f"/orders/{other}/items"))


def test_so_many_endpoints_are_remembered_whatever_comes_between(single):
    paths = [request(f"/page{number}") for number in range(REMEMBERED)]
    spans_of(single, *paths)
    assert spans_of(single, *paths) == 0


def test_those_used_last_stay_and_the_others_go(single):
    spans_of(single, request("/stays"), request("/goes"))
    for flood in range(3):
        spans_of(single, *[request(f"/flood{flood}-{number}") for number in range(REMEMBERED - 1)])
        assert spans_of(single, request("/stays")) == 0
    assert spans_of(single, request("/goes")) == 1


def test_memory_does_not_grow_with_the_number_of_endpoints(start):
    proxy = start(max_spans_per_endpoint=1, cluster=False)  # the fake keeps what is exported

    def memory_after_a_flood(part):
        for number in range(2 * REMEMBERED):
            proxy.exchange(request(f"/{part}-{number}-" + "x" * 400))
        proxy.collect_garbage()
        return proxy.memory

    sizes = [memory_after_a_flood(part) for part in range(4)]
    assert sizes[3] - sizes[0] < 300_000


def test_a_name_that_is_too_long_has_no_budget_so_that_nothing_hides_behind_its_beginning(single):
    long = "/" * 600
    assert spans_of(single, request(long + "a"), request(long + "b"), request(long + "b")) == 3
    assert spans_of(single, *[request("/a", host="h" * 600)] * 2) == 2
    assert spans_of(single, *[request("/a", method="M" * 600)] * 2) == 2


def test_what_the_limit_of_a_second_leaves_out_uses_up_no_budget(start):
    proxy = start(max_spans_per_endpoint=2, max_spans_per_second=1)
    assert spans_of(proxy, *[request("/a")] * 10) == 1
    proxy.advance(1)
    assert spans_of(proxy, *[request("/a")] * 10) == 1
    proxy.advance(1)
    assert spans_of(proxy, *[request("/a")] * 10) == 0


def test_what_the_budget_leaves_out_uses_up_no_limit_of_a_second(start):
    proxy = start(max_spans_per_endpoint=1, max_spans_per_second=2)
    spans_of(proxy, *[request("/hot")] * 10)
    assert spans_of(proxy, request("/rare")) == 1


def test_a_request_that_was_denied_unseen_has_no_endpoint(single):
    for _ in range(3):
        single.stream().response([(":status", "403")])
    assert len(single.spans) == 3


@pytest.mark.parametrize(
    "path",
    [
        "/" * 8192,
        "/1" * 4096,
        "/a1" * 2700,
        "/" + "1" * 8000,
        "/" + "f" * 8000,
        "?" * 8192,
        "/" + "\xff1" * 200,
        "/1" * 240,
        "/" + "a" * 480 + "1",
    ],
    ids=lambda path: f"{path[:3]!r} {len(path)}",
)
def test_a_hostile_path_holds_nothing_up(single, path):
    spans_of(single, request(path))
    begun = time.thread_time()
    spans_of(single, *[request(path)] * 10)
    assert time.thread_time() - begun < 0.1


def test_an_unknown_method_of_bytes_and_an_empty_request_break_nothing(single):
    single.exchange([])
    single.exchange([(":method", b"\xff\0"), (":authority", b"\xfe"), (":path", b"\xfd/1/\xfc")], OK)
    assert single.errors == single.warnings == []
    assert len(single.spans) == 2

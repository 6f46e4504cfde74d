"""What the script counts in Envoy's statistics."""

from tests.lua.fake_envoy import GET, OK


def test_a_plain_exchange_is_captured_and_exported(proxy):
    proxy.exchange()
    assert proxy.counters == {"captured": 1, "exported": 1}


def test_spans_without_a_cluster_are_counted_as_dropped(start):
    proxy = start(cluster=False)
    proxy.exchange()
    assert proxy.counters == {"captured": 1, "dropped_no_cluster": 1}


def test_truncated_and_masked_parts_are_counted(start):
    proxy = start(max_body_bytes=20)
    proxy.exchange(
        [*GET, ("authorization", "Bearer x")],
        [*OK, ("set-cookie", "a=b")],
        sent=[b'{"pin":1}'],
        answered=[b"x" * 21],
    )
    assert proxy.counters == {"captured": 1, "exported": 1, "masked": 3, "truncated": 1}


def test_aborted_exchanges_are_counted(proxy):
    proxy.stream().request(ended=False).destroy()
    proxy.advance(2)
    proxy.exchange()
    assert proxy.counters["aborted"] == 1


def test_failures_of_the_filter_itself_are_counted(proxy):
    proxy.stream(peer=None).request().response()
    proxy.exchange()
    assert proxy.counters == {"captured": 1, "exported": 1, "failed": 2}


def test_exchanges_of_a_skipped_type_are_counted(start):
    proxy = start(skip_content_types=["image/*"])
    proxy.exchange(response=[*OK, ("content-type", "image/png")])
    proxy.exchange()
    assert proxy.counters == {"captured": 2, "exported": 1, "skipped_content_type": 1}


def test_nothing_is_counted_of_what_is_not_captured(start):
    proxy = start(sampling_ratio=0)
    proxy.exchange()
    assert proxy.counters == {}

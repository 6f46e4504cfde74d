"""Both encodings of the export say the same of an exchange, whatever its bytes are."""

import dataclasses

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab import otlp
from tests.lua.fake_envoy import GET, OK

VALUES = st.binary(max_size=40).map(lambda value: value.replace(b"\0", b""))
BODIES = st.lists(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), max_size=4)


def exported(start, encoding, exchange):
    """The spans that a strict receiver makes of an exchange, without what is made anew for each."""
    proxy = start(export={"encoding": encoding}, binary_bodies="bytes", redaction={"mode": "none"})
    exchange(proxy)
    assert proxy.errors == []
    spans = [
        span
        for call in proxy.calls
        for span in otlp.decode(call[b"body"], call[b"headers"][b"content-type"].decode())
    ]
    return [dataclasses.replace(span, trace_id="", span_id="") for span in spans]


@given(
    values=st.tuples(VALUES, VALUES),
    status=st.sampled_from([b"200", b"503"]),
    bodies=st.tuples(BODIES, BODIES),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_encodings_of_an_exchange_are_decoded_alike(start, values, status, bodies):
    (header, path), (sent, answered) = values, bodies
    request = [*GET[:1], (":path", b"/" + path), *GET[2:], ("user-agent", header)]

    def exchange(proxy):
        stream = proxy.stream()
        stream.request(request, *sent)
        proxy.advance(0.123457)
        stream.response([(":status", status), ("server", header), *OK[1:]], *answered)

    assert exported(start, "protobuf", exchange) == exported(start, "json", exchange)


def test_both_encodings_of_an_aborted_exchange_are_decoded_alike(start):
    def exchange(proxy):
        proxy.stream().request(GET, b"x" * 300, ended=False).destroy()
        proxy.advance(2)
        proxy.collect_garbage()
        proxy.exchange()

    spans = exported(start, "protobuf", exchange)
    assert [span.status_message for span in spans] == ["aborted", ""]
    assert spans == exported(start, "json", exchange)

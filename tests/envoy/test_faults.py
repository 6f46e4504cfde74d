"""No fault of the collector, the application or a client costs a request anything, or ends the capture.

That nobody waits is shown by the order of events, not by clocks: an export may last a minute, and the
collector has answered none of them when the client has all its responses.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web

from lab import mesh, raw, stack
from lab.bootstrap import Json, Listener
from lab.collector import Behaviour
from lab.mesh import Lab
from lab.otlp import Span
from tests.envoy import upstreams
from tests.envoy.upstreams import COLLECTOR, endpoint_at, refusing

pytestmark = pytest.mark.anyio

MINUTE = {"capture": {"export": {"timeoutMs": 60_000}}}
QUICK = {"capture": {"export": {"timeoutMs": 200}}}
RESET = (ConnectionError, asyncio.IncompleteReadError)


async def healthy(_: web.Request) -> None:
    return None


async def browse(lab: Lab) -> list[str]:
    """One client's exchanges, each after the response before it, on one connection.

    Returns:
        Their targets.
    """
    exchanges = [
        (b"GET /api/products?first HTTP/1.1\r\nHost: h\r\n\r\n", 200),
        (b'POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{"a": "b"}', 200),
        (b"GET /api/export?bytes=300000 HTTP/1.1\r\nHost: h\r\n\r\n", 200),
        (b"DELETE /api/products/1 HTTP/1.1\r\nHost: h\r\n\r\n", 204),
        (b"GET /api/broken HTTP/1.1\r\nHost: h\r\n\r\n", 500),
        (b"GET /api/products?last HTTP/1.1\r\nHost: h\r\n\r\n", 200),
    ]
    async with asyncio.timeout(20), raw.connect(lab.envoy.ports["inbound"]) as connection:
        for request, status in exchanges:
            await connection.send(request)
            assert (await connection.response()).status == status
    return [request.split(b" ", 2)[1].decode() for request, _ in exchanges]


async def captured_again(lab: Lab) -> None:
    """Sends requests until the span of one arrives."""
    arrived = len(await lab.collector.spans(0))
    async with asyncio.timeout(30), lab.client() as client:
        while True:
            assert (await client.get("/api/products")).is_success
            with suppress(TimeoutError):
                await lab.collector.spans(arrived + 1, timeout=0.1)
                return


async def swept(lab: Lab, count: int = 1) -> list[Span]:
    """The spans of aborted exchanges. A record is swept on later requests, as there is no timer."""
    async with asyncio.timeout(30), lab.client() as client:
        while True:
            assert (await client.get("/api/products?sweep")).is_success
            aborted = [span for span in await lab.collector.spans(0) if span.status_message == "aborted"]
            if len(aborted) >= count:
                assert lab.collector.refused == []
                return aborted
            await asyncio.sleep(0.1)


async def span_of(lab: Lab, target: str) -> Span:
    """The span of the one request of a target, once it has arrived."""
    found: list[Span] = []
    arrived = 0
    while not found:
        spans = await lab.collector.spans(arrived)
        found = [span for span in spans if span.attributes["http.target"] == target]
        arrived = len(spans) + 1
    [span] = found
    assert lab.collector.refused == []
    return span


async def cluster_stats(lab: Lab) -> dict[str, int]:
    """What the collector's cluster counts, by the last part of the name."""
    stats = await lab.envoy.stats(r"^cluster\.outbound")
    return {name.rsplit(".", 1)[1]: value for name, value in stats.items()}


async def lua_errors(lab: Lab) -> int:
    return sum((await lab.envoy.stats(r"\.lua\..*errors$")).values())


class Hold:
    """A collector that answers nobody until it is released."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.released = asyncio.Event()

    async def __call__(self, _: web.Request) -> None:
        self.held.set()
        await self.released.wait()


async def test_clients_have_all_their_responses_while_the_collector_still_holds_the_first_span() -> None:
    hold = Hold()
    async with mesh.running(stack.manifests(**MINUTE)) as lab:
        lab.collector.behaviour = hold
        targets = await browse(lab)
        await hold.held.wait()
        stats = await cluster_stats(lab)
        assert (stats["upstream_rq_completed"], stats["upstream_rq_timeout"]) == (0, 0)
        assert lab.collector.requests == []

        hold.released.set()
        spans = await lab.collector.spans(len(targets))
        assert sorted(str(span.attributes["http.target"]) for span in spans) == sorted(targets)


async def never(_: web.Request) -> None:
    await asyncio.Event().wait()


def answering(status: int) -> Behaviour:
    async def behaviour(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status)

    return behaviour


def closing(*, read: bool) -> Behaviour:
    async def behaviour(request: web.Request) -> None:
        if read:
            await request.content.readany()
        assert request.transport
        request.transport.abort()
        await asyncio.Event().wait()  # cancelled, as the connection is gone

    return behaviour


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(never, id="hangs"),
        pytest.param(answering(500), id="answers 500"),
        pytest.param(answering(429), id="answers 429"),
        pytest.param(closing(read=False), id="closes unread"),
        pytest.param(closing(read=True), id="closes while it reads"),
    ],
)
async def test_requests_succeed_while_the_collector(fault: Behaviour) -> None:
    met = asyncio.Event()

    async def behaviour(request: web.Request) -> web.StreamResponse | None:
        met.set()
        return await fault(request)

    async with mesh.running(stack.manifests(**QUICK)) as lab:
        lab.collector.behaviour = behaviour
        await browse(lab)
        await met.wait()
        assert await lab.collector.spans(0) == []
        assert await lua_errors(lab) == 0

        lab.collector.behaviour = healthy
        await captured_again(lab)
        assert lab.collector.refused == []


async def test_requests_succeed_while_the_collector_refuses_connections() -> None:
    with refusing() as closed:
        port = closed.getsockname()[1]
        async with mesh.running(stack.manifests(), configure=endpoint_at(port, of=COLLECTOR)) as lab:
            await browse(lab)
            assert (await cluster_stats(lab))["upstream_cx_connect_fail"] > 0
            assert await lua_errors(lab) == 0

            runner = web.AppRunner(lab.collector.application(), access_log=None)
            await runner.setup()
            await web.SockSite(runner, closed).start()
            try:
                await captured_again(lab)
            finally:
                await runner.cleanup()


class Resolver(asyncio.DatagramProtocol):
    """A DNS server that knows no name until `found` is set; then every name is 127.0.0.1."""

    HEADER = 12
    QUESTION_TAIL = 5  # the name's last byte, type and class
    NXDOMAIN, ANSWER = b"\x81\x83", b"\x81\x80"
    A_RECORD = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x01"

    def __init__(self) -> None:
        self.found = False
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.asked += 1
        question = data[self.HEADER : data.index(b"\0", self.HEADER) + self.QUESTION_TAIL]
        is_a = question[-4:-2] == b"\0\1"
        flags = self.ANSWER if self.found else self.NXDOMAIN
        records = self.A_RECORD if self.found and is_a else b""
        counts = b"\0\1" + (b"\0\1" if records else b"\0\0") + b"\0\0\0\0"
        self.transport.sendto(data[:2] + flags + counts + question + records, addr)  # type: ignore[arg-type]


@asynccontextmanager
async def resolver() -> AsyncIterator[tuple[Resolver, int]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Resolver, local_addr=("127.0.0.1", 0))
    try:
        yield protocol, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


async def test_requests_succeed_while_the_collector_is_absent_from_dns() -> None:
    async with resolver() as (names, dns_port):
        address = {"socket_address": {"address": "127.0.0.1", "port_value": dns_port, "protocol": "UDP"}}
        cares = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"

        def configure(config: Json) -> None:
            cluster = upstreams.cluster(config, COLLECTOR)
            endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
            endpoint["address"]["socket_address"]["address"] = "collector.astra.test"
            cluster |= {
                "type": "STRICT_DNS",
                "dns_refresh_rate": "0.1s",
                "dns_failure_refresh_rate": {"base_interval": "0.1s", "max_interval": "0.1s"},
                "typed_dns_resolver_config": {
                    "name": "envoy.network.dns_resolver.cares",
                    "typed_config": {"@type": cares, "resolvers": [address]},
                },
            }

        async with mesh.running(stack.manifests(), configure=configure) as lab:
            await browse(lab)
            assert names.asked > 0
            assert (await cluster_stats(lab))["membership_total"] == 0
            assert await lua_errors(lab) == 0

            names.found = True
            await captured_again(lab)


async def test_requests_succeed_while_the_cluster_is_missing_and_one_warning_a_second_says_so(
    tmp_path: Path,
) -> None:
    clusters, unfinished = tmp_path / "clusters.json", tmp_path / "unfinished.json"
    resources: list[Json] = []

    def configure(config: Json) -> None:
        cluster = upstreams.cluster(config, COLLECTOR)
        config["static_resources"]["clusters"].remove(cluster)
        resources.append({"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", **cluster})
        clusters.write_text(json.dumps({"resources": []}))
        config["node"] = {"id": "lab", "cluster": "lab"}
        config["dynamic_resources"] = {
            "cds_config": {"resource_api_version": "V3", "path_config_source": {"path": str(clusters)}}
        }

    async with mesh.running(stack.manifests(), configure=configure) as lab:
        started = asyncio.get_running_loop().time()
        for _ in range(10):
            await browse(lab)
        seconds = asyncio.get_running_loop().time() - started
        warnings = re.findall(
            r"\[warning\]\[lua\].*could not export to outbound\|4318\|\|.*", lab.envoy.log()
        )
        assert 1 <= len(warnings) <= seconds + 1
        assert await lua_errors(lab) == 0

        unfinished.write_text(json.dumps({"resources": resources}))
        unfinished.rename(clusters)
        await captured_again(lab)
        assert lab.collector.refused == []


# The application's faults.


@asynccontextmanager
async def application(handler: upstreams.Handler, *routes: Json, **capture: object) -> AsyncIterator[Lab]:
    """A lab whose application is a handler of TCP connections; ``?sweep`` still goes to the sample API."""

    def configure(config: Json) -> None:
        sample = json.loads(json.dumps(upstreams.cluster(config, upstreams.APPLICATION)))
        config["static_resources"]["clusters"].append(sample | {"name": "sample"})
        endpoint_at(port)(config)

    to_sample = {
        "match": {"path": "/api/products"},
        "route": {"cluster": "sample"},
    }
    listener = Listener(routes=[to_sample, *routes])
    async with (
        upstreams.listening(handler) as port,
        mesh.running(stack.manifests(capture=capture), listeners=[listener], configure=configure) as lab,
    ):
        yield lab


async def only_span(lab: Lab) -> Span:
    """The one span that the collector took."""
    [span] = await lab.collector.spans(1)
    assert lab.collector.refused == []
    return span


async def test_an_application_that_resets_before_its_headers_gives_a_span_of_envoys_503() -> None:
    async def handler(connection: raw.Connection) -> None:
        await upstreams.request(connection)
        await connection.abort()

    async with application(handler) as lab, lab.client() as client:
        response = await client.post("/orders", content=b"tea")
        span = await only_span(lab)
    assert (response.status_code, span.attributes["http.status_code"], span.status_code) == (503, 503, 2)
    assert span.attributes["http.request.body"] == "tea"
    assert span.attributes["http.response.body"] == response.text != ""


async def test_a_response_that_the_application_cuts_off_is_marked_as_aborted() -> None:
    received = asyncio.Event()

    async def handler(connection: raw.Connection) -> None:
        await upstreams.request(connection)
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome bytes")
        await received.wait()
        await connection.abort()

    async with application(handler) as lab:
        async with raw.connect(lab.envoy.ports["inbound"]) as connection:
            await connection.send(b"GET /orders HTTP/1.1\r\nHost: h\r\n\r\n")
            await connection.until(b"some bytes")
            received.set()
            with pytest.raises(RESET):
                await connection.exactly(1)
        [span] = await swept(lab)
    assert span.attributes["http.status_code"] == 200
    assert_aborted(span, response_body="some bytes")


def assert_aborted(span: Span, *, request_body: str = "", response_body: str = "") -> None:
    """An aborted exchange's span says so, and has what passed of its bodies."""
    assert (span.status_code, span.status_message) == (2, "aborted")
    assert span.attributes["error.type"] == "aborted"
    for name, text in (("request", request_body), ("response", response_body)):
        assert span.attributes[f"http.{name}.body"] == text
        if text:
            assert span.attributes[f"http.{name}.body.size"] == len(text)
            assert span.attributes[f"http.{name}.body.truncated"] is True


async def test_an_application_that_cannot_be_reached_gives_a_span_of_envoys_503() -> None:
    with refusing() as closed:
        configure = endpoint_at(closed.getsockname()[1])
        async with mesh.running(stack.manifests(), configure=configure) as lab, lab.client() as client:
            response = await client.get("/api/products")
            span = await only_span(lab)
    assert (response.status_code, span.attributes["http.status_code"], span.status_code) == (503, 503, 2)
    assert span.attributes["http.response.body"] == response.text


async def test_an_application_that_times_out_gives_a_span_of_envoys_504() -> None:
    async def handler(connection: raw.Connection) -> None:
        await upstreams.request(connection)
        await connection.receive()  # until Envoy gives up

    route = {"match": {"prefix": "/"}, "route": {"cluster": "inbound|8080||", "timeout": "0.1s"}}
    async with application(handler, route) as lab, lab.client() as client:
        response = await client.post("/orders", content=b"tea")
        span = await only_span(lab)
    assert (response.status_code, span.attributes["http.status_code"], span.status_code) == (504, 504, 2)
    assert span.attributes["http.request.body"] == "tea"
    assert span.attributes["http.response.body"] == response.text


async def test_a_request_that_envoy_retries_is_one_span_of_the_last_response() -> None:
    bodies: list[bytes] = []

    async def handler(connection: raw.Connection) -> None:
        while True:
            bodies.append((await upstreams.request(connection)).body)
            status = b"503 Unavailable" if len(bodies) == 1 else b"200 OK"
            await connection.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 4\r\n\r\ndone")

    retries = {"retry_on": "5xx", "num_retries": 2}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "inbound|8080||", "retry_policy": retries}}
    async with application(handler, route) as lab, lab.client() as client:
        response = await client.post("/orders", content=b"tea")
        await client.get("/api/products")
        span = await span_of(lab, "/orders")
        assert len(await lab.collector.spans(2)) == 2
    assert bodies == [b"tea", b"tea"]
    assert response.status_code == 200
    assert (span.attributes["http.status_code"], span.status_code) == (200, 0)
    assert span.attributes["http.request.body"] == "tea"
    assert span.attributes["http.response.body"] == "done"


# The client's.


class Stalled:
    """An application that takes requests and does not answer until it is released."""

    def __init__(self, *, head: bytes = b"") -> None:
        self.head = head
        self.reached = asyncio.Queue[bytes]()
        self.released = asyncio.Event()

    async def __call__(self, connection: raw.Connection) -> None:
        self.reached.put_nowait(await connection.until(b"\r\n\r\n"))
        if self.head:
            await connection.send(self.head)
        await self.released.wait()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")


async def test_a_client_that_leaves_within_its_headers_leaves_nothing() -> None:
    async with mesh.running(stack.manifests()) as lab, lab.client() as client:
        async with raw.connect(lab.envoy.ports["inbound"]) as connection:
            await connection.send(b"GET /half HTTP/1.1\r\nHost")
            await connection.abort()
        await client.get("/api/products")
        span = await only_span(lab)
        assert await lua_errors(lab) == 0
    assert span.attributes["http.target"] == "/api/products"


async def test_a_client_that_leaves_during_its_upload_is_marked_as_aborted() -> None:
    stalled = Stalled()
    async with application(stalled) as lab:
        async with raw.connect(lab.envoy.ports["inbound"]) as connection:
            await connection.send(
                b"POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome bytes"
            )
            await stalled.reached.get()
            await connection.abort()
        [span] = await swept(lab)
    assert span.attributes["http.target"] == "/orders"
    assert span.attributes["http.status_code"] == 0
    assert_aborted(span, request_body="some bytes")


async def test_a_client_that_leaves_before_its_response_is_marked_as_aborted() -> None:
    stalled = Stalled()
    async with application(stalled) as lab:
        async with raw.connect(lab.envoy.ports["inbound"]) as connection:
            await connection.send(b"POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntea")
            await stalled.reached.get()
            await connection.abort()
        [span] = await swept(lab)
    assert span.attributes["http.request.body"] == "tea"
    assert span.attributes["error.type"] == "aborted"


async def test_a_client_that_leaves_during_its_download_is_marked_as_aborted() -> None:
    stalled = Stalled(head=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome bytes")
    async with application(stalled) as lab:
        async with raw.connect(lab.envoy.ports["inbound"]) as connection:
            await connection.send(b"GET /orders HTTP/1.1\r\nHost: h\r\n\r\n")
            await connection.until(b"some bytes")
            await connection.abort()
        [span] = await swept(lab)
    assert span.attributes["http.status_code"] == 200
    assert_aborted(span, response_body="some bytes")


async def test_a_client_that_leaves_after_its_response_is_no_abort() -> None:
    async with mesh.running(stack.manifests()) as lab:
        async with raw.connect(lab.envoy.ports["inbound"]) as connection:
            await connection.send(b"GET /api/products/1 HTTP/1.1\r\nHost: h\r\n\r\n")
            await connection.response()
            await connection.abort()
        span = await only_span(lab)
    assert span.status_code == 0
    assert "error.type" not in span.attributes


async def test_an_exchange_that_only_takes_long_is_not_taken_for_an_aborted_one() -> None:
    stalled = Stalled()
    async with application(stalled) as lab, lab.client() as client:
        slow = asyncio.create_task(client.post("/slow", content=b"tea"))
        await stalled.reached.get()
        async with raw.connect(lab.envoy.ports["inbound"]) as connection:
            await connection.send(b"GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")
            await stalled.reached.get()
            await connection.abort()
        [gone] = await swept(lab)  # and passed over the slow one
        assert gone.attributes["http.target"] == "/gone"

        stalled.released.set()
        assert (await slow).text == "done"
        span = await span_of(lab, "/slow")
    assert span.status_code == 0
    assert span.attributes["http.request.body"] == "tea"

"""A hostile client holds no worker and hides nobody: what `make fuzz` looks for, with inputs that are known.

Time is CPU time of Envoy, the least of several, so that other processes do not count.
"""

import asyncio
from contextlib import AsyncExitStack

import anyio
import pytest

from lab import mesh, raw, stack
from lab.fuzz import floods, target
from lab.fuzz.floods import Flood
from lab.fuzz.inputs import HEAD_BYTES, PLACES, Input
from lab.fuzz.yardstick import slowness
from tests.envoy import upstreams
from tests.envoy.upstreams import endpoint_at

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

ROUNDS = 5
PAIRS = "id=id=id=%41%41X&"


def hostile(place: str, start: str, unit: str, end: str = "", half: str = "") -> Input:
    size = 65_536 if place.startswith(("body", "answer: ")) else HEAD_BYTES
    assert place in PLACES
    return Input(place=place, start=start, half=half, units=(unit,), order=None, end=end, size=size)


COSTLY = [
    # What a review found: seconds, and a third of a second.
    hostile("header: set-cookie", "a=b;path", ","),
    hostile("body: text", "--b", PAIRS),
    hostile("query", "--b", PAIRS),
    hostile("header: referer", "https://h/--b?", PAIRS),
    # Their like.
    hostile("header: set-cookie", "a=b", ";path,"),
    hostile("answer's header: set-cookie", "a=b;path", ","),
    hostile("answer: text", "--b", PAIRS),
    hostile("header: x-envoy-peer-metadata-id", "sidecar~", "a~"),
    hostile("header: authorization", "", " "),
    hostile("header: content-encoding", "", "gzip,"),
    hostile("header: user-agent", "", '"'),
    hostile("lines: every", "", '\\"'),
    hostile("body: xml", "<", "<a>", half="x"),
    hostile("body: json", '{"a":', '"a":"password:{",'),
    hostile("body: xml", "<r>", "<value>"),
    # Members that are judged by a long name and their own.
    hostile("body: json", '{"' + "aB" * 45 + 'Password":{', "1 ", "}}"),
    # What escapes hide, among many runs.
    hostile("lines: every", "", "a=%41&" * 50 + 'pin%3D"x'),
    hostile("body: text", "--b", "a=1;id=" * 35 + "%41&", 'pin%3D"x"'),
    hostile("body: text", "%3Cpin%3E", 'key=%42 pin&\N{NUMERO SIGN}>{":b}\n\n--'),
]


@pytest.mark.parametrize("found", COSTLY, ids=lambda found: f"{found.place} {found.units[0]}")
async def test_one_exchange_holds_a_worker_for_no_longer_than_the_bar(found: Input) -> None:
    async with target.running() as envoy, target.running(captured=False) as without:
        costs = [await envoy.cost(found) for _ in range(ROUNDS)]
        own = min([(await without.cost(found)).milliseconds for _ in range(ROUNDS)])
    assert [cost.wrong for cost in costs if cost.wrong] == []
    assert {cost.status for cost in costs} == {200}
    assert min(cost.milliseconds for cost in costs) - own < target.BAR_MS * slowness()


async def test_hostile_clients_keep_nobody_waiting() -> None:
    # Before, seven such requests left another client two answers in 25 s; room is left for a busy machine.
    async with target.running() as envoy:
        port = envoy.lab.envoy.ports["inbound"]
        attacks = [found.request() for found in COSTLY[:4] * 2]

        async def attack(request: bytes) -> None:
            async with raw.connect(port) as connection:
                await connection.send(request)
                await connection.response()

        async with anyio.create_task_group() as group, raw.connect(port) as other:
            for request in attacks:
                group.start_soon(attack, request)
            with anyio.fail_after(5):
                for _ in range(100):
                    await other.send(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
                    assert (await other.response()).status == 200


@pytest.mark.parametrize(
    "flood",
    [
        Flood("HTTP/2 resets", 4_000, '"', 2),
        Flood("endless responses", 300, "x", 1),
        Flood("bytes in frames", 100, "x", 1),
    ],
    ids=lambda flood: flood.kind,
)
async def test_a_flood_costs_bounded_memory(flood: Flood) -> None:
    held = await floods.held(flood)
    assert held.peak < floods.BAR_MB


async def test_300_responses_that_do_not_end_hide_no_body_of_others() -> None:
    part, body = b"x" * 65_536, b'{"text":"' + b"y" * 60_000 + b'"}'

    async def application(connection: raw.Connection) -> None:
        while True:
            request = await upstreams.request(connection)
            if request.line.startswith(b"POST /endless "):
                await connection.send(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(part) + 1) + part
                )
                await asyncio.Event().wait()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    at_once = {"export": {"maxBatchSpans": 1}}
    async with (
        upstreams.listening(application) as app_port,
        mesh.running(stack.manifests(capture=at_once), configure=endpoint_at(app_port)) as lab,
        AsyncExitStack() as connections,
    ):
        port = lab.envoy.ports["inbound"]
        for _ in range(300):
            slow = await connections.enter_async_context(raw.connect(port))
            await slow.send(b"POST /endless HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
            await slow.until(b"\r\n\r\n")
            await slow.exactly(len(part))
        async with raw.connect(port) as other:
            for _ in range(100):
                await other.send(
                    b"POST /other HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                )
                assert (await other.response()).body == body
        spans = await lab.collector.spans(100)
        assert lab.collector.refused == []
    spans = [span for span in spans if span.attributes["http.target"] == "/other"]
    assert len(spans) == 100
    for span in spans:
        assert span.attributes["http.request.body"] == span.attributes["http.response.body"] == body.decode()

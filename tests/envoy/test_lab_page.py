"""The page's server: what it tells, whom it answers, and how it stays bounded."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from lab import server
from lab.calls import KEPT, Calls
from lab.otlp import Span
from lab.page import site
from lab.samples import SAMPLES, Sample

ABOUT = {"stack": "dev", "workload": "w", "address": "127.0.0.1:1", "try": "curl", "settings": [["a", "1"]]}
Page = tuple[httpx.AsyncClient, Calls, list[Sample]]


def span(number: int = 1, target: str = "/a", body: str = "", **attributes: Any) -> Span:
    shown = {
        "http.method": "GET",
        "http.target": target,
        "http.status_code": 200,
        "http.request.headers": "{}",
        "http.response.headers": "{}",
        "http.request.body": body,
        "http.response.body": "",
        **attributes,
    }
    return Span(f"{number:032x}", f"{number:016x}", "", "GET", 2, 10**18, 10**18 + 1, 0, "", shown, {}, "s")


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    calls, sent = Calls(), list[Sample]()

    async def send(sample: Sample) -> None:
        sent.append(sample)

    async with (
        server.serve(site.application(calls, ABOUT, send)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client,
    ):
        yield client, calls, sent


@asynccontextmanager
async def events(client: httpx.AsyncClient) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
    """A function that awaits the next event."""
    async with client.stream("GET", "/events") as response:
        assert response.headers["content-type"] == "text/event-stream"
        lines = response.aiter_lines()

        async def following() -> dict[str, Any]:
            async for line in lines:
                if line.startswith("data: "):
                    event: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    return event
            raise EOFError

        yield following


async def test_a_reader_gets_what_is_kept_and_then_what_arrives(page: Page) -> None:
    client, calls, _ = page
    calls.add_span(span(1, "/one"))

    async with events(client) as following:
        first = await following()
        calls.add_span(span(2, "/two?pin=***"))
        second = await following()

    assert [call["target"] for call in first["calls"]] == ["/one"]
    assert [(call["target"], call["masked"]) for call in second["calls"]] == [("/two?pin=***", ["pin"])]
    assert second["captured"] == 2


async def test_ten_thousand_calls_at_once_are_told_by_their_last_ones_and_their_number(page: Page) -> None:
    client, calls, _ = page
    async with events(client) as following:
        await following()
        for number in range(1, 10_001):
            calls.add_span(span(number))
        event = await following()

    assert event["captured"] == 10_000
    assert [call["number"] for call in event["calls"]] == list(range(10_001 - KEPT, 10_001))


async def test_a_reader_that_reads_nothing_holds_up_nobody(page: Page) -> None:
    client, calls, _ = page
    async with client.stream("GET", "/events"), events(client) as following:
        await following()
        for number in range(1, 3001):
            calls.add_span(span(number, "/a" * 2000))
            if number % 500 == 0:
                event = await following()

    assert event["captured"] == 3000


async def test_a_reader_that_is_gone_makes_room_for_another(page: Page) -> None:
    client, _, _ = page
    async with AsyncExitStack() as others:
        for _ in range(site.MAX_READERS - 1):
            await others.enter_async_context(events(client))
        async with events(client):
            assert (await client.get("/events")).status_code == 503
        async with asyncio.timeout(10):
            while await reader_status(client) != 200:
                pass


async def reader_status(client: httpx.AsyncClient) -> int:
    async with client.stream("GET", "/events") as response:
        return response.status_code


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/about", "/calls/1", "/calls/9", "/nowhere"])
async def test_every_answer_forbids_what_the_page_does_not_need(page: Page, path: str) -> None:
    client, calls, _ = page
    calls.add_span(span())

    headers = (await client.get(path)).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"


async def test_the_page_asks_for_nothing_from_elsewhere(page: Page) -> None:
    client, _, _ = page
    texts = [(await client.get(path)).text for path in ("/", "/page.css", "/page.js")]

    assert not [text for text in texts if "https:" in text or "@import" in text or "innerHTML" in text]
    # In the icon, SVG's own name.
    assert (
        "".join(texts).replace("http://www.w3.org/2000/svg", "").count("http://") == 1
    )  # before the address


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        pytest.param("GET", "/", {"host": "rebound.example.com"}, id="another name"),
        pytest.param("GET", "/", {"host": "127.0.0.1.example.com:80"}, id="a name that begins so"),
        pytest.param("GET", "/calls/1", {"sec-fetch-site": "cross-site"}, id="a read across sites"),
        pytest.param("GET", "/calls/1", {"sec-fetch-site": "same-site"}, id="from another port"),
        pytest.param("GET", "/events", {"origin": "http://example.com"}, id="a read from another origin"),
        pytest.param(
            "GET", "/", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, id="embedded"
        ),
        pytest.param("POST", "/samples/0", {}, id="a write without an origin"),
        pytest.param("POST", "/samples/0", {"origin": "null"}, id="from a sandbox"),
        pytest.param("POST", "/samples/0", {"origin": "http://127.0.0.1:1"}, id="a write from another port"),
    ],
)
async def test_nobody_but_the_page_is_answered(
    page: Page, method: str, path: str, headers: dict[str, str]
) -> None:
    client, calls, sent = page
    calls.add_span(span())

    assert (await client.request(method, path, headers=headers)).status_code == 403
    assert sent == []


async def test_a_link_from_elsewhere_leads_to_the_page(page: Page) -> None:
    client, _, _ = page
    visit = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}

    assert (await client.get("/", headers=visit)).status_code == 200
    assert (await client.get("/", headers={"host": f"localhost:{client.base_url.port}"})).status_code == 200


async def test_a_button_sends_its_sample(page: Page) -> None:
    client, _, sent = page
    origin = {"origin": str(client.base_url).rstrip("/")}

    assert (await client.post("/samples/1", headers=origin)).status_code == 204
    assert (await client.post("/samples/999", headers=origin)).status_code == 404
    assert sent == [SAMPLES[1]]
    titles = [sample["title"] for sample in (await client.get("/about")).json()["samples"]]
    assert titles == [sample.title for sample in SAMPLES]


async def test_a_call_that_is_not_kept_any_more_is_not_found(page: Page) -> None:
    client, _, _ = page

    answer = await client.get("/calls/1")

    assert answer.status_code == 404
    assert f"last {KEPT} calls" in answer.text


async def test_what_was_cut_or_left_out_is_said_and_why(page: Page) -> None:
    client, calls, _ = page
    attributes: dict[str, Any] = {
        "http.request.body.size": 70_000,
        "http.request.body.truncated": True,
        "http.response.body.size": 67,
        "http.response.body.omitted": "binary",
    }
    calls.add_span(span(body="x" * 65_536, **attributes))

    request, response = (await client.get("/calls/1")).json()["sides"]

    assert request["body"]["size"] == "70.0 kB"
    assert "65.5 kB" in request["body"]["notes"][0]
    assert response["body"]["notes"] == [
        "Left out (binary). The bytes are no text. binaryBodies: bytes sends them as they are."
    ]


async def test_bytes_are_shown_as_a_dump(page: Page) -> None:
    client, calls, _ = page
    attributes: dict[str, Any] = {"http.response.body": b"\x89PNG\x00"}
    calls.add_span(span(**attributes))

    body = (await client.get("/calls/1")).json()["sides"][1]["body"]

    assert body["form"] == "Bytes"
    assert "89 50 4e 47 00" in "".join(run[0] for run in body["runs"])

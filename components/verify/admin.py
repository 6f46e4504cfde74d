"""A proxy's admin interface (Envoy 1.36 to 1.40), asked by GET requests, which change nothing."""

import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from threading import Timer
from typing import Any
from urllib.parse import quote

from . import answers, bounded
from .facts import Exports, Proxy

PORT = 15000
"""Where Istio's proxies have it, on the pod's loopback."""

CONNECT_SECONDS = 10
ANSWER_SECONDS = 30
"""How long an answer may take in all: no timeout between two bytes ends a peer that drips them."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""The listeners of a busy proxy take a few megabytes; a proxy that was taken over may send without end."""

MAX_VALUES = 500_000

Json = dict[str, Any]
Get = Callable[[str], Json]
"""Fetches a path of an admin interface; raises `AdminError`."""


class AdminError(Exception):
    """An admin interface that does not answer as Envoy's does; the message is one line."""


def client(address: str) -> Get:
    """The admin interface at an address, ``HOST:PORT``."""
    return lambda path: _get(address, f"/{path}")


def _get(address: str, path: str) -> Json:
    # The package has no HTTP library, and a dozen GETs from loopback need none. This one follows no redirect,
    # which may lead anywhere on this machine, and uses no proxy of the environment.
    connection = HTTPConnection(address, timeout=CONNECT_SECONDS)
    ends = time.monotonic() + ANSWER_SECONDS
    try:
        connection.connect()
        with _cut_after(ANSWER_SECONDS, connection.sock):
            connection.request("GET", path)
            with connection.getresponse() as response:
                if response.status != HTTPStatus.OK:
                    raise AdminError(f"HTTP {response.status} instead of an answer")
                answer = response.read(MAX_ANSWER_BYTES + 1)
    except (OSError, HTTPException) as error:
        if time.monotonic() < ends:
            raise AdminError(str(error) or type(error).__name__) from None
        answer = b""
    finally:
        connection.close()
    if time.monotonic() >= ends:
        raise AdminError(f"no whole answer within {ANSWER_SECONDS} s")
    if len(answer) > MAX_ANSWER_BYTES:
        raise AdminError(f"the answer has more than {MAX_ANSWER_BYTES >> 20} MiB")
    try:
        document = bounded.parse(answer, MAX_VALUES)
    except ValueError as error:
        raise AdminError(f"what answers there is no admin interface of Envoy: it {error}") from None
    if not isinstance(document, dict):
        raise AdminError("what answers there is no admin interface of Envoy")
    return document


@contextmanager
def _cut_after(seconds: float, connected: socket.socket) -> Iterator[None]:
    """Ends a connection whose peer takes longer, whatever is waited for."""

    def cut() -> None:
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read(get: Get, clusters: Collection[str]) -> Proxy:
    """What a proxy says about itself.

    Args:
        get: its admin interface.
        clusters: names of the clusters that matter, at least one.

    Raises:
        AdminError: it cannot be asked, or does not answer as Envoy does.
    """
    with _answers_of_envoy():
        info = get("server_info")
        listeners = _dump(get, "dynamic_listeners") + _dump(get, "static_listeners")
        return Proxy(
            kind=answers.kind(info),
            version=answers.version(info),
            filters=answers.lua_filters(listeners),
            rejected=answers.rejections(listeners),
            clusters=answers.clusters(
                _dump(get, "dynamic_active_clusters", clusters) + _dump(get, "static_clusters", clusters),
                _dump(get, "dynamic_warming_clusters", clusters),
                _statuses(get, clusters),
                _stats(get, answers.export_stats(clusters)),
            ),
            counters=answers.lua_counters(_stats(get, answers.LUA_STATS)),
        )


def read_exports(get: Get, clusters: Collection[str]) -> dict[str, Exports]:
    """What became of the requests to clusters, by their names; errors as of `read`."""
    with _answers_of_envoy():
        stats = _stats(get, answers.export_stats(clusters))
        return {
            status["name"]: answers.exports(status["name"], status.get("host_statuses", []), stats)
            for status in _statuses(get, clusters)
        }


@contextmanager
def _answers_of_envoy() -> Iterator[None]:
    """What is not shaped as Envoy's answers are is told as that."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError):
        raise AdminError("it does not answer as the admin interface of Envoy 1.36 to 1.40 does") from None


def _dump(get: Get, resource: str, names: Collection[str] = ()) -> list[Json]:
    """A part of the config dump. The names narrow it down."""
    by_name = f"&name_regex={quote(answers.any_of(names))}" if names else ""
    return list(get(f"config_dump?resource={resource}{by_name}").get("configs", []))


def _statuses(get: Get, clusters: Collection[str]) -> list[Json]:
    # Envoy knows this filter from 1.38 on, and answers with all clusters before.
    answer = get(f"clusters?format=json&filter={quote(f'^({answers.any_of(clusters)})$')}")
    return [status for status in answer.get("cluster_statuses", []) if status["name"] in clusters]


def _stats(get: Get, pattern: str) -> dict[str, int]:
    return answers.stats(get(f"stats?format=json&filter={quote(pattern)}"))

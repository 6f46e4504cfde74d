"""A proxy's admin interface (Envoy 1.36 to 1.40), asked by GET requests, which change nothing."""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import OpenerDirector, ProxyHandler, build_opener

from . import answers
from .facts import Exports, Proxy

PORT = 15000
"""Where Istio's proxies have it, on the pod's loopback."""

TIMEOUT_SECONDS = 10
MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""A proxy of a large mesh dumps tens of megabytes; one that was taken over may send without end."""

Json = dict[str, Any]
Get = Callable[[str], Json]
"""Fetches a path of an admin interface; raises `AdminError`."""


class AdminError(Exception):
    """An admin interface that does not answer as Envoy's does; the message is one line."""


def client(address: str) -> Get:
    """The admin interface at an address, ``HOST:PORT``."""
    # A proxy of the environment (http_proxy) is not meant for this. The package has no HTTP library, and a
    # dozen GETs from loopback need none.
    opener = build_opener(ProxyHandler({}))
    return lambda path: _get(opener, f"http://{address}/{path}")


def _get(opener: OpenerDirector, url: str) -> Json:
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as response:
            answer = response.read(MAX_ANSWER_BYTES + 1)
        document = json.loads(answer) if len(answer) <= MAX_ANSWER_BYTES else None
    except HTTPError as error:
        with error:
            raise AdminError(f"HTTP {error.code} instead of an answer") from None
    except (OSError, HTTPException) as error:
        raise AdminError(str(error) or type(error).__name__) from None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise AdminError("what answers there is no admin interface of Envoy")
    return document


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

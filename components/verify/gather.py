"""Reads what the checks need to know, from the cluster and from its proxies, and changes nothing."""

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any, TypeVar

from ..istio import read
from ..istio.names import ENVOY_FILTER, NETWORKING, TRAFFIC_EXTENSION, Manifest
from ..istio.read import Capture
from . import admin
from .admin import AdminError
from .facts import Facts, Pod, Proxy, Unread
from .kubectl import COMMAND_SECONDS, ClusterError, ForwardError, Kubectl
from .selection import pod, sample, selected

RESOURCES = {
    "ServiceEntry": ("serviceentries", NETWORKING),
    "DestinationRule": ("destinationrules", NETWORKING),
    "EnvoyFilter": ("envoyfilters", ENVOY_FILTER),
    "TrafficExtension": ("trafficextensions", TRAFFIC_EXTENSION),
    "Sidecar": ("sidecars", NETWORKING),
}
"""The kinds that are read, as the API server knows them: plural, group and version."""

AT_ONCE = 8
"""How many kubectl processes run at a time."""

_PROXY_SECONDS = 120

LONG_SECONDS = 5.0
"""A wait that takes longer is told, by what is waited for and for how long at most."""

Progress = Callable[[str], None]
Key = TypeVar("Key")
Result = TypeVar("Result")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Source:
    """Where and how to look.

    Attributes:
        kubectl: the cluster.
        admin: addresses of proxies' admin interfaces that need no port-forward, by ``POD.NAMESPACE``.
        root_namespace: the mesh's.
        pods: how many pods of each capture are looked at; None for all.
        interval: seconds between two readings of exports, where some got lost.
        timeout: seconds that all of it may take.
        progress: told what happens, a line each.
    """

    kubectl: Kubectl
    admin: Mapping[str, str]
    root_namespace: str
    pods: int | None
    interval: float
    timeout: float
    progress: Progress


async def gather(source: Source, manifests: Sequence[Manifest]) -> Facts:
    """Everything that the checks need to know about a stack.

    Args:
        source: where and how to look.
        manifests: the package's own objects, as declared.

    Raises:
        ClusterError: the cluster cannot be read at all, or not in time.
    """
    ends = asyncio.get_running_loop().time() + source.timeout
    limit = asyncio.Semaphore(AT_ONCE)
    captures = read.captures(manifests)
    try:
        async with asyncio.timeout_at(ends):
            objects = await _objects(source, manifests, captures, limit)
            pods = await _pods(source, captures, limit)
    except TimeoutError:
        raise ClusterError(
            f"the cluster's objects and pods were not read within {source.timeout:g} s; "
            "is it slow? --timeout gives more"
        ) from None
    known = [candidate for group in pods.values() if not isinstance(group, Unread) for candidate in group]
    checked = {
        str(capture): sample(selected(capture, known, source.root_namespace), source.pods)
        for capture in captures
    }
    return Facts(
        manifests=manifests,
        captures=captures,
        objects=objects,
        pods=pods,
        checked=checked,
        proxies=await _proxies(source, captures, checked.values(), limit, ends),
        root_namespace=source.root_namespace,
        interval=source.interval,
    )


async def _objects(
    source: Source, manifests: Sequence[Manifest], captures: Sequence[Capture], limit: asyncio.Semaphore
) -> dict[tuple[str, str], list[Manifest] | Unread]:
    """The cluster's objects of each kind and namespace that the stack has any of, and the Sidecars."""
    wanted = {(manifest["kind"], manifest["metadata"]["namespace"]) for manifest in manifests}
    wanted |= {("Sidecar", capture.namespace) for capture in captures} | {("Sidecar", source.root_namespace)}
    source.progress(f"reading objects: {len(wanted)} lists")

    async def listed(kind: str, namespace: str) -> list[Manifest] | Unread:
        plural, version = RESOURCES[kind]
        group, _, version = version.partition("/")
        resource = f"{plural}.{version}.{group}"
        async with limit:
            with _telling(source, f"kubectl get {resource} in {namespace}", COMMAND_SECONDS):
                return await source.kubectl.list(resource, namespace)

    return await _by_key({key: listed(*key) for key in sorted(wanted)})


async def _pods(
    source: Source, captures: Sequence[Capture], limit: asyncio.Semaphore
) -> dict[str | None, list[Pod] | Unread]:
    """The pods of each namespace with a capture; of all if one of them is in the root namespace."""
    namespaces: set[str | None] = {capture.namespace for capture in captures}
    if source.root_namespace in namespaces:
        namespaces = {None}
    source.progress(f"reading pods: {len(namespaces)} lists")

    async def listed(namespace: str | None) -> list[Pod] | Unread:
        async with limit:
            with _telling(source, f"kubectl get pods in {namespace or 'all namespaces'}", COMMAND_SECONDS):
                manifests = await source.kubectl.list("pods", namespace)
        return manifests if isinstance(manifests, Unread) else [pod(manifest) for manifest in manifests]

    return await _by_key({namespace: listed(namespace) for namespace in namespaces})


async def _proxies(
    source: Source,
    captures: Sequence[Capture],
    checked: Iterable[Sequence[Pod]],
    limit: asyncio.Semaphore,
    ends: float,
) -> dict[str, Proxy | Unread]:
    """What the proxies of pods say, by ``str(pod)``; where exports got lost, with a second look at them."""
    loop = asyncio.get_running_loop()
    clusters = {capture.cluster for capture in captures}
    pods = {str(candidate): candidate for group in checked for candidate in group}

    async def asked(key: str, question: Callable[[admin.Get, Collection[str]], Answer]) -> Answer | Unread:
        try:
            async with asyncio.timeout_at(ends), limit, asyncio.timeout(_PROXY_SECONDS):
                with _telling(source, f"the proxy of {key}", _PROXY_SECONDS):
                    async with _address(source, pods[key]) as address:
                        source.progress(f"reading proxies: {key}")
                        return await _in_background(lambda: question(admin.client(address), clusters))
        except (AdminError, ForwardError) as error:
            return Unread(str(error))
        except TimeoutError:
            if loop.time() < ends:
                return Unread(f"not read after {_PROXY_SECONDS} s")
            return Unread(
                f"not read, as the {source.timeout:g} s of verify were over; "
                "--timeout gives more, --pods asks fewer"
            )

    source.progress(f"reading proxies: {len(pods)}")
    proxies = await _by_key({key: asked(key, admin.read) for key in pods})
    lossy = _lossy(proxies)
    if lossy and loop.time() + source.interval >= ends:
        source.progress(f"{len(lossy)} of them lost exports: no time is left to read them again")
    elif lossy:
        source.progress(
            f"{len(lossy)} of them lost exports: send requests, they are read again in {source.interval:g} s"
        )
        await asyncio.sleep(source.interval)
        later = await _by_key({key: asked(key, admin.read_exports) for key in lossy})
        for key, proxy in lossy.items():
            exports = later[key]
            proxies[key] = proxy if isinstance(exports, Unread) else replace(proxy, later=exports)
    return proxies


def _lossy(proxies: Mapping[str, Proxy | Unread]) -> dict[str, Proxy]:
    """The proxies that have lost exports, by the same keys."""
    return {
        key: proxy
        for key, proxy in proxies.items()
        if isinstance(proxy, Proxy) and any(cluster.exports.lost for cluster in proxy.clusters.values())
    }


@contextmanager
def _telling(source: Source, what: str, most_seconds: float) -> Iterator[None]:
    """Says what is waited for, if the block takes long."""
    loop = asyncio.get_running_loop()
    telling = loop.call_later(
        LONG_SECONDS, source.progress, f"waiting for {what}, {most_seconds:g} s at most"
    )
    try:
        yield
    finally:
        telling.cancel()


async def _in_background(work: Callable[[], Answer]) -> Answer:
    """What blocking work returns, done in a thread that no one waits for once this is cancelled.

    ``asyncio.to_thread`` would have the end of the program wait for a peer that does not answer.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Answer] = loop.create_future()

    def settle(set_: Callable[[Any], None], outcome: Any) -> None:
        if not result.done():  # else nobody waits any more
            set_(outcome)

    def run() -> None:
        set_: Callable[[Any], None] = result.set_result
        outcome: Any = None
        try:
            outcome = work()
        except Exception as error:  # noqa: BLE001 - is raised where the result is waited for
            set_, outcome = result.set_exception, error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, set_, outcome)

    Thread(target=run, daemon=True).start()
    return await result


@asynccontextmanager
async def _address(source: Source, target: Pod) -> AsyncIterator[str]:
    """Where the admin interface of a pod's proxy is reached, for as long as the block lasts."""
    if given := source.admin.get(str(target)):
        yield given
    else:
        async with source.kubectl.forward(target.namespace, target.name, admin.PORT) as address:
            yield address


async def _by_key(work: Mapping[Key, Coroutine[Any, Any, Result]]) -> dict[Key, Result]:
    """What the coroutines return, run together. The first error ends all of them, and is raised."""
    tasks = {key: asyncio.ensure_future(coroutine) for key, coroutine in work.items()}
    try:
        return dict(zip(tasks, await asyncio.gather(*tasks.values()), strict=True))
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

"""The cluster as ``kubectl`` shows it to its user: lists of objects, and a way to a pod's port."""

import asyncio
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from . import bounded
from .facts import Unread

REQUEST_SECONDS = 30
COMMAND_SECONDS = 60
_FORWARD_SECONDS = 20

MAX_LIST_BYTES = 64 * 1024 * 1024
MAX_VALUES = 2_000_000
"""Both for some four thousand pods."""

_MAX_ERROR_BYTES = 64 * 1024

_FORWARDING = re.compile(rb"Forwarding from (127\.0\.0\.1:\d+)")
_FORBIDDEN = "(Forbidden)"
_UNKNOWN_KINDS = ("doesn't have a resource type", "could not find the requested resource")


class ClusterError(Exception):
    """The cluster cannot be read at all; the message is one line, with what to do next."""


class ForwardError(Exception):
    """A pod's port cannot be reached; the message is one line."""


class Kubectl:
    """``kubectl`` with the user's kubeconfig. It only reads."""

    def __init__(self, context: str | None = None) -> None:
        """Take a context of the kubeconfig; the current one if None."""
        self._command = ["kubectl", *([f"--context={context}"] if context else [])]

    async def list(self, resource: str, namespace: str | None) -> list[dict[str, Any]] | Unread:
        """The objects of a namespace; of all for None.

        Args:
            resource: plural, version and group: ``envoyfilters.v1alpha3.networking.istio.io``.
            namespace: need not exist.

        Raises:
            ClusterError: no kubectl, no context, no answer.
        """
        where = "--all-namespaces" if namespace is None else f"--namespace={namespace}"
        process = await self._start(
            *("get", resource, where, "--output=json", f"--request-timeout={REQUEST_SECONDS}s")
        )
        async with _stopped(process):
            try:
                async with asyncio.timeout(COMMAND_SECONDS):
                    output, errors = await _output(process)
                    status = await process.wait()
            except TimeoutError:
                raise ClusterError(
                    f"kubectl get {resource}: no end after {COMMAND_SECONDS} s; is the cluster reachable?"
                ) from None
            except _TooMuchError as error:
                raise ClusterError(
                    f"kubectl get {resource}: printed more than {error} bytes; "
                    "verify a stack of fewer or smaller namespaces"
                ) from None
        if status == 0:
            try:
                return _items(output)
            except ValueError as error:
                raise ClusterError(
                    f"kubectl get {resource}: what it printed {error}; does the same command print a list?"
                ) from None
        reason = _last_line(errors)
        if _FORBIDDEN in reason:
            return Unread(reason.partition(f"{_FORBIDDEN}: ")[2])
        if any(words in reason for words in _UNKNOWN_KINDS):
            return Unread(f"the cluster knows no {resource}", missing=True)
        raise ClusterError(f"kubectl: {reason}; the same context has to work for `kubectl get {resource}`")

    @asynccontextmanager
    async def forward(self, namespace: str, pod: str, port: int) -> AsyncIterator[str]:
        """A pod's port on loopback, for as long as the block lasts: yields ``127.0.0.1:PORT``.

        Raises:
            ForwardError: it cannot be reached.
        """
        process = await self._start(
            *("port-forward", "--address=127.0.0.1", f"--namespace={namespace}", f"pod/{pod}", f":{port}")
        )
        async with _stopped(process):
            assert process.stdout  # noqa: S101 - piped
            assert process.stderr  # noqa: S101
            try:
                async with asyncio.timeout(_FORWARD_SECONDS):
                    match = _FORWARDING.match(await process.stdout.readline())
                    reason = "" if match else _last_line(await _read(process.stderr, _MAX_ERROR_BYTES))
            except TimeoutError:
                raise ForwardError(f"kubectl port-forward: not there after {_FORWARD_SECONDS} s") from None
            except (_TooMuchError, ValueError):  # of a line without end asyncio makes a ValueError
                raise ForwardError("kubectl port-forward: does not say where it forwards from") from None
            if match is None:
                raise ForwardError(f"kubectl port-forward: {reason}")
            yield match[1].decode()

    async def _start(self, *arguments: str) -> Process:
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *self._command,
                *arguments,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                # A group of its own: ctrl-C reaches us alone, and we stop it with all that it started.
                start_new_session=True,
            )
        )
        try:
            return await asyncio.shield(starting)
        except OSError as error:
            raise ClusterError(f"kubectl: {error.strerror}; install it, and put it on the PATH") from None
        except asyncio.CancelledError:
            # Cancelled half-way, asyncio would stop the process, and not what that has started.
            await _settled(starting)
            if starting.exception() is None:
                await _stop(starting.result())
            raise


class _TooMuchError(Exception):
    """More was printed than is read; the message is how many bytes are."""


async def _output(process: Process) -> tuple[bytes, bytes]:
    """All that a process prints, on both ways at once, until it and what it started have closed them."""
    assert process.stdout  # noqa: S101 - piped
    assert process.stderr  # noqa: S101
    return await asyncio.gather(
        _read(process.stdout, MAX_LIST_BYTES), _read(process.stderr, _MAX_ERROR_BYTES)
    )


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    read = bytearray()
    while chunk := await stream.read(65536):
        read += chunk
        if len(read) > limit:
            raise _TooMuchError(str(limit))
    return bytes(read)


def _items(output: bytes) -> list[dict[str, Any]]:
    """The objects of a list, each with metadata and a spec.

    Raises:
        ValueError: it is none; the message is the end of a sentence.
    """
    document = bounded.parse(output, MAX_VALUES)
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise ValueError("is no list of objects")  # noqa: TRY004 - of what a value holds
    for item in items:
        metadata = item.get("metadata") if isinstance(item, dict) else None
        names = [metadata.get(key) for key in ("name", "namespace")] if isinstance(metadata, dict) else []
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError("has an object without a name and a namespace")
        if not isinstance(item.setdefault("spec", {}), dict):
            raise ValueError("has an object whose spec is none")  # noqa: TRY004 - as above
    return items


@asynccontextmanager
async def _stopped(process: Process) -> AsyncIterator[None]:
    """Leaves no process behind: neither this one nor what it started."""
    try:
        yield
    finally:
        await _stop(process)


async def _stop(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # it only reads: there is nothing to end in order
    # To asyncio a process ends with its pipes, which a child in a group of its own may hold, and which may be
    # full of what nobody reads. There is no other way to let them go.
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
    await _settled(asyncio.ensure_future(process.wait()))


async def _settled(work: asyncio.Future[Any]) -> None:
    """Waits for what takes a moment, through cancellations too: there may be several."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])


def _last_line(errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "no reason given"

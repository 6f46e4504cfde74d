"""The cluster as ``kubectl`` shows it to its user: lists of objects, and a way to a pod's port."""

import asyncio
import json
import re
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from .facts import Unread

REQUEST_SECONDS = 30
_COMMAND_SECONDS = 120
_FORWARD_SECONDS = 20
_STOP_SECONDS = 5

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
                async with asyncio.timeout(_COMMAND_SECONDS):
                    output, errors = await process.communicate()
            except TimeoutError:
                raise ClusterError(
                    f"kubectl get {resource}: no end after {_COMMAND_SECONDS} s; is the cluster reachable?"
                ) from None
        if process.returncode == 0:
            items: list[dict[str, Any]] = json.loads(output)["items"]
            return items
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
                    found = _FORWARDING.match(await process.stdout.readline())
                    reason = "" if found else _last_line(await process.stderr.read())
            except TimeoutError:
                raise ForwardError(f"kubectl port-forward: not there after {_FORWARD_SECONDS} s") from None
            if found is None:
                raise ForwardError(f"kubectl port-forward: {reason}")
            yield found[1].decode()

    async def _start(self, *arguments: str) -> Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                *arguments,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                start_new_session=True,  # ctrl-C reaches us alone: we stop it in order
            )
        except OSError as error:
            raise ClusterError(f"kubectl: {error.strerror}; install it, and put it on the PATH") from None


@asynccontextmanager
async def _stopped(process: Process) -> AsyncIterator[None]:
    """Leaves no process behind."""
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _last_line(errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "no reason given"

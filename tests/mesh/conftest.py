"""What the scenarios in a real mesh share: one control plane, and a namespace and a sample API for each."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lab import app, cluster, server

_TIMEOUT_SECONDS = 180  # the first scenario starts the control plane
_LOGS = pytest.StashKey[Path]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "mesh":
            item.add_marker(pytest.mark.timeout(_TIMEOUT_SECONDS))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say where the logs are: what the cluster itself says at its end, pytest swallows.

    After ctrl-C there is no terminal summary.
    """
    logs = config.stash.get(_LOGS, None)
    if logs and logs.exists():
        print(f"The cluster's logs are in {logs}", file=sys.stderr)  # noqa: T201


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def mesh(request: pytest.FixtureRequest) -> Iterator[cluster.Mesh]:
    """The control plane. What a scenario puts into the root namespace it takes away again."""
    with cluster.running() as running:
        request.config.stash[_LOGS] = running.logs
        yield running
        # Ctrl-C fails no test. Until a session has ended, its status says TESTS_FAILED.
        interrupted = request.session.exitstatus == pytest.ExitCode.INTERRUPTED
        running.keep_logs = bool(request.session.testsfailed or interrupted)


@pytest.fixture
def namespace(mesh: cluster.Mesh) -> Iterator[str]:
    """A namespace of the scenario's own."""
    with mesh.namespace() as name:
        yield name


@pytest.fixture
async def shop() -> AsyncIterator[int]:
    """The port of the sample API."""
    async with server.serve(app.application()) as port:
        yield port

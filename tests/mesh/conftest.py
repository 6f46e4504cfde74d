"""What the scenarios in a real mesh share: one control plane, and a namespace and a sample API for each."""

from collections.abc import AsyncIterator, Iterator

import pytest

from lab import app, cluster, server

_TIMEOUT_SECONDS = 180  # the first scenario starts the control plane


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "mesh":
            item.add_marker(pytest.mark.timeout(_TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def mesh(request: pytest.FixtureRequest) -> Iterator[cluster.Mesh]:
    """The control plane. What a scenario puts into the root namespace it takes away again."""
    with cluster.running() as running:
        yield running
        running.keep_logs = bool(request.session.testsfailed)


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

"""What the tests in a real Envoy share.

Tests are ``async def`` and run on one event loop with the sample API and the OTLP receiver. A test that needs
other settings, workers or filters than ``lab`` has starts a lab of its own, which takes a fifth of a second:

    async with mesh.running(stack.manifests(capture={"samplingRatio": 0}), workers=2) as lab:
"""

from collections.abc import AsyncIterator

import httpx
import pytest

from lab import mesh, stack
from lab.mesh import Lab


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A lab with the dev stack's settings."""
    async with mesh.running(stack.manifests()) as running:
        yield running


@pytest.fixture
async def client(lab: Lab) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP/1.1 client of the lab's inbound listener."""
    async with lab.client() as inbound:
        yield inbound

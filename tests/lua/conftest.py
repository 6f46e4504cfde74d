"""The capture script with settings, or with the defaults."""

from collections.abc import Callable
from typing import Any

import pytest

from components.settings.models import Direction
from tests.lua.fake_envoy import Proxy, render


@pytest.fixture
def start() -> Callable[..., Proxy]:
    """Starts a proxy from capture settings."""

    def start(direction: Direction = Direction.INBOUND, *, cluster: bool = True, **capture: Any) -> Proxy:
        return Proxy(render(direction, **capture), cluster=cluster)

    return start


@pytest.fixture
def proxy(start: Callable[..., Proxy]) -> Proxy:
    """A proxy with the defaults."""
    return start()

"""A recording engine: Pulumi's mocks, drained before anything is asserted."""

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import hypothesis
import pulumi
import pytest
from pulumi.runtime import Mocks
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import engine_pb2, resource_pb2

# A busy machine is no reason to fail.
hypothesis.settings.register_profile(
    "steady", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")

# An Output in an f-string raises instead of ending up as prose in a script.
os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "true"


class Declared(NamedTuple):
    """A resource as the engine is asked for it."""

    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    provider: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.type, self.name, self.parent


class Engine(MockMonitor):
    """Runs a program and takes down what it declares, registers as outputs, says, and warns of."""

    def __init__(self) -> None:
        super().__init__(cast("Mocks", None))
        self.declared: list[Declared] = []
        self.outputs: dict[str, dict[str, Any]] = {}
        self.warnings: list[str] = []
        self.infos: list[str] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        # Without MockMonitor's own, which leaves an event loop open in each thread that it is called in.
        if request.type != "pulumi:pulumi:Stack":
            inputs = pulumi.runtime.rpc.deserialize_properties(request.object)
            parent = request.parent.rpartition("::")[2]
            self.declared.append(Declared(request.type, request.name, parent, inputs, request.provider))
        urn = self.make_urn(request.parent, request.type, request.name)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=f"{request.name}-id", object=request.object)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        name = request.urn.rpartition("::")[2]
        self.outputs[name] = pulumi.runtime.rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)

    def Log(self, request: Any) -> None:  # noqa: N802
        if request.severity == engine_pb2.WARNING:
            self.warnings.append(request.message)
        elif request.severity == engine_pb2.INFO:
            self.infos.append(request.message)

    def run(self, build: Callable[[], object]) -> "Engine":
        def program() -> None:
            build()

        pulumi.runtime.test(program)()
        return self

    def one(self, kind: str) -> dict[str, Any]:
        """The inputs of the only object of a kind."""
        [found] = [resource.inputs for resource in self.declared if resource.type.endswith(f":{kind}")]
        return found


@pytest.fixture
def engine() -> Iterator[Engine]:
    before = pulumi.runtime.settings.SETTINGS.engine
    # Pulumi takes the thread's loop, and other tests may have left none.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    engine = Engine()
    pulumi.runtime.set_mocks(engine.mocks, project="tests", stack="test", preview=False, monitor=engine)
    pulumi.runtime.settings.SETTINGS.engine = engine
    yield engine
    pulumi.runtime.set_all_config({}, [])
    pulumi.runtime.settings.SETTINGS.engine = before
    asyncio.set_event_loop(None)
    loop.close()

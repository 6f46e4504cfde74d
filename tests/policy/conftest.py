"""The policy pack as the engine runs it: a process, asked through gRPC about a program's resources."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, cast

import grpc
import pulumi
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import Mocks, Settings, configure
from pulumi.runtime.mocks import MockEngine, MockMonitor
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, resource_pb2
from pulumi.runtime.stack import run_in_stack

POLICY = Path(__file__).parents[2] / "policy"
ROOT_TYPE = "pulumi:pulumi:Stack"


class Violation(NamedTuple):
    """What the engine would show.

    Attributes:
        policy: the policy's name.
        resource: the logical name of the resource that it is about.
        message: what is wrong.
    """

    policy: str
    resource: str
    message: str


class Recorder(MockMonitor):
    """Takes down what a program registers, as the engine asks about it, with URNs as the engine's."""

    def __init__(self) -> None:
        super().__init__(cast("Mocks", None))
        self.requests: list[analyzer_pb2.AnalyzeRequest] = []

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        parents = "" if not parent else parent.split("::")[2]
        chain = type_ if parents in {"", ROOT_TYPE} else f"{parents}${type_}"
        return f"urn:pulumi:test::tests::{chain}::{name}"

    def RegisterResource(self, request: Any) -> resource_pb2.RegisterResourceResponse:  # noqa: N802
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type != ROOT_TYPE:
            asked = analyzer_pb2.AnalyzeRequest(
                type=request.type, name=request.name, urn=urn, properties=request.object
            )
            self.requests.append(asked)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=request.name, object=request.object)


def record(build: Callable[[], object], *, preview: bool = False) -> list[analyzer_pb2.AnalyzeRequest]:
    """What the engine asks a policy pack about a program, resource by resource."""
    recorder = Recorder()

    def program() -> None:
        build()

    def run() -> None:
        configure(Settings("tests", "test", monitor=recorder, engine=MockEngine(None), dry_run=preview))
        asyncio.run(run_in_stack(program))

    # Pulumi keeps its state in context variables, and a new thread has none.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result()
    return recorder.requests


class Pack:
    """A running policy pack."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.stub = analyzer_pb2_grpc.AnalyzerStub(channel)

    def configure(self, config: dict[str, dict[str, Any]]) -> None:
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for policy, properties in config.items():
            struct = struct_pb2.Struct()
            struct.update(properties)
            # The engine always says a level: the pack's own where a user says none.
            request.policyConfig[policy].CopyFrom(
                analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.MANDATORY, properties=struct)
            )
        self.stub.Configure(request)

    def violations(
        self, build: Callable[[], object], *, preview: bool = False, **config: dict[str, Any]
    ) -> list[Violation]:
        """What the pack has against a program, under a configuration by policy."""
        self.configure(config)
        found = []
        for request in record(build, preview=preview):
            for diagnostic in self.stub.Analyze(request).diagnostics:
                assert diagnostic.enforcementLevel == analyzer_pb2.MANDATORY
                message = diagnostic.message.removeprefix(f"{diagnostic.description}\n")
                found.append(Violation(diagnostic.policyName, request.name, message))
        return found

    def info(self) -> analyzer_pb2.AnalyzerInfo:
        info = self.stub.GetAnalyzerInfo(empty_pb2.Empty())
        assert isinstance(info, analyzer_pb2.AnalyzerInfo)
        return info


@pytest.fixture(scope="session")
def pack() -> Iterator[Pack]:
    # As pulumi-language-python's RunPlugin starts it; no engine listens at the address, and none is called.
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:0", str(POLICY)]
    stack = {
        "PULUMI_PROJECT": "tests",
        "PULUMI_STACK": "test",
        "PULUMI_DRY_RUN": "true",
        "PULUMI_CONFIG": "{}",
    }
    environment = {**os.environ, **stack}
    with subprocess.Popen(command, cwd=POLICY, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port.isdecimal(), "the pack did not start"
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Pack(channel)
        finally:
            process.kill()


def unknown() -> pulumi.Output[str]:
    """An output that is not known at preview."""

    async def value(of: Any) -> Any:
        return of

    return pulumi.Output(
        asyncio.ensure_future(value(set[pulumi.Resource]())),
        asyncio.ensure_future(value(None)),
        asyncio.ensure_future(value(False)),
    )

"""The component plugin as the engine starts it, and what the engine asks of it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc
from pulumi.runtime.rpc import deserialize_properties

from tests.package.engine import PROJECT, STACK, RecordingEngine, recording

PLUGIN = Path(__file__).parents[2] / "plugin"


class Plugin:
    """A client of a running plugin."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = provider_pb2_grpc.ResourceProviderStub(channel)

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = json.loads(
            self._stub.GetSchema(provider_pb2.GetSchemaRequest(version=0)).schema
        )
        return schema

    def construct(
        self,
        engine: RecordingEngine,
        component: str,
        inputs: Mapping[str, Any],
        *,
        dry_run: bool = True,
        **request: Any,
    ) -> dict[str, Any]:
        """Have a component declared, and return its outputs.

        Args:
            engine: what it is declared to.
            component: its class.
            inputs: its inputs as they are on Pulumi's wire.
            dry_run: whether it is a preview.
            **request: more of the request.
        """
        wire = struct_pb2.Struct()
        wire.update(inputs)
        response = self._stub.Construct(
            provider_pb2.ConstructRequest(
                project=PROJECT,
                stack=STACK,
                dryRun=dry_run,
                monitorEndpoint=engine.address,
                type=f"astra-istio:index:{component}",
                name="astra",
                inputs=wire,
                accepts_output_values=True,
                **request,
            )
        )
        outputs: dict[str, Any] = deserialize_properties(response.state, keep_unknowns=True)
        return outputs


@contextmanager
def started_plugin() -> Iterator[Plugin]:
    """The plugin in a process of its own, started as the engine does it."""
    with (
        recording() as engine,
        _process([sys.executable, str(PLUGIN), engine.address]) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield Plugin(channel)


@contextmanager
def _process(command: list[str]) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        assert port.isdigit(), "the plugin did not start: see its output above"
        yield port
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()

"""A stand-in for the Pulumi engine, over gRPC as the real one: it takes down what it is asked for.

It resolves nothing: a resource's outputs are its inputs, as in a preview of new resources.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc
from pulumi.runtime.rpc import deserialize_properties

PROJECT, STACK = "tests", "test"

# What pulumi-language-python-exec does with a program, without what it does for old SDKs and for tracebacks.
LAUNCHER = """if True:
    import asyncio, logging, runpy, sys
    import pulumi, pulumi.runtime
    _, project, stack, dry_run, address = sys.argv
    pulumi.runtime.set_all_config(
        pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env()
    )
    pulumi.runtime.configure(pulumi.runtime.Settings(
        project=project, stack=stack, dry_run=dry_run == "true", monitor=address, engine=address
    ))
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        asyncio.run(pulumi.runtime.run_in_stack(lambda: runpy.run_path(".", run_name="__main__") and None))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        sys.exit(1)
"""


class Registered(NamedTuple):
    """A resource that was asked for."""

    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    provider: str
    aliases: list[str]


class RecordingEngine(resource_pb2_grpc.ResourceMonitorServicer, engine_pb2_grpc.EngineServicer):
    """Resource monitor and engine in one.

    Attributes:
        address: where it listens.
        resources: what was registered, in order, without the stack; parents by name.
        outputs: what was registered as a component's outputs, by the component's name.
        references: outputs of other stacks, by the stack's full name.
        log: what was logged above DEBUG, with the severity's name: ``("ERROR", "...")``.
    """

    def __init__(self) -> None:
        self.address = ""
        self.resources: list[Registered] = []
        self.outputs: dict[str, dict[str, Any]] = {}
        self.references: dict[str, dict[str, Any]] = {}
        self.log: list[tuple[str, str]] = []

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        del request, context
        features = set(resource_pb2.ResourceMonitorFeature.values())
        # Pulumi's mock monitor leaves it out too: inputs of remote components then come as plain values.
        features -= {resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES}
        return resource_pb2.DeploymentInfo(supportedFeatures=features)

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id != "outputValues")

    def RegisterResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        if request.type != "pulumi:pulumi:Stack":
            inputs = deserialize_properties(request.object, keep_unknowns=True)
            parent = request.parent.rpartition("::")[2]
            aliases = [alias.urn or alias.spec.name for alias in request.aliases]
            self.resources.append(
                Registered(request.type, request.name, parent, inputs, request.provider, aliases)
            )
        return resource_pb2.RegisterResourceResponse(
            urn=made_urn(request), id=f"{request.name}-id" if request.custom else "", object=request.object
        )

    def RegisterResourceOutputs(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802
        del context
        self.outputs[request.urn.rpartition("::")[2]] = deserialize_properties(request.outputs)
        return empty_pb2.Empty()

    def ReadResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        state = struct_pb2.Struct()
        outputs = self.references[request.id]
        state.update({"name": request.id, "outputs": outputs, "secretOutputNames": []})
        return resource_pb2.ReadResourceResponse(urn=made_urn(request), properties=state)

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        assert request.tok == "pulumi:pulumi:getResource", (
            request.tok
        )  # how a provider given to a plugin is read
        urn = request.args["urn"]
        found = {"urn": urn, "id": f"{urn.rpartition('::')[2]}-id", "state": {}}
        response = resource_pb2.ResourceInvokeResponse()
        getattr(response, "return").update(found)
        return response

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802
        del request, context
        return empty_pb2.Empty()

    def Log(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802
        del context
        if request.severity != engine_pb2.DEBUG:
            self.log.append((engine_pb2.LogSeverity.Name(request.severity), request.message))
        return empty_pb2.Empty()

    def run(
        self, python: Path, program: Path, config: Mapping[str, str], *, dry_run: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a process of its own, as the language host does.

        Args:
            python: the interpreter of the program's environment.
            program: the folder of ``__main__.py``.
            config: values by ``namespace:key``.
            dry_run: whether it is a preview.
        """
        arguments = [PROJECT, STACK, "true" if dry_run else "false", self.address]
        environment = {**os.environ, "PULUMI_CONFIG": json.dumps(config), "PULUMI_CONFIG_SECRET_KEYS": "[]"}
        return subprocess.run(
            [str(python), "-c", LAUNCHER, *arguments],
            cwd=program,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


def made_urn(request: Any) -> str:
    parent_type = request.parent.split("::")[2] if request.parent else ""
    prefix = "" if parent_type in {"", "pulumi:pulumi:Stack"} else f"{parent_type}$"
    return f"urn:pulumi:{STACK}::{PROJECT}::{prefix}{request.type}::{request.name}"


@contextmanager
def recording() -> Iterator[RecordingEngine]:
    """A recording engine that listens on a free port of the loopback interface."""
    engine = RecordingEngine()
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 1 << 26)])
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(engine, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    engine.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield engine
    finally:
        server.stop(None).wait()

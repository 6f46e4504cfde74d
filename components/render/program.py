"""A project's program, run in process with a stack's configuration as the engine would hand it over.

What the engine or the program refuses is refused here, in the program's words. As there is no engine to ask,
outputs of other stacks come from ``stack-references.yaml`` beside ``Pulumi.yaml``.
"""

import asyncio
import contextlib
import logging
import re
import runpy
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import pulumi
from google.protobuf import struct_pb2
from pulumi.runtime import Mocks, Settings, configure, set_all_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import engine_pb2, resource_pb2
from pulumi.runtime.rpc import deserialize_properties
from pulumi.runtime.stack import run_in_stack

from ..istio.names import Manifest
from ..istio.read import ENTRY_KINDS
from ..settings.validation import SettingsError
from . import stack_file


class RenderError(Exception):
    """A stack that cannot be rendered; the message has a line per problem."""


@dataclass(frozen=True)
class Rendered:
    """What a stack declares.

    Attributes:
        stack: the stack as Pulumi names it, ``PROJECT/STACK``.
        clusters: the Kubernetes objects, ordered by kind, namespace and name, by the logical name of their
            provider, which is "" for the default provider.
        warnings: what the program warned of, and what was left out, one line each.
    """

    stack: str
    clusters: dict[str, list[Manifest]]
    warnings: list[str]


def manifests(project: Path, stack: str) -> list[Manifest]:
    """The Kubernetes objects that a stack declares, ordered by provider, kind, namespace and name.

    Args:
        project: the folder of ``Pulumi.yaml``, and of ``__main__.py`` unless ``main`` there says another.
        stack: the stack's name, as in ``Pulumi.<stack>.yaml``.

    Raises:
        RenderError: there is no such stack, or the engine or the program would refuse it.
    """
    return [manifest for objects in render(project, stack).clusters.values() for manifest in objects]


def render(project: Path, stack: str) -> Rendered:
    """The same by provider, with the warnings."""
    try:
        configuration = stack_file.load(project, stack)
        references = stack_file.references(project)
    except stack_file.StackFileError as error:
        raise RenderError(str(error)) from None
    program = project / configuration.main
    if not (program / "__main__.py").is_file():
        raise RenderError(f"{program / '__main__.py'}: not there, expected the Pulumi program")
    recorder = _Recorder(references)
    refusals = _refusals(_run(program, stack, configuration, recorder), configuration)
    if refusals:
        # The warnings say what was left out, which may be what is missing.
        raise RenderError("\n".join([*refusals, *configuration.warnings]))
    twice = [problem for objects in recorder.objects.values() for problem in _declared_twice(objects)]
    if twice:
        raise RenderError("\n".join(twice))
    clusters = {
        provider: sorted(objects, key=identity) for provider, objects in sorted(recorder.objects.items())
    }
    return Rendered(
        f"{configuration.project}/{stack}", clusters, [*configuration.warnings, *recorder.warnings]
    )


def _refusals(by_program: list[str], configuration: stack_file.Configuration) -> list[str]:
    """What the program and the engine refuse, each key once.

    The engine would speak first, but it knows only the types of keys. So the program's own words come first,
    and the engine's only for keys of which the program said nothing.
    """
    said = {problem.partition(": ")[0] for problem in by_program}
    by_engine = [problem for key, problem in configuration.problems.items() if key not in said]
    encrypted = [
        f"{path}: only the Pulumi engine can decrypt a `secure:` value"
        for path in configuration.secure
        if path not in said
    ]
    return [*by_program, *by_engine, *encrypted]


def silence_abandoned_tasks() -> None:
    """Have asyncio and Python say nothing of tasks that a program leaves behind when it stops half-way.

    Pulumi's launcher is silent about them, too.
    """
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


class _Recorder(MockMonitor):
    """Pulumi's mock engine, which takes down a program's Kubernetes objects and warnings."""

    def __init__(self, references: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(cast("Mocks", None))  # all of them are replaced below
        self.objects: dict[str, list[Manifest]] = {"": []}
        self.warnings: list[str] = []
        self._references = references

    def RegisterResource(self, request: Any) -> resource_pb2.RegisterResourceResponse:  # noqa: N802
        if request.type.startswith("kubernetes:"):
            manifest = _whole_numbers(deserialize_properties(request.object))
            if "kind" in manifest:
                self.objects.setdefault(_provider_name(request.provider), []).append(manifest)
            else:  # a chart, or another resource of which the provider makes objects
                self.warnings.append(
                    f"{request.name} ({request.type}): left out, as only the Pulumi engine can render it"
                )
        urn = self.make_urn(request.parent, request.type, request.name)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=request.name, object=request.object)

    def Invoke(self, request: Any) -> NoReturn:  # noqa: N802
        raise RenderError(f"{request.tok}: only the Pulumi engine can call it: use `pulumi preview`")

    def ReadResource(self, request: Any) -> resource_pb2.ReadResourceResponse:  # noqa: N802
        if request.type != "pulumi:pulumi:StackReference":
            raise RenderError(
                f"{request.name} ({request.type}): only the Pulumi engine can read it: use `pulumi preview`"
            )
        if request.id not in self._references:
            raise RenderError(
                f"{request.id}: only the Pulumi engine can read another stack's outputs; say them in "
                f"{stack_file.REFERENCES} beside Pulumi.yaml"
            )
        state = struct_pb2.Struct()
        outputs = self._references[request.id]
        state.update({"name": request.id, "outputs": outputs, "secretOutputNames": []})
        urn = self.make_urn(request.parent, request.type, request.name)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=state)

    def Log(self, request: Any) -> None:  # noqa: N802
        if request.severity == engine_pb2.WARNING:
            self.warnings.append(request.message)


def _run(
    program: Path, stack: str, configuration: stack_file.Configuration, recorder: _Recorder
) -> list[str]:
    """Run the program. Returns why it refused its configuration, a line per problem; none if it did not."""

    def run() -> None:
        set_all_config(configuration.values, sorted(configuration.secrets))
        configure(Settings(configuration.project, stack, monitor=recorder, engine=recorder, dry_run=False))
        asyncio.run(run_in_stack(lambda: _execute(Path.cwd())))

    # Pulumi runs a program in its own folder. It keeps its state in context variables, and a new thread has
    # none: no run sees another's.
    with contextlib.chdir(program), ThreadPoolExecutor(1) as thread:
        try:
            thread.submit(run).result()
        except SettingsError as error:
            return [*error.problems]
        except pulumi.RunError as error:
            return [str(error)]
        except KeyError as error:
            if not _is_of_a_reference(error):
                raise
            return [f"{stack_file.REFERENCES}: no output {error.args[0]!r}, which the program requires"]
    return []


def _is_of_a_reference(error: KeyError) -> bool:
    """Whether Pulumi itself looked for the key: it does so only for an output of another stack."""
    *_, (last, _) = traceback.walk_tb(error.__traceback__)
    return Path(last.f_code.co_filename).is_relative_to(Path(pulumi.__file__).parent)


def _execute(program: Path) -> None:
    # A folder, as Pulumi's launcher has it: modules beside `__main__.py` can be imported.
    runpy.run_path(str(program), run_name="__main__")


def _declared_twice(objects: Sequence[Manifest]) -> Iterator[str]:
    """What the API server of a cluster would refuse, half-way through an update."""
    for (kind, *names), count in Counter(map(identity, objects)).items():
        if count > 1:
            way_out = ": set egress.create to false in all components but one" if kind in ENTRY_KINDS else ""
            yield f"{kind} {'/'.join(names)}: declared {count} times, and a cluster has one{way_out}"


def _provider_name(reference: str) -> str:
    """The logical name in a provider's reference, which is a URN, ``::`` and an ID."""
    name = reference.rpartition("::")[0].rpartition("::")[2]
    if name and not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
        raise RenderError(
            f"provider {name!r}: cannot name a folder, expected A-Z, a-z, 0-9, '-', '_' and '.'"
        )
    return name


def _whole_numbers(value: Any) -> Any:
    # On Pulumi's wire all numbers are floats. And each script comes as a copy: `intern` keeps one of each.
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    return [_whole_numbers(item) for item in value] if isinstance(value, list) else value


def identity(manifest: Manifest) -> tuple[str, ...]:
    """Kind, namespace and name; a program may declare objects of its own that have no namespace."""
    metadata = manifest.get("metadata", {})
    if "name" not in metadata:
        raise RenderError(
            f"{manifest['kind']}: metadata.name is missing, and only the engine makes up names: set it"
        )
    identity = tuple(part for part in (manifest["kind"], metadata.get("namespace"), metadata["name"]) if part)
    if any("/" in part or "\0" in part for part in identity):
        raise RenderError(f"{'.'.join(identity)}: cannot name a file, expected no '/'")
    return identity

"""Write the manifests that a stack declares, without the Pulumi engine: for CI, GitOps and reviewers.

``python -m astra_istio.render --stack dev --out DIR`` runs a project's own ``__main__.py`` in process, with
the stack's configuration as the engine would hand it over, and writes each Kubernetes object that it declares
to a file of its own; objects of a Kubernetes provider that the program makes, in a folder of that provider's
name. What the engine or the program refuses is refused here, in the program's words. As there is no engine to
ask, outputs of other stacks come from ``stack-references.yaml`` beside ``Pulumi.yaml``.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import re
import runpy
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import pulumi
import yaml
from google.protobuf import struct_pb2
from pulumi.runtime import Mocks, Settings, configure, set_all_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import engine_pb2, resource_pb2
from pulumi.runtime.rpc import deserialize_properties
from pulumi.runtime.stack import run_in_stack

from ..istio.names import Manifest
from ..settings.validation import SettingsError
from . import stack_file

MARK = "# Rendered by astra_istio.render"
"""How the first line of a rendered file begins: such files may be replaced and removed, others may not."""


class RenderError(Exception):
    """A stack that cannot be rendered; the message has a line per problem."""


@dataclass(frozen=True)
class Rendered:
    """What a stack declares.

    Attributes:
        clusters: the Kubernetes objects, ordered by kind, namespace and name, by the logical name of their
            provider, which is "" for the default provider.
        warnings: what the program warned of, and what was left out, one line each.
    """

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
    refused = _run(program, stack, configuration, recorder)
    # The program says what its own keys hold; the engine speaks first, but knows their types only.
    said = {problem.partition(": ")[0] for problem in refused}
    refused += [problem for key, problem in configuration.problems.items() if key not in said]
    refused += [
        f"{path}: only the Pulumi engine can decrypt a `secure:` value"
        for path in configuration.secure
        if path not in said
    ]
    if refused:
        raise RenderError("\n".join(refused))
    clusters = {
        provider: sorted(objects, key=_identity) for provider, objects in sorted(recorder.objects.items())
    }
    return Rendered(clusters, [*configuration.warnings, *recorder.warnings])


def silence_abandoned_tasks() -> None:
    """Be silent about what a program that stops half-way leaves behind, as Pulumi's launcher is."""
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
            self.objects.setdefault(_provider_name(request.provider), []).append(manifest)
        urn = self.make_urn(request.parent, request.type, request.name)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=request.name, object=request.object)

    def Invoke(self, request: Any) -> NoReturn:  # noqa: N802
        raise RenderError(f"{request.tok}: only the Pulumi engine can call it")

    def ReadResource(self, request: Any) -> resource_pb2.ReadResourceResponse:  # noqa: N802
        if request.type != "pulumi:pulumi:StackReference":
            raise RenderError(f"{request.name} ({request.type}): only the Pulumi engine can read it")
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
    """Run the program, and return why it refused to."""

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
    return []


def _execute(program: Path) -> None:
    # A folder, as Pulumi's launcher has it: modules beside `__main__.py` can be imported.
    runpy.run_path(str(program), run_name="__main__")


def _provider_name(reference: str) -> str:
    """The logical name in a provider's reference, which is a URN, ``::`` and an ID."""
    name = reference.rpartition("::")[0].rpartition("::")[2]
    if name and not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
        raise RenderError(
            f"provider {name!r}: cannot name a folder, expected A-Z, a-z, 0-9, '-', '_' and '.'"
        )
    return name


def _whole_numbers(value: Any) -> Any:
    # On Pulumi's wire all numbers are floats, and each script is a copy.
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    return [_whole_numbers(item) for item in value] if isinstance(value, list) else value


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """YAML that every version of it reads alike, with the script as a literal block."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
# PyYAML knows YAML 1.1, misses these numbers of YAML 1.2, and would leave such strings without quotes.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(f"^(?:{stack_file.FLOAT}|0o[0-7]+)$"), stack_file.NUMBER_STARTS
)


def _identity(manifest: Manifest) -> tuple[str, ...]:
    """Kind, namespace and name; a program may declare objects of its own that have no namespace."""
    metadata = manifest.get("metadata", {})
    if "name" not in metadata:
        raise RenderError(
            f"{manifest['kind']}: metadata.name is missing, and only the engine makes up names: set it"
        )
    return tuple(part for part in (manifest["kind"], metadata.get("namespace"), metadata["name"]) if part)


def write_clusters(clusters: Mapping[str, Sequence[Manifest]], out: Path, *, stack: str) -> list[Path]:
    """Write the manifests of each provider by :func:`write`, those of the default provider to ``out`` itself.

    Folders that an earlier call made for a provider of this stack which is gone are emptied too.

    Raises:
        RenderError: a file of that name was not written by this function, or a folder cannot be written to.
    """
    try:
        gone = {
            path.parent.name
            for path in out.glob("*/*.yaml")
            if _begins_with(path, _first_line(stack, path.parent.name))
        }
        return [
            file
            for provider in sorted(gone | clusters.keys())
            for file in write(clusters.get(provider, []), out / provider, stack=stack, provider=provider)
        ]
    except OSError as error:
        raise RenderError(f"{error.filename}: {error.strerror}") from None


def _first_line(stack: str, provider: str) -> str:
    of_provider = f", provider {provider}" if provider else ""
    return f"{MARK} from stack {stack}{of_provider}: change its configuration, not this file.\n"


def write(manifests: Sequence[Manifest], out: Path, *, stack: str, provider: str = "") -> list[Path]:
    """Write a file per manifest, and remove what an earlier call wrote and is no longer declared.

    Args:
        manifests: what :func:`manifests` returned.
        out: the folder; made if it does not exist.
        stack: the stack's name, for the first line of the files.
        provider: the Kubernetes provider's name, likewise.

    Returns:
        The files that now hold the manifests.

    Raises:
        RenderError: a file of that name was not written by this function.
        OSError: the folder cannot be written to.
    """
    first_line = _first_line(stack, provider)
    # A namespace has no dot, and a kind has a namespace or has none, so no two objects share a file.
    files = {
        out / f"{'.'.join(_identity(manifest))}.yaml": first_line + to_yaml(manifest)
        for manifest in manifests
    }
    out.mkdir(parents=True, exist_ok=True)
    existing = set(out.glob("*.yaml"))
    ours = {path for path in existing if _begins_with(path, MARK)}
    foreign = sorted((existing - ours) & files.keys())
    if foreign:
        raise RenderError(
            "\n".join(
                f"{path}: not written by render and left alone: move it, or render to another folder"
                for path in foreign
            )
        )
    for path, text in files.items():
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    for path in ours - files.keys():
        path.unlink()
    return list(files)


def _begins_with(path: Path, text: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(text)) == text.encode()


def to_yaml(manifest: Manifest) -> str:
    """A manifest as YAML: keys sorted, one text for one manifest."""
    text = yaml.dump(manifest, Dumper=_Dumper, allow_unicode=True, width=1000)
    assert isinstance(text, str)  # noqa: S101 - without a stream it is
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Render a stack to files; the exit status is 1 if it cannot be rendered."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description="Write the manifests that a stack declares, one file each, without the Pulumi engine.",
        epilog="Files of earlier runs in DIR that are no longer declared are removed, others are left "
        "alone. Nothing is written if the configuration is bad: exit status 1, and a line per problem.",
    )
    parser.add_argument(
        "--stack", required=True, metavar="NAME", help="stack to render: NAME of Pulumi.NAME.yaml"
    )
    parser.add_argument("--out", required=True, metavar="DIR", type=Path, help="folder for the manifests")
    parser.add_argument(
        "--project", default=Path(), metavar="DIR", type=Path, help="folder of Pulumi.yaml (default: here)"
    )
    options = parser.parse_args(arguments)
    silence_abandoned_tasks()
    # The process ends soon, and collecting what a thousand workloads leave behind doubles its time.
    gc.disable()
    sys.tracebacklimit = 1  # and Pulumi takes down the whole stack of calls for each resource, for displays
    try:
        rendered = render(options.project, options.stack)
        files = write_clusters(rendered.clusters, options.out, stack=options.stack)
    except RenderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        del sys.tracebacklimit
    sys.stderr.writelines(f"warning: {warning}\n" for warning in rendered.warnings)
    sys.stdout.writelines(f"{file}\n" for file in files)
    return 0

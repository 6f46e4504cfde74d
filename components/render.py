"""Write the manifests that a stack declares, without the Pulumi engine: for CI, GitOps and reviewers.

``python -m components.render --stack dev --out DIR`` runs the project's own ``__main__.py`` in process, with
the stack's configuration as the engine would hand it over, and writes each Kubernetes object that it declares
to a file of its own. What the engine or the program refuses is refused here, in the program's words.
"""

import argparse
import asyncio
import gc
import logging
import re
import runpy
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import pulumi
import yaml
from pulumi.runtime import Mocks, Settings, configure, set_all_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import engine_pb2, resource_pb2
from pulumi.runtime.rpc import deserialize_properties
from pulumi.runtime.stack import run_in_stack

from . import stack_file
from .manifests import Manifest
from .validation import SettingsError

MARK = "# Rendered by components.render"
"""How the first line of a rendered file begins: such files may be replaced and removed, others may not."""


class RenderError(Exception):
    """A stack that cannot be rendered; the message has a line per problem."""


@dataclass(frozen=True)
class Rendered:
    """What a stack declares.

    Attributes:
        manifests: the Kubernetes objects, ordered by kind, namespace and name.
        warnings: what the program warned of, and what was left out, one line each.
    """

    manifests: list[Manifest]
    warnings: list[str]


def manifests(project: Path, stack: str) -> list[Manifest]:
    """The Kubernetes objects that a stack declares, ordered by kind, namespace and name.

    Args:
        project: the folder of ``Pulumi.yaml`` and ``__main__.py``.
        stack: the stack's name, as in ``Pulumi.<stack>.yaml``.

    Raises:
        RenderError: there is no such stack, or the engine or the program would refuse it.
    """
    return render(project, stack).manifests


def render(project: Path, stack: str) -> Rendered:
    """The same, with the warnings."""
    try:
        configuration = stack_file.load(project, stack)
    except stack_file.StackFileError as error:
        raise RenderError(str(error)) from None
    program = project / "__main__.py"
    if not program.is_file():
        raise RenderError(f"{program}: not there, expected the Pulumi program")
    recorder = _Recorder()
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
    ordered = sorted(recorder.objects, key=_identity)
    return Rendered(ordered, [*configuration.warnings, *recorder.warnings])


class _Recorder(MockMonitor):
    """Pulumi's mock engine, which takes down a program's Kubernetes objects and warnings."""

    def __init__(self) -> None:
        super().__init__(cast("Mocks", None))  # all of them are replaced below
        self.objects: list[Manifest] = []
        self.warnings: list[str] = []
        self._texts: dict[str, str] = {}

    def RegisterResource(self, request: Any) -> resource_pb2.RegisterResourceResponse:  # noqa: N802
        if request.type.startswith("kubernetes:"):
            self.objects.append(self._kept(deserialize_properties(request.object)))
        urn = self.make_urn(request.parent, request.type, request.name)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=request.name, object=request.object)

    def Invoke(self, request: Any) -> NoReturn:  # noqa: N802
        raise RenderError(f"{request.tok}: only the Pulumi engine can call it")

    def ReadResource(self, request: Any) -> NoReturn:  # noqa: N802
        raise RenderError(f"{request.name} ({request.type}): only the Pulumi engine can read it")

    def Log(self, request: Any) -> None:  # noqa: N802
        if request.severity == engine_pb2.WARNING:
            self.warnings.append(request.message)

    def _kept(self, value: Any) -> Any:
        """A value from Pulumi's wire, where all numbers are floats and each script is a copy."""
        match value:
            case dict():
                return {key: self._kept(item) for key, item in value.items()}
            case list():
                return [self._kept(item) for item in value]
            case str():
                return self._texts.setdefault(value, value)
            case float() if value.is_integer():
                return int(value)
        return value


def _run(
    program: Path, stack: str, configuration: stack_file.Configuration, recorder: _Recorder
) -> list[str]:
    """Run the program, and return why it refused to."""

    def run() -> None:
        set_all_config(configuration.values, sorted(configuration.secrets))
        configure(Settings(configuration.project, stack, monitor=recorder, engine=recorder, dry_run=False))
        asyncio.run(run_in_stack(lambda: _execute(program)))

    # Pulumi keeps its state in context variables, and a new thread has none: no run sees another's.
    with ThreadPoolExecutor(1) as thread:
        try:
            thread.submit(run).result()
        except SettingsError as error:
            return [*error.problems]
        except pulumi.RunError as error:
            return [str(error)]
    return []


def _execute(program: Path) -> None:
    runpy.run_path(str(program), run_name="__main__")


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


def write(manifests: Sequence[Manifest], out: Path, *, stack: str) -> list[Path]:
    """Write a file per manifest, and remove what an earlier call wrote and is no longer declared.

    Args:
        manifests: what :func:`manifests` returned.
        out: the folder; made if it does not exist.
        stack: the stack's name, for the first line of the files.

    Returns:
        The files that now hold the manifests.

    Raises:
        RenderError: a file of that name was not written by this function, or the folder cannot be written to.
    """
    first_line = f"{MARK} from stack {stack}: change its configuration, not this file.\n"
    # A namespace has no dot, and a kind has a namespace or has none, so no two objects share a file.
    files = {
        out / f"{'.'.join(_identity(manifest))}.yaml": first_line + to_yaml(manifest)
        for manifest in manifests
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        existing = {path for path in out.glob("*.yaml") if path.is_file()}
        ours = {path for path in existing if _is_ours(path)}
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
    except OSError as error:
        raise RenderError(f"{error.filename}: {error.strerror}") from None
    return list(files)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK.encode()


def to_yaml(manifest: Manifest) -> str:
    """A manifest as YAML: keys sorted, one text for one manifest."""
    text = yaml.dump(manifest, Dumper=_Dumper, allow_unicode=True, width=1000)
    assert isinstance(text, str)  # noqa: S101 - without a stream it is
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Render a stack to files; the exit status is 1 if it cannot be rendered."""
    parser = argparse.ArgumentParser(
        prog="python -m components.render",
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
    # A program that stops half-way leaves tasks that nobody awaits; Pulumi's launcher is silent about them.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    # The process ends soon, and collecting what a thousand workloads leave behind doubles its time.
    gc.disable()
    sys.tracebacklimit = 1  # and Pulumi takes down the whole stack of calls for each resource, for displays
    try:
        rendered = render(options.project, options.stack)
        files = write(rendered.manifests, options.out, stack=options.stack)
    except RenderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        del sys.tracebacklimit
    sys.stderr.writelines(f"warning: {warning}\n" for warning in rendered.warnings)
    sys.stdout.writelines(f"{file}\n" for file in files)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""Manifests as files: one each, in a folder per Kubernetes provider, and only where they may be written."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from ..istio.names import Manifest
from . import safe_file
from .program import RenderError, identity

MARK = "# Rendered by astra_istio.render"
"""How the first line of a rendered file begins: such files may be replaced and removed, others may not."""


def write_clusters(clusters: Mapping[str, Sequence[Manifest]], out: Path, *, stack: str) -> list[Path]:
    """Write each manifest to a file, in a folder per provider. The default provider has ``out`` itself.

    Files of earlier calls that are no longer declared are removed, also those of a provider that is gone.
    If a folder belongs to another stack, nothing is written at all.

    Args:
        clusters: manifests by the logical name of their provider, "" for the default one:
            `Rendered.clusters`.
        out: the folder; made if it does not exist.
        stack: the stack, ``PROJECT/STACK``, for the first line of the files.

    Raises:
        RenderError: there are files that this function did not write for the same stack and provider, or a
            folder cannot be written to.
    """
    if out.exists() and not out.is_dir():
        raise RenderError(f"{out}: is no folder, expected one for the manifests")
    try:
        gone = {
            path.parent.name
            for path in out.glob("*/*.yaml")
            if _begins_with(path, _first_line(stack, path.parent.name))
        }
        folders = [
            _Folder(clusters.get(provider, []), out / provider, stack, provider)
            for provider in sorted(gone | clusters.keys())
        ]
        problems = [problem for folder in folders for problem in folder.problems()]
        if problems:
            raise RenderError("\n".join(problems))
        return [file for folder in folders for file in folder.write()]
    except OSError as error:
        raise RenderError(f"{error.filename}: {error.strerror}") from None


def _first_line(stack: str, provider: str) -> str:
    of_provider = f", provider {provider}" if provider else ""
    return f"{MARK} from stack {stack}{of_provider}: change its configuration, not this file.\n"


class _Folder:
    """The folder of one provider's manifests."""

    def __init__(self, manifests: Sequence[Manifest], path: Path, stack: str, provider: str) -> None:
        self.path = path
        self.is_of_provider = bool(provider)
        self.first_line = _first_line(stack, provider)
        # A namespace has no dot, and a kind has a namespace or has none, so no two objects share a file.
        self.manifests = {path / f"{'.'.join(identity(manifest))}.yaml": manifest for manifest in manifests}
        self.existing = sorted(path.glob("*.yaml"))
        self.rendered = {file for file in self.existing if _begins_with(file, MARK)}

    def problems(self) -> Iterator[str]:
        """Why it may not be written to, a line each."""
        if self.is_of_provider and self.path.is_symlink():
            yield f"{self.path}: is a link, expected a folder: remove it, or render to another folder"
            return
        for file in self.existing:
            if file not in self.rendered and file in self.manifests:
                yield f"{file}: not written by render and left alone: move it, or render to another folder"
        others = [file for file in sorted(self.rendered) if not _begins_with(file, self.first_line)]
        if others:
            line = others[0].read_text("utf-8", "replace").partition("\n")[0]
            owner = line.removeprefix(f"{MARK} from ").partition(": ")[0]
            yield (
                f"{self.path}: holds what was rendered from {owner}: render to another folder, or remove "
                "those files first"
            )

    def write(self) -> list[Path]:
        """Write a file per manifest, and remove what an earlier call wrote and is no longer declared."""
        self.path.mkdir(parents=True, exist_ok=True)
        for file, manifest in self.manifests.items():  # One text at a time: all of them take 200 MB.
            safe_file.replace(file, self.first_line + to_yaml(manifest))
        for file in self.rendered - self.manifests.keys():
            file.unlink()
        return list(self.manifests)


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


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """YAML that every version of it reads alike, with the script as a literal block."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
# PyYAML knows most of YAML 1.1. Other readers take more for something else than text: go-yaml, which kubectl
# has, `y` and `n`, and its own spellings of numbers. So words of any version are quoted, in any case, and all
# that begins as a number does.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"(?:y|n|yes|no|on|off|true|false|null)$", re.IGNORECASE),
    list("yYnNoOtTfF"),
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+.0-9]"), list("-+.0123456789"))

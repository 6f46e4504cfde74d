"""Manifests for the lab, rendered as ``make render`` does."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from components import render
from components.render.stack_file import Loader

from .bootstrap import Json

PROJECT = Path(__file__).parent.parent
STACK = "lab"


def manifests(**config: Any) -> list[Json]:
    """The manifests of the dev stack with other values for some keys of its configuration.

    Args:
        config: keys of a stack's configuration as a stack file spells them, without the project's name; each
            replaces the dev stack's whole value: ``manifests(capture={"samplingRatio": 0})``.

    Raises:
        RenderError: the configuration is refused.
    """
    with tempfile.TemporaryDirectory(prefix="lab-stack-") as name:
        return render.manifests(project(Path(name), **config), STACK)


def project(folder: Path, **config: Any) -> Path:
    """A project with the one stack `STACK`, which `manifests` would render.

    Args:
        folder: an empty one, for its files.
        config: as of `manifests`.

    Returns:
        The folder.
    """
    stack = _read("dev")
    stack["config"] |= {_full(key): value for key, value in config.items()}
    return _write(stack, folder)


def unsampled(stack_name: str) -> list[Json]:
    """The manifests of a committed stack, as if it captured every request.

    Args:
        stack_name: a stack that can be rendered.
    """
    stack = _read(stack_name)
    every = {
        "enabled": True,
        "samplingRatio": 1,
        "maxSpansPerSecond": None,
        "maxSpansPerEndpoint": None,
        "hosts": ["*"],
    }
    for workload in stack["config"][_full("workloads")].values():
        workload["capture"] = {**workload.get("capture", {}), **every}
    with tempfile.TemporaryDirectory(prefix="lab-stack-") as name:
        return render.manifests(_write(stack, Path(name)), STACK)


def _read(stack_name: str) -> Json:
    text = (PROJECT / "stacks" / f"Pulumi.{stack_name}.yaml").read_text("utf-8-sig")
    stack: Json = yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    stack["config"] = {key if ":" in key else _full(key): value for key, value in stack["config"].items()}
    return stack


def _full(key: str) -> str:
    return f"{yaml.safe_load((PROJECT / 'Pulumi.yaml').read_text())['name']}:{key}"


def _write(stack: Json, folder: Path) -> Path:
    for file in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(PROJECT / file, folder)
    (folder / "stacks").mkdir()
    (folder / "stacks" / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(stack))
    return folder

"""Manifests for the lab, rendered as ``make render`` does."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from components import render

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
    project_name = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["name"]
    stack = yaml.safe_load((PROJECT / "stacks" / "Pulumi.dev.yaml").read_text())
    stack["config"] |= {f"{project_name}:{key}": value for key, value in config.items()}
    for file in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(PROJECT / file, folder)
    (folder / "stacks").mkdir()
    (folder / "stacks" / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(stack))
    return folder

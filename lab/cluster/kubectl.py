"""The real kubectl."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import build

FIELD_MANAGER = "lab"

Manifests = Path | Sequence[Mapping[str, Any]]
"""A folder of rendered manifests, or the objects themselves."""


class KubectlError(Exception):
    """kubectl failed. The message is what it said."""


class Kubectl:
    """kubectl with the administrator's rights. It blocks: ``asyncio.to_thread`` where traffic has to go on.

    Attributes:
        path: the binary.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.path = build.KUBECTL.path
        self._options = ["--kubeconfig", str(kubeconfig), "--cache-dir", str(kubeconfig.parent / "discovery")]

    def __call__(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run it.

        Returns:
            What it wrote, its warnings first.

        Raises:
            KubectlError: it failed.
        """
        command = [str(self.path), *self._options, *map(str, arguments)]
        done = subprocess.run(
            command, input=stdin or "", capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stderr + done.stdout

    def get(self, kind: str, name: str, namespace: str | None = None) -> Any:
        """One object.

        Raises:
            KubectlError: it is not there.
        """
        scope = ["-n", namespace] if namespace else []
        return json.loads(self("get", kind, name, *scope, "-o", "json"))

    def apply(self, manifests: Manifests, *, dry_run: bool = True, force: bool = False) -> str:
        """Apply on the server, after a dry run of all of it there, as ``pulumi preview`` makes.

        Args:
            manifests: what to apply.
            dry_run: False leaves the dry run out.
            force: takes fields over from who set them before.

        Returns:
            kubectl's lines, with the server's warnings.

        Raises:
            KubectlError: the server refuses it; nothing is applied if its dry run does.
        """
        if dry_run:
            self.preview(manifests, force=force)
        return self._apply(manifests, force=force)

    def preview(self, manifests: Manifests, *, force: bool = False) -> str:
        """The dry run alone.

        Raises:
            KubectlError: the server refuses it.
        """
        return self._apply(manifests, "--dry-run=server", force=force)

    def _apply(self, manifests: Manifests, *options: str, force: bool) -> str:
        source, stdin = _source(manifests)
        options = (*options, "--force-conflicts") if force else options
        fixed = ("apply", "--server-side", "--field-manager", FIELD_MANAGER)
        return self(*fixed, *options, "-f", source, stdin=stdin)

    def delete(self, manifests: Manifests) -> None:
        """Delete, and wait until it is gone; what is not there is fine."""
        source, stdin = _source(manifests)
        self("delete", "--ignore-not-found", "-f", source, stdin=stdin)

    @contextmanager
    def applied(self, manifests: Manifests) -> Iterator[None]:
        """Apply, and delete when the block is left."""
        try:
            self.apply(manifests)
            yield
        finally:
            self.delete(manifests)


def _source(manifests: Manifests) -> tuple[str, str | None]:
    """What to say after ``-f``, and standard input."""
    if isinstance(manifests, Path):
        return str(manifests), None
    return "-", json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})

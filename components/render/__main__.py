"""Write the manifests that a stack declares, without the Pulumi engine: for CI, GitOps and reviewers.

``python -m astra_istio.render --stack dev --out DIR`` runs a project's own ``__main__.py`` and writes each
Kubernetes object that it declares to a file of its own; objects of a Kubernetes provider that the program
makes, in a folder of that provider's name.
"""

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from ..output.escaping import write
from .files import write_clusters
from .program import RenderError, render, silence_abandoned_tasks


def _folder(text: str) -> Path:
    if not text:  # as of a variable that is not set; to a Path it is the current folder
        raise argparse.ArgumentTypeError("got nothing, expected a folder")
    return Path(text)


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
    parser.add_argument("--out", required=True, metavar="DIR", type=_folder, help="folder for the manifests")
    parser.add_argument(
        "--project", default=Path(), metavar="DIR", type=Path, help="folder of Pulumi.yaml (default: here)"
    )
    options = parser.parse_args(arguments)
    silence_abandoned_tasks()
    # The process ends soon, and to collect the garbage of a thousand workloads would double its time.
    gc.disable()
    # Pulumi records the stack of calls for each resource, for its displays. Here, one call of it is enough.
    sys.tracebacklimit = 1
    try:
        rendered = render(options.project, options.stack)
        files = write_clusters(rendered.clusters, options.out, stack=rendered.stack)
    except RenderError as error:
        write(sys.stderr, f"{error}\n")
        return 1
    finally:
        del sys.tracebacklimit
    write(sys.stderr, "".join(f"warning: {warning}\n" for warning in rendered.warnings))
    write(sys.stdout, "".join(f"{file}\n" for file in files))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""The command: ``python -m components.verify --stack NAME``."""

import argparse
import asyncio
import re
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .. import render
from ..istio import read
from ..istio.endpoint import MAX_PORT
from ..istio.names import Manifest
from ..output.escaping import write
from ..settings.value_types import is_namespace
from . import report, rights
from .checks import findings
from .facts import Facts
from .gather import AT_ONCE, Source, gather
from .kubectl import ClusterError, Kubectl

_PODS = 3
_INTERVAL_SECONDS = 10.0
_TIMEOUT_SECONDS = 600.0
_ADDRESS = re.compile(
    r"(?P<pod>[a-z0-9.-]+\.[a-z0-9-]+)=(?P<address>(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):\d{1,5})"
)
_INTERRUPTED = 130
_CHECKED = {"json": report.as_json, "markdown": report.as_markdown}
_UNCHECKED = {"json": report.unchecked_as_json, "markdown": report.unchecked_as_markdown}


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify a stack in its cluster, and say what was found; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        facts = _facts(options)
    except (render.RenderError, ClusterError) as error:
        write(sys.stderr, f"{error}\n")
        if options.output != "table":
            write(sys.stdout, _UNCHECKED[options.output](options.stack, str(error)))
        return report.UNCHECKED
    except (asyncio.CancelledError, KeyboardInterrupt):
        return _INTERRUPTED
    results = list(findings(facts))
    if options.output == "table":
        width = shutil.get_terminal_size((120, 0)).columns
        write(sys.stdout, report.as_table(options.stack, results, width))
    else:
        write(sys.stdout, _CHECKED[options.output](options.stack, results))
    return report.exit_status(results)


class _Rights(argparse.Action):
    """Prints the rights and ends, as --help does: it takes neither a stack nor a cluster."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        write(sys.stdout, rights.CLUSTER_ROLE)
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description="Check that a stack works in its cluster: its objects, the pods that it selects, their "
        "proxies' filters and clusters, and whether spans leave. Reads by kubectl, changes nothing.",
        epilog="Exit status: 0 healthy, 1 problems found, 2 something could not be checked. "
        "Each finding says the next step.",
    )
    parser.add_argument(
        "--rights",
        action=_Rights,
        help="print the ClusterRole that this takes, for `kubectl apply -f -`, and exit",
    )
    parser.add_argument(
        "--stack", required=True, metavar="NAME", help="stack to verify: NAME of Pulumi.NAME.yaml"
    )
    parser.add_argument(
        "--project", default=Path(), metavar="DIR", type=Path, help="folder of Pulumi.yaml (default: here)"
    )
    parser.add_argument(
        "--provider",
        metavar="NAME",
        help="the Kubernetes provider of the cluster, in a stack with several; '' is the default provider",
    )
    parser.add_argument(
        "--context",
        metavar="NAME",
        type=_context,
        help="context of the kubeconfig (default: the current one)",
    )
    parser.add_argument(
        "--root-namespace",
        default="istio-system",
        metavar="NAME",
        type=_namespace,
        help="the mesh's root namespace (default: %(default)s)",
    )
    parser.add_argument(
        "--pods",
        default=_PODS,
        metavar="N|all",
        type=_pods,
        help="pods of each workload to look at, of different ReplicaSets and proxy images first "
        f"(default: %(default)s); {AT_ONCE} at a time",
    )
    parser.add_argument(
        "--admin",
        action="append",
        default=[],
        metavar="POD.NAMESPACE=HOST:PORT",
        type=_admin_address,
        help="where a pod's proxy has its admin interface, instead of a port-forward; may be repeated",
    )
    parser.add_argument(
        "--interval",
        default=_INTERVAL_SECONDS,
        metavar="SECONDS",
        type=_seconds,
        help="wait before looking again at proxies that lost spans (default: %(default)g)",
    )
    parser.add_argument(
        "--timeout",
        default=_TIMEOUT_SECONDS,
        metavar="SECONDS",
        type=_seconds,
        help="what reading the cluster and its proxies may take in all (default: %(default)g)",
    )
    parser.add_argument(
        "--output",
        choices=("table", *_CHECKED),
        default="table",
        help="form of the report (default: %(default)s)",
    )
    return parser


def _context(text: str) -> str:
    if not text:  # as of a variable that is not set; kubectl would take the current context
        raise argparse.ArgumentTypeError("got nothing, expected a context of the kubeconfig")
    return text


def _namespace(text: str) -> str:
    if not is_namespace(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected the name of a namespace")
    return text


def _pods(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1, or all")
    return int(text)


def _admin_address(text: str) -> tuple[str, str]:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["address"].rpartition(":")[2]) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected POD.NAMESPACE=HOST:PORT")
    return match["pod"], match["address"]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 3600:  # noqa: PLR2004 - an hour
        raise argparse.ArgumentTypeError(f"got {text!r}, expected seconds from 0 to 3600")
    return seconds


def _facts(options: argparse.Namespace) -> Facts:
    progress = _silent if options.output == "json" else _progress
    progress(f"rendering stack {options.stack}")
    render.silence_abandoned_tasks()
    manifests = _declared(options.project, options.stack, options.provider)
    source = Source(
        kubectl=Kubectl(options.context),
        admin=dict(options.admin),
        root_namespace=options.root_namespace,
        pods=options.pods,
        interval=options.interval,
        timeout=options.timeout,
        progress=progress,
    )

    async def cancellable() -> Facts:
        task = asyncio.current_task()
        assert task  # noqa: S101 - asyncio.run made it
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await gather(source, manifests)

    return asyncio.run(cancellable())


def _declared(project: Path, stack: str, provider: str | None) -> list[Manifest]:
    """The package's own objects in the cluster of a provider; of the only one if None."""
    clusters = {
        name: objects
        for name, manifests in render.render(project, stack).clusters.items()
        if (objects := read.own(manifests))
    }
    if not clusters:
        raise render.RenderError(
            f"stack {stack}: declares nothing of this package: verify a stack that uses its components"
        )
    if provider is None and len(clusters) == 1:
        [provider] = clusters
    if provider not in clusters:
        names = ", ".join(map(repr, clusters))
        raise render.RenderError(
            f"--provider: got {provider!r}, expected one of {names}, each with its --context"
        )
    return clusters[provider]


def _progress(text: str) -> None:
    write(sys.stderr, f"{text} ...\n")
    sys.stderr.flush()


def _silent(text: str) -> None:
    """Says nothing to a program that reads the report."""


if __name__ == "__main__":
    sys.exit(main())

"""What a large stack costs to render, the table of docs/scale.md: ``python -m tools.scale``.

A stack of a thousand workloads in fifty namespaces, once with a filter for each workload, and once with a
filter for each namespace.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
NAMESPACES = 50

A_FILTER_PER_WORKLOAD = {
    f"w-{number}": {"namespace": f"ns-{number % NAMESPACES}", "labels": {"app": f"w-{number}"}}
    for number in range(1000)
}
A_FILTER_PER_NAMESPACE = {
    f"ns-{number}": {"namespace": f"ns-{number}", "labels": {}} for number in range(NAMESPACES)
}

# By the process itself: what wait4 says of memory counts the process that it was forked from.
_RENDER_AND_TELL = """
import re, time
from components.render.__main__ import main
assert main() == 0
print(time.process_time(), re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@dataclass(frozen=True)
class Cost:
    """What rendering took.

    Attributes:
        cpu_seconds: of the process; by the clock, a busy machine says nothing.
        memory_mib: the most that it held.
    """

    cpu_seconds: float
    memory_mib: float


def project(folder: Path, workloads: Mapping[str, Any]) -> Path:
    """This repository's project with one stack, `big`.

    Args:
        folder: an empty one, for its files.
        workloads: as a stack file has them.

    Returns:
        The folder.
    """
    (folder / "stacks").mkdir()
    for name in ("Pulumi.yaml", "__main__.py"):
        (folder / name).symlink_to(ROOT / name)
    config = {
        "sensorId": "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77",
        "collectorUrl": "http://otel.obs.svc.cluster.local:4318",
        "workloads": dict(workloads),
    }
    (folder / "stacks" / "Pulumi.big.yaml").write_text(yaml.safe_dump({"config": config}), "utf-8")
    return folder


def render(project_folder: Path, out: Path) -> Cost:
    """Run ``make render`` of the stack `big`, in a process of its own.

    Args:
        project_folder: of the project.
        out: takes the manifests.
    """
    arguments = ["--stack", "big", "--project", str(project_folder), "--out", str(out)]
    command = [sys.executable, "-c", _RENDER_AND_TELL, *arguments]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return Cost(cpu_seconds=float(told[-2]), memory_mib=int(told[-1]) / 1024)


def _column(workloads: Mapping[str, Any]) -> dict[str, str]:
    """What the table says of a stack, by the heading of each row."""
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        folder, out = Path(name) / "project", Path(name) / "out"
        folder.mkdir()
        cost = render(project(folder, workloads), out)
        files = [path.read_bytes() for path in out.glob("*.yaml")]
    manifests = [json.dumps(yaml.load(file, yaml.CSafeLoader)).encode() for file in files]
    return {
        "objects": f"{len(workloads):,} EnvoyFilters",
        "CPU time": f"{cost.cpu_seconds:.1f} s",
        "memory": f"{cost.memory_mib:.0f} MiB",
        "manifests": _megabytes(files),
        "manifests, compressed with gzip": _megabytes(map(gzip.compress, files)),
        # The state holds each object as it was asked for and as it came to be.
        "state (inputs and outputs as JSON, computed)": _megabytes(manifests * 2),
    }


def _megabytes(texts: Iterable[bytes]) -> str:
    return f"{sum(map(len, texts)) / 1e6:.3g} MB"


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(
        prog="python -m tools.scale",
        description="Measure what a stack of a thousand workloads costs to render, and print the table of "
        "docs/scale.md. Writes 150 MB to the temporary folder, and removes them.",
    ).parse_args()
    each, whole = _column(A_FILTER_PER_WORKLOAD), _column(A_FILTER_PER_NAMESPACE)
    rows = [("", "a filter for each workload", "a filter for each namespace"), ("---",) * 3]
    rows += [(heading, each[heading], whole[heading]) for heading in each]
    sys.stdout.writelines(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    main()

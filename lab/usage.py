"""What a process has used, by the kernel's count (Linux, proc(5))."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_FORGET_PEAK = b"5"  # written to clear_refs


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, user and system; exact, where /proc/PID/stat counts 10 ms."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in threads) / 1e9


def resident(pid: int, line: str = "VmRSS") -> int:
    """Resident memory of a process in bytes: ``VmRSS`` now, ``VmHWM`` at its peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    [kilobytes] = [found.split()[1] for found in status.splitlines() if found.startswith(line + ":")]
    return int(kilobytes) * 1024


@dataclass
class Growth:
    """How much more resident memory a process has than at the start, in bytes."""

    peak: int = 0
    end: int = 0


@contextmanager
def growth(pid: int) -> Iterator[Growth]:
    """Measures while the block lasts; the result is there once it is left."""
    measured = Growth()
    before = resident(pid)
    Path(f"/proc/{pid}/clear_refs").write_bytes(_FORGET_PEAK)
    yield measured
    measured.peak = resident(pid, "VmHWM") - before
    measured.end = resident(pid) - before

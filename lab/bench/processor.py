"""What a user might pick instead: an external processor (ext_proc), built from Go modules, beside Envoy."""

import asyncio
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.child import LAUNCHER, kill
from lab.stack import PROJECT

_SOURCE = Path(__file__).parent / "ext_proc"
_CACHE = PROJECT / ".cache" / "bench"


class ProcessorError(Exception):
    """The processor cannot be built, or did not start. The message is one line."""


@dataclass(frozen=True)
class Processor:
    """A running processor.

    Attributes:
        pid: its process.
        port: on loopback, where it takes gRPC.
    """

    pid: int
    port: int


def build() -> Path:
    """The processor's binary, built if it is not there yet (about a minute).

    Raises:
        ProcessorError: Go is missing, or the build failed.
    """
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(_SOURCE.iterdir())))
    binary = _CACHE / f"ext_proc-{digest.hexdigest()[:16]}"
    if binary.exists():
        return binary
    if not shutil.which("go"):
        raise ProcessorError("`go`, which builds the processor, is not on the PATH")
    print("Building the external processor from its Go modules ...", file=sys.stderr, flush=True)
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
        unfinished = Path(folder) / binary.name
        command = ["go", "build", "-ldflags", "-s -w", "-o", str(unfinished), "."]
        done = subprocess.run(command, cwd=_SOURCE, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            raise ProcessorError(f"the processor could not be built: {last}")
        unfinished.rename(binary)
    return binary


@asynccontextmanager
async def running(binary: Path) -> AsyncIterator[Processor]:
    """Run the processor for as long as the block lasts.

    Raises:
        ProcessorError: it did not start.
    """
    process = await asyncio.create_subprocess_exec(
        *LAUNCHER,
        binary,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # ctrl-C reaches us alone: we stop it in order
    )
    try:
        port = await process.stdout.readline() if process.stdout else b""
        if not port:
            raise ProcessorError(f"the processor ended with exit code {await process.wait()}")
        yield Processor(process.pid, int(port))
    finally:
        await kill(process)

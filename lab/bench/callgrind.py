"""Callgrind, a tool of Valgrind: counts the instructions of an Envoy, and its misses in simulated caches.

It counts what a CPU with nothing else to do would execute, with caches of sizes that are always the same. So
other work on the machine changes no count. Envoy is about 50 times slower there.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from lab import envoy
from lab.bootstrap import Json
from lab.child import LAUNCHER, kill
from lab.envoy import Envoy

_START_SECONDS = 300
_ANSWER_SECONDS = 60
_FIRST_LEVEL, _SECOND_LEVEL = "32768,8,64", "1048576,16,64"  # bytes, ways, bytes of a line


class CallgrindError(Exception):
    """Valgrind is missing, or did not do its work. The message is one line."""


@dataclass(frozen=True)
class Counts:
    """What was counted.

    Attributes:
        instructions: that were executed.
        first_level: misses of the caches of 32 KiB: instructions have one, and data another one.
        second_level: of these, misses of the cache of 1 MiB.
    """

    instructions: float
    first_level: float
    second_level: float

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(
            self.instructions - other.instructions,
            self.first_level - other.first_level,
            self.second_level - other.second_level,
        )

    def __truediv__(self, number: int) -> "Counts":
        return Counts(self.instructions / number, self.first_level / number, self.second_level / number)


@dataclass(frozen=True)
class Counter:
    """A running Envoy and its counts.

    Attributes:
        proxy: the Envoy.
    """

    proxy: Envoy
    _vgdb: Path
    _folder: Path

    async def zero(self) -> None:
        """Begin to count anew.

        Raises:
            CallgrindError: callgrind does not answer.
        """
        await self._tell("zero")

    async def counts(self) -> Counts:
        """What all threads have counted since `zero`, or since the last call.

        Raises:
            CallgrindError: callgrind does not answer.
        """
        await self._tell("dump")
        [dump] = self._folder.glob("dump.*")
        try:
            return parse(dump.read_text())
        finally:
            dump.unlink()

    async def _tell(self, command: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *LAUNCHER,
            self._vgdb,
            _channel(self._folder),
            f"--pid={self.proxy.pid}",
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # ctrl-C reaches us alone: we stop it
        )
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                output = (await process.communicate())[0].decode()
        except TimeoutError:
            raise CallgrindError(f"callgrind did not {command} within {_ANSWER_SECONDS} s") from None
        finally:
            await kill(process)
        if process.returncode:
            raise CallgrindError(f"callgrind did not {command}: {' '.join(output.split())}")


def find() -> Path:
    """The path of Valgrind.

    Raises:
        CallgrindError: it is not there.
    """
    if path := shutil.which("valgrind"):
        return Path(path)
    raise CallgrindError(
        "valgrind, which counts instructions, is missing. Next: install it (Debian, Ubuntu: apt-get install "
        "valgrind), then run the same command again."
    )


def parse(dump: str) -> Counts:
    """What a file of callgrind's says in all.

    Raises:
        CallgrindError: it does not say it.
    """
    lines = [line for line in dump.splitlines() if line.startswith(("events: ", "summary: "))]
    said = dict(line.split(": ", 1) for line in lines)
    try:
        events, numbers = said["events"].split(), map(int, said["summary"].split())
        counts = dict(zip_longest(events, numbers, fillvalue=0))  # zeros at the end are left out
        return Counts(
            instructions=counts["Ir"],
            first_level=counts["I1mr"] + counts["D1mr"] + counts["D1mw"],
            second_level=counts["ILmr"] + counts["DLmr"] + counts["DLmw"],
        )
    except (KeyError, ValueError):
        raise CallgrindError(f"callgrind did not say what it counted, but {said}") from None


@asynccontextmanager
async def running(valgrind: Path, bootstrap: Json) -> AsyncIterator[Counter]:
    """Run Envoy under callgrind for as long as the block lasts.

    Args:
        valgrind: its path.
        bootstrap: Envoy's configuration.

    Raises:
        EnvoyError: it does not start.
        VersionError: the Envoy that was selected is not there.
    """
    with tempfile.TemporaryDirectory(prefix="lab-callgrind-") as name:
        folder = Path(name)
        command = (
            valgrind,
            "--tool=callgrind",
            "--cache-sim=yes",
            *(f"--I1={_FIRST_LEVEL}", f"--D1={_FIRST_LEVEL}", f"--LL={_SECOND_LEVEL}"),
            "--smc-check=all-non-file",  # LuaJIT writes code, and writes over it
            f"--callgrind-out-file={folder / 'dump'}",
            _channel(folder),
        )
        async with envoy.running(
            bootstrap,
            under=command,
            start_seconds=_START_SECONDS,
            stop_seconds=0,  # to end by itself takes long, as it writes down what it counted
        ) as proxy:
            yield Counter(proxy, valgrind.with_name("vgdb"), folder)


def _channel(folder: Path) -> str:
    """Says where Valgrind and vgdb find each other: by default in /tmp, where it would stay."""
    return f"--vgdb-prefix={folder / 'vgdb'}"

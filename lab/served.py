"""`make demo-serve` as a child process, for the page's tests and pictures."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

from .stack import PROJECT

COMMAND = [sys.executable, "-m", "lab.demo"]


@dataclass(frozen=True)
class Demo:
    """A running demo.

    Attributes:
        process: the command.
        output: what it prints from now on.
        address: ``host:port`` where it takes requests.
        page: the address of its page.
    """

    process: subprocess.Popen[str]
    output: IO[str]
    address: str
    page: str

    def call(self) -> str:
        """What it prints of the next call with ``--show``."""
        shown = ""
        for line in self.output:
            shown += line
            if line == "\n":
                break
        return shown


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[Demo]:
    """The demo, ready for requests; killed if it still runs when the block is left."""
    command = [*COMMAND, "--serve", "--port", "0", *arguments]
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env=_environment() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        output = cast("IO[str]", process.stdout)  # it is piped
        try:
            said = ""
            for line in output:
                said += line
                if line.startswith("STATUS"):
                    break
            [page] = re.findall(r"in a browser: (http://127\.0\.0\.1:\d+/)$", said, re.MULTILINE)
            [address] = set(re.findall(r"curl -i http://(127\.0\.0\.1:\d+)", said))
            yield Demo(process, output, address, page)
        finally:
            process.kill()


def _environment() -> dict[str, str]:
    """Without a desktop, and with every line at once."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return {**kept, "PYTHONUNBUFFERED": "1"}

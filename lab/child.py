"""What all child processes of the lab have in common: they never outlive it."""

import sys
from asyncio.subprocess import Process

# Becomes the command, after asking the kernel (Linux only) to kill it when the thread that started it ends: a
# lab that is killed leaves nothing behind. A preexec_fn would do the same, but is unsafe with threads.
_LAUNCHER = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""

LAUNCHER = (sys.executable, "-I", "-S", "-c", _LAUNCHER)
"""What goes before a command's absolute path and its arguments."""


async def kill(process: Process) -> None:
    """End a process at once, if it has not ended, and wait until it has."""
    if process.returncode is None:
        process.kill()
        await process.wait()

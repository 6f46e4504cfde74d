"""How fast the machine is just now, as others may use its cores at the same time."""

import time

from lupa.luajit21 import LuaRuntime

_SECONDS = 0.004  # of `_loop` on a machine of its own, on which the design's bars of milliseconds hold
_ROUNDS = 5
_LOOP = "function() jit.off(true, true) local t = {} for i = 1, 4e5 do t[i % 64] = i * 3 % 7 end end"


def slowness() -> float:
    """How many times longer than on a machine of its own a script takes just now; at least 1.

    The slowest of some rounds counts, as the speed changes from moment to moment.
    """
    return max(1.0, max(_loop() for _ in range(_ROUNDS)) / _SECONDS)


def _loop() -> float:
    """CPU seconds of a fixed loop in LuaJIT's interpreter."""
    run = LuaRuntime().eval(_LOOP)
    begun = time.thread_time()
    run()
    return time.thread_time() - begun

"""The command: ``python -m lab.encoding``."""

import argparse
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lupa.luajit21 import LuaRuntime
from rich.console import Console
from rich.table import Table

from components.istio import script
from components.istio.endpoint import collector
from components.settings.models import Capture, Direction, Egress
from lab.bench.variants import document

SIZES = (250, 4096, 65536)
ROUNDS = 7
_BYTES_PER_ROUND = 4_000_000
_MODULES_END = "local headers = (function()"  # what encodes and masks stands before it
_TIMED = """
local run, text, times = ...
local started = os.clock()
for _ = 1, times do run(text) end
return (os.clock() - started) / times * 1e6
"""

_OWN = """
local function encode(text)
  return json.escape((utf8.repair(text)))
end
local function is_secret(name)
  local facts = names.facts(name)
  return facts and facts.is_secret
end
return encode, fields.mask_document, is_secret -- redaction.text remembers what it saw
"""

Encode = Callable[[bytes], bytes]


class Lua:
    """A Lua VM with the script's functions and the alternatives, by name; the script's own come first."""

    def __init__(self) -> None:
        self._lua = LuaRuntime(encoding=None)
        rendered = script.render(
            Capture(),
            sensor_id="00000000-0000-4000-8000-000000000001",
            collector=collector("http://collector.example:4318", Egress()),
            direction=Direction.INBOUND,
        ).text
        modules = rendered[rendered.index("local config = {") : rendered.index(_MODULES_END)]
        own = self._lua.execute(f"{modules}{_OWN}".encode())
        encode, mask, is_secret = own
        others = self._lua.eval(b"loadstring")(Path(__file__).with_name("alternatives.lua").read_bytes())(
            is_secret
        )
        self.encoders = {"the script": encode} | {
            name: others[name.encode()] for name in ("table_concat", "ffi", "gsub")
        }
        self.masks = {"the script": mask, "patterns": others[b"mask_by_patterns"]}
        self._timed = self._lua.eval(b"loadstring")(_TIMED.encode())

    def microseconds(self, function: Encode, text: bytes) -> float:
        """The time of one call, over so many that they take some milliseconds."""
        return float(self._timed(function, text, max(10, _BYTES_PER_ROUND // len(text))))


def measure(lua: Lua, functions: dict[str, Encode], text: bytes, rounds: int) -> dict[str, float]:
    """The median time of each function in interleaved rounds, after one to warm up; microseconds."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            time = lua.microseconds(function, text)
            if number:
                times[name].append(time)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.encoding",
        description="How fast LuaJIT encodes and masks JSON documents, the script's way and others.",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="interleaved (default: %(default)s)")
    arguments = parser.parse_args()
    lua = Lua()
    console = Console(markup=False, highlight=False)
    for what, functions in (("Escape and repair UTF-8", lua.encoders), ("Mask secret fields", lua.masks)):
        table = Table("way", *(f"{size:,} B" for size in SIZES), title=f"{what}, us (times the script's)")
        run = partial(measure, lua, functions, rounds=arguments.rounds)
        columns = [run(text=document(size).encode()) for size in SIZES]
        for name in functions:
            cells = (f"{times[name]:.1f} ({times[name] / times['the script']:.1f})" for times in columns)
            table.add_row(name, *cells)
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

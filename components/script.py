"""The capture script: the modules of ``lua/`` and a workload's settings as one Lua chunk.

Lua text is never templated. Each module becomes a local of the chunk, compacted, and without the
``require`` of the modules before it. The settings become one generated module, ``config``, with a line each:
a reviewer sees a changed setting as one changed line, and a changed script by its hash.
"""

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from .compact import compact
from .endpoint import Collector
from .settings import Capture, Direction
from .version import VERSION

MAX_SCRIPT_BYTES = 48 * 1024
"""What the script may grow to, with the default settings. Each byte of its text stays in each Lua VM of a
proxy, idle ones too, and an inbound port has four VMs per worker; Istio's TrafficExtension refuses 64 KiB."""

# Each requires only modules before it; `main` makes the hooks, and the loader calls them.
MODULES = (
    "report",
    "json",
    "bounds",
    "ids",
    "sampling",
    "secrets",
    "tokens",
    "fields",
    "redaction",
    "headers",
    "inflight",
    "body",
    "span",
    "exporter",
)

_OWN_REQUIRE = re.compile(rf"""^local (\w+)=require\("(?:config|{"|".join(MODULES)})"\)\n""", re.MULTILINE)
_HOW_TO_READ = "-- Loaded at the first request: see lua/loader.lua.\n"
_LITERAL_CHARACTERS = 100
_PLAIN = re.compile(rf"[ -Z^-~]{{1,{_LITERAL_CHARACTERS}}}")  # without brackets, which end long strings


@dataclass(frozen=True)
class Script:
    """A rendered capture script.

    Attributes:
        text: the Lua chunk: UTF-8, no NUL, one newline at the end, no line over 150 characters.
        code_sha256: hex digest of the chunk without its settings; equal for all workloads of one release.
    """

    text: str
    code_sha256: str


def render(capture: Capture, *, sensor_id: str, collector: Collector, direction: Direction) -> Script:
    """Render the script that captures one direction of a workload.

    Args:
        capture: the workload's settings, the stack's defaults merged in.
        sensor_id: the UUID that every span carries as ``sensor.id``.
        collector: where spans go; its ``cluster`` has to exist in the proxy.
        direction: decides the span kind, and that outbound calls to the collector itself are left out.

    Returns:
        The script, the same bytes for the same arguments.
    """
    settings = {
        "direction": direction.value,
        "sensor_id": sensor_id,
        "collector": {
            "cluster": collector.cluster,
            "authority": collector.authority,
            "path": collector.path,
        },
        "sampling_ratio": capture.sampling_ratio,
        "max_body_bytes": capture.max_body_bytes,
        "max_header_value_bytes": capture.max_header_value_bytes,
        "max_headers_bytes": capture.max_headers_bytes,
        "max_path_bytes": capture.max_path_bytes,
        "max_spans_per_second": capture.max_spans_per_second or False,
        "binary_bodies": capture.binary_bodies.value,
        "scheme": capture.scheme.value,
        "scope_name": capture.scope_name,
        "compatibility": capture.compatibility.value,
        "export": {
            "timeout_ms": capture.export.timeout_ms,
            "max_batch_spans": capture.export.max_batch_spans,
            "max_batch_bytes": capture.export.max_batch_bytes,
            "max_delay_ms": capture.export.max_delay_ms,
        },
        "redaction": {
            "mode": capture.redaction.mode.value,
            "headers": capture.redaction.headers,
            "fields": capture.redaction.fields,
        },
        "skip_paths": capture.skip_paths,
        "content_types": capture.content_types,
        "headers": capture.headers,
    }
    return _assemble(literal(settings))


@lru_cache(maxsize=256)
def _assemble(config: str) -> Script:
    """One text in memory for all workloads that share their settings."""
    loader, code = _source("loader"), _code()
    script = f"local config={config}\n{code}"
    text = f"-- astra-istio-capture {VERSION}\n{_HOW_TO_READ}{loader}--[==[\n{script}]==]\n"
    return Script(text=text, code_sha256=hashlib.sha256((loader + code).encode()).hexdigest())


@cache
def _code() -> str:
    return "".join(_local(name, _source(name)) for name in MODULES) + _source("main")


def _source(module: str) -> str:
    return _OWN_REQUIRE.sub("", compact((_lua_folder() / f"{module}.lua").read_text("utf-8"))).lstrip()


def _lua_folder() -> Path:
    """``lua/`` lies inside the package in a wheel, and beside it in the repository."""
    inside = Path(__file__).parent / "lua"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "lua"


def _local(name: str, source: str) -> str:
    """A module as a local of the chunk: the table that it returns is there from the start."""
    body = source.replace("local M={}\n", "", 1).removesuffix("return M\n")
    return f"local {name}={{}}do local M={name}\n{body}end\n"


def literal(value: Any) -> str:  # noqa: PLR0911 - a return for each kind
    """A Lua expression for a setting: a line per leaf, printable ASCII, no ``]==]``, which ends comments.

    A list is a text of a line per item: as it stands, or by ``table.concat`` where an item is long or has
    other characters.

    Args:
        value: bool, int, finite float, str, a list of str of one line each, or a dict of these.

    Raises:
        TypeError: for any other value.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() else repr(value)
        case str():
            return _string_literal(value)
        case list() if all(isinstance(item, str) and "\n" not in item for item in value):
            if all(map(_PLAIN.fullmatch, value)):
                return "[[\n" + "".join(f"{item}\n" for item in value) + "]]"
            return f"table.concat({_block(map(literal, value))}, '\\n')"
        case dict():
            return _block(f"{key}={literal(item)}" for key, item in value.items())
        case _:
            raise TypeError(f"no Lua literal for {value!r}")


def _block(lines: Iterable[str]) -> str:
    return "{\n" + "".join(f"{line},\n" for line in lines) + "}"


@lru_cache(maxsize=4096)  # the same texts come in every workload's settings
def _string_literal(text: str) -> str:
    characters = [
        chr(code) if 0x20 <= code < 0x7F and chr(code) not in '"\\]' else f"\\{code:03d}"  # noqa: PLR2004
        for code in text.encode()
    ]
    lines: list[str] = [""]
    for character in characters:
        if len(lines[-1]) + len(character) > _LITERAL_CHARACTERS:
            lines.append("")
        lines[-1] += character
    return "\n..".join(f'"{line}"' for line in lines)

"""The capture script: the modules of ``lua/`` and a workload's settings as one Lua chunk.

Lua text is never templated. Each module stands in the chunk as people wrote it, as
``local json = (function() ... end)()``, before the modules that use it. Three things are left out of it:

- comments, except the first line, which is the module's heading: each byte of the chunk stays in each Lua VM;
- ``local json = require("json")``, as the chunk has a local of that name already;
- what a module takes from Lua, as ``local find = string.find``: it stands once, ahead of all modules.

The settings become one generated module, ``config``, with a line each. So a reviewer sees a changed setting
as one changed line, and changed code by its hash.
"""

import hashlib
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import takewhile
from pathlib import Path

from ..settings.defaults import SECRET_FIELDS
from ..settings.models import Capture, Direction
from ..version import VERSION
from .compact import compact, short_names
from .endpoint import Collector
from .literals import literal

MAX_SCRIPT_BYTES = 104 * 1024
"""What the script may grow to, with the default settings. A filter chain has four copies of it, and each of
its Lua VMs one more: a KiB costs 100 chains of a proxy 0.7 MB. A TrafficExtension has it compacted."""

MAX_INLINE_CODE_BYTES = 65536
"""What TrafficExtension takes (istio/api, extensions/v1alpha1/traffic_extension.proto)."""

# Each requires only modules before it; `main` makes the hooks, and the loader calls them.
MODULES = (
    "report",
    "utf8",
    "json",
    "otlp_json",
    "otlp_protobuf",
    "otlp",
    "ids",
    "patterns",
    "endpoints",
    "sampling",
    "spans",
    "structure",
    "escapes",
    "names",
    "values",
    "bounds",
    "harmless",
    "ends",
    "named_values",
    "search",
    "members",
    "lists",
    "markup",
    "multipart",
    "parameters",
    "fields",
    "redaction",
    "headers",
    "inflight",
    "message",
    "peer",
    "inflate",
    "content",
    "span",
    "exporter",
)

_OWN_REQUIRE = re.compile(rf"""^local \w+ = require\("(?:config|{"|".join(MODULES)})"\)\n""", re.MULTILINE)
# The indent of a line of settings, and the spaces around its "=". No line of a list has either.
_SPACES = re.compile(r"^ +(?:(\w+) = )?", re.MULTILINE)
# Libraries of Lua, and functions of `string` under their own names.
_LIBRARY = re.compile(r"""^local \w+ = require\("(?:ffi|string\.buffer|table\.clear)"\)\n""", re.MULTILINE)
_FUNCTIONS = re.compile(r"^local [\w, ]+ = string\.\w+(?:, string\.\w+)*\n", re.MULTILINE)
_COMMENT_LINE = re.compile(r"^[ \t]*--.*\n", re.MULTILINE)
# A string, which may look like a comment; or a comment, with the spaces before it.
_STRING_OR_COMMENT = re.compile(r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|[ \t]*--.*""")
_SETTINGS_HEADING = "--- The settings of this workload.\n"
_LUA_HEADING = "--- What the modules take from Lua.\n"


@dataclass(frozen=True)
class Script:
    """A rendered capture script.

    Attributes:
        text: the Lua chunk: UTF-8, no NUL, one newline at the end, no line over 150 characters.
        settings: the chunk's settings, a Lua expression.
        code_sha256: hex digest of the chunk without its settings; equal for all workloads of one release.
    """

    text: str
    code_sha256: str
    settings: str = ""

    @property
    def inline_code(self) -> str:
        """The script as a TrafficExtension holds it, which takes no more than `MAX_INLINE_CODE_BYTES`.

        Without headings, indents and spaces that no token needs, and with short names of modules, of what
        they declare and of functions of Lua.
        """
        return _inline_code(self.settings)


def render(capture: Capture, *, sensor_id: str, collector: Collector, direction: Direction) -> Script:
    """Render the script that captures one direction of a workload.

    Args:
        capture: the workload's settings, the stack's defaults merged in.
        sensor_id: the UUID that every span carries as ``sensor.id``.
        collector: where spans go; its ``cluster`` has to exist in the proxy.
        direction: decides the span kind. Outbound, an application's own posts to the collector are left out.

    Returns:
        The script, the same bytes for the same arguments.
    """
    fields = _added(capture.redaction.fields, capture.redaction.extra_fields)
    settings = {
        "direction": direction.value,
        "sensor_id": sensor_id,
        "collector": {
            "cluster": collector.cluster,
            "authority": collector.authority,
            "path": collector.path,
            "hosts": list(collector.hosts),
        },
        "enabled": capture.enabled,
        "sampling_ratio": capture.sampling_ratio,
        "max_body_bytes": capture.max_body_bytes,
        "max_header_value_bytes": capture.max_header_value_bytes,
        "max_headers_bytes": capture.max_headers_bytes,
        "max_path_bytes": capture.max_path_bytes,
        "max_spans_per_second": capture.max_spans_per_second or False,
        "max_spans_per_endpoint": capture.max_spans_per_endpoint or False,
        "compressed_bodies": capture.compressed_bodies.value,
        "binary_bodies": capture.binary_bodies.value,
        "scheme": capture.scheme.value,
        "trusted_hops": False if capture.trusted_hops is None else capture.trusted_hops,
        "scope_name": capture.scope_name,
        "compatibility": capture.compatibility.value,
        "export": {
            "encoding": capture.export.encoding.value if capture.export.encoding else False,
            "timeout_ms": capture.export.timeout_ms,
            "max_batch_spans": capture.export.max_batch_spans,
            "max_batch_bytes": capture.export.max_batch_bytes,
            "max_delay_ms": capture.export.max_delay_ms,
        },
        "redaction": {
            "mode": capture.redaction.mode.value,
            "values": [kind.value for kind in capture.redaction.values],
            "headers": _added(capture.redaction.headers, capture.redaction.extra_headers),
            "fields": _cased([phrase for phrase in fields if phrase in SECRET_FIELDS]),
            # The user's own words: what is no secret under the word token, as a count, may be one under age.
            "extra_fields": _cased([phrase for phrase in fields if phrase not in SECRET_FIELDS]),
            "keep_fields": capture.redaction.keep_fields,
        },
        "hosts": capture.hosts,
        "skip_methods": capture.skip_methods,
        "skip_paths": capture.skip_paths,
        "skip_content_types": capture.skip_content_types,
        "content_types": capture.content_types,
        "headers": _added(capture.headers, capture.extra_headers),
    }
    return _assemble(literal(settings))


def _added(items: list[str], extra: list[str]) -> list[str]:
    """The items and then the extra ones, each once."""
    return list(dict.fromkeys([*items, *extra]))


def _cased(phrases: list[str]) -> list[str]:
    """Phrases in lower case, and letters beyond ASCII in each case: Lua lowers ASCII's letters only."""
    ascii_lower = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
    return list(
        dict.fromkeys(
            cased.translate(ascii_lower)
            for phrase in phrases
            for cased in (phrase, phrase.title(), phrase.upper())
        )
    )


@lru_cache(maxsize=256)
def _assemble(config: str) -> Script:
    """The script with some settings. Cached, so that workloads with the same settings share one text."""
    return Script(
        text=_chunk(config, _code(is_compact=False)),
        code_sha256=hashlib.sha256((_loader() + _code(is_compact=False)).encode()).hexdigest(),
        settings=config,
    )


@lru_cache(maxsize=256)
def _inline_code(config: str) -> str:
    return _chunk(
        _SPACES.sub(lambda found: f"{found[1]}=" if found[1] else "", config), _code(is_compact=True)
    )


def _chunk(config: str, code: str) -> str:
    script = f"{_SETTINGS_HEADING}local config = {config}\n\n{code}"
    return f"-- astra-istio-capture {VERSION}\n{_loader()}--[==[\n{script}]==]\n"


@cache
def _code(is_compact: bool) -> str:
    """Each module as a local of the chunk, under its heading, and `main`."""
    sources = {name: _statements(name) for name in (*MODULES, "main")}
    if is_compact:
        short = short_names([*MODULES, *_functions()], sources.values())
        modules = [
            f"local {short[name]}=(function()\n{compact(sources[name], short)}end)()\n" for name in MODULES
        ]
        return "".join([_taken_from_lua(short), *modules, compact(sources["main"], short)])
    modules = [f"{_heading(name)}local {name} = (function()\n{sources[name]}end)()\n" for name in MODULES]
    return "\n".join([_LUA_HEADING + _taken_from_lua({}), *modules, _heading("main") + sources["main"]])


def _taken_from_lua(short: Mapping[str, str]) -> str:
    """What modules take from Lua, each thing once; functions under their short names, if there are any."""
    functions = _functions()
    names = ", ".join(short.get(name, name) for name in functions)
    values = ", ".join(f"string.{name}" for name in functions)
    return f"{''.join(sorted(set(_LIBRARY.findall(_all_code()))))}local {names} =\n  {values}\n"


def _functions() -> list[str]:
    """The functions of `string` that modules take under their own names."""
    return sorted(set(re.findall(r"string\.(\w+)", "".join(_FUNCTIONS.findall(_all_code())))))


def _all_code() -> str:
    return "".join(uncommented(_source(module)) for module in (*MODULES, "main"))


@cache
def _loader() -> str:
    """The loader with its whole comment: it says why the script stands in one."""
    comment = "\n".join(_comment("loader"))
    return f"{comment}\n\n{_statements('loader')}"


def _heading(module: str) -> str:
    return _comment(module)[0] + "\n"


def _comment(module: str) -> list[str]:
    """The lines of the comment that a module starts with."""
    return list(takewhile(lambda line: line.startswith("--"), _source(module).splitlines()))


def _statements(module: str) -> str:
    """A module without its comments, and without what the chunk defines."""
    code = uncommented(_source(module))
    for defined in (_OWN_REQUIRE, _LIBRARY, _FUNCTIONS):
        code = defined.sub("", code)
    return re.sub("\n{3,}", "\n\n", code).lstrip("\n")


def uncommented(source: str) -> str:
    """Lua without comments, and without the empty lines around them.

    Args:
        source: Lua without long strings and long comments: ``lua/``'s.
    """
    code = _STRING_OR_COMMENT.sub(lambda match: match[1] or "", _COMMENT_LINE.sub("", source))
    return re.sub("\n{3,}", "\n\n", code)


@cache
def _source(module: str) -> str:
    return (_lua_folder() / f"{module}.lua").read_text("utf-8")


def _lua_folder() -> Path:
    """``lua/`` lies inside the package in a wheel, and beside it in the repository."""
    package = Path(__file__).parents[1]
    inside = package / "lua"
    return inside if inside.is_dir() else package.parent / "lua"

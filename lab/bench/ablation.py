"""What each part of the filter costs: the rendered filter without it, one part after the other."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lab.bootstrap import Json

from .variants import OURS, Variant, api_alone, no_filter, ours, with_scripts


class Edit(NamedTuple):
    """A change to the rendered script.

    Attributes:
        old: what stands in it exactly once.
        new: what stands there instead.
    """

    old: str
    new: str


ALL_BUT_API = "everything but the calls into Envoy"
"""The line that says how much could be saved at all."""

_LIMITS_OF_TRACES = 'require("jit.opt").start("maxside=32", "hotexit=50")'

BY_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "masking": {"redaction": {"mode": "none"}},
    "bodies (`maxBodyBytes: 0`)": {"maxBodyBytes": 0},
    "masking and bodies": {"redaction": {"mode": "none"}, "maxBodyBytes": 0},
    "headers (an allowlist of one)": {"headers": ["x-none"]},
    "protobuf (JSON instead)": {"export": {"encoding": "json"}},
    "batches (each span alone)": {"export": {"maxBatchSpans": 1}},
}
"""What is left out, and the capture settings that leave it out."""

BY_EDITS: Mapping[str, Edit] = {
    "the caller's trace id (a random one instead)": Edit(
        "ids.trace(values)", "ids.span_id() .. ids.span_id()"
    ),
    "the check that text is UTF-8": Edit(
        "function M.repair(text, is_cut)\n", "function M.repair(text, is_cut)\n  do return text, 0 end\n"
    ),
    "the export call": Edit("pcall(handle.httpCall, handle, CLUSTER, HEADERS, payload, OPTIONS)", "true"),
    "LuaJIT's compiler": Edit(_LIMITS_OF_TRACES, "jit.off()"),
    "`maxside=32` and `hotexit=50` (LuaJIT's own 100 and 10 instead)": Edit(_LIMITS_OF_TRACES, ""),
}
"""What is left out, and the change to the script that leaves it out."""

SILENT = {"the export call"}
"""Of these, the ones that send no span."""


def variants() -> list[Variant]:
    """No filter, the rendered filter, what any filter has to do, and the filter without each part.

    Raises:
        ValueError: the script has changed, and an edit does not fit it any more.
    """
    whole = ours(OURS)
    return [
        no_filter(),
        whole,
        api_alone(ALL_BUT_API),
        *(ours(name, **settings) for name, settings in BY_SETTINGS.items()),
        *(
            Variant(name, exports=name not in SILENT, manifests=edited(whole.manifests, edit))
            for name, edit in BY_EDITS.items()
        ),
    ]


def edited(manifests: Sequence[Json], edit: Edit) -> list[Json]:
    """The manifests with an edit of their capture scripts.

    Raises:
        ValueError: a script has the text that is to be exchanged not exactly once.
    """

    def change(script: str) -> str:
        count = script.count(edit.old)
        if count != 1:
            raise ValueError(
                f"the script has {edit.old!r} {count} times, not once: mend lab/bench/ablation.py"
            )
        return script.replace(edit.old, edit.new)

    return with_scripts(manifests, change)

"""What a changed setting does to what leaves a proxy."""

from typing import Any

import pytest
from pydantic import BaseModel

from components.settings import effects
from components.settings.models import Capture, Export, Redaction
from components.settings.validation import Spelling, spelled


@pytest.mark.parametrize(
    ("setting", "old", "new", "told"),
    [
        ("redaction.mode", "mask", "none", "masks less"),
        ("redaction.mode", "none", "mask", "masks more"),
        ("redaction.headers", ["cookie", "authorization"], ["authorization"], "masks less"),
        ("redaction.fields", ["pin"], ["pin", "iban"], "masks more"),
        ("redaction.fields", ["pin"], ["iban"], "masks less and more"),
        ("redaction.values", ["jwt", "card"], [], "masks less"),
        ("redaction.keepFields", [], ["page token"], "masks less"),
        ("binaryBodies", "omit", "bytes", "masks less"),
        ("contentTypes", ["text/*"], ["text/*", "image/*"], "masks less"),
        ("contentTypes", ["text/*"], ["text/*", "text/html"], None),
        ("enabled", False, True, "captures more"),
        ("enabled", True, False, "captures less"),
        ("samplingRatio", 0.5, 1, "captures more"),
        ("maxBodyBytes", 65536, 0, "captures less"),
        ("maxSpansPerSecond", 5, False, "captures more"),
        ("maxSpansPerSecond", False, 5, "captures less"),
        ("headers", ["host"], ["host", "x-tenant"], "captures more"),
        ("headers", ["host", "date"], ["date", "host"], None),
        ("skipPaths", ["/static*"], ["/static*", "/login"], "captures less"),
        ("skipPaths", ["/static*"], ["/static*", "/static/a"], None),
        ("skipPaths", ["/static*"], ["/*"], "captures less"),
        ("hosts", ["*"], ["a.example.com"], "captures less"),
        ("hosts", ["*.example.com"], ["*.example.com", "a.example.com"], None),
        ("skipMethods", ["OPTIONS"], [], "captures more"),
        ("skipContentTypes", [], ["image/*"], "captures less"),
        ("maxSpansPerEndpoint", 60, False, "captures more"),
        ("maxSpansPerEndpoint", False, 5, "captures less"),
        ("hosts", ["*"], ["a.example"], "captures less"),
        ("hosts", ["*.example"], ["*.example", "*.a.example", "a.example"], None),
        ("hosts", ["*.example"], ["*.example", "example"], "captures more"),
        ("skipMethods", [], ["OPTIONS"], "captures less"),
        ("skipContentTypes", ["image/*", "text/css"], ["image/png"], "captures more"),
        ("compressedBodies", "inflate", "omit", "captures less"),
        ("directions", ["inbound"], ["inbound", "outbound"], "captures more"),
        ("labels", ["app=a"], [], "captures more"),
        ("labels", ["app=a"], ["app=b"], "captures less and more"),
        ("scheme", "auto", "https", None),
        ("egress.limits.maxConnections", 8, 16, None),
    ],
)
def test_a_change_is_judged_by_what_leaves_the_proxy(
    setting: str, old: object, new: object, told: str | None
) -> None:
    effect = effects.effect(setting, old, new)
    assert (effect and str(effect)) == told


@pytest.mark.parametrize(
    ("setting", "old", "new"),
    [
        ("samplingRatio", None, 1),
        ("samplingRatio", "1", 0.5),
        ("redaction.mode", "mask", "hash"),
        ("headers", "host", ["host"]),
    ],
)
def test_nothing_is_said_about_a_value_that_another_release_has(setting: str, old: Any, new: Any) -> None:
    assert effects.effect(setting, old, new) is None


def test_each_setting_of_a_capture_is_judged_or_neutral() -> None:
    """A new setting is judged in effects.py: does it let out what is masked by default, or capture more?."""
    nested: dict[str, type[BaseModel]] = {"redaction": Redaction, "export": Export}
    settings = {
        ".".join(spelled(part, Spelling.CONFIG) for part in (name, inner) if part)
        for name in Capture.model_fields
        for inner in (nested[name].model_fields if name in nested else [""])
    }
    # What `extra...` adds to a list is judged as a part of that list.
    lists = {setting for setting in settings if "extra" not in setting}
    assert lists == (effects.JUDGEMENTS.keys() | effects.NEUTRAL) - {"directions", "labels", "targetRefs"}
    assert not effects.JUDGEMENTS.keys() & effects.NEUTRAL

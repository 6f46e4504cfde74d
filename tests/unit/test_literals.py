"""The settings in a rendered script, read back."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.istio import script
from components.istio.endpoint import collector
from components.istio.literals import literal, parse_literal
from components.istio.read import settings_of
from components.settings.models import Capture, Direction, Egress

items = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1)
leaves = (
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.lists(items)
)
values = st.recursive(
    leaves,
    lambda inner: st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), inner),
    max_leaves=12,
)


@given(values)
def test_what_is_written_as_lua_is_read_back(value: Any) -> None:
    assert parse_literal(literal(value)) == value


def test_a_long_string_on_several_lines_is_read_back() -> None:
    text = "€\\]\x00" * 200
    assert "\n" in literal(text)
    assert parse_literal(literal(text)) == text


def test_a_script_holds_its_settings() -> None:
    rendered = script.render(
        Capture(sampling_ratio=0.25, skip_paths=[]),
        sensor_id="5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77",
        collector=collector("http://otel.obs:4318", Egress()),
        direction=Direction.OUTBOUND,
    )
    settings = settings_of(rendered.text)
    assert settings is not None
    assert settings["sampling_ratio"] == 0.25
    assert settings["skip_paths"] == []
    assert settings["direction"] == "outbound"
    assert settings["collector"]["cluster"] == "outbound|4318||otel.obs"
    assert settings["headers"] == Capture().headers


def test_another_text_holds_none() -> None:
    assert settings_of("function envoy_on_request(handle) end") is None
    assert settings_of("local config=nil\n") is None
    assert settings_of("local config={\n a=1\n}\n") is None
    assert settings_of("local config={\n 1,\n}\n") is None

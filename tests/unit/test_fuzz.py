"""What `make fuzz` draws: the same for a seed, and messages that Envoy takes."""

import json
import random

import pytest

from lab.fuzz import inputs
from lab.fuzz.inputs import BODY_BYTES, HEAD_BYTES, PLACES, Input
from lab.fuzz.shapes import NUMBER, Text

MAX_HEAD = 60 * 1024  # that Envoy takes, by default


def drawn(seed: int, count: int) -> list[Input]:
    source = random.Random(seed)  # noqa: S311
    found = [inputs.drawn(source) for _ in range(count)]
    return [*found, *(inputs.changed(source, each) for each in found)]


def test_a_seed_draws_the_same_inputs_each_time() -> None:
    assert drawn(7, 50) == drawn(7, 50) != drawn(8, 50)


def test_an_input_is_the_same_once_it_was_written_and_read() -> None:
    found = drawn(7, 50)
    again = [inputs.loaded(item) for item in json.loads(inputs.dump(found))]
    assert again == found
    assert [each.request() for each in again] == [each.request() for each in found]


def test_a_message_has_no_more_than_envoy_takes() -> None:
    for found in drawn(7, 300):
        for message in (found.request(), found.answer()):
            head, _, _ = message.partition(b"\r\n\r\n")
            assert len(head) < MAX_HEAD
            assert head.count(b"\r\n") < 100
            assert b"\0" not in head
        assert len(found.text) <= max(BODY_BYTES, HEAD_BYTES)


@pytest.mark.parametrize("place", PLACES)
def test_a_text_stands_in_its_place(place: str) -> None:
    found = Input(place=place, start="", half="", units=("needle",), order=None, end="", size=6000)
    assert b"needleneedle" in (found.answer() if place.startswith("answer") else found.request())


def test_a_text_has_a_first_half_and_running_numbers() -> None:
    assert Text("<", "<a>", ">", half="x", middle="y>").of(12) == "<xxxxy><a><>"
    assert Text("", f"a{NUMBER}=").of(12) == "a10=a11=a12="

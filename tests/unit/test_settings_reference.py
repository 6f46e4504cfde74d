"""docs/settings.md: what it says is so, and every setting in it is shown in a real Envoy."""

import re

from tools import settings_reference


def keys() -> set[str]:
    return {setting.key for group in settings_reference.groups() for setting in group.settings}


def test_the_page_is_up_to_date() -> None:
    written = settings_reference.PAGE.read_text("utf-8")
    assert written == settings_reference.page(), "docs/settings.md is out of date: run `make docs`"


def test_every_setting_has_a_test_that_shows_its_effect_in_a_real_envoy() -> None:
    assert keys() - settings_reference.shown_by().keys() == set(), (
        "each needs a test in tests/envoy or tests/mesh with the mark `setting`; then run `make docs`"
    )


def test_a_mark_names_a_setting() -> None:
    assert settings_reference.shown_by().keys() - keys() == set()


def test_every_link_inside_of_the_page_leads_to_a_heading_of_its_own() -> None:
    page = settings_reference.page()
    headings = [
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in page.splitlines()
        if line.startswith("#")
    ]
    assert len(headings) == len(set(headings))
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= set(headings)

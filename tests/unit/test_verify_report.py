"""How findings are shown, and what exit status they give."""

import json

import pytest

from components.verify import report
from components.verify.findings import Finding, Level

OK = Finding(Level.OK, "filter", "w-1.shop", "runs the declared script")
NOTE = Finding(Level.NOTE, "statistics-hidden", "w-1.shop", "statistics are hidden", "annotate the pods")
UNKNOWN = Finding(Level.UNKNOWN, "no-exports", "EnvoyFilter shop/w", "no span has left", "send requests")
PROBLEM = Finding(Level.PROBLEM, "no-pods", "EnvoyFilter shop/w", "selects no pod", "correct the labels")


@pytest.mark.parametrize(
    ("findings", "status"),
    [([], 0), ([OK], 0), ([OK, NOTE], 0), ([OK, UNKNOWN, NOTE], 2), ([UNKNOWN, PROBLEM], 1)],
)
def test_problems_make_it_1_and_what_was_not_checked_2(findings: list[Finding], status: int) -> None:
    assert report.exit_status(findings) == status


def test_the_table_shows_the_worst_first_with_the_next_step_of_each() -> None:
    assert report.as_table("dev", [OK, NOTE, UNKNOWN, PROBLEM], 80).splitlines() == [
        "problem  no-pods            EnvoyFilter shop/w: selects no pod",
        "                            -> correct the labels",
        "unknown  no-exports         EnvoyFilter shop/w: no span has left",
        "                            -> send requests",
        "note     statistics-hidden  w-1.shop: statistics are hidden",
        "                            -> annotate the pods",
        "ok       filter             w-1.shop: runs the declared script",
        "",
        "stack dev: problems found",
    ]


def test_what_is_found_of_many_pods_is_one_row() -> None:
    many = [
        Finding(Level.PROBLEM, "filter-missing", f"w-{number}.shop", "has no filter") for number in range(9)
    ]
    [row, _, verdict] = report.as_table("dev", many, 120).splitlines()
    assert row == "problem  filter-missing  w-0.shop, w-1.shop, w-2.shop and 6 more: has no filter"
    assert verdict == "stack dev: problems found"


def test_much_that_is_fine_is_a_count() -> None:
    many = [
        Finding(Level.OK, "pods", f"EnvoyFilter shop/w{number}", f"selects {number}") for number in range(100)
    ]
    assert report.as_table("dev", many, 80).splitlines() == [
        "ok       pods  100 are fine",
        "",
        "stack dev: healthy",
    ]


def test_long_text_is_wrapped_beside_the_columns() -> None:
    long = Finding(Level.NOTE, "x", "s", "word " * 30)
    lines = report.as_table("dev", [long], 60).splitlines()
    assert max(map(len, lines)) <= 60
    assert [line[:12].strip() for line in lines[1:3]] == ["", ""]


def test_json_holds_every_finding_and_the_exit_status() -> None:
    document = json.loads(report.as_json("dev", [OK, PROBLEM]))
    assert (document["stack"], document["exitStatus"], document["verdict"]) == ("dev", 1, "problems found")
    assert document["findings"][1] == {
        "level": "problem",
        "check": "no-pods",
        "subject": "EnvoyFilter shop/w",
        "message": "selects no pod",
        "next": "correct the labels",
    }


def test_json_has_the_same_form_where_nothing_could_be_checked() -> None:
    document = json.loads(report.unchecked_as_json("dev", "kubectl: not found"))
    assert document == {"stack": "dev", "exitStatus": 2, "verdict": "kubectl: not found", "findings": []}


def test_markdown_shows_the_worst_first_and_much_that_is_fine_as_a_count() -> None:
    many = [Finding(Level.OK, "pods", f"w{number}", "selects 1") for number in range(100)]
    assert report.as_markdown("dev", [*many, OK, PROBLEM]).splitlines() == [
        "# Stack dev: problems found",
        "",
        "## Findings",
        "",
        "|         | finding | where              | what                     | next step          |",
        "|---------|---------|--------------------|--------------------------|--------------------|",
        "| problem | no-pods | EnvoyFilter shop/w | selects no pod           | correct the labels |",
        "| ok      | filter  | w-1.shop           | runs the declared script |                    |",
        "| ok      | pods    |                    | 100 are fine             |                    |",
    ]


def test_nothing_in_markdown_acts() -> None:
    hostile = Finding(Level.PROBLEM, "x", "<img src=x>|", "@all [a](http://b)\n# c", "`d`")
    [row] = [line for line in report.as_markdown("dev", [hostile]).splitlines() if "problem |" in line]
    assert "`<img src=x>\\|`" in row
    assert "`@all [a](http://b)\\n# c`" in row
    assert report.unchecked_as_markdown("dev", "<b>no cluster").splitlines() == [
        "# Stack dev: not checked",
        "",
        "`<b>no cluster`",
    ]

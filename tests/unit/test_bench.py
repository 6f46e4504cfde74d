"""The benchmark's pure parts. Nothing here is timed: no test depends on how fast a machine is."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lab.bench import report, wrk
from lab.bench.results import Row, Sample, Spread, rows
from lab.bench.variants import GUIDE, NO_FILTER, OURS, TRACER, document

SCENARIO = "250 B, 16 connections"
RUN = report.Run(datetime(2026, 1, 31, tzinfo=UTC), "make bench", "2 cores, a model", "1.40.0", 0.25)


def sample(variant, number, cpu_us, **other):
    values = {
        "requests": 1000,
        "requests_per_second": 500.0,
        "p50_us": 1500,
        "p99_us": 2500,
        "resident_mb": 70.0,
        "exports": 0,
        "refused_exports": 0,
    }
    return Sample(scenario=SCENARIO, round=number, variant=variant, cpu_us=cpu_us, **{**values, **other})


def row(samples, variant, scenario=SCENARIO) -> Row:
    return next(row for row in rows(samples, scenario) if row.variant == variant)


# Round 1 ran on a busier machine: every time in it is twice that of round 0, but for ours.
ROUNDS = [
    sample(NO_FILTER, 0, 50.0),
    sample(TRACER, 0, 70.0),
    sample(OURS, 0, 80.0),
    sample(GUIDE, 0, 250.0),
    sample(NO_FILTER, 1, 100.0),
    sample(TRACER, 1, 140.0),
    sample(OURS, 1, 140.0),
    sample(GUIDE, 1, 500.0),
]


def test_what_a_variant_adds_is_compared_with_no_filter_in_the_same_round():
    assert row(ROUNDS, OURS).added_us == Spread(median=35.0, low=30.0, high=40.0)


def test_a_ratio_is_that_of_neighbours_in_one_round_and_not_of_medians():
    assert row(ROUNDS, OURS).of_guide == Spread(median=(30 / 200 + 40 / 400) / 2, low=40 / 400, high=30 / 200)
    assert row(ROUNDS, OURS).of_tracer == Spread(median=1.25, low=1.0, high=1.5)


def test_a_round_in_which_the_reference_added_nothing_yields_no_ratio():
    noisy = [
        replace(each, cpu_us=40.0) if (each.variant, each.round) == (GUIDE, 0) else each for each in ROUNDS
    ]
    assert row(noisy, OURS).of_guide == Spread.of([40 / 400])


def test_without_a_reference_there_is_no_ratio():
    alone = [each for each in ROUNDS if each.variant in (NO_FILTER, OURS)]
    assert row(alone, OURS).of_guide is None


def test_rows_keep_the_order_of_the_run_and_leave_other_scenarios_out():
    other = replace(ROUNDS[2], scenario="another", cpu_us=9999.0)
    assert [each.variant for each in rows([*ROUNDS, other], SCENARIO)] == [NO_FILTER, TRACER, OURS, GUIDE]
    assert row([*ROUNDS, other], OURS).cpu_us == 110.0


def test_exports_are_counted_over_the_requests_of_all_rounds():
    samples = [
        sample(NO_FILTER, 0, 50.0),
        sample(NO_FILTER, 1, 50.0),
        sample(OURS, 0, 80.0, requests=3000, exports=100, refused_exports=2),
        sample(OURS, 1, 80.0, requests=1000, exports=300),
    ]
    ours = row(samples, OURS)
    assert (ours.exports_per_request, ours.refused_exports) == (0.1, 2)


def test_memory_is_the_most_that_was_seen():
    samples = [sample(NO_FILTER, 0, 50.0, resident_mb=90.0), sample(NO_FILTER, 1, 50.0, resident_mb=80.0)]
    assert row(samples, NO_FILTER).resident_mb == 90.0


def test_a_row_of_the_table_reads_as_its_columns_say():
    assert dict(zip(report.COLUMNS, report.cells(row(ROUNDS, OURS)), strict=True)) == {
        "Envoy with": "ours",
        "CPU µs": "110",
        "added µs": "35 (30..40)",
        "of the guide's": "12% (10%..15%)",
        "x the tracer's": "1.2 (1.0..1.5)",
        "requests/s": "500",
        "p50 ms": "1.5",
        "p99 ms": "2.5",
        "RSS MB": "70",
        "exports per request": "0.00",
    }


def test_a_value_that_never_varied_has_no_range_and_one_that_is_missing_a_dash():
    cells = report.cells(row([sample(NO_FILTER, 0, 50.0)], NO_FILTER))
    assert cells[2:5] == ("0", "-", "-")


def test_refused_exports_are_told():
    cells = report.cells(row([sample(NO_FILTER, 0, 50.0, exports=40, refused_exports=7)], NO_FILTER))
    assert cells[-1] == "0.04 (7 refused)"


def test_the_report_names_date_command_machine_and_envoy_and_has_a_line_for_each_variant():
    text = report.markdown(RUN, ROUNDS, {NO_FILTER: 70.0, OURS: 95.0}, "idle things")
    assert (
        "31 January 2026, `make bench`, Envoy 1.40.0, 2 cores, a model, load average 0.2 before the start."
        in text
    )
    table = text.partition(f"### {SCENARIO}\n\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == [
        f"| {name}" for name in (NO_FILTER, TRACER, OURS, GUIDE)
    ]
    assert "| ours | 95 | +25 |" in text


def test_every_line_of_a_table_has_a_cell_for_each_column():
    lines = report.markdown(RUN, ROUNDS, {NO_FILTER: 70.0}, "idle things").splitlines()
    counts = {line.count("|") for line in lines if line.startswith("|")}
    assert counts == {len(report.COLUMNS) + 1, 3 + 1}


def test_only_the_generated_part_of_the_page_is_exchanged():
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    once = report.replace_generated(page, "new")
    assert once == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    assert report.replace_generated(once, "new") == once


@pytest.mark.parametrize("page", ["", report.BEGIN, report.END, f"{report.END} {report.BEGIN}"])
def test_a_page_without_a_generated_part_is_refused(page):
    with pytest.raises(ValueError, match=re.escape(report.BEGIN)):
        report.replace_generated(page, "new")


def test_the_last_line_of_wrk_says_what_it_measured():
    line = '{"requests": 10, "failed": 1, "duration_us": 2000, "p50_us": 3, "p99_us": 4}'
    assert wrk.parse(f"Running 2s test\n  1 threads\n\n{line}\n") == wrk.Load(10, 1, 2000, 3, 4)


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1", "1", '{"requests": 1}'])
def test_anything_else_from_wrk_is_an_error_that_quotes_it(output):
    with pytest.raises(wrk.WrkError, match=rf"did not say what it measured: {re.escape(output)}$"):
        wrk.parse(output)


def test_where_wrk_is_missing_the_error_names_it_and_how_to_install_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(wrk.WrkError, match="apt-get install wrk"):
        wrk.find()


@pytest.mark.parametrize("size", [100, 250, 4096, 65536])
def test_a_document_is_json_of_exactly_the_size_that_was_asked_for(size):
    text = document(size)
    assert len(text.encode()) == size
    assert json.loads(text)["user"] == "jane"

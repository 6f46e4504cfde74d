"""The benchmark's pure parts. Nothing here is timed: no test depends on how fast a machine is."""

import asyncio
import gzip
import json
import re
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lab.bench import __main__ as command
from lab.bench import ablation, callgrind, instructions, measure, processor, report, wrk
from lab.bench.ablation import Edit
from lab.bench.callgrind import CallgrindError, Counts
from lab.bench.limits import LIMITS, Limit, beside_guide
from lab.bench.processor import Processor, ProcessorError
from lab.bench.results import Row, Sample, Spread, over, ratio, rows
from lab.bench.scenarios import COMPRESSED, LARGE, SCENARIOS, Scenario, turns
from lab.bench.variants import (
    API,
    EMPTY,
    GUIDE,
    NO_FILTER,
    OURS,
    OVER_BUDGET,
    PROCESSED,
    TRACER,
    UNMASKED,
    Answer,
    api_alone,
    compared,
    document,
    ours,
    sinks,
    with_scripts,
)
from lab.stack import PROJECT

SCENARIO = "250 B, 16 connections"
RUN = report.Run(datetime(2026, 1, 31, tzinfo=UTC), "make bench", "2 cores, a model", "1.40.0", 0.25)


def sample(variant, number, cpu_us, **other):
    values = {
        "scenario": SCENARIO,
        "requests": 1000,
        "requests_per_second": 500.0,
        "p50_us": 1500,
        "p99_us": 2500,
        "resident_mb": 70.0,
        "exports": 0,
        "egress_bytes": 0,
        "refused_exports": 0,
    }
    return Sample(round=number, variant=variant, cpu_us=cpu_us, **{**values, **other})


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


def test_exports_and_their_bytes_are_counted_over_the_requests_of_all_rounds():
    samples = [
        sample(NO_FILTER, 0, 50.0),
        sample(NO_FILTER, 1, 50.0),
        sample(OURS, 0, 80.0, requests=3000, exports=100, egress_bytes=6000, refused_exports=2),
        sample(OURS, 1, 80.0, requests=1000, exports=300, egress_bytes=2000),
    ]
    ours = row(samples, OURS)
    assert (ours.exports_per_request, ours.egress_per_request, ours.refused_exports) == (0.1, 2.0, 2)


def test_a_variant_is_compared_with_another_one_in_the_same_round():
    assert over(ROUNDS, SCENARIO, OURS, TRACER) == Spread(median=5.0, low=0.0, high=10.0)


@pytest.mark.parametrize(("variant", "reference"), [("absent", TRACER), (OURS, "absent")])
def test_a_variant_that_did_not_run_is_compared_with_nothing(variant, reference):
    assert over(ROUNDS, SCENARIO, variant, reference) is None


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
        "exports/request": "0.00",
        "egress B/request": "0",
    }


def test_a_value_that_never_varied_has_no_range_and_one_that_is_missing_a_dash():
    cells = report.cells(row([sample(NO_FILTER, 0, 50.0)], NO_FILTER))
    assert cells[2:5] == ("0", "-", "-")


def test_refused_exports_are_told():
    cells = report.cells(row([sample(NO_FILTER, 0, 50.0, exports=40, refused_exports=7)], NO_FILTER))
    assert cells[-2] == "0.04 (7 refused)"


IDLE_MB = {NO_FILTER: 70.0, OURS: 95.0}


def tables(text: str) -> dict[str, list[list[str]]]:
    """The cells of the tables in Markdown, without the lines of columns, by the heading above each."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.strip("# ")
        elif line.startswith("|"):
            found.setdefault(heading, []).append(line.strip("| ").split(" | "))
    return {name: lines[2:] for name, lines in found.items()}


def test_the_report_names_date_command_machine_and_envoy():
    assert report.comparison(RUN, ROUNDS, IDLE_MB, "idle things", None).startswith(
        "31 January 2026, `make bench`, Envoy 1.40.0, 2 cores, a model, load average 0.2 before the start.\n"
    )


def test_the_page_tells_what_a_budget_for_each_endpoint_saves():
    samples = [*ROUNDS, sample(OVER_BUDGET, 0, 55.0), sample(OVER_BUDGET, 1, 105.0)]
    found = tables(report.comparison(RUN, samples, IDLE_MB, "idle things", None))
    # 2.5% of the requests cost 35 µs, and the others 5 µs.
    assert found["A budget for each endpoint"] == [[SCENARIO, "35 µs, 7%", "6 µs, 1%"]]


def test_the_report_has_a_line_for_each_variant():
    found = tables(report.comparison(RUN, ROUNDS, IDLE_MB, "idle things", None))
    assert [cells[0] for cells in found[SCENARIO]] == [NO_FILTER, TRACER, OURS, GUIDE]
    assert found["Memory of idle things"] == [[NO_FILTER, "70", "+0"], [OURS, "95", "+25"]]


def test_the_report_says_why_the_external_processor_is_missing():
    missing = report.comparison(RUN, ROUNDS, IDLE_MB, "idle things", "there is no Go")
    assert "Without the external processor: there is no Go." in missing
    assert "processor" not in report.comparison(RUN, ROUNDS, IDLE_MB, "idle things", None)


def test_each_limit_stands_beside_what_was_measured():
    found = tables(report.comparison(RUN, ROUNDS, IDLE_MB, "idle things", None))["Limits"]
    lines = {(what, variant): rest for what, variant, *rest in found}
    guide, tracer = (f"{SCENARIO}: times what {name} adds" for name in (GUIDE, TRACER))
    assert lines[guide, OURS] == ["0.16", "0.10", "0.12 (0.10..0.15)", "yes"]
    assert lines[tracer, OURS] == ["2.00", "1.50", "1.25 (1.00..1.50)", "yes"]
    assert lines["memory of idle things, over no filter", OURS] == ["60 MB", "40 MB", "25 MB", "yes"]
    assert lines[f"4 KB, 16 connections: times what {GUIDE} adds", OURS][-2:] == ["-", "-"]


def test_a_limit_that_is_not_met_says_so():
    costly = [replace(each, cpu_us=each.cpu_us * 3) if each.variant == OURS else each for each in ROUNDS]
    found = tables(report.comparison(RUN, costly, {NO_FILTER: 0.0, OURS: 61.0}, "idle things", None))
    assert {cells[-1] for cells in found["Limits"]} == {"no", "-"}


def test_a_limit_over_empty_handlers_is_in_microseconds():
    samples = [*ROUNDS, sample(EMPTY, 0, 74.5), sample(EMPTY, 1, 134.5)]
    assert Limit(SCENARIO, OURS, EMPTY, 6, 5).measured(samples) == Spread(5.5, 5.5, 5.5)


def test_every_limit_is_about_what_is_measured():
    measured = {(turn.scenario.name, turn.variant.name) for turn in turns(SCENARIOS, compared(None), 0)}
    for limit in LIMITS:
        assert (limit.scenario, limit.variant) in measured
        assert (limit.reference_scenario or limit.scenario, limit.reference) in measured


def test_the_figure_takes_the_limit_that_stands_beside_the_guide_in_the_table():
    limits = [limit for name in (SCENARIO, LARGE.name) if (limit := beside_guide(name))]
    assert [(limit.scenario, limit.variant, limit.reference) for limit in limits] == [
        (SCENARIO, OURS, GUIDE),
        (LARGE.name, OURS, GUIDE),
    ]
    assert all(limit in LIMITS for limit in limits)


def test_a_scenario_without_a_limit_beside_the_guide_has_none_in_the_figure():
    assert beside_guide(COMPRESSED.name) is None


# The bodies in gzip have a baseline of their own. Round 1 ran on a busier machine.
COMPRESSED_ROUNDS = [
    sample(variant, number, cpu_us, scenario=scenario.name)
    for scenario, variant, *times in [
        (LARGE, NO_FILTER, 100.0, 200.0),
        (LARGE, OURS, 1100.0, 2200.0),
        (COMPRESSED, NO_FILTER, 50.0, 100.0),
        (COMPRESSED, OURS, 1450.0, 3300.0),
    ]
    for number, cpu_us in enumerate(times)
]


def test_what_compressed_bodies_add_is_a_multiple_of_what_the_plain_ones_add_in_the_same_round():
    times = ratio(COMPRESSED_ROUNDS, COMPRESSED.name, OURS, OURS, LARGE.name)
    assert times == Spread.of([1400 / 1000, 3200 / 2000])


def test_the_page_compares_compressed_bodies_with_plain_ones():
    found = tables(report.comparison(RUN, COMPRESSED_ROUNDS, IDLE_MB, "idle things", None))
    assert found["Compressed bodies"] == [
        [OURS, "1500 (1000..2000)", "2300 (1400..3200)", "1.50 (1.40..1.60)"],
        [UNMASKED, "-", "-", "-"],
    ]


def test_the_limit_of_compressed_bodies_says_what_they_are_compared_with():
    found = tables(report.comparison(RUN, COMPRESSED_ROUNDS, IDLE_MB, "idle things", None))["Limits"]
    [line] = [cells for cells in found if cells[0].startswith(COMPRESSED.name)]
    what = f"{COMPRESSED.name}: times what {OURS} adds in the scenario {LARGE.name}"
    assert line == [what, OURS, "2.00", "2.00", "1.50 (1.40..1.60)", "yes"]


ONE, WEIGHTY = Scenario("one", 1, 1), Scenario("weighty", 1, 1, weight=2)


def order(scenarios, variants, number=0):
    taken = turns(scenarios, variants, number)
    return [(scenario.name, number, variant.name) for scenario, number, variant in taken]


def test_variants_take_turns_in_each_round_of_each_scenario():
    variants = compared(None)[:2]
    first, second = (variant.name for variant in variants)
    assert order([WEIGHTY, ONE], variants) == [
        ("weighty", 0, first),
        ("weighty", 0, second),
        ("weighty", 1, first),
        ("weighty", 1, second),
        ("one", 0, first),
        ("one", 0, second),
    ]


def test_rounds_have_numbers_of_their_own_when_all_runs_again():
    variants = compared(None)[:1]
    assert [number for _, number, _ in order([WEIGHTY, ONE], variants, 1)] == [2, 3, 1]


def test_a_scenario_of_some_variants_has_no_turns_of_others():
    [variant, other] = compared(None)[:2]
    assert order([replace(ONE, variants=(other.name,))], [variant, other]) == [("one", 0, other.name)]


@pytest.mark.parametrize("scenario", [scenario for scenario in SCENARIOS if not scenario.repeats])
def test_when_a_body_comes_again_the_filter_has_forgotten_it(scenario):
    script = (PROJECT / "lua" / "redaction.lua").read_text("utf-8")
    [power] = re.findall(r"MAX_REMEMBERED = 2 \^ (\d+)", script)
    requests_and_answers = 2 * scenario.bodies * scenario.body_bytes
    assert requests_and_answers > 1.5 * 2 ** int(power)


def test_the_ablation_says_what_leaving_a_part_out_saves():
    samples = [*ROUNDS, sample("masking", 0, 60.0), sample("masking", 1, 130.0)]
    found = tables(report.ablation(RUN, [each for each in samples if each.variant not in (TRACER, GUIDE)]))
    assert found[""] == [["the whole filter", "35 (30..40)"], ["masking", "15 (10..20)"]]


def test_the_ablation_says_how_much_could_be_saved_at_all():
    [*_, sentence] = report.ablation(RUN, ROUNDS).split("\n\n")
    assert sentence.startswith(f'The line "{ablation.ALL_BUT_API}" is the most that could be saved')


def test_every_line_of_a_table_has_a_cell_for_each_column():
    text = report.comparison(RUN, ROUNDS, IDLE_MB, "idle things", None)
    for part in text.split("\n\n"):
        assert len({line.count("|") for line in part.splitlines()}) == 1 or not part.startswith("|")


PARTS = (report.COMPARISON, report.ABLATION, report.INSTRUCTIONS)


@pytest.mark.parametrize("part", PARTS)
def test_only_one_generated_part_of_the_page_is_exchanged(part):
    parts = {name: f"<!-- {name}: begin -->\nold\n<!-- {name}: end -->" for name in PARTS}
    page = "\n".join(["before", *parts.values(), "after"])
    once = report.replace_generated(page, part, "new")
    assert once == page.replace(parts[part], parts[part].replace("\nold\n", "\n\nnew\n\n"))
    assert report.replace_generated(once, part, "new") == once


@pytest.mark.parametrize("part", PARTS)
def test_the_documentation_has_every_generated_part(part):
    page = (PROJECT / "docs" / "performance.md").read_text("utf-8")
    assert "new" in report.replace_generated(page, part, "new")


BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END} {BEGIN}"])
def test_a_page_without_a_generated_part_is_refused(page):
    with pytest.raises(ValueError, match=re.escape(BEGIN)):
        report.replace_generated(page, report.COMPARISON, "new")


def script_of(manifests) -> str:
    [text] = {
        patch["patch"]["value"]["typed_config"]["default_source_code"]["inline_string"]
        for manifest in manifests
        for patch in manifest["spec"].get("configPatches", ())
    }
    return str(text)


def test_each_variant_of_the_ablation_differs_from_the_whole_filter():
    _, whole, *parts = ablation.variants()
    assert whole.name == OURS
    assert len({script_of(variant.manifests) for variant in (whole, *parts)}) == 1 + len(parts)


def test_an_edit_changes_the_script_where_it_says():
    whole = ours(OURS).manifests
    edited = ablation.edited(whole, Edit("ids.trace(values)", "other_ids()"))
    assert script_of(edited) == script_of(whole).replace("ids.trace(values)", "other_ids()")
    assert "other_ids()" not in script_of(whole)


@pytest.mark.parametrize("old", ["no such text", "local "])
def test_an_edit_that_fits_no_more_is_refused(old):
    with pytest.raises(ValueError, match=rf"the script has '{old}' \d+ times, not once"):
        ablation.edited(ours(OURS).manifests, Edit(old, ""))


def test_envoys_api_alone_runs_in_the_filters_place_and_sends_to_the_same_cluster():
    alone, whole = api_alone(), ours(OURS)
    assert script_of(alone.manifests) == (PROJECT / "lab" / "data" / "api.lua").read_text("utf-8")
    assert f'local CLUSTER = "{alone.receiver}"' in script_of(alone.manifests)
    assert with_scripts(alone.manifests, lambda _: script_of(whole.manifests)) == whole.manifests


def test_the_ablation_leaves_out_everything_but_envoys_api():
    [variant] = [variant for variant in ablation.variants() if variant.name == ablation.ALL_BUT_API]
    assert variant.manifests == api_alone().manifests


def test_the_external_processor_is_called_at_its_port():
    variant = compared(Processor(pid=1, port=4317))[-1]
    assert variant.name == PROCESSED
    clusters = variant.bootstrap(app_port=1, collector_port=2)["static_resources"]["clusters"]
    [cluster] = [cluster for cluster in clusters if cluster["name"] == variant.receiver]
    [endpoint] = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"]["port_value"] == 4317


def test_where_there_is_no_processor_the_other_variants_run():
    with_processor = [variant.name for variant in compared(Processor(pid=1, port=4317))]
    assert [variant.name for variant in compared(None)] == with_processor[:-1]


def test_without_go_the_processor_is_not_built(monkeypatch, tmp_path):
    monkeypatch.setattr(processor, "_CACHE", tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ProcessorError, match="`go`, which builds the processor, is not on the PATH"):
        processor.build()


def test_a_processor_that_was_built_is_not_built_again(monkeypatch, tmp_path):
    go = tmp_path / "go"
    go.write_text('#!/bin/sh\necho built >>"${0%/*}/log"\nwhile [ "$1" != -o ]; do shift; done\n: >"$2"\n')
    go.chmod(0o755)
    monkeypatch.setattr(processor, "_CACHE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert processor.build() == processor.build()
    assert (tmp_path / "log").read_text() == "built\n"


def test_a_processor_that_cannot_be_built_says_gos_last_line(monkeypatch, tmp_path):
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho one >&2\necho 'dial tcp: no such host' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setattr(processor, "_CACHE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ProcessorError, match="could not be built: dial tcp: no such host"):
        processor.build()


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


# As callgrind wrote it; the costs of functions are left out but for the first.
DUMP = """# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 23797
cmd:  envoy --config-path /tmp/bootstrap.json --log-format [%l][%n] %v
part: 1


desc: I1 cache: 32768 B, 64 B, 8-way associative
desc: LL cache: 1048576 B, 64 B, 16-way associative
desc: Trigger: dump

positions: line
events: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw
summary: 217854050 63345538 47258843 6594655 3311051 850083 71030 242199 196387


ob=(1) /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
fl=(1) ???
fn=(0) 0x000000000001ab70
0 2562631 467273 170672 13931 12625 2895 3391 6453 1964

totals: 218847667 64339155 47258843 6663993 3347812 850083 71332 242539 196387
"""


def test_callgrind_says_the_instructions_and_misses_of_all_threads():
    assert callgrind.parse(DUMP) == Counts(
        instructions=217854050,
        first_level=6594655 + 3311051 + 850083,
        second_level=71030 + 242199 + 196387,
    )


def test_callgrind_leaves_zeros_at_the_end_out():
    dump = re.sub("^summary: .*$", "summary: 50 20 10 3 2", DUMP, flags=re.MULTILINE)
    assert callgrind.parse(dump) == Counts(instructions=50, first_level=5, second_level=0)


@pytest.mark.parametrize(
    "dump",
    [
        "",
        "summary: 1 2",
        DUMP.replace("summary: ", "summary: x"),
        DUMP.replace(" DLmw", ""),
        "events: Ir\nsummary: 1",
    ],
    ids=["nothing", "no events", "no number", "an event is missing", "no caches"],
)
def test_anything_else_from_callgrind_is_an_error(dump):
    with pytest.raises(CallgrindError, match="did not say what it counted"):
        callgrind.parse(dump)


def counter(folder, script: str) -> callgrind.Counter:
    """Asks a script for its counts, in the place of Valgrind's `vgdb`."""
    vgdb = folder / "vgdb"
    vgdb.write_text(f"#!/bin/sh\n{script}\n")
    vgdb.chmod(0o755)
    envoy: Any = SimpleNamespace(pid=7)
    return callgrind.Counter(envoy, vgdb, folder)


def test_callgrind_is_asked_for_the_counts_of_one_envoy_and_its_file_is_removed(tmp_path):
    (tmp_path / "written").write_text(DUMP)
    asked = counter(tmp_path, f'cd {tmp_path}; echo "$@" >>log; [ "$3" = zero ] || cp written dump.1')

    async def ask() -> list[Counts]:
        await asked.zero()
        return [await asked.counts(), await asked.counts()]

    assert asyncio.run(ask()) == [callgrind.parse(DUMP)] * 2
    channel = f"--vgdb-prefix={tmp_path}/vgdb --pid=7"
    assert (tmp_path / "log").read_text().splitlines() == [
        f"{channel} {what}" for what in ("zero", "dump", "dump")
    ]
    assert not list(tmp_path.glob("dump*"))


def test_where_callgrind_does_not_answer_the_error_says_why(tmp_path):
    with pytest.raises(CallgrindError, match="did not zero: no such process"):
        asyncio.run(counter(tmp_path, "echo no such process >&2; exit 1").zero())


COUNTS = {
    EMPTY: Counts(204_963.7, 10_129.4, 451.6),
    OURS: Counts(304_963.7, 15_129.4, 551.6),
    GUIDE: Counts(704_963.7, 20_129.4, 2451.6),
}


def test_what_a_variant_counts_beyond_empty_handlers_is_a_share_of_what_the_guides_counts():
    found = tables(report.instructions(RUN, COUNTS))
    assert found[""] == [
        [OURS, "100,000", "0.20", "5,000", "0.50", "100", "0.05"],
        [GUIDE, "500,000", "1.00", "10,000", "1.00", "2,000", "1.00"],
    ]


def test_the_report_says_what_a_request_through_empty_handlers_counts_in_three_digits():
    sentence = report.empty_request(COUNTS)
    assert re.findall(r"[\d,]+\d", sentence) == ["205,000", "10,100", "452"]
    assert sentence in report.instructions(RUN, COUNTS)


def test_counts_are_of_one_request():
    assert Counts(1000, 100, 10) / 10 - Counts(1, 2, 3) == Counts(99, 8, -2)


def test_instructions_are_counted_for_empty_handlers_and_those_that_are_compared_with_them():
    counted = [variant.name for variant in instructions.variants()]
    assert counted == [EMPTY, TRACER, API, OURS, GUIDE]


class Turns:
    """Stands for what is around a counted Envoy, for it and for its counter. Notes what is asked of them."""

    def __init__(self, *answered: int) -> None:
        self.answered = list(answered)
        self.asked: list[str] = []
        self.warnings: dict[int, str] = {}
        self.log = ""
        self.proxy = SimpleNamespace(log=lambda: self.log)

    def bootstrap(self, _):
        return {}

    async def load(self, _scenario, _proxy, seconds, _timeout):
        self.asked.append(f"{seconds} s")
        self.log += self.warnings.get(len(self.asked), "")
        return wrk.Load(self.answered.pop(0) if self.answered else 0, 0, 1, 1, 1)

    async def zero(self):
        self.asked.append("zero")

    async def counts(self):
        self.asked.append("counts")
        return Counts(6000, 600, 60)

    def per_request(self, monkeypatch) -> dict[str, Counts]:
        @asynccontextmanager
        async def running(*_):
            yield self

        async def check_work(*_):
            self.asked.append("work")

        monkeypatch.setattr(callgrind, "running", running)
        monkeypatch.setattr(measure, "check_work", check_work)
        stand_in: Any = self
        variants = instructions.variants()[:1]
        told = instructions.per_request(Path("valgrind"), stand_in, variants, lambda *_: None)
        return asyncio.run(told)


def test_requests_are_counted_once_enough_of_them_have_warmed_an_envoy_up(monkeypatch):
    # Valgrind takes longer than a turn until the first ones are answered.
    turns = Turns(0, 4000, 1000, 900, 300)
    assert turns.per_request(monkeypatch) == {EMPTY: Counts(5, 0.5, 0.05)}
    # The warm-up took no time here, so the turn that counts is the shortest.
    assert turns.asked == ["30 s", "30 s", "30 s", "work", "zero", "1 s", "1 s", "counts"]


def test_a_script_may_warn_while_its_first_exports_wait_and_not_later(monkeypatch):
    turns = Turns(5000, 1000)
    turns.warnings = {1: "script log: late"}
    assert turns.per_request(monkeypatch)
    turns = Turns(5000, 1000)
    turns.warnings = {4: "script log: late"}
    with pytest.raises(measure.BenchError, match=f"{EMPTY}, under callgrind: its script warned"):
        turns.per_request(monkeypatch)


def test_an_envoy_that_does_not_answer_is_given_up(monkeypatch):
    with pytest.raises(
        measure.BenchError, match=f"{EMPTY}, under callgrind: only 7 requests were answered in"
    ):
        Turns(7).per_request(monkeypatch)


def test_where_valgrind_is_missing_the_command_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "lab.bench.plot", ModuleType("plot"))
    monkeypatch.setattr(sys, "argv", ["bench", "--instructions"])
    assert command.main() == 1
    said = capsys.readouterr()
    assert said.err.startswith("bench: valgrind, which counts instructions, is missing. Next: install it")
    assert "apt-get install valgrind" in said.err
    assert said.out == ""


@pytest.mark.parametrize("size", [100, 250, 4096, 65536])
def test_a_document_is_json_of_exactly_the_size_that_was_asked_for(size):
    text = document(size)
    assert len(text.encode()) == size
    assert json.loads(text)["user"] == "jane"


def test_a_document_is_the_same_each_time():
    assert document(4096) == document(4096)


def test_each_number_makes_a_document_of_its_own():
    assert len({document(250, number) for number in range(100)}) == 100


def test_gzip_makes_of_a_large_document_what_it_makes_of_varied_json():
    assert 5 < 65536 / len(gzip.compress(document(65536).encode())) < 12


def test_the_application_says_how_its_answer_is_compressed():
    [app, _] = sinks({"/plain": Answer(b"{}"), "/packed": Answer(b"\x1f\x8b", "gzip")})["static_resources"][
        "listeners"
    ]
    [host] = app["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    said = {
        route["match"]["path"]: {
            added["header"]["key"]: added["header"]["value"] for added in route["response_headers_to_add"]
        }
        for route in host["routes"]
    }
    assert said["/plain"] == {"content-type": "application/json"}
    assert said["/packed"] == {"content-type": "application/json", "content-encoding": "gzip"}

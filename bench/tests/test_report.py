"""The report, from small synthetic inputs."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic import BENCHMARKS, CLAUSES, bench_lines, conformance_lines, write_lines

from greenlet_bench import conformance, report, results, views
from greenlet_bench.errors import InputError

VOID = {"meta", "br", "input", "link", "img", "hr"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects what the tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.references: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], "these tags were not closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.tags.add(tag)
        for name, value in attributes:
            if name == "id" and value:
                assert value not in self.ids, f"two elements have the id {value}"
                self.ids.add(value)
            if name in ("src", "href", "srcset", "data", "action") and value:
                self.references.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """A benchmark result and three runs, one of them cut short."""
    return {
        "bench": write_lines(tmp_path / "bench.jsonl", bench_lines(crashed="switch.ring_10")),
        "good": write_lines(tmp_path / "good.jsonl", conformance_lines("fast", "0.1")),
        "mixed": write_lines(
            tmp_path / "mixed.jsonl",
            conformance_lines(outcomes={"order.self": "CRASH", "dead.skip.root": "XFAIL"}),
        ),
        "cut": write_lines(tmp_path / "cut.jsonl", conformance_lines(python="3.11.7")[:-2]),
    }


def test_the_page_has_everything_and_loads_nothing(inputs: dict[str, Path], tmp_path: Path) -> None:
    written = report.write(
        [inputs["bench"]], [inputs["good"], inputs["mixed"]], tmp_path / "reports"
    )
    source = written.page.read_text(encoding="utf-8")
    page = Page(source)
    text = "".join(page.text)
    for id_, _, chapter_title, title in CLAUSES:
        assert id_ in page.ids and title in text and chapter_title in text
        assert f"The text of {id_}" in text
    for id_, _, suite_title, title, unit, _ in BENCHMARKS:
        assert id_ in text and title in text and unit in text and suite_title in text
    assert "assert log of <order.self>" in text
    assert "a known reason" in text
    assert "killed by SIGSEGV" in text
    assert "Imaginary CPU" in text and "-DNDEBUG -O3" in text

    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    assert "http" not in source and "url(" not in source and "@import" not in source
    files = {path.name for path in (tmp_path / "reports").iterdir()}
    outside = [ref for ref in page.references if not ref.startswith("#") and ref not in files]
    assert outside == []
    assert written.warnings == []


def test_the_figures_are_those_of_the_inputs(inputs: dict[str, Path], tmp_path: Path) -> None:
    written = report.write(
        [inputs["bench"]], [inputs["good"], inputs["mixed"]], tmp_path / "reports"
    )
    markdown = written.markdown.read_text(encoding="utf-8")
    assert "fast 0.1 · CPython 3.13: **4 of 4** clauses kept" in markdown
    assert "greenlet 3.5.6 · CPython 3.13: **2 of 4** clauses kept; 1 CRASH, 1 XFAIL" in markdown
    lines = markdown.splitlines()
    (trip,) = [line for line in lines if "`switch.round_trip`" in line]
    assert "| 400 / 420 |" in trip and "8.0" in trip and "not significant" not in trip
    (floor,) = [line for line in lines if "`floor.empty_loop`" in line]
    assert "not significant" in floor
    (ring,) = [line for line in lines if "`switch.ring_10`)" in line]
    assert "| CRASH |" in ring
    (crash,) = [line for line in lines if "`order.self`)" in line]
    assert crash.endswith("| PASS | CRASH |")
    assert "without the rows that failed" in markdown


def test_markup_in_the_inputs_stays_text(inputs: dict[str, Path], tmp_path: Path) -> None:
    written = report.write([], [inputs["mixed"]], tmp_path / "reports")
    source = written.page.read_text(encoding="utf-8")
    assert "<b>no markup</b>" not in source
    assert "&lt;b&gt;no markup&lt;/b&gt;" in source
    assert "<em>emphasis</em>" in source


def test_inputs_are_copied_under_names_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = write_lines(tmp_path / "a" / "run.jsonl", conformance_lines("fast", "0.1"))
    two = write_lines(tmp_path / "b" / "run.jsonl", conformance_lines())
    report.write([], [one, two], tmp_path / "reports")
    assert (tmp_path / "reports" / "run.jsonl").read_bytes() == one.read_bytes()
    assert (tmp_path / "reports" / "run-2.jsonl").read_bytes() == two.read_bytes()


def test_inputs_may_lie_in_the_output_folder(tmp_path: Path) -> None:
    lines = conformance_lines()
    path = write_lines(tmp_path / "run.jsonl", lines)
    report.write([], [path], tmp_path)
    assert path.read_text(encoding="utf-8").splitlines() == lines
    assert {p.name for p in tmp_path.iterdir()} == {"run.jsonl", "index.html", "report.md"}


def test_a_run_cut_short_is_never_a_pass(inputs: dict[str, Path], tmp_path: Path) -> None:
    written = report.write([], [inputs["cut"]], tmp_path / "reports")
    assert len(written.warnings) == 1 and "cut short" in written.warnings[0]
    markdown = written.markdown.read_text(encoding="utf-8")
    assert "**0 of 4** clauses kept; 4 TRUNCATED" in markdown
    assert "| PASS |" not in markdown
    assert "TRUNCATED" in "".join(Page(written.page.read_text(encoding="utf-8")).text)


def test_a_failure_in_a_run_cut_short_is_a_failure(tmp_path: Path) -> None:
    lines = conformance_lines(outcomes={"order.exact": "FAIL"})[:-1]
    run = conformance.read(write_lines(tmp_path / "run.jsonl", lines))
    assert run.outcome("order.exact") == "FAIL"
    assert run.outcome("order.self") == "TRUNCATED"


def test_a_last_line_cut_in_half_is_a_run_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    text = "\n".join(conformance_lines())
    path.write_text(text[:-30], encoding="utf-8")
    assert conformance.read(path).truncated


def test_the_worst_outcome_of_a_clause_wins(tmp_path: Path) -> None:
    lines = conformance_lines()
    extra = json.loads(lines[-2])
    lines[-1:] = [
        json.dumps({**extra, "test": "second", "outcome": "TIMEOUT"}),
        json.dumps({"kind": "footer", "counts": {"PASS": 4, "TIMEOUT": 1}, "seconds": 1}),
    ]
    run = conformance.read(write_lines(tmp_path / "run.jsonl", lines))
    assert run.outcome("dead.skip.root") == "TIMEOUT"
    assert run.counts() == {"PASS": 3, "TIMEOUT": 1}


def test_the_same_implementation_on_two_pythons_makes_two_columns(tmp_path: Path) -> None:
    def labels(*pythons: str) -> list[str]:
        runs = [
            conformance.read(
                write_lines(tmp_path / f"{number}.jsonl", conformance_lines(python=python))
            )
            for number, python in enumerate(pythons)
        ]
        return conformance.labels(runs)

    assert labels("3.11.7", "3.13.0") == [
        "greenlet 3.5.6 · CPython 3.11",
        "greenlet 3.5.6 · CPython 3.13",
    ]
    assert labels("3.13.0", "3.13.1") == [
        "greenlet 3.5.6 · CPython 3.13.0",
        "greenlet 3.5.6 · CPython 3.13.1",
    ]
    assert len(set(labels("3.13.0", "3.13.0"))) == 2


def garbled_conformance() -> dict[str, list[str]]:
    lines = conformance_lines()
    return {
        "no JSON": [*lines[:3], "garbage", *lines[3:]],
        "no header": lines[1:],
        "empty": [],
        "other schema": [lines[0].replace('"schema": 1', '"schema": 99'), *lines[1:]],
        "wrong counts": [*lines[:-1], json.dumps({"kind": "footer", "counts": {"PASS": 9}})],
        "unknown outcome": [line.replace('"PASS"', '"MAYBE"') for line in lines],
        "no implementation": [lines[0].replace('"implementation"', '"other"', 1), *lines[1:]],
    }


@pytest.mark.parametrize("case", garbled_conformance())
def test_a_garbled_run_is_refused_and_nothing_is_written(tmp_path: Path, case: str) -> None:
    bad = write_lines(tmp_path / "bad.jsonl", garbled_conformance()[case])
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "index.html").write_text("the report of yesterday", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        report.write([], [bad], reports)
    assert "\n" not in str(caught.value) and "bad.jsonl" in str(caught.value)
    assert [path.name for path in reports.iterdir()] == ["index.html"]
    assert (reports / "index.html").read_text(encoding="utf-8") == "the report of yesterday"


def garbled_bench() -> dict[str, list[str]]:
    lines = bench_lines()
    return {
        "cut short": lines[:-1],
        "samples missing": [*lines[:-5], lines[-1]],
        "a conformance run": conformance_lines(),
        "no machine": [lines[0].replace('"machine": {', '"other": {', 1), *lines[1:]],
        "instructions of nothing": [
            *lines[:-1],
            json.dumps(
                {
                    "kind": "instructions",
                    "benchmark": "no.such",
                    "implementation": "fast",
                    "per_operation": 1,
                }
            ),
            lines[-1],
        ],
        "values not numbers": [line.replace('"values": [', '"values": ["x", ') for line in lines],
    }


@pytest.mark.parametrize("case", garbled_bench())
def test_a_garbled_bench_is_refused(tmp_path: Path, case: str) -> None:
    bad = write_lines(tmp_path / "bad.jsonl", garbled_bench()[case])
    with pytest.raises(InputError) as caught:
        report.write([bad], [], tmp_path / "reports")
    assert "\n" not in str(caught.value) and "bad.jsonl" in str(caught.value)
    assert not (tmp_path / "reports").exists()


def test_only_one_kind_of_input_is_enough(inputs: dict[str, Path], tmp_path: Path) -> None:
    only_bench = report.write([inputs["bench"]], [], tmp_path / "one")
    only_runs = report.write([], [inputs["good"]], tmp_path / "two")
    assert "No conformance run was given" in only_bench.page.read_text(encoding="utf-8")
    assert "No benchmark result was given" in only_runs.page.read_text(encoding="utf-8")


def many(folder: Path, **lines: list[str]) -> list[Path]:
    return [write_lines(folder / f"{name}.jsonl", found) for name, found in lines.items()]


def test_a_series_is_drawn_with_its_exponent_and_its_numbers(tmp_path: Path) -> None:
    written = report.write(many(tmp_path, bench=bench_lines()), [], tmp_path / "reports")
    page = Page(written.page.read_text(encoding="utf-8"))
    text = " ".join(" ".join(page.text).replace("\N{NO-BREAK SPACE}", " ").split())
    assert "ring: cyclic" in text and "memory: frames" in text
    assert "greenlet linear, exponent 1.00 [1.00, 1.00]" in text
    assert "fast flat, exponent 0.00 [0.00, 0.00]" in text
    assert "fast linear, exponent 1.00" not in text
    # The numbers of the greatest size: those of greenlet do not vary, those of fast by 4%.
    assert re.search(
        r"1,000,000 196 to 204 40,000,000 to 40,000,000 200526x \[19\d{4}x, 20\d{4}x\]", text
    )
    markdown = written.markdown.read_text(encoding="utf-8")
    (ring,) = [line for line in markdown.splitlines() if line.startswith("| ring: cyclic |")]
    assert "greenlets, 10 to 1,000,000" in ring and "(100000x)" in ring and "(1.00x)" in ring


def test_a_size_that_crashed_is_told_and_the_others_are_fitted(tmp_path: Path) -> None:
    lines = bench_lines(crashed="switch.ring[1000]")
    written = report.write(many(tmp_path, bench=lines), [], tmp_path / "reports")
    text = written.page.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert "flat, exponent 0.00; two sizes, no interval; CRASH at 1,000" in text
    assert text.count('class="failed"') == 1


def test_rows_that_are_missing_are_told_as_not_run(tmp_path: Path) -> None:
    lines = [line for line in bench_lines() if '"kind": "sample"' not in line]
    gone = [
        line
        for line in bench_lines()
        if '"kind": "sample"' in line
        and not ('"switch.ring_10"' in line and '"fast"' in line)
        and '"switch.round_trip"' not in line
        and '"floor.c_call"' not in line
    ]
    footer = json.dumps({**json.loads(lines[-1]), "samples": len(gone)})
    bench = write_lines(tmp_path / "bench.jsonl", [*lines[:-1], *gone, footer])
    source = report.write([bench], [], tmp_path / "reports").page.read_text(encoding="utf-8")
    page = Page(source)
    assert "NOT RUN at 10" in source and "not measured" not in source
    assert "floor" not in [b.strip() for b in page.text]
    assert 'class="floor"' not in source


@pytest.mark.parametrize(
    ("pythons", "shown"),
    [
        (("3.13.2", "3.10.1", "3.9.7"), ["3.9", "3.10", "3.13"]),
        (("3.13.2", "3.13.1"), ["3.13.1", "3.13.2"]),
        (("3.14.0b1", "3.13.0rc2"), ["3.13", "3.14"]),
    ],
)
def test_results_are_sorted_and_named_by_version(
    tmp_path: Path, pythons: tuple[str, ...], shown: list[str]
) -> None:
    paths = [
        write_lines(tmp_path / f"{python}.jsonl", bench_lines(python=python)) for python in pythons
    ]
    benches = views.told_apart([views.bench_of(path, results.read(path)) for path in paths])
    assert [bench.version for bench in benches] == shown


def test_two_results_of_one_python_are_told_apart_by_their_files(tmp_path: Path) -> None:
    old = bench_lines(python="3.9.1")
    paths = many(tmp_path, one=bench_lines(), two=bench_lines(), old=old)
    benches = views.told_apart([views.bench_of(path, results.read(path)) for path in paths])
    assert [bench.version for bench in benches] == ["3.9", "3.13 one", "3.13 two"]
    (tmp_path / "a").mkdir()
    paths += many(tmp_path / "a", one=bench_lines())
    benches = views.told_apart([views.bench_of(path, results.read(path)) for path in paths])
    assert {bench.version for bench in benches} == {"3.9", "3.13 two", str(paths[0]), str(paths[3])}
    # The picture has no room for such names; what it shows has them.
    written = report.write(paths, [], tmp_path / "reports")
    source = written.page.read_text(encoding="utf-8")
    assert source.count(">3.13</text>") >= 3
    assert ">3.13 two</text>" not in source and "3.13 two" in source


def test_several_versions_are_drawn_beside_each_other(tmp_path: Path) -> None:
    old, new = bench_lines(python="3.10.1"), bench_lines(python="3.14.2", pairs=2)
    extra = [line for line in new if "memory.suspended" not in line]
    dropped = len(new) - len(extra) - 1  # one of these lines is no sample
    footer = json.loads(extra[-1])
    extra[-1] = json.dumps({**footer, "samples": footer["samples"] - dropped})
    written = report.write(many(tmp_path, a=old, b=extra), [], tmp_path / "reports")
    source = written.page.read_text(encoding="utf-8")
    page = Page(source)
    assert "versions" in page.ids and "round trip: ns per round trip by version of Python" in source
    markdown = written.markdown.read_text(encoding="utf-8")
    assert "## Ratios of fast by version of Python" in markdown
    (head,) = [line for line in markdown.splitlines() if line.startswith("| benchmark | 3.10")]
    assert head == "| benchmark | 3.10 | 3.14 |"
    (memory,) = [
        line
        for line in markdown.splitlines()
        if line.startswith("| a suspended green") and line.count("|") == 4
    ]
    assert memory == "| a suspended greenlet | 0.50x | - |"
    (trip,) = [line for line in markdown.splitlines() if line.startswith("| round trip | ")]
    assert trip.endswith("~ |"), "two pairs are too few to tell"


def test_headlines_of_the_floor_are_what_to_compare_with(tmp_path: Path) -> None:
    paths = [
        write_lines(
            tmp_path / f"{python}.jsonl",
            [
                line.replace('"headline": false', '"headline": true')
                if '"id": "floor.c_call"' in line
                else line
                for line in bench_lines(python=python)
            ],
        )
        for python in ("3.10.1", "3.13.0")
    ]
    source = report.write(paths, [], tmp_path / "reports").page.read_text(encoding="utf-8")
    text = " ".join("".join(Page(source).text).split())
    assert "For comparison, a C function, ns per call: 400 with 3.10, 400 with 3.13." in text


def test_one_version_has_no_versions_to_compare(inputs: dict[str, Path], tmp_path: Path) -> None:
    written = report.write([inputs["bench"]], [], tmp_path / "reports")
    assert "versions" not in Page(written.page.read_text(encoding="utf-8")).ids
    assert "by version of Python" not in written.markdown.read_text(encoding="utf-8")


def test_counts_of_instructions_are_shown_if_there_are_any(tmp_path: Path) -> None:
    lines = bench_lines(instructions=True)
    written = report.write(many(tmp_path, bench=lines), [], tmp_path / "reports")
    source = written.page.read_text(encoding="utf-8")
    assert "instructions" in Page(source).ids
    assert 'style="width:66.7%"' in source and "1.50x" in source  # 100 against 150
    markdown = written.markdown.read_text(encoding="utf-8")
    assert "| an empty loop (`floor.empty_loop`) | 100 | 150 |" in markdown
    without = report.write(many(tmp_path, plain=bench_lines()), [], tmp_path / "plain")
    assert "instructions" not in Page(without.page.read_text(encoding="utf-8")).ids


def test_names_in_a_result_stay_text(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script>&\"'"
    lines = [line.replace("ring of", "<b>ring</b> of") for line in bench_lines(label=nasty)]
    written = report.write(many(tmp_path, bench=lines), [], tmp_path / "reports")
    source = written.page.read_text(encoding="utf-8")
    assert not {"script", "b>ring"} & Page(source).tags
    assert "<script" not in source and "<b>ring" not in source


def test_a_folder_stands_for_the_results_in_it(tmp_path: Path) -> None:
    for name in ("bench.jsonl", "bench-py310.jsonl", "bench-quick.jsonl", "conformance.jsonl"):
        (tmp_path / name).touch()
    assert report.files([tmp_path, tmp_path / "x"]) == [
        tmp_path / "bench.jsonl",
        tmp_path / "bench-py310.jsonl",
        tmp_path / "x",
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no bench\.jsonl"):
        report.files([tmp_path / "empty"])

"""How ratios are written: what one reads must never contradict itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic import BENCHMARKS, bench_lines, write_lines

from greenlet_bench import report, results, table
from greenlet_bench.stats import Ratio


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (8.0, 7.9, 8.1, "8.00x [7.90x, 8.10x]"),
        (0.99, 0.985, 0.998, "0.99x [0.98x, 0.998x]"),
        (1.002, 1.0004, 1.004, "1.002x [1.0004x, 1.004x]"),
        (0.996, 0.991, 0.9991, "0.996x [0.99x, 0.999x]"),
        (1.01, 0.9996, 1.02, "1.01x [0.9996x, 1.02x] not significant"),
        (1.003, 0.99, 1.02, "1.00x [0.99x, 1.02x] not significant"),
        (1.01, 1.0, 1.02, "1.01x [1.00x, 1.02x] not significant"),
        (1.01, 1.00001, 1.02, "1.01x [1.00x, 1.02x] not significant"),
        (0.99, 0.98, 0.99999, "0.99x [0.98x, 1.00x] not significant"),
        (1.0, None, None, "1.00x too few pairs for an interval"),
    ],
)
def test_interval_and_caveat_agree(
    value: float, low: float | None, high: float | None, text: str
) -> None:
    assert table.comparison(Ratio(value, low, high, 8)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(8.314, "8.31"), (46.25, "46.2"), (999.4, "999"), (999.6, "1,000"), (71_049, "71,000")],
)
def test_numbers_have_three_digits_and_thousands_apart(value: float, text: str) -> None:
    assert table.number(value) == text


def test_an_end_that_reads_one_is_never_significant() -> None:
    for step in range(-200, 201):
        end = 1 + step / 20_000
        for low, high in ((0.9, end), (end, 1.1)):
            ratio = Ratio((low + high) / 2, low, high, 8)
            reads_one = "1.00x" in table.interval(ratio)
            assert ratio.significant == (not reads_one and not low < 1 < high)


def test_too_few_pairs_are_said_once_and_instead_of_a_verdict(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bench.jsonl", bench_lines(pairs=2))
    footer = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    assert footer["samples"] == 4 * len(BENCHMARKS)
    written = report.write([path], [], tmp_path / "reports")
    markdown = written.markdown.read_text(encoding="utf-8")
    for text in (table.render(results.read(path)), markdown):
        assert "too few pairs for an interval" in text
        assert "not significant" not in text and " ," not in text
    page = written.page.read_text(encoding="utf-8")
    tiles, _, legend = page.partition("<p>Each value is")
    rows = legend.partition("</p>")[2]
    for part in (tiles, rows):
        assert "too few pairs for an interval" in part and "not significant" not in part

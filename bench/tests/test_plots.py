"""Plots are well-formed SVG that say what they are drawn from."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from greenlet_bench import plots
from greenlet_bench.plots import Axis, Lane, Line, Point, quantity, short

NASTY = "<script>alert(1)</script> & \"quotes\" 'and' ]]>"


def draw(*drawn: Line, unit: str = "ns per switch", **options: object) -> ElementTree.Element:
    settings = {"unit": unit, "x_label": "greenlets", **options}
    text = plots.lines("name", "A title", "What it shows.", drawn, **settings)  # type: ignore[arg-type]
    return ElementTree.fromstring(text)


def line(values: dict[float, float], slot: int = 0, label: str = "fast") -> Line:
    return Line(label, slot, [Point(x, y, y * 1.1, f"{y} at {x}") for x, y in values.items()])


def of(svg: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    """The elements of a class."""
    return [e for e in svg.iter() if kind in (e.get("class") or "").split()]


def numbers(path: str | None) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path or "")]


def test_a_plot_has_a_title_a_description_axes_and_a_mark_for_each_point() -> None:
    svg = draw(line({10: 50, 1000: 60}), line({10: 400, 1000: 40_000}, 1), floor=20.0)
    assert svg.get("role") == "img"
    ids = {e.get("id"): e.text for e in svg.iter() if e.get("id")}
    assert [ids[i] for i in (svg.get("aria-labelledby") or "").split()] == [
        "A title",
        "What it shows.",
    ]
    texts = [e.text for e in svg.iter("text")]
    assert "time per switch, log scale" in texts and "greenlets, log scale" in texts
    assert "100 ns" in texts and "10 µs" in texts and "1k" in texts
    assert len(of(svg, "mark")) == 4 and len(of(svg, "line")) == 2 and len(of(svg, "floor")) == 1
    assert len({e.get("d") for e in of(svg, "mark")}) == 2, "each line has a shape of its own"


def test_a_power_law_is_a_straight_line_and_a_floor_is_below() -> None:
    svg = draw(line({10: 10, 100: 100, 1000: 1000}), floor=1.0)
    x1, y1, x2, y2, x3, y3 = numbers(of(svg, "line")[0].get("d"))
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2) and y2 - y1 == pytest.approx(y3 - y2, abs=0.2)
    assert x3 > x1 and y3 < y1, "more is up and to the right"
    assert numbers(of(svg, "floor")[0].get("d"))[1] > y1


def test_noise_is_not_magnified() -> None:
    svg = draw(line({10: 50, 100: 51, 1000: 50}))
    ys = numbers(of(svg, "line")[0].get("d"))[1::2]
    assert max(ys) - min(ys) < plots.HEIGHT / 50


@pytest.mark.parametrize(
    "sizes", [[1, 1e9], [2, 3], [7], [], [0, 1, 2, 200], [10, 100, 1_000, 10_000, 10_000_000]]
)
@pytest.mark.parametrize("cost", [1e-3, 1.0, 1e3])
def test_everything_stays_inside_and_ticks_do_not_crowd(sizes: list[float], cost: float) -> None:
    for unit in ("ns per switch", "bytes per greenlet", "instructions per turn"):
        svg = draw(line({size: cost * (size or 1) for size in sizes}), unit=unit)
        for mark in of(svg, "mark"):
            x, y = numbers(mark.get("transform"))
            assert plots.LEFT <= x <= plots.WIDTH - plots.RIGHT
            assert plots.TOP <= y <= plots.HEIGHT - plots.BOTTOM
        for kind, axis, room in (("middle", "x", 22), ("end", "y", 11)):
            ticks = [e for e in of(svg, kind) if "tick" in (e.get("class") or "")]
            places = sorted(float(e.get(axis) or 0) for e in ticks)
            assert len({e.text for e in ticks}) == len(ticks)
            assert len(places) >= (1 if kind == "middle" else 2)
            assert all(b - a >= room for a, b in pairwise(places))
            assert all(len(e.text or "") <= 9 for e in ticks)


def test_a_size_of_zero_has_a_place_of_its_own() -> None:
    svg = draw(line({0: 50, 1: 60, 1000: 70}))
    xs = numbers(of(svg, "line")[0].get("d"))[0::2]
    assert xs == sorted(xs) and xs[1] - xs[0] > 20
    zero = next(e for e in svg.iter("text") if e.text == "0")
    assert float(zero.get("x") or 0) == pytest.approx(xs[0], abs=0.1)


def test_names_are_escaped() -> None:
    nasty = line({10: 50, 100: 60}, label=NASTY)
    text = plots.lines("n", NASTY, NASTY, [nasty], unit=f"ns per {NASTY}", x_label=NASTY)
    assert "<script" not in text
    svg = ElementTree.fromstring(text)
    assert svg[0].text == NASTY and svg[1].text == NASTY
    text = plots.strips("n", NASTY, NASTY, [Lane(NASTY, 0, [1.0, 2.0], NASTY)])
    assert "<script" not in text and ElementTree.fromstring(text)[0].text == NASTY


def test_what_failed_is_a_cross_and_nothing_at_all_is_an_empty_plot() -> None:
    failed = Line("fast", 0, [Point(10, 5, 5, "")], [(1000.0, "CRASH at 1,000")])
    (cross,) = of(draw(failed), "failed")
    assert cross[0].text == "fast: CRASH at 1,000"
    assert of(draw(Line("fast", 0, [])), "mark") == []


def test_versions_are_named_and_close_values_begin_at_zero() -> None:
    close = draw(line({0: 50, 1: 60}), x_names=["3.13", "3.14"])
    texts = [e.text for e in close.iter("text")]
    assert "3.13" in texts and "3.14" in texts and "0 ns" in texts and "time per switch" in texts
    far = draw(line({0: 50, 1: 60_000}), x_names=["3.13", "3.14"])
    assert "time per switch, log scale" in [e.text for e in far.iter("text")]


def test_a_strip_has_a_mark_for_each_process_and_a_box_of_quartiles() -> None:
    lanes = [Lane("fast", 0, [100.0, 102, 104, 106, 110], "from 100 ns"), Lane("slow", 1, [])]
    svg = ElementTree.fromstring(plots.strips("n", "title", "desc", lanes))
    places = [numbers(e.get("transform"))[0] for e in of(svg, "mark")]
    assert len(places) == 5 and places == sorted(places)
    left, _, right, *_ = numbers(of(svg, "box")[0].get("d"))
    assert places[1] == pytest.approx(left, abs=0.1) and places[3] == pytest.approx(right, abs=0.1)
    assert [e.text for e in of(svg, "lane")] == ["fast", "slow"]
    assert "+10%" in [e.text for e in svg.iter("text")]


def test_a_swatch_is_the_mark_of_its_slot() -> None:
    svg = ElementTree.fromstring(plots.swatch(1))
    assert svg[0].get("d") == plots.SHAPES[1] and "s1" in (svg[0].get("class") or "")
    assert ElementTree.fromstring(plots.swatch(plots.SLOTS))[0].get("class") == "mark s0"


def test_linear_ticks_are_round() -> None:
    assert Axis(0, 100, 0, 1, log=False).ticks == [0, 50, 100]
    assert Axis(0, 5, 0, 1, log=False).ticks == [0, 2, 4]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (250, "250"), (1000, "1k"), (2.5e6, "2.5M"), (3e9, "3G"), (0.5, "0.5")],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (40, "ns per switch", "40 ns"),
        (1500, "ns per switch", "1.5 µs"),
        (2e6, "ns per switch", "2 ms"),
        (0.5, "ns per switch", "0.5 ns"),
        (6112, "bytes per greenlet", "6.11 kB"),
        (40, "bytes per greenlet", "40 B"),
        (1234, "instructions per switch", "1.23k"),
    ],
)
def test_quantities(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text

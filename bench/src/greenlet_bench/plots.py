"""Plots as SVG, small enough to be written into the page.

A plot is built as an XML tree, so that it is well formed and names in it are escaped whatever they
hold. It has no colours of its own: what belongs to an implementation has the class `s0`, `s1`, ...
of its slot, and `templates/style.css` gives each slot a colour for light and for dark. A slot has a
shape too, for those who do not see the colour. All lengths are in the units of the view box, which
is about as wide as a phone, so that texts keep their size where it matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

WIDTH, HEIGHT = 360, 236
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 24, 38
ROOM = 28
"""How far apart the names of sizes are at least."""
LANE = 36
"""The height of a lane of a strip plot."""
LONGEST = 30
"""How many characters of a name fit into a lane beside its note."""
LEAST_SPREAD = 5.0
"""Per cent that the axis of a strip plot shows at least, so that it does not magnify nothing."""
LOG_FROM = 20.0
"""The least quotient of greatest and least value that asks for a logarithmic axis."""

SHAPES = (
    "M-3.4 0A3.4 3.4 0 1 0 3.4 0A3.4 3.4 0 1 0-3.4 0Z",  # circle
    "M-3-3H3V3H-3Z",  # square
    "M0-4.2L4.2 0L0 4.2L-4.2 0Z",  # diamond
    "M0-4L3.9 2.8H-3.9Z",  # triangle
    "M0 4L3.9-2.8H-3.9Z",  # triangle upside down
    "M-3.8-1.2H-1.2V-3.8H1.2V-1.2H3.8V1.2H1.2V3.8H-1.2V1.2H-3.8Z",  # plus
)
SLOTS = 8
"""How many colours there are; then they begin anew, with other shapes."""

TIMES = ((1, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s"))
PREFIXES = ((1, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"))


# --- numbers -------------------------------------------------------------------------------------


def _scaled(value: float, steps: Sequence[tuple[float, str]]) -> tuple[str, str]:
    """Three digits of a value, and the name of the step that it is told in."""
    factor, name = max((step for step in steps if abs(value) >= step[0]), default=steps[0])
    value /= factor
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}", name


def short(value: float) -> str:
    """Such as `250`, `1k`, `2.5M`."""
    return "".join(_scaled(value, PREFIXES))


def quantity(value: float, unit: str) -> str:
    """A value with its measure: `40 ns`, `1.5 µs`, `2.5 kB`. `unit` is such as `ns per switch`."""
    measure = unit.partition(" per ")[0]
    if measure == "ns":
        return " ".join(_scaled(value, TIMES))
    if measure == "bytes":
        return " ".join(_scaled(value, PREFIXES)) + "B"
    return short(value)


@dataclass(frozen=True)
class Axis:
    """Values from `least` to `most` on the way from `start` to `end`."""

    least: float
    most: float
    start: float
    end: float
    log: bool

    def at(self, value: float) -> float:
        """Where a value is; a value outside is put at the nearer end."""
        value = min(max(value, self.least), self.most)
        if self.log:
            share = math.log(value / self.least) / math.log(self.most / self.least)
        else:
            share = (value - self.least) / (self.most - self.least)
        return self.start + share * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Between three and seven round values."""
        if not self.log:
            return _linear_ticks(self.least, self.most)
        decades = math.log10(self.most / self.least)
        powers = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        steps = (1, 2, 5) if decades < 1.7 else (1, 3) if decades < 3.2 else (1,)
        every = math.ceil(decades / 6)
        marks = [step * 10.0**power for power in powers if power % every == 0 for step in steps]
        slack = 1 + 1e-9
        return [m for m in marks if self.least / slack <= m <= self.most * slack]


def _linear_ticks(least: float, most: float) -> list[float]:
    raw = (most - least) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * (1 - 1e-9))
    first, last = math.ceil(least / step - 1e-9), math.floor(most / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _round_out(least: float, most: float) -> tuple[float, float]:
    """A logarithmic axis of at least a decade, so that a flat line looks flat."""
    if most / least < 10:
        middle = math.sqrt(least * most)
        least, most = min(least, middle / 10**0.5), max(most, middle * 10**0.5)
    return least / 1.15, most * 1.15


# --- drawing -------------------------------------------------------------------------------------


def _put(parent: Element, tag: str, text: str = "", **attributes: object) -> Element:
    """Add an element. Numbers are rounded; `class_` and `stroke_width` lose what Python needs."""
    named = {
        name.rstrip("_").replace("_", "-"): (
            f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
        )
        for name, value in attributes.items()
    }
    element = SubElement(parent, tag, named)
    element.text = text
    return element


def _canvas(name: str, title: str, description: str, height: float) -> Element:
    """An empty plot; `name` is unique in the page."""
    svg = Element(
        "svg",
        {
            "class": "plot",
            "viewBox": f"0 0 {WIDTH} {height:g}",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
        },
    )
    _put(svg, "title", title, id=f"{name}-title")
    _put(svg, "desc", description, id=f"{name}-desc")
    return svg


def _done(svg: Element) -> Markup:
    return Markup(tostring(svg, encoding="unicode"))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _mark(parent: Element, slot: int, x: float, y: float, tooltip: str) -> None:
    shape = SHAPES[slot % len(SHAPES)]
    mark = _put(parent, "path", class_="mark", d=shape, transform=f"translate({x:.1f} {y:.1f})")
    _put(mark, "title", tooltip)


def swatch(slot: int) -> Markup:
    """The mark of a slot alone, for a legend."""
    svg = Element("svg", {"class": "swatch", "viewBox": "-6 -6 12 12", "aria-hidden": "true"})
    _put(svg, "path", class_=f"mark s{slot % SLOTS}", d=SHAPES[slot % len(SHAPES)])
    return _done(svg)


@dataclass(frozen=True)
class Point:
    """A value, and how far up a thin line tells that others reach."""

    x: float
    y: float
    high: float
    tooltip: str


@dataclass(frozen=True)
class Line:
    """What one implementation's line shows."""

    label: str
    slot: int
    points: Sequence[Point]
    failed: Sequence[tuple[float, str]] = ()
    """Where there is no value, and why, such as `CRASH`."""


def lines(
    name: str,
    title: str,
    description: str,
    drawn: Sequence[Line],
    *,
    unit: str,
    x_label: str,
    floor: float | None = None,
    x_names: Sequence[str] = (),
) -> Markup:
    """Lines over a logarithmic axis of sizes, or over `x_names` if their x are indexes of those.

    The other axis is logarithmic as well, but for names with values of the same magnitude. `floor`
    is a value that is drawn as a line across. Values must be above zero.
    """
    svg = _canvas(name, title, description, HEIGHT)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    xs = [x for line in drawn for x in (*(p.x for p in line.points), *(f[0] for f in line.failed))]
    ys = [y for line in drawn for p in line.points for y in (p.y, p.high)]
    ys += [floor] if floor is not None else []
    ys = ys or [1.0]
    if x_names:
        x = Axis(-0.5, len(x_names) - 0.5, LEFT, right, log=False)
        shown = [(float(index), text) for index, text in enumerate(x_names)]
    else:
        sizes = sorted({size for size in xs if size > 0}) or [1.0]
        margin = max(sizes[-1] / sizes[0], 1.5) ** 0.05
        # A size of 0 has no place on a logarithmic axis: it gets one to the left of the others.
        left = sizes[0] / margin ** (4 if 0 in xs else 1)
        x = Axis(left, sizes[-1] * margin, LEFT, right, log=True)
        shown = []
        for size in sorted({left, *sizes}) if 0 in xs else sizes:
            if not shown or x.at(size) - x.at(shown[-1][0]) >= ROOM:
                shown.append((size, short(size) if size in sizes else "0"))
    if not x_names or max(ys) > LOG_FROM * min(ys):
        y = Axis(*_round_out(min(ys), max(ys)), bottom, TOP, log=True)
    else:
        y = Axis(0, max(ys) * 1.08, bottom, TOP, log=False)

    per = unit.partition(" per ")[2]
    measure = "memory" if unit.startswith("bytes") else "time" if unit.startswith("ns") else unit
    y_label = f"{measure} per {per}" if per else measure
    _put(svg, "text", f"{y_label}{', log scale' if y.log else ''}", class_="name", x=0, y=11)
    for tick in y.ticks:
        at = y.at(tick)
        _put(svg, "path", class_="grid", d=f"M{LEFT} {at:.1f}H{right}")
        _put(svg, "text", quantity(tick, unit), class_="tick end", x=LEFT - 6.0, y=at + 3.5)
    for tick, text in shown:
        at = x.at(tick)
        _put(svg, "path", class_="grid", d=f"M{at:.1f} {TOP}V{bottom}")
        _put(svg, "text", text, class_="tick middle", x=at, y=bottom + 14.0)
    x_text = f"{x_label}{', log scale' if x.log else ''}"
    _put(svg, "text", x_text, class_="name middle", x=(LEFT + right) / 2, y=HEIGHT - 5)
    _put(svg, "path", class_="frame", d=f"M{LEFT} {TOP}V{bottom}H{right}")

    if floor is not None:
        at = y.at(floor)
        _put(svg, "path", class_="floor", d=f"M{LEFT} {at:.1f}H{right}")
    for line in drawn:
        group = _put(svg, "g", class_=f"s{line.slot % SLOTS}")
        if len(line.points) > 1:
            way = _path([(x.at(p.x), y.at(p.y)) for p in line.points])
            _put(group, "path", class_="line", d=way)
        for p in line.points:
            at = x.at(p.x)
            if p.high > p.y:
                _put(group, "path", class_="reach", d=_path([(at, y.at(p.y)), (at, y.at(p.high))]))
            _mark(group, line.slot, at, y.at(p.y), f"{line.label}: {p.tooltip}")
        for where, why in line.failed:
            at = x.at(where)
            cross = f"M{at - 4:.1f} {TOP}l8 8m0-8l-8 8"
            _put(_put(group, "path", class_="failed", d=cross), "title", f"{line.label}: {why}")
    return _done(svg)


@dataclass(frozen=True)
class Lane:
    """One implementation's processes."""

    label: str
    slot: int
    values: Sequence[float]
    note: str = ""
    """Written beside the label."""


def strips(name: str, title: str, description: str, lanes: Sequence[Lane]) -> Markup:
    """For each lane its values as marks, a box of their quartiles and their median.

    The axis is how far a value is above the least of its lane, in per cent, so that one can compare
    how steady lanes are that are far apart. A lane without values shows its note alone.
    """
    bottom = 4.0 + LANE * len(lanes)
    svg = _canvas(name, title, description, bottom + 34)
    above = {
        lane.label: [100 * (value / min(lane.values) - 1) for value in lane.values]
        for lane in lanes
    }
    most = max([LEAST_SPREAD, *(value for values in above.values() for value in values)])
    axis = Axis(0, most, 8, WIDTH - 18, log=False)
    for tick in axis.ticks:
        at = axis.at(tick)
        _put(svg, "path", class_="grid", d=f"M{at:.1f} 4V{bottom:.1f}")
        _put(svg, "text", f"+{tick:g}%" if tick else "0", class_="tick middle", x=at, y=bottom + 13)
    _put(svg, "path", class_="frame", d=f"M8 {bottom:.1f}H{WIDTH - 18}")
    under = "each process's least value, above the least of all"
    _put(svg, "text", under, class_="name middle", x=WIDTH / 2, y=bottom + 29)
    for number, lane in enumerate(lanes):
        top = 4.0 + LANE * number
        middle = top + 25
        group = _put(svg, "g", class_=f"s{lane.slot % SLOTS}")
        shown = lane.label if len(lane.label) <= LONGEST else lane.label[: LONGEST - 1] + "…"
        text = _put(group, "text", shown, class_="lane", x=12, y=top + 12)
        if lane.note:
            _put(text, "tspan", f"  {lane.note}", class_="note")
        values = above[lane.label]
        if len(values) > 3:
            first, _, third = (axis.at(v) for v in quantiles(values, n=4, method="inclusive"))
            box = f"M{first:.1f} {middle - 7:.1f}H{third:.1f}V{middle + 7:.1f}H{first:.1f}Z"
            _put(group, "path", class_="box", d=box)
        if values:
            at = axis.at(median(values))
            _put(group, "path", class_="median", d=f"M{at:.1f} {middle - 8:.1f}v16")
        for index, value in enumerate(values):
            # A little up and down, so that marks at the same place can be told apart.
            _mark(group, lane.slot, axis.at(value), middle + 2 * (index % 3 - 1), f"+{value:.1f}%")
    return _done(svg)

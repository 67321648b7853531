"""The page in a browser: wide and narrow, light and dark, on screen and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from synthetic import BENCHMARKS, bench_lines, conformance_lines, write_lines

from greenlet_bench import report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VERSIONS = ("3.10.1", "3.11.2", "3.12.3", "3.13.4", "3.14.5", "3.15.6")
LONG = "an_implementation_with_a_name_that_is_longer_than_any_name_ought_to_be<b>"
SERIES = 2
"""How many the synthetic results have."""

WIDTHS = (400, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of one result and one of many versions, with all that pages can have."""
    folder = tmp_path_factory.mktemp("pages")
    runs = [
        write_lines(folder / "good.jsonl", conformance_lines("fast", "0.1")),
        write_lines(folder / "cut.jsonl", conformance_lines(python="3.11.7")[:-2]),
        write_lines(
            folder / "bad.jsonl",
            conformance_lines(LONG, outcomes={"order.self": "CRASH", "dead.skip.root": "XFAIL"}),
        ),
    ]
    one = bench_lines(crashed="switch.ring[1000]", label=LONG, instructions=True)
    many = [
        write_lines(
            folder / f"{version}.jsonl",
            bench_lines(
                crashed="switch.round_trip" if version.startswith("3.12") else None,
                python=version,
                instructions=version.startswith("3.15"),
            ),
        )
        for version in VERSIONS
    ]
    results = {
        "one": [write_lines(folder / "one.jsonl", one)],
        "many": many,
        "few pairs": [write_lines(folder / "few.jsonl", bench_lines(pairs=2))],
        "conformance alone": [],
    }
    return {name: report.write(r, runs, folder / name).page for name, r in results.items()}


@contextmanager
def shown(
    browser: Browser, path: Path, width: int, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Page]:
    """The page, with everything that can be unfolded unfolded. Anything on the console fails."""
    said: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=False
    )
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(request.url))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    yield page
    assert said == []
    assert requests == [path.as_uri()], "the page loads nothing but itself"
    context.close()


OVERFLOWING = """
() => [...document.body.querySelectorAll('*')]
    .filter(e => !e.closest('.scroll') && !e.closest('legend, .theme'))
    .filter(e => { const box = e.getBoundingClientRect();
                   return box.width && (box.right > innerWidth + 0.5 || box.left < -0.5); })
    .map(e => `${e.tagName}.${e.getAttribute('class')}: ${e.textContent.trim().slice(0, 60)}`)
"""

OVERLAPPING = """
() => [...document.querySelectorAll('svg.plot')].flatMap(svg => {
    const card = svg.closest('.card').getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(e => [e, e.getBoundingClientRect()]);
    const outside = texts.filter(([, b]) => b.left < card.left || b.right > card.right)
        .map(([e]) => `outside: ${e.textContent}`);
    const overlap = texts.flatMap(([a, p], i) => texts.slice(i + 1)
        .filter(([, q]) => p.left < q.right && q.left < p.right && p.top + 2 < q.bottom
                           && q.top + 2 < p.bottom)
        .map(([b]) => `overlap: ${a.textContent} and ${b.textContent}`));
    return [...outside, ...overlap];
})
"""

WRAPPED = """
() => [...document.querySelectorAll('.axis span, .chip')]
    .filter(e => e.getBoundingClientRect().height > 30).map(e => e.textContent)
"""

CONTRAST = """
() => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const parse = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
    const light = rgb => rgb.slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const back = e => { for (; e; e = e.parentElement) {
        const found = parse(getComputedStyle(e).backgroundColor);
        if (found[3] == 255) return found; } };
    const weak = new Set();
    for (const e of document.body.querySelectorAll('*')) {
        const own = [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim());
        if (!own || !e.getClientRects().length || e.closest('title, desc, legend')) continue;
        const style = getComputedStyle(e);
        const ink = light(parse(e.closest('svg') ? style.fill : style.color));
        const paper = light(back(e));
        const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        if (ratio < 4.5) weak.add(`${e.tagName} ${e.getAttribute('class')} ${ratio.toFixed(2)}`);
    }
    return [...weak];
}
"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["one", "many", "few pairs", "conformance alone"])
def test_the_page_fits_and_can_be_read(
    browser: Browser,
    pages: dict[str, Path],
    name: str,
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    with shown(browser, pages[name], width, scheme) as page:
        assert page.evaluate(OVERFLOWING) == []
        assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
        assert page.evaluate(OVERLAPPING) == []
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(WRAPPED) == []
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def pictures(page: Page, section: str) -> int:
    """How many plots of a section have something drawn, and are as large as can be seen."""
    found: int = page.evaluate(
        """id => [...document.querySelectorAll(`section[aria-labelledby=${id}] svg.plot`)]
            .filter(svg => svg.querySelector('path.mark'))
            .filter(svg => svg.getBoundingClientRect().width > 200).length""",
        section,
    )
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_all_charts_are_there(browser: Browser, pages: dict[str, Path], width: int) -> None:
    headlines = sum(row[-1] for row in BENCHMARKS)
    for name, count in (("one", 1), ("many", len(VERSIONS))):
        with shown(browser, pages[name], width) as page:
            assert pictures(page, "growth") + pictures(page, "memory") == SERIES * count
            assert pictures(page, "spread") == len(BENCHMARKS) * count
            assert pictures(page, "versions") == (headlines if name == "many" else 0)
            assert page.locator("#instructions").count() == 1
            assert page.locator(".failed").count() == 1, "the crash is a cross"


def test_each_implementation_has_one_colour(browser: Browser, pages: dict[str, Path]) -> None:
    with shown(browser, pages["many"], 1280) as page:
        colours: list[list[str]] = page.evaluate(
            """() => [...document.querySelectorAll('.legend li')]
                .filter(li => li.querySelector('.mark'))
                .map(li => [li.querySelector('b').textContent,
                            getComputedStyle(li.querySelector('.mark')).fill])"""
        )
    assert {label for label, _ in colours} == {"fast", "greenlet"}
    assert len({tuple(pair) for pair in colours}) == 2


def test_the_switch_of_colours_needs_no_script(browser: Browser, pages: dict[str, Path]) -> None:
    def background(page: Page) -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    with shown(browser, pages["one"], 1280, "light") as page:
        light = background(page)
        page.get_by_text("dark", exact=True).click()
        dark = background(page)
        assert dark != light
        page.get_by_text("auto", exact=True).click()
        assert background(page) == light
        page.emulate_media(color_scheme="dark")
        assert background(page) == dark
        page.get_by_text("light", exact=True).click()
        assert background(page) == light


def test_on_paper_it_is_light_and_unfolded(browser: Browser, pages: dict[str, Path]) -> None:
    with shown(browser, pages["many"], 1280, "dark") as page:
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = false)")
        page.emulate_media(media="print", color_scheme="dark")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible()
        assert pictures(page, "growth") == len(VERSIONS)
        assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0

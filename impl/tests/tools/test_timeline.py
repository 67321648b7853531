"""The page of `python -m greenlane trace` in a browser: of small programs, a server, a large one.

Chromium is the program that the environment variable CHROMIUM names, or one on PATH;
`.ci/fetch-chromium DIR` gets one as DIR/bin/chromium. Without it these tests are skipped, but where
CI is set they fail.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
WIDTHS = (400, 1280)
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

LARGE = """
from greenlane import greenlet, getcurrent
main = getcurrent()
def work():
    while True:
        main.switch()
kept = [greenlet(work) for _ in range(2500)]
for _ in range(20):
    for each in kept:
        each.switch()
"""

LONG_NAMES = """
from greenlane import greenlet
def chain(depth):
    each = greenlet(chain if depth else int)
    each.name = f"{depth}_" + "a_very_long_name_without_any_space" * 5 + "<b>"
    each.switch(*[depth - 1] if depth else [])
chain(12)
try:
    greenlet(chain).throw(KeyError)
except KeyError:
    pass
"""


def missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must not do without", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, driven by playwright."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        missing("no Chromium: run .ci/fetch-chromium .chromium; CHROMIUM=.chromium/bin/chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing("no playwright")
    with sync_playwright() as driver:
        # Chromium's sandbox does not work for root, nor in many containers; the page is our own.
        made = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()


def record(page: Path, *program: str) -> Path:
    subprocess.run(
        [sys.executable, "-m", "greenlane", "trace", f"--html={page}", *program],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return page


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of the example in the README, of a gevent server, and of programs that are too much."""
    folder = tmp_path_factory.mktemp("pages")
    _, _, rest = (ROOT / "README.md").read_text().partition("```python\n")
    seed = folder / "seed.py"
    seed.write_text(rest.partition("```")[0])
    return {
        "seed": record(folder / "seed.html", str(seed)),
        "gevent": record(
            folder / "gevent.html", str(ROOT / "docs" / "examples" / "gevent_server.py")
        ),
        "large": record(folder / "large.html", "-c", LARGE),
        "long names": record(folder / "long.html", "-c", LONG_NAMES),
        "limited": record(folder / "limited.html", "--limit", "500", "-c", LARGE),
    }


@contextmanager
def shown(
    browser: Browser, path: Path, width: int = 1280, scheme: Scheme = "light"
) -> Iterator[Page]:
    """The page. Anything on the console fails, and so does any request for something else."""
    said: list[str] = []
    requests: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    yield page
    settle(page)
    assert said == []
    assert requests == [path.as_uri()], "the page loads nothing but itself"
    context.close()


def settle(page: Page) -> None:
    """Wait until what was asked for is drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def drawn(page: Page) -> dict[str, float]:
    settle(page)
    found: dict[str, float] = page.evaluate("({...timeline.drawn})")
    return found


OVERFLOWING = """
() => [...document.body.querySelectorAll('*')]
    .filter(e => !e.closest('legend, .theme'))
    .filter(e => { const box = e.getBoundingClientRect();
                   return box.width && (box.right > innerWidth + 0.5 || box.left < -0.5); })
    .map(e => `${e.tagName}.${e.getAttribute('class')}: ${e.textContent.trim().slice(0, 60)}`)
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
        if (!own || !e.getClientRects().length || e.closest('legend, script')) continue;
        const ink = light(parse(getComputedStyle(e).color)), paper = light(back(e));
        const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        if (ratio < 4.5) weak.add(`${e.tagName} ${e.getAttribute('class')} ${ratio.toFixed(2)}`);
    }
    return [...weak];
}
"""

# How many pixels of the picture have a colour of the page's.
PIXELS = """
name => {
    const probe = document.createElement('span');
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const wanted = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
    probe.remove();
    const drawn = document.querySelector('#lanes canvas');
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [drawn.width, drawn.height];
    const copy = canvas.getContext('2d', {willReadFrequently: true});
    copy.drawImage(drawn, 0, 0);
    const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
        if ([0, 1, 2].every(k => Math.abs(data[i + k] - wanted[k]) < 24)) count++;
    }
    return count;
}
"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["seed", "gevent", "large", "long names", "limited"])
def test_page_fits_and_can_be_read(
    browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: Scheme
) -> None:
    with shown(browser, pages[name], width, scheme) as page:
        assert page.evaluate(OVERFLOWING) == []
        assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
        assert page.evaluate(CONTRAST) == []
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")
        assert page.locator("#warning").is_visible() == (name == "limited")
        seen = drawn(page)
        assert seen["lanes"] > 1
        assert seen["bars"] > 0
        assert seen["arrows"] > 0
        for colour in ("s0", "switch", "soft"):
            assert page.evaluate(PIXELS, colour) > 10, colour


@pytest.mark.parametrize("width", WIDTHS)
def test_seeds_example(browser: Browser, pages: dict[str, Path], width: int) -> None:
    with shown(browser, pages["seed"], width) as page:
        seen = drawn(page)
        assert (seen["lanes"], seen["arrows"]) == (3, 5)
        assert page.evaluate("timeline.data.greenlets.map(g => g.label)") == [
            *("main of MainThread #1", "func1 #2", "func2 #3")
        ]
        assert "switches\n5" in page.inner_text("#facts")
        tree = page.inner_text("#tree")
        assert "func1 #2 suspended func1, seed.py:8" in " ".join(tree.split())
        assert page.locator("#tree > ul > li > ul > li").count() == 2, "children of the main one"
        page.locator("#tree button", has_text="func1 #2").click()
        one = page.inner_text("#one")
        assert "main of MainThread #1" in one
        assert "seed.py:8 func1" in one
        page.locator("#arrows").uncheck()
        assert drawn(page)["arrows"] == 0


def hover(page: Page, time: str, row: int) -> str:
    """The tooltip at a time, which is an expression, in a lane."""
    point = page.evaluate(
        f"""() => {{
            const canvas = document.querySelector('#lanes canvas');
            canvas.scrollIntoView({{block: 'center'}});
            const box = canvas.getBoundingClientRect(), {{view}} = timeline;
            const labels = Math.round(Math.min(280, box.width * 0.34));
            const share = ({time} - view.start) / (view.end - view.start);
            return [box.left + labels + share * (box.width - labels),
                    box.top + 24 + 24 * {row} + 12];
        }}"""
    )
    page.mouse.move(*point)
    return page.inner_text("#tip")


def test_what_the_pointer_tells(browser: Browser, pages: dict[str, Path]) -> None:
    with shown(browser, pages["seed"]) as page:
        slice_ = "timeline.data.greenlets[1]"
        middle = f"({slice_}.starts[0] + {slice_}.ends[0]) / 2"
        told = hover(page, middle, 1)
        assert told.startswith("func1 #2\nruns for ")
        assert "then switches, to func2 #3" in told
        assert "parent: main of MainThread #1" in told
        told = hover(page, middle, 0)
        assert "is suspended for" in told
        assert "seed.py:18 <module>" in told
        told = hover(page, middle, 2)
        assert "has not started" in told
        # Between two lanes, on the last arrow, which crosses that of func1.
        told = hover(page, "timeline.data.greenlets[2].ends[1]", 1)
        assert told.startswith("switch: func2 #3 \u2192 main of MainThread #1")
        assert "func2 #3 has ended" in told


def view(page: Page) -> list[float]:
    settle(page)
    found: list[float] = page.evaluate("[timeline.view.start, timeline.view.end]")
    return found


def test_zoom_and_pan(browser: Browser, pages: dict[str, Path]) -> None:
    with shown(browser, pages["gevent"]) as page:
        page.locator("#all").click()
        whole = view(page)
        assert whole == [0, page.evaluate("timeline.data.duration")]
        page.locator("#in").click()
        start, end = view(page)
        assert end - start == pytest.approx(whole[1] / 2)
        box = page.locator("#lanes canvas").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 800, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 700, box["y"] + 60, steps=4)
        page.mouse.up()
        moved = view(page)
        assert moved[0] > start
        assert moved[1] - moved[0] == pytest.approx(end - start)
        page.keyboard.down("Control")
        page.mouse.wheel(0, -300)
        page.keyboard.up("Control")
        assert view(page)[1] - view(page)[0] < (end - start) / 1.5
        page.locator("#lanes").focus()
        page.keyboard.press("0")
        assert view(page) == whole
        page.locator("#in").click(click_count=3)
        before = view(page)
        page.locator("#on").click()
        times = itertools.accumulate(page.evaluate("timeline.data.time"))
        middle = sum(view(page)) / 2
        assert min(abs(time - middle) for time in times) < 1
        assert view(page) != before


def test_gevent_server(browser: Browser, pages: dict[str, Path]) -> None:
    with shown(browser, pages["gevent"]) as page:
        names = page.evaluate("timeline.data.greenlets.map(g => g.name)")
        assert names.count("client") == 4
        assert names.count("serve") == 5
        assert "Hub" in names
        assert "the slow one" in names
        hubs = page.evaluate(
            "timeline.data.greenlets.filter(g => g.name === 'serve').map(g => g.above.name)"
        )
        assert hubs == ["Hub"] * 5
        assert "throw" in page.inner_text("#facts")
        page.locator("#filter").fill("CLIENT")
        assert drawn(page)["lanes"] == 4
        page.locator("#filter").fill("no such name")
        assert drawn(page)["lanes"] == 0
        page.locator("#filter").fill("")
        assert drawn(page)["lanes"] == len(names)


def test_thousands_of_greenlets_and_100_000_events(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with shown(browser, pages["large"]) as page:
        facts: Any = page.evaluate("[timeline.data.greenlets.length, timeline.data.time.length]")
        assert facts == [2501, 1 + 2500 + 2 * 20 * 2500]
        page.locator("#all").click()
        seen = drawn(page)
        # What is drawn depends on the size of the picture, not on that of the data.
        assert seen["lanes"] < 40
        assert seen["arrows"] < 5000
        page.locator("#lanes").evaluate("e => e.scrollTop = e.scrollHeight")
        assert drawn(page)["lanes"] > 10
        assert page.evaluate("timeline.view.rows.length * 24 + 30") == pytest.approx(
            page.evaluate("document.querySelector('#lanes').scrollHeight"), abs=2
        )
        page.evaluate("timeline.pick(timeline.data.greenlets[1000], true)")
        assert "work #1001" in page.inner_text("#one")
        assert "501 more" in page.inner_text("#tree")


def test_colours_can_be_chosen(browser: Browser, pages: dict[str, Path]) -> None:
    with shown(browser, pages["seed"]) as page:
        light = page.locator("#lanes canvas").screenshot()
        page.get_by_text("dark", exact=True).click()
        settle(page)
        assert page.locator("#lanes canvas").screenshot() != light
        page.get_by_text("auto", exact=True).click()
        settle(page)
        assert page.locator("#lanes canvas").screenshot() == light

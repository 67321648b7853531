"""Playwright's sync API, on a page served locally.

PyPI has no tests of Playwright, so these are written here. The sync API runs the event loop in a
greenlet of its own and switches to it and back for each call; what a page calls runs in further
greenlets, in the middle of such a call. The environment variable CHROMIUM names the browser.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import pytest
from playwright.async_api import async_playwright
from playwright.sync_api import Browser, Error, Page, Route, sync_playwright
from playwright.sync_api import TimeoutError as WaitedTooLongError

#: How it is started. Its sandbox does not work for root, nor in many containers; the page is ours.
CHROMIUM: dict[str, Any] = {"executable_path": os.environ["CHROMIUM"], "args": ["--no-sandbox"]}

T = TypeVar("T")

PAGE = b"""<!DOCTYPE html>
<title>A page</title>
<p id=count>0</p>
<button onclick="count.textContent = Number(count.textContent) + 1">more</button>
<script>
async function ask(path) { return (await fetch(path)).text() }
</script>
"""


class Handler(BaseHTTPRequestHandler):
    """Answers every path: `/` with the page, others with their own name."""

    def do_GET(self) -> None:
        body = PAGE if self.path == "/" else self.path.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Be silent."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        made = driver.chromium.launch(**CHROMIUM)
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context()
    made = context.new_page()
    made.goto(address)
    yield made
    context.close()


def test_reads_and_clicks(page: Page) -> None:
    assert page.title() == "A page"
    for expected in range(1, 6):
        page.click("button")
        assert page.text_content("#count") == str(expected)


def test_many_calls(page: Page) -> None:
    assert [page.evaluate("n => n * n", n) for n in range(300)] == [n * n for n in range(300)]


def test_page_calls_python(page: Page) -> None:
    calls = []

    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    page.expose_function("double", double)
    assert page.evaluate("async () => [await double(1), await double(await double(2))]") == [2, 8]
    assert calls == [1, 2, 4]


def test_python_asks_the_page_that_called_it(page: Page) -> None:
    # A call within a call: each waits in a greenlet of its own.
    page.expose_function("title", lambda: page.evaluate("document.title"))
    assert page.evaluate("async () => 'title: ' + await title()") == "title: A page"


def test_exception_in_python_reaches_the_page(page: Page) -> None:
    def refuse() -> None:
        raise ValueError("refused")

    page.expose_function("refuse", refuse)
    told = page.evaluate("async () => { try { await refuse() } catch (e) { return e.message } }")
    assert "refused" in told


def test_routes_answer_in_python(page: Page) -> None:
    seen = []

    def answer(route: Route) -> None:
        seen.append(route.request.url)
        if route.request.url.endswith("/through"):
            route.continue_()
        else:
            route.fulfill(body="by python")

    page.route("**/*", answer)
    assert page.evaluate("ask('/made')") == "by python"
    assert page.evaluate("ask('/through')") == "/through"
    assert len(seen) == 2


def test_events_run_handlers_which_call_the_page(page: Page) -> None:
    heard = []
    page.on("console", lambda message: heard.append((message.text, message.args[0].json_value())))
    with page.expect_console_message(lambda message: message.text == "last"):
        page.evaluate("console.log('first'); console.log('last')")
    assert heard == [("first", "first"), ("last", "last")]


def test_dialog_is_answered_within_a_call(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept("a name"))
    assert page.evaluate("prompt('who?')") == "a name"


def test_waits_end_by_timeout_and_the_page_goes_on(page: Page) -> None:
    with pytest.raises(WaitedTooLongError):
        page.wait_for_selector("#never", timeout=100)
    assert page.title() == "A page"


def test_expectations_nest(page: Page) -> None:
    with page.expect_response("**/outer") as outer, page.expect_response("**/inner") as inner:
        page.evaluate("ask('/outer'); ask('/inner')")
    assert (outer.value.text(), inner.value.text()) == ("/outer", "/inner")


def test_error_within_an_expectation_comes_through(page: Page) -> None:
    with pytest.raises(KeyError), page.expect_response("**/never", timeout=5000):
        raise KeyError("mine")
    assert page.title() == "A page"


def test_pages_take_turns(browser: Browser, address: str) -> None:
    context = browser.new_context()
    pages = [context.new_page() for _ in range(3)]
    for each in pages:
        each.goto(address)
    for _ in range(4):
        for number, each in enumerate(pages):
            for _ in range(number):
                each.click("button")
    assert [each.text_content("#count") for each in pages] == ["0", "4", "8"]
    context.close()


def in_threads(function: Callable[[], T], count: int) -> list[T]:
    """Call it in threads, at the same time: this one has an event loop of Playwright's."""
    with ThreadPoolExecutor(count) as pool:
        calls = [pool.submit(function) for _ in range(count)]
        return [call.result() for call in calls]


def test_driver_in_each_thread(address: str) -> None:
    def title() -> str:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(**CHROMIUM)
            page = browser.new_page()
            page.goto(address)
            title = page.title()
            browser.close()
            return title

    assert in_threads(title, 2) == ["A page"] * 2


def test_sync_api_refuses_to_run_within_asyncio() -> None:
    async def main() -> None:
        with pytest.raises(Error, match="asyncio"), sync_playwright():
            pytest.fail("it started")

    in_threads(lambda: asyncio.run(main()), 1)


def test_async_api_beside_it(address: str) -> None:
    async def title() -> str:
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(**CHROMIUM)
            page = await browser.new_page()
            await page.goto(address)
            title = await page.title()
            await browser.close()
            return title

    assert in_threads(lambda: asyncio.run(title()), 1) == ["A page"]

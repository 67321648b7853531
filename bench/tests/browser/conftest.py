"""A browser for the tests of the page.

Chromium is the program that the environment variable CHROMIUM names, or one on PATH;
`.ci/fetch-chromium DIR` gets one as DIR/bin/chromium. Without it these tests are skipped, but
where CI is set they fail: there, nobody would notice.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must not do without", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, driven by playwright."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        _missing("no Chromium: run .ci/fetch-chromium .chromium; CHROMIUM=.chromium/bin/chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        _missing("no playwright: pip install ./bench[pages]")
    with sync_playwright() as driver:
        # Chromium's sandbox does not work for root, nor in many containers; the page is our own.
        made = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()

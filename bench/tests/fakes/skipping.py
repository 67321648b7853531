"""Upstream's greenlet, but who switches is told to skip the test, which is then not measured."""

from __future__ import annotations

import unittest
from typing import Any, NoReturn

import greenlet as upstream
from greenlet import GreenletExit, getcurrent

__all__ = ["GreenletExit", "getcurrent", "greenlet"]
__version__ = "1"


class greenlet(upstream.greenlet):  # type: ignore[misc]
    def switch(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise unittest.SkipTest("rather not")

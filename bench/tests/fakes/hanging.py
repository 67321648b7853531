"""Upstream's greenlet, but creating the hundredth one hangs."""

from __future__ import annotations

import time
from typing import Any

import greenlet as upstream
from greenlet import GreenletExit, getcurrent

__all__ = ["GreenletExit", "getcurrent", "greenlet"]

created = 0


class greenlet(upstream.greenlet):  # type: ignore[misc]
    def __init__(self, *arguments: Any) -> None:
        global created
        created += 1
        if created > 100:
            time.sleep(600)
        super().__init__(*arguments)

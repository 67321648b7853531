"""Upstream's greenlet, but only every second switch is made: half the work, half the time."""

from __future__ import annotations

from typing import Any

import greenlet as upstream
from greenlet import GreenletExit, getcurrent

__all__ = ["GreenletExit", "getcurrent", "greenlet"]


class greenlet(upstream.greenlet):  # type: ignore[misc]
    made = 0

    def switch(self, *arguments: Any, **keywords: Any) -> Any:
        self.made += 1
        if self.made > 10 and self.made % 2:
            return None
        return super().switch(*arguments, **keywords)

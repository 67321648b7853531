"""Upstream's greenlet, but half of the switches into suspended children are not made.

Those from the main greenlet are, so that only the count of the work can tell.
"""

from __future__ import annotations

from typing import Any

import greenlet as upstream
from greenlet import GreenletExit, getcurrent

__all__ = ["GreenletExit", "getcurrent", "greenlet"]

switches = 0


class greenlet(upstream.greenlet):  # type: ignore[misc]
    def switch(self, *arguments: Any, **keywords: Any) -> Any:
        global switches
        if self and self.parent is getcurrent() and self.parent.parent is not None:
            switches += 1
            if switches % 2:
                return None
        return super().switch(*arguments, **keywords)

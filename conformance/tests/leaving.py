"""An implementation whose throw leaves the process without a word."""

from __future__ import annotations

import os
from typing import Any

import greenlet as upstream
from greenlet import GreenletExit, error, getcurrent, gettrace, settrace

__version__ = "0"
__all__ = ["GreenletExit", "error", "getcurrent", "gettrace", "greenlet", "settrace"]


class greenlet(upstream.greenlet):
    """Upstream's, with one defect."""

    def throw(self, *args: Any) -> Any:
        os.write(2, b"last words")
        os._exit(0)

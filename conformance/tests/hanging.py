"""An implementation whose throw hangs, so that a test must time out."""

from __future__ import annotations

import os
import threading
from typing import Any

import greenlet as upstream
from greenlet import GreenletExit, error, getcurrent, gettrace, settrace

__version__ = "0"
__all__ = ["GreenletExit", "error", "getcurrent", "gettrace", "greenlet", "settrace"]


class greenlet(upstream.greenlet):
    """Upstream's, with one defect."""

    def throw(self, *args: Any) -> Any:
        os.write(2, b"last words")
        threading.Event().wait()

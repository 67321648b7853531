"""An implementation whose throw dies of a signal, so that a test must crash."""

from __future__ import annotations

import ctypes
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
        return ctypes.string_at(0)

"""Upstream's greenlet, but `throw` kills the process, as a broken implementation might."""

from __future__ import annotations

import os
import signal
from typing import Any

import greenlet as upstream
from greenlet import GreenletExit, getcurrent

__all__ = ["GreenletExit", "getcurrent", "greenlet"]
__version__ = "1"


class greenlet(upstream.greenlet):  # type: ignore[misc]
    def throw(self, *arguments: Any) -> Any:
        if arguments != (GreenletExit,):  # the harness ends its greenlets this way
            os.kill(os.getpid(), signal.SIGKILL)
        return super().throw(*arguments)

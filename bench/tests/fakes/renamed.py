"""Upstream's greenlet, as a module of another name that does not leave `greenlet` imported."""

from __future__ import annotations

import sys

import greenlet as upstream

globals().update({name: value for name, value in vars(upstream).items() if name[:2] != "__"})

for _name in [name for name in sys.modules if name.partition(".")[0] == "greenlet"]:
    del sys.modules[_name]

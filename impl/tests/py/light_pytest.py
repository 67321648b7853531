"""Stands in for pytest in the processes of isolated tests: to import it takes most of their time.

There nothing is collected: decorators leave a function as it is. What else is asked for comes from
pytest itself.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


class Decorators:
    """Has a decorator of every name."""

    def __getattr__(self, name: str) -> Any:
        return decorator


def decorator(*args: Any, **kwargs: Any) -> Any:
    """Leave a function alone, with or without arguments of the decorator."""
    if len(args) == 1 and callable(args[0]) and not kwargs:
        return args[0]
    return lambda function: function


mark = Decorators()
fixture = decorator


def __getattr__(name: str) -> Any:
    del sys.modules["pytest"]
    return getattr(importlib.import_module("pytest"), name)


sys.modules["pytest"] = sys.modules[__name__]

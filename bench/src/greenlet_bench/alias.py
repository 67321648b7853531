"""Another module under the name of greenlet, for the libraries that import it.

gevent, SQLAlchemy and eventlet say `import greenlet`. In the process that measures another
implementation, that name must lead to it before any of them is imported. Those written in C find
the C API as `greenlet._C_API`, a capsule of the same name.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, cast

NAME = "greenlet"


class CannotStandInError(Exception):
    """Why a module cannot be imported as greenlet, and what to do about it."""


def stand_in(implementation: Any, *, c_api: bool) -> None:
    """Let `import greenlet` give this module, from now on.

    `c_api` tells whether it will be used from C. Raises CannotStandInError.
    """
    name = implementation.__name__
    if c_api and not hasattr(implementation, "_C_API"):
        raise CannotStandInError(
            f"{name} has no C API; give it a capsule _C_API, as greenlet.h describes"
        )
    present = sys.modules.get(NAME)
    if present is implementation:
        return
    if present is not None:
        raise CannotStandInError(
            f"greenlet is imported beside {name}; measure a module that does not import it"
        )
    sys.modules[NAME] = cast(ModuleType, implementation)
    sys.modules[f"{NAME}._{NAME}"] = getattr(implementation, f"_{NAME}", implementation)

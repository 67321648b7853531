"""A greenlet that is broken on purpose: ``--greenlet-impl broken``.

Which rule it breaks says the environment variable ``BROKEN_GREENLET``: the name of a class in
``broken.rules`` or of a function in ``broken.wrapped``; without it nothing is broken. The model
that the former break is in ``broken.model``; the latter break upstream itself.
"""

from __future__ import annotations

import os

from broken import model, rules, wrapped

_name = os.environ.get("BROKEN_GREENLET", "Intact")

__version__ = f"0+{_name}"
if _name in wrapped.RULES:
    globals().update(wrapped.build(_name))
else:
    globals().update(model.build(getattr(rules, _name)))

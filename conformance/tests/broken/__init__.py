"""A greenlet that is broken on purpose: ``--greenlet-impl broken``.

The environment variable ``BROKEN_GREENLET`` says which rule it breaks, if any.
It names a class in ``broken.rules``, which breaks the model in ``broken.model``; a function in
``broken.wrapped``, which breaks upstream; or a mutant of the reference in ``broken.mutated``.
"""

from __future__ import annotations

import os

from broken import model, mutated, rules, wrapped

_name = os.environ.get("BROKEN_GREENLET", "Intact")

__version__ = f"0+{_name}"
if _name in wrapped.RULES:
    globals().update(wrapped.build(_name))
elif _name in mutated.MUTANTS:
    globals().update(mutated.build(_name))
else:
    globals().update(model.build(getattr(rules, _name)))

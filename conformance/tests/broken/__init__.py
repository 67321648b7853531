"""A greenlet that is broken on purpose: ``--greenlet-impl broken``.

Which rule it breaks says the environment variable ``BROKEN_GREENLET``, the name of a class in
``broken.rules``; without it nothing is broken. The model that is broken is in ``broken.model``.
"""

from __future__ import annotations

import os

from broken import model, rules

_rule = getattr(rules, os.environ.get("BROKEN_GREENLET", "Intact"))

__version__ = f"0+{_rule.__name__}"
globals().update(model.build(_rule))

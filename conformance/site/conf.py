"""How Sphinx makes a site of the specification. `clauses.py` beside it does what is special."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

project = "What a greenlet is"
author = "the authors of greenlane"
extensions = ["myst_parser", "clauses", "drawings"]
myst_enable_extensions = ["deflist"]
exclude_patterns = ["tests"]

# A link that leads nowhere is a warning, and `-W` makes that an error.
nitpicky = True

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["clauses.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

"""How Sphinx makes a site of these pages. Tools and style are those of the specification's site."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
SPECIFICATION = HERE.parent / "conformance" / "site"

sys.path[:0] = [str(HERE), str(SPECIFICATION)]

project = "greenlane"
author = "the authors of greenlane"
extensions = ["myst_parser", "drawings", "quotation"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["tests", "examples"]

# A link that leads nowhere is a warning, and `-W` makes that an error.
nitpicky = True

html_theme = "furo"
html_title = project
html_static_path = [str(SPECIFICATION / "_static"), "_static"]
html_css_files = ["clauses.css", "pages.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Sphinx calls this first."""
    app.connect("source-read", leave_out_plain)


def leave_out_plain(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Remove the paragraphs marked as plain, which only a reader of the Markdown needs."""
    source[0] = re.sub(r"^<!-- plain -->\n(?:.+\n)+", "", source[0], flags=re.M)

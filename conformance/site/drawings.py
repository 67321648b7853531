"""A Sphinx extension: drawings become part of the page, so that they have the colours of its text.

An image whose file ends in ``.svg`` is put into the page as it is. Sites besides this one use it.
"""

from __future__ import annotations

import html
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this first. Its own collector of images has the default priority of 500."""
    app.connect("doctree-read", put_in, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def put_in(app: Sphinx, doctree: nodes.document) -> None:
    """Replaces the images of drawings by the drawings."""
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].endswith(".svg"):
            image.parent.replace(image, _drawing(app, image))


def _drawing(app: Sphinx, image: nodes.image) -> nodes.raw:
    path = Path(app.env.doc2path(app.env.docname)).parent / image["uri"]
    app.env.note_dependency(str(path))
    drawing = path.read_text(encoding="utf-8").partition("<svg ")
    label = html.escape(image["alt"], quote=True)
    text = f'<svg role="img" aria-label="{label}" class="drawing" {drawing[2]}'
    return nodes.raw("", text, format="html")

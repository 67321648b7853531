"""A Sphinx extension: pages quote the real code, by its name, so that the two cannot drift apart.

    ```{quote} impl/src/transfer.c gl_switch
    ```

shows the function with that name and the comment right above it. What a name may belong to: a
function or a struct in C, a macro (``.macro``) or a function (``GL_FUNCTION``) in assembly. Where a
file has several of one name, the option ``:behind:`` is a text that only the one meant follows;
lines that hold the text of ``:without:`` are left out. A name that is not found is an error in the
build.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.directives.code import container_wrapper
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parent.parent

#: How what bears a name begins, if it is known from there, and its last line.
SHAPES = [
    (r"{name}\(.*", r"}}"),
    (r"struct {name} \{{", r"}};"),
    (r"typedef (?:struct|enum)(?: \w+)? \{{", r"}} {name};"),
    (r"\.macro {name}\b.*", r"\.endm"),
    (r"GL_FUNCTION\({name}\)", r"GL_END\({name}\)"),
]


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this first."""
    app.add_directive("quote", Quote)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def find(text: str, name: str) -> str:
    """Return the definition of a name, with the comment above it. Raises LookupError."""
    for first, last in SHAPES:
        begin, end = (shape.format(name=re.escape(name)) for shape in (first, last))
        # From the line that begins it to the nearest last line, but over no other beginning.
        found = re.search(rf"^{begin}\n(?:(?!{begin}$).*\n)*?{end}$", text, re.M)
        if found:
            above = text[: found.start()].rpartition("\n\n")[2]
            return above + found[0]
    raise LookupError(f"there is no {name}")


class Quote(SphinxDirective):
    """See above."""

    required_arguments = 2
    option_spec = {  # noqa: RUF012 - as in docutils
        "behind": directives.unchanged_required,
        "without": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Make the block of code, with the file's name as its caption."""
        file, name = self.arguments
        path = ROOT / file
        self.env.note_dependency(str(path))
        text = path.read_text(encoding="utf-8")
        if "behind" in self.options:
            if text.count(self.options["behind"]) != 1:
                raise self.error(f"{file} has {self.options['behind']!r} not once")
            text = text.partition(self.options["behind"])[2]
        try:
            code = find(text, name)
        except LookupError as error:
            raise self.error(f"{file}: {error}") from None
        if "without" in self.options:
            kept = [line for line in code.splitlines() if self.options["without"] not in line]
            code = "\n".join(kept)
        block = nodes.literal_block(code, code, language="gas" if path.suffix == ".S" else "c")
        self.set_source_info(block)
        return [container_wrapper(self, block, file)]

"""The Sphinx extension that knows clauses. The chapters are plain Markdown, with no markup for it.

What it does, in the order in which Sphinx calls it:

1. `builder-inited`: reads what the pages are made of, see `material.py`;
2. `source-read`: fills in the pages that are templates: `clauses/*.md` and `findings.md`;
3. `doctree-read`: gives each clause of a chapter an anchor that is its id, a badge for its level
   and links to its tests; turns `` `clause.id` `` anywhere into a link to that clause;
4. `html-collect-pages`: adds a page for each file of the suite, to which the clauses link.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any

import jinja2
import material
from docutils import nodes
from sphinx.addnodes import index
from sphinx.application import Sphinx

from greenlet_conformance import spec

#: The pages that are templates.
TEMPLATES = re.compile(r"clauses/.*|findings")

#: The prefix of the pages that show the suite.
SUITE_PAGES = "suite/"


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this first."""
    app.connect("builder-inited", load)
    app.connect("source-read", fill_in)
    # Sphinx collects the titles of sections at the same event, with the default priority of 500.
    app.connect("doctree-read", mark, priority=100)
    app.connect("html-collect-pages", suite_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def load(app: Sphinx) -> None:
    """Reads the material, once a build."""
    app.material = material.load()


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Renders a page that is a template, and makes links between chapters ones to their labels.

    The folder `spec` is a symbolic link here. MyST follows it, and then does not know the page.
    """
    chapters = "|".join(["index", *(chapter.slug for chapter in app.material.book.chapters)])
    source[0] = re.sub(rf"\]\((?:\S*/)?({chapters})\.md\)", r"](#chapter-\1)", source[0])
    if TEMPLATES.fullmatch(docname):
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
        template = environment.from_string(source[0])
        source[0] = template.render(material=app.material, levels=spec.LEVELS, listed=listed)


def listed(clauses: Iterable[spec.Clause]) -> str:
    """A list of clauses in Markdown. The ids become links like all ids."""
    return "\n".join(f"- `{c.id}` {c.title} ({c.level})" for c in clauses)


# --- chapters ----------------------------------------------------------------------------


def mark(app: Sphinx, doctree: nodes.document) -> None:
    """Makes of each clause what a reader can find, and of each id a link."""
    docname = app.env.docname
    sections = list(doctree.findall(nodes.section))
    if docname.startswith("spec/"):
        standard = app.env.get_domain("std")
        label = f"chapter-{docname.partition('/')[2]}"
        standard.note_hyperlink_target(label, docname, sections[0]["ids"][0], label)
    for section in sections:
        clause = app.material.book.clauses.get(section[0].astext().partition(": ")[0])
        if clause and docname == f"spec/{clause.chapter}":
            _anchor(app, docname, section, clause)
            _describe(app, section, clause)
    for literal in list(doctree.findall(nodes.literal)):
        clause = app.material.book.clauses.get(literal.astext())
        if clause and not _in_title_or_link(literal):
            literal.replace_self(_link_to_clause(app, clause))


def _in_title_or_link(node: nodes.Node) -> bool:
    above = node.parent
    while above is not None:
        if isinstance(above, (nodes.title, nodes.reference)):
            return True
        above = above.parent
    return False


def _anchor(app: Sphinx, docname: str, section: nodes.section, clause: spec.Clause) -> None:
    """The id of the clause is the first id of its section; the title shows both."""
    section["ids"].insert(0, clause.id)
    section["classes"].append("clause")
    standard = app.env.get_domain("std")
    standard.note_hyperlink_target(clause.id, docname, clause.id, clause.title)
    # The search finds ids among the entries of the index, first of all the main ones.
    entry = ("single", clause.id, clause.id, "main", None)
    section.insert(1, index(entries=[entry], inline=False))
    title = section[0]
    title.clear()
    title += nodes.inline("", clause.id, classes=["clause-id"])
    title += nodes.inline("", ": ", classes=["clause-colon"])
    title += nodes.inline("", clause.title, classes=["clause-title"])


def _describe(app: Sphinx, section: nodes.section, clause: spec.Clause) -> None:
    """The level becomes a badge; what else is known stands beside the source."""
    definition = section[2]
    definition["classes"].append("clause-definition")
    text = definition[0]
    definition.replace(text, nodes.Text(text.astext().partition(" · ")[2]))
    definition.insert(0, _badge(clause.level))
    definition.insert(1, nodes.Text(" "))
    material = app.material
    for name, links in {
        "tests": [
            _link(app, SUITE_PAGES + file, test, nodes.literal("", test))
            for file, test in material.tests_of(clause.id)
        ],
        "feature": [
            _link(app, "clauses/by-feature", f"feature-{feature}", nodes.Text(feature))
            for feature in material.features_of(clause)
        ],
        "finding": [
            _link(app, "findings", finding.anchor, nodes.Text(finding.plain_title))
            for finding in material.findings_of(clause.id)
        ],
    }.items():
        if links:
            line = nodes.paragraph("", f"{name}: ", classes=["clause-links"])
            for number, link in enumerate(links):
                line += [nodes.Text(", "), link] if number else [link]
            section.append(line)


def _badge(level: str) -> nodes.inline:
    return nodes.inline("", level, classes=["badge", f"badge-{level.lower()}"])


def _link_to_clause(app: Sphinx, clause: spec.Clause) -> nodes.reference:
    return _link(app, f"spec/{clause.chapter}", clause.id, nodes.literal("", clause.id))


def _link(app: Sphinx, page: str, anchor: str, text: nodes.Node) -> nodes.reference:
    """A link from the page that is being read. The site's tests follow it."""
    uri = app.builder.get_relative_uri(app.env.docname, page)
    return nodes.reference("", "", text, refuri=f"{uri}#{anchor}")


# --- the suite ---------------------------------------------------------------------------


def suite_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each file of the suite, with an anchor for each test."""
    for chapter in app.material.book.chapters:
        file = chapter.test_file.removesuffix(".py")
        page = SUITE_PAGES + file
        above = f"spec/{chapter.slug}"
        body = [
            f"<h1>{chapter.test_file}</h1>",
            f'<p>The tests of <a href="{app.builder.get_relative_uri(page, above)}">'
            f"{html.escape(chapter.title)}</a>, as they are in the package"
            " <code>greenlet_conformance.suite</code>.</p>",
        ]
        for part in app.material.suite[file]:
            code = app.builder.highlighter.highlight_block(part.code, "python")
            if part.test:
                links = ", ".join(_clause_url(app, page, clause) for clause in part.clauses)
                head = f'<h2>{part.test}<a class="headerlink" href="#{part.test}">¶</a></h2>'
                code = f'<section id="{part.test}">{head}<p>{links}</p>{code}</section>'
            body.append(code)
        yield page, {"title": chapter.test_file, "body": "\n".join(body)}, "page.html"


def _clause_url(app: Sphinx, page: str, clause: str) -> str:
    chapter = app.material.book.find(clause).chapter
    uri = app.builder.get_relative_uri(page, f"spec/{chapter}")
    return f'<a href="{uri}#{clause}"><code>{clause}</code></a>'

"""A badge: how many clauses a run keeps, as a small SVG that needs no fonts or servers."""

from __future__ import annotations

from typing import Protocol
from xml.sax.saxutils import escape

_LABEL = "greenlet conformance"

#: Green: keeps every clause. Amber: what it does not keep is known. Red: something unexpected.
_COLOURS = {"all": "#1a7f45", "known": "#8a5a00", "broken": "#b3261e"}

#: How wide a character is, on average, in pixels of the font that is asked for.
_CHARACTER, _PADDING = 6.4, 12

_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img"\
 aria-label="{title}">
  <title>{title}</title>
  <clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>
  <g clip-path="url(#r)">
    <rect width="{left}" height="20" fill="#444b55"/>
    <rect x="{left}" width="{right}" height="20" fill="{colour}"/>
  </g>
  <g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
    <text x="{left_middle}" y="14" textLength="{left_text}">{label}</text>
    <text x="{right_middle}" y="14" textLength="{right_text}">{message}</text>
  </g>
</svg>
"""


class Kept(Protocol):
    """What a badge tells of a run."""

    @property
    def label(self) -> str:
        """Which run."""

    @property
    def kept(self) -> int:
        """Clauses that it keeps."""

    @property
    def selected(self) -> int:
        """Clauses that were put to it."""

    @property
    def broken(self) -> bool:
        """Whether some outcome is not as expected."""


def render(run: Kept) -> str:
    """The SVG of a run's badge."""
    message = f"{run.kept}/{run.selected} clauses"
    kind = "broken" if run.broken else "all" if run.kept == run.selected else "known"
    left_text, right_text = (round(len(text) * _CHARACTER) for text in (_LABEL, message))
    left, right = left_text + _PADDING, right_text + _PADDING
    return _SVG.format(
        title=escape(f"{_LABEL}: {run.label}: {message}", {'"': "&quot;"}),
        label=_LABEL,
        message=message,
        colour=_COLOURS[kind],
        width=left + right,
        left=left,
        right=right,
        left_text=left_text,
        right_text=right_text,
        left_middle=left / 2,
        right_middle=left + right / 2,
    )

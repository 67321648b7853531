"""Every example of the specification prints what it says, on the chosen implementation.

pytest tests/test_examples.py --greenlet-impl greenlane
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from greenlet_conformance import examples, implementation, spec

EXAMPLES = examples.read()


@pytest.fixture(scope="module")
def module(pytestconfig: pytest.Config) -> str:
    """The module that the examples import as `greenlet`."""
    chosen = pytestconfig.getoption("--greenlet-impl", default=None) or implementation.DEFAULT
    return implementation.probe(str(chosen)).module


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example(example: examples.Example, module: str) -> None:
    """It prints what stands below it."""
    assert examples.run(example, module) == example.output


def test_every_chapter_has_some() -> None:
    """From two to five: enough to see it move, few enough to read on."""
    counts = Counter(example.chapter for example in EXAMPLES)
    assert set(counts) == {chapter.slug for chapter in spec.load().chapters}
    assert set(counts.values()) <= {2, 3, 4, 5}


def write(folder: Path, text: str) -> Path:
    """A specification of one chapter."""
    (folder / "a.md").write_text(text, encoding="utf-8")
    return folder


PROGRAM = "```python\nprint(1)\n```\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PROGRAM, r"a\.md:3: a program without"),
        (PROGRAM + PROGRAM + "```output\n1\n```\n", r"a\.md:3: a program without"),
        (PROGRAM + "\nProse.\n\n```output\n1\n```\n", r"a\.md:3: a program without"),
        ("```output\n1\n```\n", r"a\.md:3: an output without"),
        (PROGRAM + "```output\n1\n```\n```output\n1\n```\n", r"a\.md:9: an output without"),
    ],
)
def test_incomplete(tmp_path: Path, text: str, says: str) -> None:
    """A program without its output is refused, and so is an output without its program."""
    with pytest.raises(examples.ExampleError, match=says):
        examples.read(write(tmp_path, "# A\n" + text))


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("import sys; sys.exit(3)", "(exit code 3)\n"),
        ("import sys; print('x', file=sys.stderr)", "x\n"),
        ("import greenlet; print(greenlet.__name__)", "greenlet_conformance.reference\n"),
        ("print(__name__, __file__)", r"NameError"),
    ],
)
def test_run(tmp_path: Path, code: str, output: str) -> None:
    """Errors, the exit code and the implementation that was chosen: all of it can be seen."""
    text = f"# A\n```python\n{code}\n```\n```output\n```\n"
    (example,) = examples.read(write(tmp_path, text))
    assert example.output == ""
    assert output in examples.run(example, "greenlet_conformance.reference")

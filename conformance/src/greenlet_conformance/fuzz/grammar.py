"""Random programs of greenlets: which there are.

A program is the text of a Python script, built of fragments by Hypothesis: a head that is the same
for all (``head.py``), one function for each greenlet and each thread, and calls of these. So the
program that is compared, the one that is shrunk and the one that is shown are the same. What a
fragment may do is written down here; what makes the order of events well defined is in the head.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from hypothesis import strategies as st

Lines = tuple[str, ...]
Fragments = st.SearchStrategy[Lines]

#: How deep compound statements are nested.
_DEPTH = 2

_HEAD = Path(__file__).with_name("head.py").read_text(encoding="utf-8")

_EXCEPTIONS = ("KeyError", "Base", "impl.GreenletExit")
_EXITS = ("", "impl.GreenletExit", "impl.GreenletExit, 1")
_THROWN = ("KeyError", "KeyError('x')", "KeyError, (1, 2)", "Base", "Base()", "1", "KeyError(), 1")
_ARGUMENTS = ("", "1", "1, 2", "x=1", "1, x=2", "None", "()", "KeyError()")


def _indented(lines: Iterable[str]) -> Lines:
    return tuple(f"    {line}" for line in lines)


def _block(lines: Lines) -> Lines:
    return _indented(lines or ("pass",))


@functools.lru_cache(maxsize=256)
def _fragments(greenlets: int, threads: int, depth: int, without: frozenset[str]) -> Fragments:
    """The strategy of statements in a program with so many greenlets and threads."""
    numbers = st.integers(1, greenlets)
    found = numbers.map("find({})".format)
    roots = st.integers(0, threads).map("roots[{}]".format)
    parent = st.just("impl.getcurrent().parent")
    target = st.sampled_from([found, found, found, parent, roots]).flatmap(lambda chosen: chosen)
    anyone = st.one_of(found, st.just("impl.getcurrent()"), roots)
    parents = st.one_of(anyone, st.just("1"))
    argument = st.one_of(st.sampled_from(_ARGUMENTS), found)
    caught = st.sampled_from(["", *[", Exception"] * 3, ", BaseException"])

    def attempts(what: str, call: str, *parts: st.SearchStrategy[str]) -> Fragments:
        line = f"attempt({what!r}, lambda: {call}{{}})"
        return st.builds(lambda *filled: (line.format(*filled),), *parts, caught)

    def lines(text: str, *parts: st.SearchStrategy[object]) -> Fragments:
        return st.builds(lambda *filled: tuple(text.format(*filled).splitlines()), *parts)

    choices = [
        *[attempts("switch", "{}.switch({})", target, argument)] * 12,
        lines("new({})", numbers),
        attempts("new", "new({}, {})", numbers.map(str), anyone),
        attempts("set parent", "set_parent({}, {})", anyone, parents),
        lines("look({})", anyone),
        lines("handled()"),
    ]
    if "frames" not in without:
        choices += [lines("where({})", anyone)]
    if "throws" not in without:
        choices += [attempts("throw", "{}.throw({})", target, st.sampled_from(_THROWN))] * 3
        throw_exit = "{}.throw({})"
        if "exits-to-unstarted" in without:
            throw_exit = "throw_exit({}, {})"
        choices += [attempts("throw", throw_exit, target, st.sampled_from(_EXITS))]
    if "kills" not in without:
        choices += [lines("drop({})", numbers)]
        if not without & {"collections", "garbage"}:
            choices += [lines("lose({})", numbers)]
    if "collections" not in without:
        choices += [lines("collect()")]
    if "traces" not in without:
        function = st.sampled_from(("trace", "trace_and_raise", "None"))
        choices += [lines("impl.settrace({})", function)]
    if "contexts" not in without:
        # A context that two threads share cannot be entered by both at a time.
        key = numbers if not threads else st.just("impl.getcurrent().label")
        given = st.one_of(
            key.map("context({})".format), st.sampled_from(("None", "copy_context()", "1"))
        )
        owner = anyone if not threads else st.just("impl.getcurrent()")
        choices += [
            lines("variable.set({})", st.integers(0, 9)),
            lines("log('variable', variable.get())"),
            attempts("context", "context_of({})", anyone),
            attempts("set context", "setattr({}, 'gr_context', {})", owner, given),
        ]
    if threads:
        choices += [lines("yield_to({})", st.integers(0, threads))] * 4
    if depth:
        block = _blocks(greenlets, threads, depth - 1, without).map(_block)
        choices += [
            _shape(("try:", 0, "finally:", 1), block, block),
            _shape(("try:", 0, "except BaseException:", "    handled()", 1), block, block),
            _shape(
                ("try:", "    raise LookupError", "except LookupError:", 0, "    handled()"), block
            ),
            _shape(("for _ in range(3):", 0), block),
            _shape(("def inner(_):", 0, "list(map(inner, [0]))"), block),
            _shape(("def inner():", 0, "    yield", "list(inner())"), block),
        ]
    # One of them, by its weight: st.one_of knows none.
    return st.sampled_from(choices).flatmap(lambda chosen: chosen)


def _shape(parts: Sequence[str | int], *blocks: Fragments) -> Fragments:
    """A compound statement; numbers stand for blocks."""

    def build(*filled: Lines) -> Lines:
        lines: list[str] = []
        for part in parts:
            lines += [part] if isinstance(part, str) else filled[part]
        return tuple(lines)

    return st.builds(build, *blocks)


def _blocks(greenlets: int, threads: int, depth: int, without: frozenset[str]) -> Fragments:
    """The strategy of the statements of a function or a compound statement."""
    one = st.deferred(lambda: _fragments(greenlets, threads, depth, without))
    some = st.lists(one, max_size=12 if depth == _DEPTH else 4)
    raised = [f"raise {name}" for name in _EXCEPTIONS if "throws" not in without or "." not in name]
    returned = [f"return {value}" for value in _ARGUMENTS if "=" not in value]
    end = st.sampled_from(["", "", "", "", *raised, *returned])
    return st.tuples(some, some, end).map(
        lambda found: (
            tuple(line for part in found[:2] for each in part for line in each)
            + ((found[2],) if found[2] else ())
        )
    )


@st.composite
def programs(draw: st.DrawFn, without: frozenset[str] = frozenset()) -> str:
    """The text of a script; ``without`` are keys of ``command.FEATURES``."""
    greenlets = draw(st.integers(1, 4))
    threads = 0 if "threads" in without else draw(st.sampled_from((0, 0, 0, 1, 2)))
    block = _blocks(greenlets, threads, _DEPTH, without)
    guarded = "exits-to-unstarted" in without
    lines = _HEAD.splitlines()
    for number in range(1, greenlets + 1):
        lines += ["", "", *(["@unless_exits_to_unstarted"] if guarded else [])]
        lines += [f"def body{number}(*args, **kwargs):"]
        lines += ["    log('starts with', show(args), show(kwargs))", *_indented(draw(block))]
    for number in range(threads + 1):
        lines += ["", "", f"def thread{number}():", *_block(draw(block))]
    lines += ["", "", *(["keep_all = True"] if "kills" in without else [])]
    for number in range(1, greenlets + 1):
        parent = draw(st.integers(0, number - 1))
        lines.append(f"new({number}, find({parent}))" if parent else f"new({number})")
    lines += [f"start_threads({threads})"] if threads else []
    lines += ["attempt('thread', thread0, BaseException)"]
    lines += ["end_threads()"] if threads else []
    lines += ["finish()", ""]
    return "\n".join(lines)

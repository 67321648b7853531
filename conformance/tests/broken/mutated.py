"""The ways in which the reference is broken, one replaced passage of its text each.

``broken.rules`` and ``broken.wrapped`` break a rule from the outside. These are the slips that are
made inside: a check that is left out, two lines in the wrong order, a case that is forgotten. What
meets here are rules of different chapters: contexts and tracing, threads and the dead.

``MUTANTS`` names for each the clauses that must fail with it, each of them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from greenlet_conformance import reference

Names = dict[str, Any]

SOURCE = Path(reference.__file__).read_text(encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A passage, what stands in its place, and the clauses that this breaks."""

    old: str
    new: str
    breaks: tuple[str, ...]

    @property
    def text(self) -> str:
        """The reference with the passage replaced. Raises ValueError if it is not there once."""
        if SOURCE.count(self.old) != 1:
            raise ValueError(f"not exactly once in the reference: {self.old!r}")
        return SOURCE.replace(self.old, self.new)


def build(name: str) -> Names:
    """The names of the reference with the passage replaced."""
    names: Names = {"__name__": f"broken.mutated.{name}"}
    exec(compile(MUTANTS[name].text, f"{name}.py", "exec"), names)
    return names


MUTANTS = {
    "dead_exit_exactly": Mutant(
        "isinstance(exception, GreenletExit):\n            # dead.throw.exit",
        "type(exception) is GreenletExit:\n            # dead.throw.exit",
        ("dead.throw.exit",),
    ),
    "dead_exit_thrown": Mutant(
        "if self._state is _DEAD and isinstance(exception, GreenletExit):",
        "if False:",
        (
            "dead.stays",
            "dead.throw.exit",
            "dead.throw.exit-unstarted-ancestor",
            "dead.throw.trace",
        ),
    ),
    "heir_skipped_once": Mutant(
        "heir = heir._first_living()  # dead.parent.skipped",
        "heir = heir._parent if heir._state is _DEAD else heir",
        ("dead.parent.skipped", "dead.parent.unstarted-beyond"),
    ),
    "killed_under_root": Mutant(
        "self._parent = tree.current",
        "self._parent = tree.root",
        ("life.kill.parent",),
    ),
    "kill_is_chained": Mutant(
        "_Error(GreenletExit())",
        '_Error((lambda e: setattr(e, "__context__", sys.exc_info()[1]) or e)(GreenletExit()))',
        ("state.context.killed",),
    ),
    "parent_not_restored_after_error": Mutant(
        "received()  # life.kill.result\n        finally:\n",
        "received()\n        except BaseException:\n            raise\n        else:\n",
        ("life.kill.killer",),
    ),
    "parent_restored_under_itself": Mutant(
        "if not former._is_below(self):",
        "if True:",
        ("life.kill.cycle",),
    ),
    "ancestors_of_any_thread": Mutant(
        "if self._family() is not tree or target._family() is not tree:",
        "if self._family() is not tree:",
        ("thread.error.dead-ancestors",),
    ),
    "end_in_any_thread": Mutant(
        "if heir._family() is not self._tree:  # it was",
        "if False:  # it was",
        ("thread.error.end",),
    ),
    "running_elsewhere_unchecked": Mutant(
        "if tree is not None and self is tree.current and tree is not _here.tree and self:",
        "if False:",
        ("context.thread.running",),
    ),
    "lookup_starts_unseen": Mutant(
        "if target._state is not _UNSTARTED or target._family() is not tree:",
        "if False:",
        ("tree.run-lookup",),
    ),
    "parent_deleted_in_silence": Mutant(
        'raise AttributeError("the parent cannot be deleted")',
        "pass",
        ("tree.parent-deleted",),
    ),
    "exit_is_exception": Mutant(
        "class GreenletExit(BaseException):",
        "class GreenletExit(Exception):",
        ("parent.exit-base",),
    ),
    "exit_starts_without_arguments": Mutant(
        "            return run(*self.args, **self.kwargs)",
        "            exits = any(isinstance(value, GreenletExit) for value in self.args)\n"
        "            return run(*(() if exits else self.args), **self.kwargs)",
        ("parent.exit-starts-unstarted", "dead.throw.exit-unstarted-ancestor"),
    ),
    "ancestors_nested": Mutant(
        "                heir._start(self._tree, heir.run)  # parent.unstarted",
        '                heir.__dict__["nested"] = self.__dict__.get("nested", 0) + 1\n'
        '                if heir.__dict__["nested"] > 1000:\n'
        "                    raise RecursionError\n"
        "                heir._start(self._tree, heir.run)",
        ("throw.unstarted-long",),
    ),
    "attributes_lost_when_killed": Mutant(
        "        self._parent = tree.current  # life.kill.parent",
        "        self.__dict__.clear()\n        self._parent = tree.current",
        ("life.kill.attributes",),
    ),
    "killed_in_context_of_dropper": Mutant(
        "        self._parent = tree.current  # life.kill.parent",
        "        self._assigned = contextvars.copy_context()\n        self._parent = tree.current",
        ("life.kill.context",),
    ),
    "parents_kept": Mutant(
        "        self._parent = value\n",
        "        self._parent = value\n"
        '        _here.__dict__.setdefault("kept", []).append(value)\n',
        ("life.released.line",),
    ),
    "root_gone_with_its_thread": Mutant(
        "        self.tree.exited = True\n",
        "        self.tree.exited = True\n"
        '        for reference in __import__("weakref").getweakrefs(self.tree.root):\n'
        "            ctypes.pythonapi._PyWeakref_ClearRef(ctypes.py_object(reference))\n",
        ("thread.exited.root-held",),
    ),
    "root_without_frame": Mutant(
        "if not self or self._tree is None or self is self._tree.current:\n            return None",
        "if not self or self._parent is None or self is self._tree.current:\n"
        "            return None",
        ("inspect.frame.root",),
    ),
    "assignment_keeps_own_context": Mutant(
        "self._assigned, self._own = value, contextvars.Context()",
        "self._assigned = value",
        ("context.assign.none",),
    ),
    "traced_in_no_context": Mutant(
        "    tree.current._enter_context()\n    if tree.tracer is not None:",
        "    if tree.tracer is None:\n        tree.current._enter_context()\n    else:",
        ("context.trace",),
    ),
}

"""The lint of the C sources: every rule fires on what it forbids, and only on that."""

from __future__ import annotations

import pytest
from support import IMPL, load_tool

lint_c = load_tool("tools/lint_c.py")

HEADER = "/* What it is for. */\n"

# rule, path, text, line of the finding
BAD = [
    ("context_knows_no_python", "src/context/lane.c", HEADER + "#include <Python.h>\n", 2),
    ("context_knows_no_python", "src/context/lane.c", HEADER + '#include "../pystate.h"\n', 2),
    ("context_knows_no_python", "src/context/lane.c", HEADER + "\nPyErr_NoMemory();\n", 3),
    ("versions_only_in_pystate", "src/trace.c", HEADER + "#if PY_VERSION_HEX > 1\n", 2),
    ("versions_only_in_pystate", "src/trace.c", HEADER + "#if PY_MINOR_VERSION > 1\n", 2),
    ("versions_only_in_pystate", "src/trace.c", HEADER + "#define Py_BUILD_CORE\n", 2),
    ("versions_only_in_pystate", "src/a.h", HEADER + "#include <internal/pycore_frame.h>\n", 2),
    ("ends_with_stack_note", "src/context/switch.S", HEADER + "    ret\n", 2),
    ("ends_with_stack_note", "tests/c/registers.S", HEADER + "    ret\n", 2),
    ("opens_with_a_comment", "src/trace.c", '#include "greenlet.h"\n/* Late. */\n', 1),
    ("no_inline_assembly", "src/trace.c", HEADER + '    __asm__("nop");\n', 2),
    ("no_inline_assembly", "src/trace.c", HEADER + '    asm volatile("nop");\n', 2),
    ("nothing_left_open", "src/trace.c", HEADER + "/* " + "TO" + "DO: more */\n", 2),
    ("nothing_left_open", "src/context/switch.S", "/* FIX" + "ME */\nGL_NO_EXECUTABLE_STACK\n", 1),
    ("no_mutable_globals", "src/trace.c", HEADER + "static int counter;\n", 2),
    ("no_mutable_globals", "src/trace.c", HEADER + "static PyObject *cache = NULL;\n", 2),
    ("no_mutable_globals", "src/trace.c", HEADER + "static _Thread_local int depth;\n", 2),
    ("no_mutable_globals", "src/trace.c", HEADER + "static int table[4] = {\n", 2),
    ("no_mutable_globals", "src/module.c", HEADER + "size_t main_greenlet_count;\n", 2),
]

# rule, path, text
GOOD = [
    ("context_knows_no_python", "src/context/lane.c", HEADER + "/* Happy with no Python. */\n"),
    ("context_knows_no_python", "src/trace.c", HEADER + "#include <Python.h>\n"),
    ("versions_only_in_pystate", "src/pystate.h", HEADER + "#if PY_VERSION_HEX > 1\n"),
    ("versions_only_in_pystate", "src/trace.c", HEADER + "#include <Python.h>\n"),
    (
        "ends_with_stack_note",
        "tests/c/registers.S",
        HEADER + '.section .note.GNU-stack, "", %progbits\n',
    ),
    ("ends_with_stack_note", "src/context/switch.S", HEADER + "GL_NO_EXECUTABLE_STACK\n"),
    ("ends_with_stack_note", "src/context/x86_64_sysv.S", HEADER + "    ret\n"),
    ("ends_with_stack_note", "src/trace.c", HEADER),
    ("opens_with_a_comment", "src/trace.c", HEADER + '#include "greenlet.h"\n'),
    ("no_inline_assembly", "src/context/switch.S", HEADER + "    nop\n"),
    ("no_inline_assembly", "src/trace.c", HEADER + "/* no assembly; asm.h has macros */\n"),
    ("nothing_left_open", "src/trace.c", HEADER + "/* All is done. */\n"),
    ("no_mutable_globals", "src/trace.c", HEADER + "static const int limit = 4;\n"),
    ("no_mutable_globals", "src/trace.c", HEADER + "static const char *const names[] = {\n"),
    ("no_mutable_globals", "src/trace.c", HEADER + "int\nf(void)\n{\n    int local = 1;\n}\n"),
    ("no_mutable_globals", "src/trace.c", HEADER + "typedef struct x x_t;\nextern int y;\n"),
    ("no_mutable_globals", "src/thread.c", HEADER + "static size_t main_greenlet_count;\n"),
    ("no_mutable_globals", "src/trace.h", HEADER + "static int counter;\n"),
]


def findings(rule: str, path: str, text: str) -> list[tuple[int, str]]:
    return list(getattr(lint_c, rule)(path, text))


@pytest.mark.parametrize(("rule", "path", "text", "line"), BAD)
def test_rule_fires(rule: str, path: str, text: str, line: int) -> None:
    found = findings(rule, path, text)
    assert [number for number, _ in found] == [line]
    assert f"{path}:{line}: {found[0][1]}" in lint_c.check_rules(path, text)


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_rule_is_quiet(rule: str, path: str, text: str) -> None:
    assert findings(rule, path, text) == []


def test_every_rule_has_samples() -> None:
    rules = {rule.__name__ for rule in lint_c.RULES}
    assert {sample[0] for sample in BAD} == rules
    assert {sample[0] for sample in GOOD} == rules


def test_the_tree_is_clean() -> None:
    paths = {path.relative_to(IMPL).as_posix(): path for path in lint_c.sources()}
    assert {"src/object.c", "src/pystate.h", "src/context/switch.S"} <= set(paths)
    found = [f for name, path in paths.items() for f in lint_c.check_rules(name, path.read_text())]
    assert found == []


def test_allowed_globals_exist() -> None:
    """A name that nothing defines any more would allow a newcomer of that name."""
    missing = [
        f"{path}: {name}"
        for path, names in lint_c.ALLOWED_GLOBALS.items()
        for name in names
        if name not in (IMPL / path).read_text()
    ]
    assert missing == []

"""Lint of the C and assembly sources: clang-format, clang-tidy, and rules of our own.

    python impl/tools/lint_c.py            check everything
    python impl/tools/lint_c.py --rules    only our own rules, which need nothing installed

Prints one line per finding, ``file:line: what is wrong``; exits with 1 if there are any, else with
nothing printed and 0.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

IMPL = Path(__file__).resolve().parent.parent

#: What a rule reports: a line number and what is wrong there.
Finding = tuple[int, str]
#: A rule gets a file's path relative to impl/ and its text.
Rule = Callable[[str, str], Iterator[Finding]]


def matches(text: str, pattern: str, message: str) -> Iterator[Finding]:
    """Report each line of a text that matches a pattern."""
    for number, line in enumerate(text.splitlines(), start=1):
        if re.search(pattern, line):
            yield number, message


def context_knows_no_python(path: str, text: str) -> Iterator[Finding]:
    """Keep src/context free of Python."""
    if path.startswith("src/context/"):
        yield from matches(
            text, r"#\s*include\s*[<\"](Python|.*pystate)\.h|\bPy[A-Z_]\w+", "uses Python"
        )


def versions_only_in_pystate(path: str, text: str) -> Iterator[Finding]:
    """Keep all differences between CPython versions in one header."""
    if path != "src/pystate.h":
        yield from matches(
            text,
            r"\bPY_(VERSION_HEX|MAJOR_VERSION|MINOR_VERSION)\b|Py_BUILD_CORE|internal/pycore_",
            "CPython versions and internals are for src/pystate.h only",
        )


def ends_with_stack_note(path: str, text: str) -> Iterator[Finding]:
    """Demand the note that keeps the stack from being executable.

    The files of the ABIs share that of the file that includes one of them.
    """
    included = path.startswith(("src/context/", "tests/c/registers/"))
    included = included and path != "src/context/switch.S"
    if path.endswith(".S") and not included:
        last = text.rstrip().splitlines()[-1] if text.strip() else ""
        if "GNU-stack" not in last and last != "GL_NO_EXECUTABLE_STACK":
            yield text.count("\n"), "does not end with the .note.GNU-stack section"


def opens_with_a_comment(path: str, text: str) -> Iterator[Finding]:
    """Demand a comment at the top that says what the file is for."""
    del path
    if not text.startswith("/*"):
        yield 1, "does not begin with a comment that says what it is for"


def no_inline_assembly(path: str, text: str) -> Iterator[Finding]:
    """Keep assembly in .S files: inside C functions the compiler's options would change it."""
    if not path.endswith(".S"):
        yield from matches(text, r"\b(__asm__|asm\s+volatile|__asm)\b", "inline assembly")


def nothing_left_open(path: str, text: str) -> Iterator[Finding]:
    """Allow no notes to oneself."""
    del path
    yield from matches(text, r"\b(TODO|FIXME|XXX|HACK)\b", "left open")


#: Writable variables at file scope, each for the reason that stands beside it in the source.
ALLOWED_GLOBALS = {
    "src/capi.c": set[str](),
    "src/module.c": {
        "gl_module",
        "gl_stack_bounds_offset",
        "gl_stack_margin",
        "gl_base_frame",
    },
    "src/object.c": {"green_methods", "green_getset", "green_as_number", "PyGreenlet_Type"},
    "src/thread.c": {
        "gl_thread_hint",
        "main_greenlet_count",
        "late_records",
        "late_count",
        "late_threshold",
        "free_records",
        "left_stacks",
    },
    # One for all threads: where their events meet, in the order of time.
    "src/record.c": {"recorder"},
}


def no_mutable_globals(path: str, text: str) -> Iterator[Finding]:
    """Keep mutable state per thread, per object or in the module state."""
    if not (path.startswith("src/") and path.endswith(".c")):
        return
    declaration = re.compile(
        r"^(?:static\s+)?(?:_Thread_local\s+)?(?:struct\s+)?\w+\s+\**(\w+)(?:\[.*\])?[^(]*[;={]\s*$"
    )
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(("typedef", "extern", "return", "enum", "#", " ", "struct {", "}")):
            continue
        found = declaration.match(line)
        if not found or " const " in f" {line} " or "(" in line.split("=")[0].split("GL_")[0]:
            continue
        name = found.group(1)
        constants = {"module_methods", "module_slots", "module_definition"}
        if name not in ALLOWED_GLOBALS.get(path, set()) | constants:
            yield number, f"mutable global {name}"


RULES: tuple[Rule, ...] = (
    context_knows_no_python,
    versions_only_in_pystate,
    ends_with_stack_note,
    opens_with_a_comment,
    no_inline_assembly,
    nothing_left_open,
    no_mutable_globals,
)


def check_rules(path: str, text: str) -> list[str]:
    """Apply our own rules to one file, given by its path relative to impl/."""
    return [f"{path}:{line}: {what}" for rule in RULES for line, what in rule(path, text)]


def sources() -> list[Path]:
    """All C and assembly files of the implementation."""
    roots = (IMPL / "src", IMPL / "include", IMPL / "tests" / "c")
    return sorted(p for root in roots for p in root.rglob("*") if p.suffix in {".c", ".h", ".S"})


def run(command: list[str]) -> list[str]:
    """Run a checker; give what it says if it is not content."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines() if done.returncode else []


def check_tools(paths: list[Path]) -> list[str]:
    """Run clang-format and clang-tidy."""
    c_files = [str(p) for p in paths if p.suffix in {".c", ".h"}]
    findings = run(["clang-format", "--dry-run", "-Werror", *c_files])
    compiler_headers = subprocess.run(
        ["cc", "-print-file-name=include"], capture_output=True, text=True, check=True
    ).stdout.strip()
    # Not what needs Windows' headers.
    units = [p for p in c_files if p.endswith(".c") and not p.endswith("test_windows.c")]
    return findings + run(
        [
            "clang-tidy",
            "--quiet",
            *units,
            "--",
            "-std=gnu11",
            "-D_GNU_SOURCE",
            "-DGL_CONTEXT_BY_UCONTEXT",  # or there is nothing in ucontext.c
            f"-I{IMPL / 'src'}",
            f"-I{IMPL / 'include'}",
            f"-isystem{compiler_headers}",
            f"-isystem{sysconfig.get_path('include')}",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: 0 if all is well, 1 if there are findings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rules", action="store_true", help="only our own rules")
    options = parser.parse_args(arguments)
    paths = sources()
    findings = [
        finding
        for path in paths
        for finding in check_rules(path.relative_to(IMPL).as_posix(), path.read_text("utf-8"))
    ]
    if not options.rules:
        findings += check_tools(paths)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

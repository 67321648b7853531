"""An extension built for one patch release of CPython, loaded by another of the same minor version.

CPython 3.14.4 moved fields of the thread state that greenlane uses. Here greenlane is built against
headers of a release that never was, and loaded by the one that runs the tests: it must work, or say
on import that it cannot.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from support import IMPL, TESTS, run_script

#: The patch release that the headers claim to be of.
RELEASE = f"{sys.version_info.major}.{sys.version_info.minor}.77"

Change = tuple[str, Callable[[str], str]]


def append_fields(header: str) -> str:
    """Make the public part of the thread state longer, as 3.14.4 did."""
    return re.sub(
        r"(struct _ts \{.*?\n)\};",
        r"\1    void *appended[3];\n};",
        header,
        count=1,
        flags=re.DOTALL,
    )


def insert_field(header: str) -> str:
    """Move what greenlane uses of the public part."""
    return header.replace("    uint64_t id;\n", "    void *inserted;\n    uint64_t id;\n", 1)


def drop_field(header: str) -> str:
    """Make the private part shorter before the fields that are used."""
    return header.replace("    Py_ssize_t refcount;\n", "", 1)


def move_bounds(header: str) -> str:
    """Move the bounds of the C stack away from the rest."""
    return header.replace(
        "    uintptr_t c_stack_top;\n", "    char before[4096];\n    uintptr_t c_stack_top;\n", 1
    )


def change_margin(header: str) -> str:
    """Let the limits of the C stack be as far apart as in no release."""
    return re.sub(r"(define _PyOS_LOG2_STACK_MARGIN) \d+", r"\1 14", header)


PUBLIC, PRIVATE = "cpython/pystate.h", "internal/pycore_tstate.h"
WORKS: dict[str, Change] = {"appended": (PUBLIC, append_fields)}
REFUSES: dict[str, Change] = {"inserted": (PUBLIC, insert_field)}
if sys.version_info >= (3, 14):
    WORKS["dropped"] = (PRIVATE, drop_field)
    WORKS["moved"] = (PRIVATE, move_bounds)
    REFUSES["margin"] = ("internal/pycore_pythonrun.h", change_margin)


def headers_of_another_release(directory: Path, change: Change) -> Path:
    """Copy CPython's headers, changed."""
    original = Path(sysconfig.get_path("include"))
    copy = directory / "include"
    shutil.copytree(original, copy)
    # Where several architectures share the headers this one names another relative to itself.
    (copy / "pyconfig.h").write_text(f'#include "{original / "pyconfig.h"}"\n')
    numbered: Change = (
        "patchlevel.h",
        lambda header: re.sub(r"(define PY_VERSION) .*", rf'\1 "{RELEASE}"', header),
    )
    for name, function in (change, numbered):
        path = copy / name
        before = path.read_text()
        after = function(before)
        assert after != before, f"{name} is not as this test thinks"
        path.write_text(after)
    return copy


def build(directory: Path, change: Change) -> Path:
    """Build greenlane against changed headers; return the folder to put on the path."""
    include = headers_of_another_release(directory, change)
    package = directory / "path" / "greenlane"
    shutil.copytree(IMPL / "python" / "greenlane", package)
    suffix: str = sysconfig.get_config_var("EXT_SUFFIX")
    sources = [*(IMPL / "src").glob("*.c"), *(IMPL / "src" / "context").glob("*.c")]
    subprocess.run(
        [
            *shlex.split(sysconfig.get_config_var("CC")),
            *("-std=gnu11", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-D_GNU_SOURCE"),
            *("-isystem", str(include), f"-I{IMPL / 'include'}", f"-I{IMPL / 'src'}"),
            *(*map(str, sorted(sources)), str(IMPL / "src" / "context" / "switch.S")),
            *("-o", str(package / f"_greenlet{suffix}")),
        ],
        check=True,
    )
    return package.parent


@pytest.mark.parametrize("name", sorted(WORKS))
def test_works(name: str, tmp_path: Path) -> None:
    """The fields are found where they are, whatever the headers say."""
    path = build(tmp_path, WORKS[name])
    done = run_script(
        """
        import greenlane
        from greenlane import lanes
        from support import suspended
        from test_fallbacks import exercise
        from test_lanes import RECURSIONS
        from test_stack_bounds import pile

        print(greenlane.__file__)
        exercise(100)
        lanes.set_limit(10)
        exercise(100)
        for name in ("sorted", "repr", "python"):
            try:
                greenlane.greenlet(RECURSIONS[name]).switch()
            except RecursionError:
                continue
            raise AssertionError(name)
        assert pile() == 0
        """,
        environment={"PYTHONPATH": f"{path}:{TESTS}"},
    )
    assert done.stdout.startswith(str(path))


@pytest.mark.parametrize("name", sorted(REFUSES))
def test_refuses(name: str, tmp_path: Path) -> None:
    """ImportError that names both releases, where a field is not where it must be."""
    path = build(tmp_path, REFUSES[name])
    done = run_script(
        "import greenlane", environment={"PYTHONPATH": f"{path}:{TESTS}"}, returncode=1
    )
    said = done.stderr.splitlines()[-1]
    assert said.startswith(
        f"ImportError: greenlane was compiled for CPython {RELEASE} and does not"
    )
    assert sys.version.split()[0] in said

"""The built extension as the linker made it: what it exports, and how it is hardened.

The environments pyXYZ look at what was built from the working tree, pyXYZ-wheel at what lies in the
wheel.
"""

from __future__ import annotations

import platform
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest
from greenlane import _greenlet
from support import IMPL


def inspect_binary(*command: str, path: str | Path | None = None) -> str:
    path = path or _greenlet.__file__
    assert path is not None
    return subprocess.run([*command, path], check=True, capture_output=True, text=True).stdout


def properties(path: str | Path | None = None) -> set[str]:
    """Return what .note.gnu.property claims, such as IBT and SHSTK, or BTI and PAC."""
    notes = inspect_binary("readelf", "--notes", "--wide", path=path)
    return {
        word
        for line in re.findall(r"(?:x86|AArch64) feature: (.*)", notes)
        for word in re.findall(r"\w+", line)
    }


@pytest.fixture(scope="module")
def dynamic_section() -> str:
    return inspect_binary("readelf", "--dynamic", "--wide")


@pytest.fixture(scope="module")
def program_headers() -> str:
    return inspect_binary("readelf", "--program-headers", "--wide")


def test_exports_only_the_init_function() -> None:
    lines = inspect_binary("nm", "--dynamic", "--defined-only").splitlines()
    assert [line.split()[-1] for line in lines] == ["PyInit__greenlet"]


def test_stack_is_not_executable(program_headers: str) -> None:
    found = re.search(r"GNU_STACK\s+(?:0x\w+\s+){5}([RWE ]+?)\s+0x", program_headers)
    assert found is not None, program_headers
    assert found.group(1).replace(" ", "") == "RW"


def test_assembly_asks_for_no_executable_stack(tmp_path: Path) -> None:
    """What the linker was told to make of it does not show in the extension."""
    target = tmp_path / "switch.o"
    source = IMPL / "src" / "context" / "switch.S"
    subprocess.run(
        [*shlex.split(sysconfig.get_config_var("CC")), "-c", str(source), "-o", str(target)],
        check=True,
    )
    sections = inspect_binary("readelf", "--sections", "--wide", path=target)
    found = re.search(r"\.note\.GNU-stack\s+PROGBITS(?:\s+[0-9a-f]+){4}\s+([A-Z]*)", sections)
    assert found is not None, sections
    assert "X" not in found[1]


def test_no_segment_is_writable_and_executable(program_headers: str) -> None:
    flags = re.findall(r"LOAD\s+(?:0x\w+\s+){5}([RWE ]+?)\s+0x", program_headers)
    assert any("E" in each for each in flags)
    assert not any("W" in each and "E" in each for each in flags)


def test_no_text_relocations(dynamic_section: str) -> None:
    assert "(RELA)" in dynamic_section
    assert "TEXTREL" not in dynamic_section


def test_full_relro(dynamic_section: str, program_headers: str) -> None:
    assert "GNU_RELRO" in program_headers
    assert re.search(r"BIND_NOW|\(FLAGS_1\).*\bNOW\b", dynamic_section)


def test_stays_loaded(dynamic_section: str) -> None:
    """dlclose() does not take away the code that suspended greenlets return to."""
    assert re.search(r"\(FLAGS_1\).*\bNODELETE\b", dynamic_section)


def test_no_search_path_of_its_own(dynamic_section: str) -> None:
    assert not re.search(r"\((RPATH|RUNPATH)\)", dynamic_section)


def test_claims_no_shadow_stacks() -> None:
    """Nor guarded control stacks, as they are called on Arm: a switch is not made for them."""
    assert properties() & {"SHSTK", "GCS"} == set()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "i686"), reason="about x86")
def test_claims_no_shadow_stacks_where_the_compiler_does(tmp_path: Path) -> None:
    """Some systems' compilers ask for both parts of CET: branch tracking is true, too."""
    plain = tmp_path / "plain.c"
    plain.write_text("int plain(void) { return 0; }\n")
    sources = [*(IMPL / "src").glob("*.c"), IMPL / "src" / "context" / "lane.c"]
    target = link_with_cet(tmp_path, *sources, IMPL / "src" / "context" / "switch.S")
    assert properties(link_with_cet(tmp_path, plain)) == {"IBT", "SHSTK"}
    assert properties(target) == {"IBT"}
    code = inspect_binary("objdump", "--disassemble", path=target)
    for name in "gl_context_switch", "gl_context_start":
        assert re.search(rf"<{name}>:\n.*\bendbr(64|32)\n", code), name


def link_with_cet(directory: Path, *sources: Path) -> Path:
    """Compile sources to one library; without the C library's own objects, which claim nothing."""
    target = directory / f"{sources[-1].stem}.so"
    subprocess.run(
        [
            *shlex.split(sysconfig.get_config_var("CC")),
            *("-std=gnu11", "-D_GNU_SOURCE", "-DNDEBUG", "-O0", "-fPIC", "-shared"),
            *("-fcf-protection=full", "-fvisibility=hidden", "-nostartfiles"),
            *(f"-I{IMPL / 'include'}", f"-I{IMPL / 'src'}"),
            *("-isystem", sysconfig.get_path("include")),
            *("-isystem", sysconfig.get_path("platinclude")),
            *(str(source) for source in sources),
            *("-o", str(target)),
        ],
        check=True,
    )
    return target


def test_needs_only_the_c_library(dynamic_section: str) -> None:
    """Neither libstdc++ nor libpython: the wheel works with a static interpreter, too."""
    needed = re.findall(r"\(NEEDED\).*\[(.+?)\.so", dynamic_section)
    assert set(needed) <= {"libc", "ld-linux-x86-64", "libpthread"}

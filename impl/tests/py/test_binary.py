"""The built extension as the linker made it: what it exports, and how it is hardened."""

from __future__ import annotations

import re
import subprocess

import pytest
from greenlane import _greenlet


def inspect_binary(*command: str) -> str:
    assert _greenlet.__file__ is not None
    return subprocess.run(
        [*command, _greenlet.__file__], check=True, capture_output=True, text=True
    ).stdout


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


def test_needs_only_the_c_library(dynamic_section: str) -> None:
    """Neither libstdc++ nor libpython: the wheel works with a static interpreter, too."""
    needed = re.findall(r"\(NEEDED\).*\[(.+?)\.so", dynamic_section)
    assert set(needed) <= {"libc", "ld-linux-x86-64", "libpthread"}

"""Has the kernel refuse system calls, as older kernels, sandboxes and full machines do.

A seccomp filter holds for the calling thread and for those that it starts from then on, and cannot
be taken back: for subprocesses only. Linux on x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import NamedTuple

MADV_GUARD_INSTALL = 102

_NUMBERS = {"mmap": 9, "mprotect": 10, "munmap": 11, "madvise": 28}


class Rule(NamedTuple):
    """Which calls to refuse, and how."""

    #: Name of the system call.
    name: str
    #: What it then fails with, from the module errno.
    error: int
    #: Refuse only if this argument, counted from 0 ...
    argument: int | None = None
    #: ... is this, or at least this. Up to 32 bits.
    equal: int | None = None
    at_least: int | None = None


#: Linux before 6.13, which has no guards without mappings of their own.
OLD_KERNEL = Rule("madvise", errno.EINVAL, argument=2, equal=MADV_GUARD_INSTALL)
#: A sandbox that knows nothing of madvise().
NO_MADVISE = Rule("madvise", errno.EPERM)
#: A mapping too many (vm.max_map_count), or a sandbox.
NO_MPROTECT = Rule("mprotect", errno.ENOMEM)
#: The same for what splits a mapping, as lanes do. CPython 3.15 must be able to unmap the memory
#: that its objects lie in, of 1 MiB each: it aborts if it cannot.
NO_MUNMAP = Rule("munmap", errno.ENOMEM, argument=1, at_least=(1 << 20) + 1)


def no_mapping_of(size: int) -> Rule:
    """Refuse mappings of ``size`` bytes and more, as where overcommitting is not allowed."""
    return Rule("mmap", errno.ENOMEM, argument=1, at_least=size)


# Classic BPF: one instruction is an operation, two jumps (instructions to skip if true, if false)
# and a number. A load is from struct seccomp_data: the system call's number, the architecture, the
# instruction pointer, six arguments of 64 bits.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_X86_64 = 0xC000003E

_Instruction = tuple[int, int, int, int]


def _translate(rule: Rule) -> list[_Instruction]:
    refuse: _Instruction = (_RETURN, 0, 0, _FAIL | rule.error)
    test: list[_Instruction] = []
    if rule.argument is not None:
        low = _ARGUMENTS + 8 * rule.argument
        if rule.equal is not None:
            test = [(_LOAD, 0, 0, low), (_IF_EQUAL, 0, 1, rule.equal)]
        else:
            assert rule.at_least is not None
            test = [
                (_LOAD, 0, 0, low + 4),
                (_IF_AT_LEAST, 2, 0, 1),
                (_LOAD, 0, 0, low),
                (_IF_AT_LEAST, 0, 1, rule.at_least),
            ]
    rest = [*test, refuse]
    return [(_LOAD, 0, 0, _NUMBER), (_IF_EQUAL, 0, len(rest), _NUMBERS[rule.name]), *rest]


class _Filter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("number", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Filter)))


def refuse(*rules: Rule) -> None:
    """Have the kernel refuse these calls from now on. Raises OSError if it does not do that."""
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, _X86_64),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for rule in rules:
        program += _translate(rule)
    program.append((_RETURN, 0, 0, _ALLOW))
    filters = (_Filter * len(program))(*(_Filter(*each) for each in program))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    set_no_new_privileges, set_seccomp, mode_filter = 38, 22, 2
    pointer = ctypes.pointer(_Program(len(program), filters))
    if prctl(set_no_new_privileges, 1, 0, 0, 0) or prctl(set_seccomp, mode_filter, pointer, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "seccomp")

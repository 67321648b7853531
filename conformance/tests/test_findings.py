"""The findings are listed, are linked to, and still show what they say."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from greenlet_conformance import EXPECTATIONS, expectations, spec

FOLDER = Path(__file__).resolve().parent.parent / "findings"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py"))
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")

DEBUG = hasattr(sys, "gettotalrefcount")

#: What each program prints, as a pattern, while upstream differs.
SHOWS = {
    "exit_into_unstarted_parent": r"expected a GreenletExit, the parent got \(\)\n",
    "root_of_exited_thread_freed": r"expected the root, got None\n",
    "exited_root_stays_true": r"expected False, got True and then False\n",
    "kill_chains_the_killers_exception": (
        r"expected the context None, got LookupError\('of the killer'\)\n"
    ),
    "kill_makes_a_cycle": r"expected another parent, got a cycle\n",
    "unstarted_parent_moved_away": r"",
    "dead_ancestor_moved_away": r"expected error, got what was sent\n",
    "collected_without_cleanup": r"" if sys.version_info >= (3, 15) else r"cleaned up\n",
    "assigned_while_collected": (
        r"alive: True\n" if sys.version_info < (3, 15) else r"" if DEBUG else r"alive: False\n"
    ),
    "long_chain_overflows": (
        r"dropping\n" if sys.version_info[:2] == (3, 13) else r"dropping\nexpected to get here\n"
    ),
    "long_ancestry_overflows": r"throwing\n",
    "long_family_overflows": (
        r"dropping\n" if sys.version_info < (3, 14) else r"dropping\nexpected to get here\n"
    ),
    "slots_emptied_before_kill": r"expected a socket, got nothing\n",
    "run_lookup_loses_value": r"expected the value, got error\n",
    "deferred_kill_loses_value": r"expected what was sent, got error\(.*NULL.*\)\n",
    "debug_build_asserts_tracing": (r"" if DEBUG and sys.version_info >= (3, 13) else r"went on\n"),
    "switch_docstring_says_none": r"True \(\)\n",
    "switch_docstring_says_returns": r"the parent was entered with x\nTrue None\n",
    "set_parent_error_types": (
        r"expected AttributeError, got TypeError\nexpected AttributeError, got ValueError\n"
    ),
}

#: Those that say they end in a crash, on some version at least.
CRASHING = {
    "exit_into_unstarted_parent",
    "root_of_exited_thread_freed",
    "unstarted_parent_moved_away",
    "long_chain_overflows",
    "long_ancestry_overflows",
    "long_family_overflows",
    "debug_build_asserts_tracing",
    "assigned_while_collected",
}


def test_index() -> None:
    """The index names every program, and clauses that exist."""
    rows = re.findall(r"^\| \[(\w+)\.py\]\((\w+)\.py\) \| .* \| (.*) \|$", INDEX, re.M)
    assert sorted(one for one, _, _ in rows) == PROGRAMS
    assert all(one == other for one, other, _ in rows)
    clauses = [clause for _, _, ids in rows for clause in re.findall(r"`([^`]+)`", ids)]
    assert len(clauses) >= len(rows)
    assert set(clauses) <= set(spec.load().clauses)


@pytest.mark.parametrize("path", sorted(EXPECTATIONS.glob("*.toml")), ids=lambda p: p.stem)
def test_links_of_expectations(path: Path) -> None:
    """The package's own expectations link to a finding that exists, or to a page."""
    for entry in expectations.parse(path):
        link = entry["link"]
        assert link.startswith("https://") or (FOLDER.parent / link).is_file(), link


@pytest.mark.parametrize("name", [name for name in PROGRAMS if not name.startswith("pypy")])
def test_finding(name: str) -> None:
    """The program still shows it on the upstream release that is installed."""
    done = subprocess.run(
        [sys.executable, "-u", str(FOLDER / f"{name}.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    )
    assert re.fullmatch(SHOWS[name], done.stdout), done.stdout + done.stderr
    if name not in CRASHING:
        assert (done.returncode, done.stderr) == (0, "")
    elif name == "exit_into_unstarted_parent":
        assert done.returncode == -signal.SIGSEGV or "MemoryError" in done.stderr

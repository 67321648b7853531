"""What a program can see of greenlane is what it can see of greenlet, but for the list below.

surface.py looks at each of them in a process of its own: names, signatures, constants, the answers
of greenlets in every state, the complaints about wrong calls.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from fnmatch import fnmatchcase

import pytest
from support import TESTS

#: What differs: patterns of what surface.py names, and why.
DIFFERENCES = {
    "package.__version__ value": "each has its own version",
    "modules": "greenlet installs its tests; greenlane has `lanes` and a command",
    "extension.UnswitchableGreenlet": (
        "a class whose switches fail on purpose, of which greenlet's own tests are the only users"
    ),
    "package.install": "greenlane's own: takes the place of greenlet",
    "package.installation": "the module of that function",
    "package.doctor": "greenlane's own: says how it works here",
    "package.__getattr__": "imports greenlane.lanes when somebody asks for it",
    "package.TYPE_CHECKING*": "tells type checkers of an import that is made later",
    "extension._LANE_SIZE*": "for greenlane.lanes",
    "extension._lane_counts": "for greenlane.lanes",
    "extension._lane_facts": "for greenlane.doctor",
    "extension._set_lane_limit": "for greenlane.lanes",
    "extension._start_recording": "for greenlane trace",
    "extension._stop_recording": "for greenlane trace",
    "extension._serial": "for greenlane trace",
    "extension._survivors": "for greenlane trace",
    "type.__del__": "a finalizer shows up as this name; it is what raises GreenletExit",
    "instance.__del__": "a finalizer shows up as this name; it is what raises GreenletExit",
    "class greenlet descriptors": "__del__, as above",
    "suspended of an exited thread run": (
        "`run` is gone once a greenlet has started; in greenlet it comes back when its thread exits"
    ),
    "* of an exited thread repr": "greenlet prints no address of the thread that is gone",
    "call greenlet().throw(1, 2, 3, 4)": "the wording of CPython's own check of arguments",
    "call greenlet().throw(x=1)": "the wording of CPython's own check of arguments",
    "call greenlet(1, None, 3)": "greenlet calls its type `green` here",
    "call greenlet(x=1)": "greenlet calls its type `green` here",
    "call settrace()": "the wording of CPython's own check of arguments",
    "call settrace(1, 2)": "the wording of CPython's own check of arguments",
}

#: Those of them that some versions of CPython do not show.
VERSION_DEPENDENT = {"call greenlet().throw(x=1)"}


@functools.cache
def surface(module: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, str(TESTS / "surface.py"), module],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, str] = json.loads(done.stdout)
    return seen


def tells_more(name: str) -> bool:
    """Return whether greenlane says what greenlet leaves unsaid."""
    theirs, ours = surface("greenlet").get(name), surface("greenlane").get(name)
    if name.endswith(" signature"):
        return theirs in ("unknown", "(object, /)") and ours not in ("unknown", None)
    return name.endswith(" documented") and (theirs, ours) == ("False", "True")


def differences() -> set[str]:
    theirs, ours = surface("greenlet"), surface("greenlane")
    return {
        name
        for name in theirs.keys() | ours.keys()
        if theirs.get(name) != ours.get(name) and not tells_more(name)
    }


def matches(name: str, pattern: str) -> bool:
    """Does a pattern name this, or what this is a detail of?"""
    subject = name.removesuffix(" signature").removesuffix(" documented")
    return fnmatchcase(name, pattern) or fnmatchcase(subject, pattern)


def test_enough_is_seen() -> None:
    """Not two empty surfaces."""
    seen = surface("greenlet")
    assert len(seen) > 450
    assert seen["package.greenlet"] == "type"
    assert seen["main repr"].startswith("<greenlet.greenlet object at ADDRESS (otid=ADDRESS)")


def test_surfaces_are_equal() -> None:
    theirs, ours = surface("greenlet"), surface("greenlane")
    unexplained = {
        name: (theirs.get(name), ours.get(name))
        for name in differences()
        if not any(matches(name, pattern) for pattern in DIFFERENCES)
    }
    assert unexplained == {}


@pytest.mark.parametrize("pattern", sorted(DIFFERENCES.keys() - VERSION_DEPENDENT))
def test_difference_exists(pattern: str) -> None:
    """The list holds nothing that has been made equal since."""
    assert any(matches(name, pattern) for name in differences())


def test_nothing_of_greenlets_is_missing() -> None:
    """Every name that greenlet offers is there, but one."""
    missing = surface("greenlet").keys() - surface("greenlane").keys()
    assert {name for name in missing if not name.startswith("extension.Unswitchable")} == set()

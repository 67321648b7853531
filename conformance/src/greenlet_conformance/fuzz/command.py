"""``greenlet-conformance fuzz``: what it takes, and what it prints."""

from __future__ import annotations

import argparse
import importlib.util
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from greenlet_conformance import expectations, implementation, providers
from greenlet_conformance.exits import AS_EXPECTED, FAILURES

if TYPE_CHECKING:
    from greenlet_conformance.fuzz.players import Play
    from greenlet_conformance.fuzz.search import Found, Search

REFERENCE = "greenlet_conformance.reference"

#: What can be left out of programs (see ``grammar.py``), and what that is.
FEATURES = {
    "collections": "garbage collection",
    "contexts": "context variables and gr_context",
    "frames": "gr_frame",
    "exits-to-unstarted": "GreenletExit that reaches an unstarted parent",
    "garbage": "suspended greenlets that a collection finds",
    "kills": "dropping the last reference to a suspended greenlet",
    "threads": "more than one thread",
    "throws": "throw",
    "traces": "trace functions",
}

SUMMARY = "compare an implementation with the reference by random programs"

EXAMPLES = """
Makes random programs, plays each by two implementations, and compares what happens, event by
event. The first program that they play differently is made as small as possible and printed to
standard output, as a script that runs by itself: python repro.py MODULE. All else goes to
standard error. Exit code 1 means that one was played differently.

What one of the two is known to fail at is left out, as its file of expectations says, under
[[fuzz]]; --everything puts it in. Nothing else is: by default, all that programs do is told by
the specification. So no program looks whether a cycle through the frames of a suspended greenlet
is collected, which implementations may do or leave.

With --steps it plays long games instead: a million steps each of some dozen greenlets that come,
go deep and go, so many in all. That needs no Hypothesis, finds what shows only after a while, and
goes fast against greenlet. What it prints is the script of the game; nothing is made smaller, but
the events before the first difference are shown.

examples:
  greenlet-conformance fuzz --impl greenlane --minutes 10
  greenlet-conformance fuzz --impl greenlane --seed 1 --programs 2000 > repro.py
  greenlet-conformance fuzz --impl greenlane --against greenlet --leave-out kills
  greenlet-conformance fuzz --impl greenlet --everything
  greenlet-conformance fuzz --impl greenlane --against greenlet --steps 100000000

what can be left out:
{features}
""".format(features="\n".join(f"  {name:20}{what}" for name, what in FEATURES.items()))


#: How much longer than a program a long game may take.
GAME = 200


class FuzzError(Exception):
    """The search cannot be made; the message is one line."""


def _seconds(text: str) -> float:
    return 0.0 if text == "0" else _positive(float)(text)


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def positive(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            raise argparse.ArgumentTypeError(f"{text!r} is not a positive {_NAMES[kind]}")
        return number

    return positive


_NAMES: dict[object, str] = {int: "whole number", float: "number"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what ``run`` needs."""
    parser.add_argument(
        "--impl",
        default=implementation.DEFAULT,
        metavar="MODULE",
        help="the implementation to look at (default: %(default)s)",
    )
    parser.add_argument(
        "--against",
        default=REFERENCE,
        metavar="MODULE",
        help="the one to compare it with (default: %(default)s)",
    )
    parser.add_argument(
        "--minutes",
        type=_positive(float),
        default=1.0,
        metavar="N",
        help="begin no further round of 100 programs after so long (default: %(default)g)",
    )
    parser.add_argument(
        "--programs",
        type=_positive(int),
        metavar="N",
        help="play so many programs, rounded up to hundreds, and mind no time",
    )
    parser.add_argument(
        "--steps",
        type=_positive(int),
        metavar="N",
        help="play long games in the place of programs, of so many steps in all, and mind no time",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="make the programs of this seed (default: a new one)"
    )
    parser.add_argument(
        "--timeout",
        type=_positive(float),
        default=5.0,
        metavar="SECONDS",
        help=f"limit of one program (default: %(default)g); a game may take {GAME} times as long",
    )
    parser.add_argument(
        "--shrink",
        type=_seconds,
        default=120.0,
        metavar="SECONDS",
        help="make what was found smaller for so long (default: %(default)g)",
    )
    parser.add_argument(
        "--leave-out",
        action="append",
        default=[],
        choices=sorted(FEATURES),
        metavar="WHAT",
        help="make programs without it; repeatable",
    )
    parser.add_argument(
        "--everything",
        action="store_true",
        help="leave out nothing else, though one of the two is known to fail at it",
    )


def run(options: argparse.Namespace) -> int:
    """Searches; answers the exit code.

    Raises FuzzError, ImplementationError, ExpectationsError and ProviderError.
    """
    if options.steps is not None:
        _check_alone(options)
    elif importlib.util.find_spec("hypothesis") is None:
        raise FuzzError(
            "fuzz needs Hypothesis: pip install hypothesis, or './conformance[fuzz]' as a whole;"
            " or give --steps, which does not"
        )
    modules = [providers.module_of(name) for name in (options.impl, options.against)]
    facts = [implementation.probe(module) for module in modules]
    number = random.randrange(1_000_000) if options.seed is None else options.seed
    names = [f"{fact.module} {fact.version}" for fact in facts]
    _say(f"{names[0]} against {names[1]}, seed {number}")
    if options.steps is not None:
        return _play_games((modules[0], modules[1]), names, number, options)
    without = frozenset(options.leave_out)
    if not options.everything:
        without |= _known(facts, without)
    return _play_programs(modules, names, number, without, options)


def _check_alone(options: argparse.Namespace) -> None:
    """Raises FuzzError for what says something of programs and nothing of games."""
    given = {
        "--programs": options.programs is not None,
        "--leave-out": bool(options.leave_out),
        "--everything": options.everything,
    }
    for name, there in given.items():
        if there:
            raise FuzzError(f"{name} is for programs, and --steps plays none: leave one out")


def _play_games(
    modules: tuple[str, str], names: list[str], number: int, options: argparse.Namespace
) -> int:
    from greenlet_conformance.fuzz import games

    began = time.monotonic()

    def progress(played: int) -> None:
        passed = time.monotonic() - began
        left = passed / played * (options.steps - played)
        _say(f"{played:,} steps, {left:.0f} seconds left", passing=True)

    found = games.search(modules, number, options.steps, GAME * options.timeout, progress)
    if found is None:
        _say(f"{options.steps:,} steps, no difference")
        return AS_EXPECTED
    _show(found.ours, found.theirs, names, f"in a game of seed {found.game.seed}")
    if not found.always:
        _say("it does not differ each time")
    _say_script(modules, f" {found.game.seed} {found.game.steps} {found.shown_from}")
    print(games.SCRIPT.read_text(encoding="utf-8"), end="")
    return FAILURES


def _play_programs(
    modules: list[str],
    names: list[str],
    number: int,
    without: frozenset[str],
    options: argparse.Namespace,
) -> int:
    from greenlet_conformance.fuzz.players import Player, PlayerError
    from greenlet_conformance.fuzz.search import Search

    try:
        with (
            Player(modules[0], options.timeout) as ours,
            Player(modules[1], options.timeout) as theirs,
        ):
            search = Search(ours, theirs, without, options.shrink)
            found = _search(search, number, options)
    except PlayerError as error:
        raise FuzzError(str(error)) from None
    if found is None:
        _say(f"{search.played} programs, no difference")
        return AS_EXPECTED
    _show(found.ours, found.theirs, names, f"after {search.played} programs")
    if not found.always:
        _say("it does not differ each time")
    if not found.smallest:
        _say("it may not be as small as it can be: --shrink gives it longer")
    again = f"greenlet-conformance fuzz --impl {options.impl} --against {options.against}"
    again += "".join(f" --leave-out {what}" for what in options.leave_out)
    again += " --everything" if options.everything else ""
    again += f" --shrink {options.shrink:g}"
    _say(f"again: {again} --seed {number} --programs {search.played}")
    _say_script(modules)
    print(found.program, end="")
    return FAILURES


def _say_script(modules: Sequence[str], arguments: str = "") -> None:
    """How to run what is printed; modules, since the script knows no registered names."""
    for module in modules:
        _say(f"by itself: python repro.py {module}{arguments}")


def _known(facts: Sequence[implementation.Facts], without: frozenset[str]) -> frozenset[str]:
    """What else is left out, since one of them is known to fail at it; says so."""
    found: dict[str, str] = {}
    for fact in facts:
        path = expectations.path_for(fact.module)
        if path is not None:
            found.update(expectations.left_out(path, fact.version, FEATURES))
    for what, reason in found.items():
        if what not in without:
            _say(f"without {FEATURES[what]}: {reason}")
    return frozenset(found)


def _search(search: Search, number: int, options: argparse.Namespace) -> Found | None:
    began = time.monotonic()
    seconds = float("inf") if options.programs is not None else options.minutes * 60

    def progress() -> None:
        passed = time.monotonic() - began
        share = search.played / options.programs if options.programs else passed / seconds
        left = passed / share - passed
        _say(f"{search.played} programs, {max(left, 0):.0f} seconds left", passing=True)

    return search.run(number, options.programs, began + seconds, progress)


def _show(our_play: Play, their_play: Play, names: list[str], where: str) -> None:
    """Prints the first events that are different, and those before."""
    ours, theirs = our_play.lines, their_play.lines
    same = 0
    while same < min(len(ours), len(theirs)) and ours[same] == theirs[same]:
        same += 1
    _say(f"{where}: a difference at event {same + 1}")
    for line in ours[max(0, same - 5) : same]:
        _say(f"      {line}")
    for name, play in zip(names, (our_play, their_play)):
        line = play.lines[same] if same < len(play.lines) else "(nothing)"
        _say(f"  --> {line}    <-- {name}")
        if play.message:
            _say("".join(f"        {text}\n" for text in play.message.splitlines()[:12]).rstrip())


def _say(text: str, passing: bool = False) -> None:
    """Prints to standard error; what is passing is replaced by the next, on a terminal."""
    terminal = sys.stderr.isatty()
    start, end = ("\r\x1b[K", "" if passing else "\n") if terminal else ("", "\n")
    print(f"{start}{text}", end=end, file=sys.stderr, flush=True)

"""One long random program of greenlets: python game.py MODULE SEED STEPS [FROM].

Where the programs of ``grammar.py`` are short and many, this one goes on for as many steps as it is
given, with some dozen greenlets that come, go down, come up and go all the time. Each runs the same
function, which draws what it does next from one generator of random numbers. So two
implementations that agree play the same game, and who does not plays another one from then on.
What happens goes into a checksum, which is printed every ``EVERY`` steps; from step FROM on,
each event is printed besides.

Left out is what is not the same on each implementation: collections, which may find a suspended
greenlet or not; a second kill of who survives the first one; GreenletExit that reaches an unstarted
parent (no greenlet here has one); what the GreenletExit of a kill has for its context, and so keeps
from being freed. Nor are there threads.
"""

import gc
import importlib
import os
import random
import sys
import zlib
from contextvars import ContextVar

EVERY = 100_000
GREENLETS = 48
DEEPEST = 40

impl = importlib.import_module(sys.argv[1])
draw = random.Random(int(sys.argv[2])).random
last = int(sys.argv[3])
first_shown = int(sys.argv[4]) if len(sys.argv) > 4 else last + 1

getcurrent = impl.getcurrent
root = getcurrent()
root.label = 0
places = [root] * GREENLETS  # the only references, but for those on the stack
survivors = []
variable = ContextVar("variable", default=0)
step = made = checksum = 0


class Over(BaseException):
    """The game is: it goes through all ancestors to the root."""


class Failure(Exception):
    """What greenlets fail with."""


def log(*event):
    global checksum
    text = f"{step} g{getcurrent().label} {event}"
    checksum = zlib.crc32(text.encode(), checksum)
    if step >= first_shown:
        print(text, flush=True)


def show(value):
    if isinstance(value, BaseException):
        return type(value).__name__
    return value


def below(number):
    return int(draw() * number)


def any_place():
    return below(GREENLETS)


def attempt(what, call):
    """Logs what the call returns or raises; most failures end here."""
    try:
        result = call()
    except Failure:
        log(what, "fails")
        if draw() < 0.2 and getcurrent() is not root:
            raise
    except Exception as error:
        log(what, "raises", type(error).__name__)
    except BaseException as error:
        if isinstance(error, impl.GreenletExit):
            error.__context__ = None
        log(what, "ends with", type(error).__name__)
        if not (getcurrent() is root and isinstance(error, impl.GreenletExit)):
            raise
    else:
        log(what, show(result))


def switch():
    place, form = any_place(), below(4)
    if form == 0:
        attempt("switch", lambda: places[place].switch())
    elif form == 1:
        attempt("switch", lambda: places[place].switch(step))
    elif form == 2:
        attempt("switch", lambda: places[place].switch(step, None))
    else:
        attempt("switch", lambda: places[place].switch(step, x=1))


def switch_to_parent():
    parent = getcurrent().parent
    if parent is not None:
        attempt("to parent", lambda: parent.switch(step))


def throw():
    place, what = any_place(), below(4)
    given = ((Failure,), (Failure, step), (KeyError(),), ())[what]
    attempt("throw", lambda: places[place].throw(*given))


def new():
    """Takes the place of another, who is killed if nobody else refers to it."""
    global made
    made += 1
    g = impl.greenlet(play)
    g.label = made
    places[any_place()] = g
    log("made", made)


def reparent():
    child, parent = places[any_place()], places[any_place()]
    if parent or parent.dead:

        def move():
            child.parent = parent

        attempt("reparent", move)


def look():
    g = places[any_place()]
    parent = g.parent
    if parent is None:
        log("looks at", g.label, bool(g), g.dead)  # nor at its context, which may be anybody's
    else:
        facts = bool(g), g.dead, g.gr_frame is None, g.gr_context is None
        log("looks at", g.label, *facts, "under", parent.label)


def remember():
    log("remembered", variable.get())
    variable.set(step)


def told(event, pair):
    log(event, pair[0].label, pair[1].label)


def trace():
    impl.settrace(told if draw() < 0.2 else None)


def fail():
    if getcurrent() is not root:
        log("fails")
        raise Failure(step)


# --- going down: each way has other frames of C and of Python --------------------------------


def by_call(depth):
    return turns(depth)


def by_map(depth):
    return next(map(turns, (depth,)))


def by_sort(depth):
    kept = []

    def key(_):
        kept.append(turns(depth))
        return 0

    sorted((0,), key=key)
    return kept[0]


def by_generator(depth):
    def generator():
        yield turns(depth)

    (result,) = list(generator())
    return result


def by_finally(depth):
    try:
        return turns(depth)
    finally:
        log("leaves")


def by_handler(depth):
    try:
        raise LookupError
    except LookupError:
        result = turns(depth)
        log("handles", type(sys.exc_info()[1]).__name__)
        return result


DOWN = (by_call, by_map, by_sort, by_generator, by_finally, by_handler)

ACTIONS = [
    *[switch] * 40,
    *[switch_to_parent] * 5,
    *[throw] * 5,
    *[new] * 4,
    *[look] * 4,
    *[remember] * 2,
    reparent,
    trace,
    fail,
]


def turns(depth):
    """Does this and that, and goes up again."""
    global step
    while True:
        step += 1
        if step % EVERY == 0:
            print("checksum", step, checksum, flush=True)
        if step >= last:
            raise Over
        chosen = draw()
        if chosen < 0.15:
            if depth < DEEPEST:
                log("went", show(DOWN[below(len(DOWN))](depth + 1)))
        elif chosen < 0.29:
            if depth:
                return step
        else:
            ACTIONS[below(len(ACTIONS))]()


def play(*args, **kwargs):
    log("starts", args, kwargs)
    try:
        for _ in range(below(20)):
            attempt("played", lambda: turns(1))
    finally:
        log("ends")
        if draw() < 0.05:
            if isinstance(sys.exc_info()[1], impl.GreenletExit):
                survivors.append(getcurrent())  # a finalizer written in Python runs only once
            place = any_place()
            attempt("cleans up", lambda: places[place].switch(step))
    return step


def main():
    gc.disable()
    sys.unraisablehook = lambda args: log("unraisable", args.exc_type.__name__)
    try:
        turns(0)
    except Over:
        log("over")
    impl.settrace(None)
    print("checksum", step, checksum, flush=True)
    os._exit(0)  # or who is still suspended is killed, or is not


main()

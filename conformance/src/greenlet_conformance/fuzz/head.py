"""Prints what a module of greenlets does, event by event: python repro.py MODULE."""

import gc
import importlib
import queue
import sys
import threading
import weakref
from contextvars import Context, ContextVar, copy_context

gc.disable()  # collections are made where the program says so
impl = importlib.import_module(sys.argv[1])
greenlets = {}  # by number: the only references, but for those on the stack
roots = {0: impl.getcurrent()}
roots[0].label = "r0"
made = []  # the number of each greenlet that was made
everyone = []  # weak references to them
killed, kept = set(), []
keep_all = False
contexts = {}
threads = {}
floors = {}  # a thread waits there for its turn
ended = set()  # the names of the roots of threads that have ended
variable = ContextVar("variable", default=None)
sys.unraisablehook = lambda args: log("unraisable", args.exc_type.__name__)


class Base(BaseException):
    """An exception that `except Exception` does not catch."""


def show(value):
    if hasattr(value, "label"):
        return value.label
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}({', '.join(map(show, value))})"
    if isinstance(value, dict):
        return f"dict({', '.join(f'{key}={show(each)}' for key, each in value.items())})"
    return type(value).__name__ if isinstance(value, BaseException) else repr(value)


def log(*words):
    print(f"{impl.getcurrent().label}:", *words, flush=True)


def find(number):
    """The greenlet of that number; who has gone is replaced by the current one."""
    found = greenlets.get(number)
    return impl.getcurrent() if found is None else found


def root_of(g):
    while g.parent is not None:
        g = g.parent
    return g


def new(number, parent=None):
    """Makes a greenlet, in the place of the one that had its number."""
    if len(made) < 20:  # or clean-up would go on making what must be cleaned up
        g = impl.greenlet(globals()[f"body{number}"], parent)
        g.label = f"g{number}" + made.count(number) * "'"
        made.append(number)
        everyone.append(weakref.ref(g))
        if keep_all:
            kept.append(g)
        greenlets[number] = g
        log("made", g.label)


def set_parent(g, parent):
    """Moves nobody to another thread who is dead or has descendants, which would be lost there."""
    if hasattr(parent, "label") and root_of(parent) is not root_of(g):
        if g.dead or root_of(g).label in ended:  # or will be, some time after
            raise KeyError
        for reference in everyone:
            each = reference()
            while each is not None and each.parent is not g:
                each = each.parent
            if each is not None:
                raise KeyError
    g.parent = parent


def attempt(what, call, *caught):
    """Logs what the call returns or raises; goes on after the exceptions given."""
    if impl.getcurrent().label in killed:
        kept.append(impl.getcurrent())  # a finalizer written in Python runs only once
    try:
        result = show(call())
    except BaseException as error:
        log(what, "raised", type(error).__name__)
        if isinstance(error, impl.GreenletExit):
            killed.add(impl.getcurrent().label)
        if not isinstance(error, caught):
            raise
    else:
        log(what, "returned", result)


def handled():
    log("handles", getattr(sys.exc_info()[0], "__name__", None))


def drop(number):
    """Lets go of a greenlet; who is suspended is killed, unless a stack refers to it."""
    greenlets.pop(number, None)
    log("dropped", number)


def collect():
    """Collects garbage. Greenlets in cycles of their own making may be found by it, or may not."""
    held = [reference() for reference in everyone]
    gc.collect()
    del held
    log("collected")


def lose(number):
    """Lets a collection find a greenlet, if nothing else refers to it.

    What does may be its own stack: a cycle that a collection may find, or not.
    """
    cycle = [greenlets.pop(number, None)]
    alone = sys.getrefcount(cycle[0]) <= 2
    held = [g for g in (reference() for reference in everyone) if not alone or g is not cycle[0]]
    if alone:
        cycle.append(cycle)
    del cycle
    gc.collect()
    del held
    log("lost", number)


def look(g):
    if root_of(g).label in ended:
        log(show(g), "is of a thread that has ended")  # it may be dead some time after
    else:
        log(show(g), "is", bool(g), g.dead, "under", show(g.parent))


def where(g):
    frame = g.gr_frame
    log(show(g), "stands at", frame and (frame.f_code.co_name, frame.f_lineno))


def context_of(g):
    """The variable in the context; not that of a root, which may be anybody's."""
    context = None if g.parent is None else g.gr_context
    return None if context is None else context.get(variable)


def context(key):
    return contexts.setdefault(key, Context())


def trace(event, args):
    log("trace", event, show(args))


def trace_and_raise(event, args):
    log("trace", event, show(args))
    if event == "throw":
        killed.add(show(args[1]))  # perhaps by a kill, of which it hears no more
    raise LookupError


def here():
    """The name of the thread, which is that of its root."""
    return root_of(impl.getcurrent()).label


def yield_to(number):
    """Lets another thread run until somebody yields to this one, or ends."""
    me, other = here(), f"r{number}"
    if other != me and other not in ended:
        floors[other].put(None)
        floors[me].get()
    for each in ended & set(threads):
        threads.pop(each).join()
    log("has the floor")


def play_thread(number, ready):
    roots[number] = impl.getcurrent()
    roots[number].label = name = f"r{number}"
    ready.set()
    floors[name].get()
    attempt("thread", globals()[f"thread{number}"], BaseException)
    impl.settrace(None)
    ended.add(name)
    floors["r0"].put(None)


def start_threads(count):
    floors["r0"] = queue.SimpleQueue()
    for number in range(1, count + 1):
        floors[f"r{number}"] = queue.SimpleQueue()
        ready = threading.Event()
        threads[f"r{number}"] = threading.Thread(target=play_thread, args=(number, ready))
        threads[f"r{number}"].start()
        ready.wait()


def end_threads():
    while threads:
        yield_to(int(min(threads)[1:]))


def exits_to_unstarted(g):
    """Whether GreenletExit that leaves the greenlet would start an unstarted ancestor."""
    heir = g.parent
    while heir is not None and heir.dead:
        heir = heir.parent
    return heir is not None and not heir


def unless_exits_to_unstarted(body):
    def run(*args, **kwargs):
        try:
            return body(*args, **kwargs)
        except impl.GreenletExit:
            if exits_to_unstarted(impl.getcurrent()):
                raise KeyError from None
            raise

    return run


def throw_exit(g, *args):
    if not g and exits_to_unstarted(g):
        raise KeyError
    return g.throw(*args)


def finish():
    impl.settrace(None)
    for number in sorted(greenlets):
        look(find(number))
    while greenlets:
        drop(min(greenlets))
    collect()
    log("ends")

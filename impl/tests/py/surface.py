"""``python surface.py MODULE``: what a program can see of a module of greenlets, as JSON.

Run in a process of its own for each implementation, since two of them in one process would both
rewrite the thread state. The output is one flat mapping from what was looked at to what was seen.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

#: Of the module system, and of the place where it is installed.
MACHINERY = {
    "__builtins__",
    "__cached__",
    "__doc__",
    "__file__",
    "__loader__",
    "__name__",
    "__package__",
    "__path__",
    "__spec__",
}


def normalised(text: str) -> str:
    """Return a text without addresses."""
    return re.sub(r"0x[0-9a-f]+", "ADDRESS", text)


def outcome(function: Callable[[], object]) -> str:
    """Return the repr of what a call returns, or the exception it raises."""
    try:
        return normalised(repr(function()))
    except BaseException as error:
        return normalised(f"{type(error).__module__}.{type(error).__qualname__}: {error}")


def signature(value: object) -> str:
    """Return the signature that inspect finds, or what it says instead."""
    try:
        return str(inspect.signature(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "unknown"


def members(label: str, value: object) -> Iterator[tuple[str, str]]:
    """Walk the attributes of a module, a type or an object."""
    for name in sorted(set(dir(value)) - MACHINERY):
        member = getattr(value, name, None)
        yield f"{label}.{name}", type(member).__name__
        if callable(member):
            yield f"{label}.{name} signature", signature(member)
        if not name.startswith("__"):
            # That of an instance of str would be that of str.
            documented = not isinstance(member, int | str) and bool(member.__doc__)
            yield f"{label}.{name} documented", str(documented)
        if isinstance(member, int | str):
            yield f"{label}.{name} value", repr(member)


def classes(module: Any) -> Iterator[tuple[str, str]]:
    """Describe the three classes beyond their attributes."""
    for name in ("greenlet", "error", "GreenletExit"):
        found = getattr(module, name)
        yield f"class {name}", repr(found)
        yield f"class {name} bases", repr(found.__mro__)
    kind = module.greenlet
    sizes = (kind.__basicsize__, kind.__itemsize__, kind.__dictoffset__, kind.__weakrefoffset__)
    yield "class greenlet layout", repr(sizes)
    collected, subclassed, heap = (kind.__flags__ >> bit & 1 for bit in (14, 10, 9))
    yield "class greenlet flags", f"{collected=} {subclassed=} {heap=}"
    yield (
        "class greenlet descriptors",
        repr({name: type(value).__name__ for name, value in sorted(vars(kind).items())}),
    )
    yield "class greenlet set", outcome(lambda: setattr(kind, "new", 1))
    yield "capsule", normalised(repr(module._C_API))


def look(label: str, each: Any) -> Iterator[tuple[str, str]]:
    """Read everything that a greenlet tells of itself."""
    yield f"{label} repr", normalised(repr(each))
    for name in ("run", "gr_context", "dead", "__dict__"):
        yield f"{label} {name}", outcome(lambda name=name: getattr(each, name))  # type: ignore[misc]
    yield f"{label} bool", repr(bool(each))
    parent = each.parent
    yield f"{label} parent", "None" if parent is None else type(parent).__name__
    yield f"{label} gr_frame", type(each.gr_frame).__name__
    saved = each._stack_saved
    yield f"{label} _stack_saved", type(saved).__name__ + (" > 0" if saved else " 0")
    for name in ("dead", "gr_frame", "_stack_saved"):
        yield f"{label} set {name}", outcome(lambda name=name: setattr(each, name, None))  # type: ignore[misc]
    for name in ("parent", "gr_context", "run", "dead", "gr_frame", "nothing"):
        if name != "run":  # that of a greenlet that has not started can be deleted
            yield f"{label} delete {name}", outcome(lambda name=name: delattr(each, name))  # type: ignore[misc]
    for name, value in (("parent", 1), ("parent", each), ("gr_context", 1)):
        what = "itself" if value is each else repr(value)
        yield (
            f"{label} set {name} to {what}",
            outcome(lambda name=name, value=value: setattr(each, name, value)),  # type: ignore[misc]
        )
    yield f"{label} reduce", outcome(lambda: each.__reduce_ex__(2))
    yield f"{label} getstate", outcome(lambda: each.__getstate__())


def states(module: Any) -> Iterator[tuple[str, str]]:
    """Look at greenlets in each of their states."""
    root = module.getcurrent()

    def run() -> str:
        root.switch()
        return "end"

    class Sub(module.greenlet):  # type: ignore[misc]
        pass

    suspended = module.greenlet(run)
    suspended.switch()
    dead = module.greenlet(len)
    dead.switch("")
    named = Sub(run)
    running = module.greenlet(lambda: list(look("running", module.getcurrent())))
    yield from look("blank", module.greenlet())
    yield from look("new", module.greenlet(len))
    yield from look("subclass", named)
    yield from look("main", root)
    yield from running.switch()
    yield from look("suspended", suspended)
    yield from look("dead", dead)

    kept: list[Any] = []

    def work() -> None:
        sleeper = module.greenlet(lambda: module.getcurrent().parent.switch())
        sleeper.switch()
        kept.extend([module.getcurrent(), sleeper, module.greenlet(len)])
        inside.set()
        go_on.wait()

    inside, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    # Its main greenlet is switched away from while another thread looks.
    for label, each in zip(("main", "suspended", "new"), kept, strict=True):
        yield f"{label} of another thread repr", normalised(repr(each))
        yield f"{label} of another thread switch", outcome(each.switch)
        yield f"{label} of another thread throw", outcome(each.throw)
    go_on.set()
    thread.join()
    # greenlet notices the end of a thread in a destructor of C++, which may come after the join.
    deadline = time.monotonic() + 10
    while not kept[0].dead and time.monotonic() < deadline:
        time.sleep(0.01)
        module.getcurrent()
    for label, each in zip(("main", "suspended"), kept, strict=False):
        yield from look(f"{label} of an exited thread", each)
        yield f"{label} of an exited thread switch", outcome(each.switch)
        yield f"{label} of an exited thread throw", outcome(each.throw)


def calls(module: Any) -> Iterator[tuple[str, str]]:
    """Call things as nobody should."""
    extension = module._greenlet
    wrong: dict[str, Callable[[], object]] = {
        "greenlet(1, 2)": lambda: module.greenlet(len, 2),
        "greenlet(x=1)": lambda: module.greenlet(x=1),
        "greenlet(1, None, 3)": lambda: module.greenlet(1, None, 3),
        "greenlet(1).switch()": lambda: module.greenlet(1).switch(),
        "greenlet().switch()": lambda: module.greenlet().switch(),
        "greenlet().throw(1)": lambda: module.greenlet().throw(1),
        "greenlet().throw(int)": lambda: module.greenlet().throw(int),
        "greenlet().throw(KeyError(1), 2)": lambda: module.greenlet().throw(KeyError(1), 2),
        "greenlet().throw(KeyError, 1, 2)": lambda: module.greenlet().throw(KeyError, 1, 2),
        "greenlet().throw(KeyError, 1)": lambda: module.greenlet().throw(KeyError, 1),
        "greenlet().throw(1, 2, 3, 4)": lambda: module.greenlet().throw(1, 2, 3, 4),
        "greenlet().throw(x=1)": lambda: module.greenlet().throw(x=1),
        "getcurrent(1)": lambda: module.getcurrent(1),
        "gettrace()": lambda: module.gettrace(),
        "gettrace(1)": lambda: module.gettrace(1),
        "settrace()": lambda: module.settrace(),
        "settrace(None)": lambda: module.settrace(None),
        "settrace(1, 2)": lambda: module.settrace(1, 2),
        # The number itself depends on how far a thread that has just ended is.
        "get_pending_cleanup_count()": lambda: type(extension.get_pending_cleanup_count()),
        "get_total_main_greenlets()": lambda: type(extension.get_total_main_greenlets()),
        "enable_optional_cleanup(False)": lambda: module.enable_optional_cleanup(False),
        "clocks, disabled": module.get_clocks_used_doing_optional_cleanup,
        "enable_optional_cleanup(True)": lambda: module.enable_optional_cleanup(True),
        "clocks, enabled": lambda: type(module.get_clocks_used_doing_optional_cleanup()),
        "enable_optional_cleanup()": lambda: module.enable_optional_cleanup(),
        "set_thread_local('key', 1)": lambda: extension.set_thread_local("key", 1),
        "set_thread_local()": lambda: extension.set_thread_local(),
        "hash": lambda: hash(module.greenlet()) != 0,
        "compare": lambda: module.greenlet() == module.greenlet(),
        "order": lambda: module.greenlet() < module.greenlet(),
    }
    for label, function in wrong.items():
        yield f"call {label}", outcome(function)


def surface(name: str) -> dict[str, str]:
    """Import a module of greenlets and look at all of it."""
    module = importlib.import_module(name)
    seen = {"modules": repr(sorted(each.name for each in pkgutil.iter_modules(module.__path__)))}
    seen["__all__"] = repr(sorted(module.__all__))
    for label, value in (
        ("package", module),
        ("extension", module._greenlet),
        ("type", module.greenlet),
        ("instance", module.greenlet()),
    ):
        seen.update(members(label, value))
    for part in (classes, states, calls):
        seen.update(part(module))
    # The name of the extension module is part of some messages.
    return {key: value.replace(f"{name}._greenlet", "MODULE") for key, value in seen.items()}


if __name__ == "__main__":
    json.dump(surface(sys.argv[1]), sys.stdout)

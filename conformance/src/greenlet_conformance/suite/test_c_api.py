"""Chapter "C API".

The functions are called through ``ctypes``, with addresses as arguments: 0 is NULL, and the
address of an object is its ``id``. An exception that a function leaves set is raised by ``ctypes``,
which then tells nothing of the NULL or -1 that the function has answered beside it.
"""

from __future__ import annotations

import ctypes
import struct
import sys
import threading
import weakref
from typing import Any, Callable

import pytest

from greenlet_conformance.suite.support import (
    STEP_SECONDS,
    Finished,
    Worker,
    clause,
    raised_by,
    shape,
    states,
)

SLOTS = (
    *("Type", "error", "GreenletExit", "New", "GetCurrent", "Throw", "Switch", "SetParent"),
    *("MAIN", "STARTED", "ACTIVE", "GET_PARENT"),
)

#: The result of each function, and how many arguments it takes.
ADDRESS, NUMBER = ctypes.c_void_p, ctypes.c_int
FUNCTIONS: dict[str, tuple[Any, int]] = {
    "New": (ADDRESS, 2),
    "GetCurrent": (ADDRESS, 0),
    "Throw": (ADDRESS, 4),
    "Switch": (ADDRESS, 3),
    "SetParent": (NUMBER, 2),
    "MAIN": (NUMBER, 1),
    "STARTED": (NUMBER, 1),
    "ACTIVE": (NUMBER, 1),
    "GET_PARENT": (ADDRESS, 1),
}

NULL = 0


def owned(address: int | None) -> Any:
    """The object of a new reference, which is given back."""
    assert address
    value = ctypes.cast(address, ctypes.py_object).value
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(value))
    return value


class Api:
    """The functions of the table. Those that answer an object answer it, and own nothing."""

    def __init__(self, impl: Any) -> None:
        name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
            ("PyCapsule_GetName", ctypes.pythonapi)
        )
        pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
            ("PyCapsule_GetPointer", ctypes.pythonapi)
        )
        self.capsule = impl._C_API
        self.name = name(self.capsule)
        table = ctypes.cast(
            pointer(self.capsule, self.name), ctypes.POINTER(ctypes.c_void_p * len(SLOTS))
        )
        self.slots = dict(zip(SLOTS, table.contents))

    def raw(self, name: str, *args: Any) -> Any:
        """Calls a function with objects, or NULL; answers the address or number."""
        result, count = FUNCTIONS[name]
        assert len(args) == count
        function = ctypes.PYFUNCTYPE(result, *[ctypes.c_void_p] * count)(self.slots[name])
        return function(*[arg if arg is NULL else id(arg) for arg in args])

    def call(self, name: str, *args: Any) -> Any:
        """Calls a function; answers its object or number."""
        answer = self.raw(name, *args)
        return owned(answer) if FUNCTIONS[name][0] is ADDRESS else answer


#: The numbers of slots of a type, from Python's typeslots.h: what bool(x) calls.
NB_BOOL = 9


def with_slot(number: int, function: Any) -> Any:
    """An object of a type that has this C function in a slot."""

    class Slot(ctypes.Structure):
        _fields_ = (("slot", ctypes.c_int), ("function", ctypes.c_void_p))

    class Spec(ctypes.Structure):
        _fields_ = (
            ("name", ctypes.c_char_p),
            ("basicsize", ctypes.c_int),
            ("itemsize", ctypes.c_int),
            ("flags", ctypes.c_uint),
            ("slots", ctypes.c_void_p),
        )

    slots = (Slot * 2)(Slot(number, function), Slot(0, None))
    spec = Spec(b"made.WithSlot", 0, 0, 0, ctypes.addressof(slots))
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(
        ("PyType_FromSpec", ctypes.pythonapi)
    )
    return make(ctypes.addressof(spec))()


@pytest.fixture
def api(impl: Any) -> Api:
    """The implementation's table."""
    return Api(impl)


# --- the table ---------------------------------------------------------------------------


@clause("capi.capsule")
def test_capsule(impl: Any, api: Api) -> None:
    """The capsule has its name, and points to twelve pointers."""
    assert type(api.capsule).__name__ == "PyCapsule"
    assert api.name == b"greenlet._C_API"
    assert len(api.slots) == 12
    assert [name for name, address in api.slots.items() if not address] == []
    assert len(set(api.slots.values())) == 12


@clause("capi.objects")
def test_objects(impl: Any, api: Api) -> None:
    """The first three are the type and the exceptions."""
    assert api.slots["Type"] == id(impl.greenlet)
    assert api.slots["error"] == id(impl.error)
    assert api.slots["GreenletExit"] == id(impl.GreenletExit)


@clause("capi.layout")
def test_layout(impl: Any) -> None:
    """An object is three pointers longer than the shortest; a subclass in Python starts there."""
    pointer = struct.calcsize("P")
    head = object.__basicsize__
    assert impl.greenlet.__basicsize__ == head + 3 * pointer
    assert impl.greenlet.__weakrefoffset__ == head
    assert impl.greenlet.__dictoffset__ == head + pointer
    assert impl.greenlet.__itemsize__ == 0
    g = impl.greenlet()
    g.attribute = 1
    fields = (ctypes.c_void_p * 3).from_address(id(g) + head)
    assert fields[1] == id(g.__dict__)
    assert fields[0] is None
    reference = weakref.ref(g)
    assert fields[0] == id(reference)
    assert fields[2]


@clause("capi.kept")
def test_kept(impl: Any, api: Api) -> None:
    """No function keeps or loses a reference, whether it succeeds or fails."""
    root = impl.getcurrent()

    def run(*args: Any) -> Any:
        while True:
            try:
                args = root.switch(*args)
            except KeyError:
                args = ("caught",)

    suspended, child = impl.greenlet(run), impl.greenlet(run)
    suspended.switch()
    arguments, keywords, value, error = ("value", "x"), {"k": 1}, "value", KeyError("x")
    foreign = object()
    watched = [root, suspended, child, run, arguments, keywords, value, error, KeyError, foreign]
    calls: list[tuple[Any, ...]] = [
        ("New", run, NULL),
        ("New", run, root),
        ("New", NULL, foreign),
        ("GetCurrent",),
        ("Switch", suspended, arguments, NULL),
        ("Switch", suspended, arguments, foreign),
        ("Switch", foreign, arguments, keywords),
        ("Throw", suspended, error, NULL, NULL),
        ("Throw", suspended, KeyError, value, NULL),
        ("Throw", suspended, foreign, NULL, NULL),
        ("SetParent", child, suspended),
        ("SetParent", child, root),
        ("SetParent", suspended, suspended),
        ("SetParent", child, foreign),
        ("GET_PARENT", child),
        ("GET_PARENT", foreign),
        ("MAIN", root),
        ("STARTED", child),
        ("ACTIVE", foreign),
    ]

    def repeat(call: tuple[Any, ...]) -> None:
        for _ in range(50):
            raised_by(api.call, *call)
        error.__traceback__ = None

    for call in calls:
        repeat(call)
        before = [sys.getrefcount(x) for x in watched]
        repeat(call)
        after = [sys.getrefcount(x) for x in watched]
        drift = [abs(b - a) for a, b in zip(before, after)]
        assert (call[0], [d for d in drift if d > 5]) == (call[0], [])


# --- functions ---------------------------------------------------------------------------


@clause("capi.new")
def test_new(impl: Any, api: Api) -> None:
    """New makes what the type would make, with NULL for what is left out."""
    root = impl.getcurrent()
    g = api.call("New", NULL, NULL)
    assert type(g) is impl.greenlet
    assert (states(g), g.parent) == (["unstarted"], root)
    assert type(raised_by(g.switch)) is AttributeError
    parent = impl.greenlet(lambda value: ("parent", value))
    run = lambda value: ("ran", value)  # noqa: E731
    assert api.call("New", run, NULL).switch(1) == ("ran", 1)
    g = api.call("New", run, parent)
    assert g.parent is parent
    assert g.switch(1) == ("parent", ("ran", 1))
    inside: Any = impl.greenlet(lambda: api.call("New", run, NULL).parent is inside)
    assert inside.switch() is True
    for wrong in (object(), "parent", impl.greenlet):
        with pytest.raises(TypeError):
            api.call("New", run, wrong)


@clause("capi.current")
def test_current(impl: Any, api: Api, worker: Worker) -> None:
    """GetCurrent answers the current greenlet, in any greenlet and thread."""

    class Sub(impl.greenlet):  # type: ignore[misc]
        def run(self) -> bool:
            return api.call("GetCurrent") is self

    assert api.call("GetCurrent") is impl.getcurrent()
    assert Sub().switch() is True
    there = worker(api.call, "GetCurrent")
    assert there is worker(impl.getcurrent)
    assert there is not impl.getcurrent()


@clause("capi.current.finalizing")
def test_current_finalizing(program: Callable[[str], Finished]) -> None:
    """GetCurrent raises RuntimeError in the finalizing interpreter."""
    done = program(
        """
import ctypes, os, sys
from greenlet_conformance.suite.test_c_api import Api

api = Api(impl)
current = ctypes.PYFUNCTYPE(ctypes.c_void_p)(api.slots["GetCurrent"])

class Late:
    def __del__(self, write=os.write, current=current, api=api, final=sys.is_finalizing):
        try:
            found = bool(current())
        except RuntimeError:
            found = "RuntimeError"
        write(1, f"{final()} {found}\\n".encode())

now = Late()
del now
sys.late = Late()
"""
    )
    assert done == (0, ["False True", "True RuntimeError"], "")


@clause("capi.switch")
def test_switch(impl: Any, api: Api) -> None:
    """Switch sends what it is given, and answers what comes back, or its exception."""
    root = impl.getcurrent()

    def run(*args: Any, **kwargs: Any) -> Any:
        received = [(args, kwargs)]
        for _ in range(5):
            received.append(root.switch("waits"))
        root.switch(received)
        raise error

    error = KeyError("from the target")
    g = impl.greenlet(run)
    assert api.call("Switch", g, ("first",), {"k": "v"}) == "waits"
    calls = [((), NULL), ((1,), NULL), ((1, 2), {}), ((), {"k": 2}), ((1,), {"k": 2})]
    for args, kwargs in calls[:4]:
        assert api.call("Switch", g, args or NULL, kwargs) == "waits"
    received = api.call("Switch", g, *calls[4])
    expected = [(("first",), {"k": "v"}), (), 1, (1, 2), {"k": 2}, ((1,), {"k": 2})]
    assert shape(received) == shape(expected)
    assert raised_by(api.call, "Switch", g, NULL, NULL) is error
    assert states(g) == ["dead"]
    assert api.call("Switch", g, ("skipped",), "no dict") == "skipped"


@clause("capi.throw")
def test_throw(impl: Any, api: Api) -> None:
    """Throw raises in the target, with NULL for what is left out."""
    root = impl.getcurrent()

    def run() -> Any:
        caught = None
        while True:
            caught = raised_by(root.switch, caught)

    g = impl.greenlet(run)
    g.switch()
    instance = KeyError("instance")
    assert api.call("Throw", g, instance, NULL, NULL) is instance
    made = api.call("Throw", g, KeyError, "value", NULL)
    assert (type(made), made.args) == (KeyError, ("value",))
    assert type(api.call("Throw", g, KeyError, None, None)) is KeyError
    assert type(api.call("Throw", g, impl.GreenletExit, NULL, NULL)) is impl.GreenletExit
    assert type(raised_by(api.call, "Throw", g, "wrong", NULL, NULL)) is TypeError
    assert states(g) == ["active"]
    never = impl.greenlet(lambda: "ran")
    assert raised_by(api.call, "Throw", never, instance, NULL, NULL) is instance
    assert states(never) == ["dead"]
    exits = impl.greenlet(lambda: "ran")
    assert type(api.call("Throw", exits, impl.GreenletExit, NULL, NULL)) is impl.GreenletExit


@clause("capi.set-parent")
def test_set_parent(impl: Any, api: Api) -> None:
    """SetParent answers 0, or raises what the assignment raises and changes nothing."""
    root = impl.getcurrent()
    parent, child = impl.greenlet(lambda: None), impl.greenlet(lambda: None)
    assert api.call("SetParent", child, parent) == 0
    assert child.parent is parent
    for wrong, expected in (
        (child, ValueError),
        (object(), TypeError),
        (None, TypeError),
        (NULL, AttributeError),
    ):
        assert type(raised_by(api.call, "SetParent", child, wrong)) is expected
        assert child.parent is parent
    assert type(raised_by(api.call, "SetParent", parent, child)) is ValueError
    assert type(raised_by(api.call, "SetParent", root, parent)) is AttributeError
    assert (parent.parent, root.parent) == (root, None)


@clause("capi.get-parent")
def test_get_parent(impl: Any, api: Api, worker: Worker) -> None:
    """GET_PARENT answers the parent, and NULL without an exception for a root."""
    root = impl.getcurrent()
    g = impl.greenlet(lambda: None)
    assert api.call("GET_PARENT", impl.greenlet(lambda: None, g)) is g
    g.switch()
    assert api.call("GET_PARENT", g) is root
    assert api.raw("GET_PARENT", root) is None
    assert api.raw("GET_PARENT", worker(impl.getcurrent)) is None


@clause("capi.state")
def test_state(impl: Any, api: Api, worker: Worker) -> None:
    """MAIN, STARTED and ACTIVE are 0 or 1 by the state."""

    def look(g: Any) -> list[int]:
        return [api.call(name, g) for name in ("MAIN", "STARTED", "ACTIVE")]

    root = impl.getcurrent()
    g: Any = impl.greenlet(lambda: root.switch(look(g)))
    thrown = impl.greenlet(lambda: None)
    assert look(root) == [1, 1, 1]
    assert look(g) == [0, 0, 0]
    assert g.switch() == [0, 1, 1]
    assert look(g) == [0, 1, 1]
    g.switch()
    assert look(g) == [0, 1, 0]
    thrown.throw()
    assert look(thrown) == [0, 1, 0]
    other = worker(impl.getcurrent)
    assert look(other) == [1, 1, 1]
    assert worker(look, g) == [0, 1, 0]


@clause("capi.check")
def test_check(impl: Any, api: Api) -> None:
    """What is no greenlet raises TypeError."""

    class Sub(impl.greenlet):  # type: ignore[misc]
        pass

    for wrong in (object(), None, "greenlet", impl.greenlet):
        calls = [("Switch", wrong, (), NULL), ("Throw", wrong, KeyError, NULL, NULL)]
        for call in (*calls, *((name, wrong) for name in ("MAIN", "STARTED", "ACTIVE"))):
            assert type(raised_by(api.call, *call)) is TypeError
        assert type(raised_by(api.raw, "GET_PARENT", wrong)) is TypeError
    assert api.call("Switch", Sub(lambda: "a subclass"), NULL, NULL) == "a subclass"


@clause("capi.check")
def test_check_answer(api: Api) -> None:
    """Where TypeError is raised, the answer is -1: a caller who looks at that alone sees it."""
    for name in ("MAIN", "STARTED", "ACTIVE"):
        # As what bool() calls: another answer beside an exception is a SystemError.
        assert type(raised_by(bool, with_slot(NB_BOOL, api.slots[name]))) is TypeError


@clause("capi.error")
def test_error(impl: Any, api: Api, worker: Worker) -> None:
    """Refused switches raise the same errors as in Python, and leave the same state."""

    def build() -> Any:
        root = impl.getcurrent()
        g = impl.greenlet(lambda: root.switch())
        g.switch()
        return g

    foreign = worker(build)
    value = KeyError("not to be thrown")
    for call in (
        ("Switch", foreign, ("sent",), NULL),
        ("Switch", foreign.parent, NULL, NULL),
        ("Throw", foreign, value, NULL, NULL),
    ):
        assert type(raised_by(api.call, *call)) is impl.error
    assert worker(foreign.switch, "own") == "own"
    without = impl.greenlet()
    assert type(raised_by(api.call, "Switch", without, NULL, NULL)) is AttributeError
    assert states(without) == ["unstarted"]
    g = impl.greenlet(lambda: "goes on")
    assert api.call("Switch", g, NULL, NULL) == "goes on"


# --- C code on the stack -----------------------------------------------------------------


@clause("capi.callback")
def test_callback(impl: Any, api: Api) -> None:
    """Several greenlets are suspended in callbacks of qsort, and go on in any order."""
    root = impl.getcurrent()
    pointer = ctypes.POINTER(ctypes.c_int)
    compare_type = ctypes.PYFUNCTYPE(ctypes.c_int, pointer, pointer)
    qsort = ctypes.PyDLL(None).qsort
    qsort.restype = None

    def run(numbers: list[int]) -> list[int]:
        def compare(a: Any, b: Any) -> int:
            root.switch("compares")
            return int(a[0] - b[0])

        array = (ctypes.c_int * len(numbers))(*numbers)
        qsort(array, len(numbers), ctypes.sizeof(ctypes.c_int), compare_type(compare))
        return list(array)

    inputs = [[3, 1, 2], [9, 8, 7, 6, 5, 4], [1, 2], [5, 5, 1, 4]]
    greenlets = [impl.greenlet(run) for _ in inputs]
    answers: list[Any] = [g.switch(numbers) for g, numbers in zip(greenlets, inputs)]
    turn = 0
    while not all(g.dead for g in greenlets):
        turn += 1
        for i in (0, 1, 2, 3) if turn % 2 else (3, 1, 2, 0):
            if greenlets[i]:
                answers[i] = greenlets[i].switch()
    assert answers == [sorted(numbers) for numbers in inputs]
    assert turn > 2


@clause("capi.callback")
def test_callback_in_threads(impl: Any, api: Api) -> None:
    """C code of several threads switches by the table, each in its own tree."""
    results: list[Any] = []

    def in_thread(number: int) -> None:
        root = api.call("GetCurrent")

        def run(value: int) -> Any:
            while True:
                value = api.call("Switch", root, (value + number,), NULL)

        g = api.call("New", run, NULL)
        value = 0
        for _ in range(200):
            value = api.call("Switch", g, (value,), NULL)
        results.append((number, value))

    threads = [threading.Thread(target=in_thread, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STEP_SECONDS)
    assert sorted(results) == [(number, 200 * number) for number in range(4)]

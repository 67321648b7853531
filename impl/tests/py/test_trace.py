"""`python -m greenlane trace`: what is recorded, and that it is written whatever ends it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from greenlane import _greenlet, timeline, tracing
from support import run_script

Event = dict[str, Any]

SEED = """\
from greenlane import greenlet

def func1():
    print("g1 begin")
    g2.switch()
    print("return to g1")
    g2.switch()

def func2():
    print("g2 begin")
    g1.switch()
    print("reenter g2")

g1, g2 = greenlet(func1), greenlet(func2)
g1.switch()
"""


class Traced:
    """A program that was run, and the JSON that was written."""

    def __init__(self, done: subprocess.CompletedProcess[str], path: Path) -> None:
        self.done = done
        self.trace: dict[str, Any] = json.loads(path.read_text())
        self.events: list[Event] = self.trace["traceEvents"]
        self.names: dict[int, str] = {
            event["tid"]: event["args"]["name"]
            for event in self.events
            if event["name"] == "thread_name"
        }

    def named(self, phase: str, name: str) -> list[Event]:
        return [each for each in self.events if (each["ph"], each["name"]) == (phase, name)]

    def who(self, name: str) -> list[str]:
        """The greenlets that have an instant of that name, in the order of time."""
        return [self.names[each["tid"]] for each in self.named("i", name)]

    def transfers(self) -> list[tuple[str, str, str]]:
        starts = {each["id"]: each for each in self.events if each["ph"] == "s"}
        return [
            (each["name"], self.names[starts[each["id"]]["tid"]], self.names[each["tid"]])
            for each in self.events
            if each["ph"] == "f"
        ]

    def slices(self, greenlet: str) -> list[Event]:
        return [x for x in self.named("X", "running") if self.names[x["tid"]] == greenlet]


def validate(trace: dict[str, Any]) -> None:
    """Hold a trace to the rules of the Trace Event format, and to those that viewers rely on."""
    tracks = defaultdict(list)
    flows: dict[str, dict[int, Event]] = {"s": {}, "f": {}}
    named = set()
    assert trace["displayTimeUnit"] in ("ms", "ns")
    for event in trace["traceEvents"]:
        assert {"ph", "name", "pid", "tid"} <= set(event)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        phase = event["ph"]
        if phase == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            if event["name"] == "thread_name":
                assert event["tid"] not in named
                named.add(event["tid"])
            continue
        assert event["ts"] >= 0
        if phase == "X":
            assert event["dur"] > 0
            tracks[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        elif phase == "i":
            assert event["s"] in ("t", "p", "g")
        else:
            assert phase in ("s", "f")
            assert event["id"] not in flows[phase]
            assert event["cat"]
            flows[phase][event["id"]] = event
        assert event["tid"] in named
    assert flows["s"].keys() == flows["f"].keys()
    for slices in tracks.values():
        slices.sort()
        for (_, end), (start, _) in itertools.pairwise(slices):
            assert start >= end - 0.0005, "slices of one track do not overlap"
    for number, start in flows["s"].items():
        end = flows["f"][number]
        assert end["bp"] == "e"
        assert start["ts"] < end["ts"]
        assert (start["name"], start["cat"]) == (end["name"], end["cat"])
        assert any(a - 0.0005 <= start["ts"] < b - 0.0005 for a, b in tracks[start["tid"]])
        assert any(abs(a - end["ts"]) < 0.0005 for a, _ in tracks[end["tid"]])


@pytest.fixture
def trace(tmp_path: Path) -> Callable[..., Traced]:
    def run(
        code: str,
        *options: str,
        arguments: tuple[str, ...] = (),
        returncode: int = 0,
        environment: dict[str, str] | None = None,
    ) -> Traced:
        program = tmp_path / "program.py"
        program.write_text(textwrap.dedent(code))
        output = tmp_path / "out.json"
        done = command("-o", str(output), *options, str(program), *arguments,
                       returncode=returncode, environment=environment)  # fmt: skip
        traced = Traced(done, output)
        validate(traced.trace)
        return traced

    return run


def command(
    *arguments: str,
    returncode: int = 0,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "greenlane", "trace", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "80", **(environment or {})},
        timeout=60,
    )
    assert done.returncode == returncode, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


Trace = Callable[..., Traced]

# ---- What is recorded ----------------------------------------------------------------------------


def test_seeds_example(trace: Trace, tmp_path: Path) -> None:
    traced = trace(SEED)
    assert traced.done.stdout == "g1 begin\ng2 begin\nreturn to g1\nreenter g2\n"
    main, func1, func2 = "main of MainThread #1", "func1 #2", "func2 #3"
    assert list(traced.names.values()) == [main, func1, func2]
    assert traced.transfers() == [
        ("switch", main, func1),
        ("switch", func1, func2),
        ("switch", func2, func1),
        ("switch", func1, func2),
        ("switch", func2, main),
    ]
    assert traced.who("birth") == [main, func1, func2]
    parents = [each["args"]["parent"] for each in traced.named("i", "birth")]
    assert parents == [None, main, main]
    assert traced.who("death") == [func2]
    program = tmp_path / "program.py"
    places = [each["args"].get("suspended at") for each in traced.slices(func1)]
    assert places == [f"{program}:5 func1", f"{program}:7 func1"]
    (last,) = traced.named("i", "suspended at the end")
    assert last["args"]["stack"] == [f"{program}:7 func1"]
    assert traced.who("running at the end") == [main]
    said = f"greenlane trace: 3 greenlets, 5 switches, 0 throws: {tmp_path / 'out.json'}\n"
    assert traced.done.stderr == said


def test_throws_and_deaths(trace: Trace) -> None:
    traced = trace(
        """
        import greenlet
        parent = greenlet.getcurrent()

        def victim():
            try:
                parent.switch()
            except KeyError:
                parent.switch()

        v = greenlet.greenlet(victim)
        v.switch()
        v.throw(KeyError)
        del v                       # is killed
        greenlet.greenlet(victim)   # never starts

        def fails():
            raise ValueError

        try:
            greenlet.greenlet(fails).switch()
        except ValueError:
            pass
        greenlet.greenlet(victim).throw()   # dies before it starts
        """
    )
    main, v, early = "main of MainThread #1", "victim #2", "victim #5"
    fails = "fails #4"
    assert traced.transfers() == [
        ("switch", main, v),
        ("switch", v, main),
        ("throw", main, v),
        ("switch", v, main),
        ("throw", main, v),
        ("switch", v, main),
        ("switch", main, fails),
        ("throw", fails, main),
        ("throw", main, early),
        ("switch", early, main),
    ]
    assert traced.who("death") == [v, "greenlet #3", fails, early]


def test_parents(trace: Trace) -> None:
    traced = trace(
        """
        from greenlane import greenlet, getcurrent
        main = getcurrent()
        a = greenlet(lambda: main.switch())
        b = greenlet(lambda: main.switch(), a)
        c = greenlet(lambda: main.switch())
        for each in a, b, c:
            each.switch()
        c.parent = b
        """
    )
    adopted = traced.named("i", "new parent")
    assert [traced.names[each["tid"]] for each in adopted] == ["<lambda> #3", "<lambda> #4"]
    assert [each["args"]["parent"] for each in adopted] == ["<lambda> #2", "<lambda> #3"]
    # Lanes are in the order of the tree.
    indices = traced.named("M", "thread_sort_index")
    order = {each["tid"]: each["args"]["sort_index"] for each in indices}
    assert sorted(order, key=lambda tid: order[tid]) == [1, 2, 3, 4]


def test_names(trace: Trace) -> None:
    traced = trace(
        """
        import functools
        from greenlane import greenlet

        class Sub(greenlet):
            def run(self):
                pass

        class Gevents(greenlet):
            def __init__(self, function):
                super().__init__()
                self._run = function
            def run(self):
                self._run()

        class Eventlets(greenlet):
            def __init__(self):
                super().__init__(self.main)
            def main(self, function):
                function()

        class Hostile(greenlet):
            @property
            def _run(self):
                raise RuntimeError
            __class__ = property(lambda self: 1 / 0)
            def __eq__(self, other):
                raise RuntimeError
            __hash__ = None
            def __bool__(self):
                raise RuntimeError
            def run(self):
                pass

        class Owner:
            def method(self):
                pass
            def __call__(self):
                pass

        def work():
            pass

        kept = greenlet(work)       # not started
        greenlet(functools.partial(work)).switch()
        greenlet(Owner().method).switch()
        greenlet(Owner()).switch()
        greenlet(len).switch("")
        Sub().switch()
        Gevents(work).switch()
        Eventlets().switch(work)
        hostile = Hostile()
        hostile.switch()
        named = greenlet(work)
        named.name = "the \\u00ab<b>\\u00bb one"
        named.switch()
        """
    )
    assert list(traced.names.values())[1:] == [
        "work #2",
        "work #3",
        "Owner.method #4",
        "Owner #5",
        "len #6",
        "Sub #7",
        "work #8",
        "work #9",
        "Hostile #10",
        "the \u00ab<b>\u00bb one #11",
    ]
    assert traced.who("not started at the end") == ["work #2"]
    assert traced.done.stderr.count("\n") == 1


def test_names_are_found_out_without_the_programs_code(trace: Trace) -> None:
    traced = trace(
        """
        import functools
        from greenlane import greenlet

        class Text(str):
            def __format__(self, spec):
                raise RuntimeError
            __str__ = __eq__ = __format__
            __hash__ = None

        def asked(self, *_):
            print("asked")
            raise SystemExit

        class Meta(type):
            __module__ = property(asked)
            __name__ = property(asked)

        class Hostile(greenlet, metaclass=Meta):
            __dict__ = property(asked)
            __class__ = property(asked)
            __getattr__ = asked
            args = property(asked)
            _run = property(asked)
            def run(self):
                pass

        class Asked(greenlet):
            run = property(asked)

        class Callable:
            __slots__ = ("__name__",)
            __class__ = property(asked)
            __self__ = property(asked)
            __getattr__ = asked
            def __call__(self):
                pass

        class Partial(functools.partial):
            func = property(asked)

        named = greenlet(int)
        named.name = Text("named")
        named.switch()
        Hostile().switch()
        never = Asked()
        greenlet(Callable()).switch()
        greenlet(Partial(int)).switch()
        decorated = functools.update_wrapper(functools.lru_cache(asked), int)
        kept = greenlet(decorated)
        import sys
        sys.argv = sys.orig_argv = None
        """
    )
    assert traced.done.stdout == ""
    assert traced.done.stderr.count("\n") == 1
    assert list(traced.names.values())[1:] == [
        "named #2",
        "Hostile #3",
        "Asked #4",
        "Callable #5",
        "int #6",
        "int #7",
    ]


def test_names_where_no_more_calls_can_be_nested(trace: Trace) -> None:
    """And recording leaves the limit as it was."""
    code = """
    import sys
    from greenlane import greenlet
    sys.setrecursionlimit(200)
    depth = 0
    def deep():
        global depth
        depth += 1
        greenlet(int).switch()
        deep()
    for _ in range(2):
        try:
            depth = 0
            deep()
        except RecursionError:
            print(depth)
    """
    traced = trace(code)
    assert traced.done.stderr.count("\n") == 1
    names = [name.partition(" #")[0] for name in traced.names.values()][1:]
    assert set(names) == {"int"}
    depth = int(traced.done.stdout.split()[0])
    assert traced.done.stdout == f"{depth}\n{depth}\n"
    assert 150 < depth < 200
    assert len(names) == 2 * depth


def test_what_a_signal_handler_raises_arrives(trace: Trace) -> None:
    """Whenever it comes, also while a name is being found out; nothing is printed."""
    traced = trace(
        """
        import signal, time
        from greenlane import greenlet
        class Alarm(BaseException):
            pass
        sent = got = 0
        is_time = lambda: time.monotonic() < end
        def handler(*_):
            global sent
            sent += 1
            raise Alarm
        signal.signal(signal.SIGALRM, handler)
        end = time.monotonic() + 1.5
        while is_time():
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0007)
                while True:
                    greenlet(int).switch()
            except Alarm:
                got += 1
        assert sent == got > 10, (sent, got)
        """,
        "--limit",
        "10",
    )
    assert traced.done.stderr.count("\n") == 1


def test_greenlets_that_are_in_no_record_are_forgotten(trace: Trace) -> None:
    traced = trace(
        """
        import os, resource, sys
        from greenlane import greenlet, getcurrent
        main = getcurrent()
        def stays():
            main.switch()
        alive = greenlet(stays)
        alive.switch()
        dead = greenlet(len)
        dead.switch("")
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for n in range(30_000):
            g = greenlet(int)
            if n % 3 == 0:
                g.switch()
            elif n % 3 == 1:
                del g                # never starts
            else:
                g = greenlet(stays)
                g.switch()
                del g                # is killed
            if n == 3_000:
                before = peak()
        print(peak() - before)
        """,
        "--limit",
        "100",
    )
    assert int(traced.done.stdout) < 1000  # KiB
    names = [name.partition(" #")[0] for name in traced.names.values()]
    assert names[1] == "stays"
    assert "len" not in names
    assert len(names) < 60
    assert names.count("int") > 5


def test_threads(trace: Trace) -> None:
    traced = trace(
        """
        import threading
        from greenlane import greenlet, getcurrent

        kept = []
        def work():
            main = getcurrent()
            child = greenlet(lambda: main.switch())
            child.switch()
            kept.append(child)   # can't be run any more, once the thread has exited

        for number in range(3):
            thread = threading.Thread(target=work, name=f"worker {number}")
            thread.start()
            thread.join()
        stay, seen = threading.Event(), threading.Event()
        def wait():
            greenlet(int).switch()
            seen.set()
            stay.wait()
        threading.Thread(target=wait, name="waiter", daemon=True).start()
        seen.wait()
        del kept
        """
    )
    mains = [name for name in traced.names.values() if name.startswith("main")]
    assert [name.partition(" #")[0] for name in mains] == [
        "main of MainThread",
        *(f"main of worker {number}" for number in range(3)),
        "main of waiter",
    ]
    assert set(traced.who("running at the end")) == {mains[0], mains[4]}
    assert set(mains[1:4]) < set(traced.who("death"))
    assert len(traced.who("death")) == 3 + 3 + 1
    for _, origin, target in traced.transfers():
        assert (origin in mains) != (target in mains)


def test_programs_own_tracer_is_left_alone(trace: Trace) -> None:
    code = """
    from greenlane import greenlet, getcurrent, settrace, gettrace
    assert gettrace() is None
    told = []
    def tracer(event, pair):
        told.append(event)
        if len(told) == 3:
            raise RuntimeError("enough")
    assert settrace(tracer) is None
    assert gettrace() is tracer
    main = getcurrent()
    def work():
        try:
            main.switch()
        except RuntimeError as error:
            print(error)
        main.switch()
    g = greenlet(work)
    g.switch()
    g.switch()
    print(told, gettrace())
    assert settrace(None) is None
    g.switch()
    print(told)
    """
    traced = trace(code)
    assert traced.done.stdout == (
        "enough\n['switch', 'switch', 'switch'] None\n['switch', 'switch', 'switch']\n"
    )
    assert len(traced.transfers()) == 6
    plain = run_script(code)
    assert plain.stdout == traced.done.stdout


def test_python_tracers_do_not_see_the_recorder(trace: Trace) -> None:
    traced = trace(
        """
        import sys
        from greenlane import greenlet
        called = []
        def work():
            pass
        sys.setprofile(lambda frame, event, arg: called.append((event, frame.f_code.co_name)))
        greenlet(work).switch()
        sys.setprofile(None)
        print([each for each in called if not each[0].startswith("c_")])
        """
    )
    assert traced.done.stdout == "[('call', 'work'), ('return', 'work')]\n"


def test_greenlets_are_not_kept_and_serials_are_not_used_again(trace: Trace) -> None:
    traced = trace(
        """
        import gc, weakref
        from greenlane import greenlet
        gc.disable()
        seen = set()
        for _ in range(100):
            g = greenlet(int)
            g.switch()
            gone = weakref.ref(g)
            seen.add(id(g))
            del g
            assert gone() is None
        assert len(seen) < 100
        """
    )
    assert len(traced.names) == 101
    assert len(traced.who("death")) == 100


@pytest.mark.parametrize("lanes", ["0", "1", "4096"])
def test_suspended_where(trace: Trace, lanes: str) -> None:
    """Also where stacks are shared, and lie elsewhere when one asks."""
    traced = trace(
        """
        from greenlane import greenlet, getcurrent
        main = getcurrent()
        def deep(n):
            if n:
                return deep(n - 1)
            main.switch()
            main.switch(
                1,
            )
        kept = [greenlet(deep) for _ in range(5)]
        for each in kept:
            each.switch(2)
        for each in kept[1:]:
            each.switch()
        """,
        environment={"GREENLANE_LANES": lanes},
    )
    ends = traced.named("i", "suspended at the end")
    stacks = [[place.rpartition("/")[2] for place in each["args"]["stack"]] for each in ends]
    assert stacks == [
        [f"program.py:{line} deep", "program.py:6 deep", "program.py:6 deep"]
        for line in (7, 8, 8, 8, 8)
    ]
    places = [each["args"]["suspended at"] for each in traced.slices("deep #3")]
    assert [place.rpartition(":")[2] for place in places] == ["7 deep", "8 deep"]


def test_limit_drops_the_oldest_and_says_so(trace: Trace) -> None:
    traced = trace(
        """
        from greenlane import greenlet, getcurrent
        main = getcurrent()
        def work():
            while True:
                main.switch()
        old = greenlet(work)
        for _ in range(1000):
            old.switch()
        def last():
            pass
        greenlet(last).switch()
        """,
        "--limit",
        "100",
    )
    # Births of main, old and last; their transfers.
    assert traced.trace["otherData"]["dropped_events"] == 3 + 2 * 1000 + 2 - 100
    assert "first 1905 events are missing, since --limit is 100" in traced.done.stderr
    assert len(traced.transfers()) == 99
    assert list(traced.names.values()) == ["main of MainThread #1", "work #2", "last #3"]
    assert traced.transfers()[-1] == ("switch", "last #3", "main of MainThread #1")


MANY = """
import resource
from greenlane import greenlet, getcurrent
main = getcurrent()
def work():
    while True:
        main.switch()
g = greenlet(work)
for _ in range(300_000):
    g.switch()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
import greenlane.timeline
write = greenlane.timeline.write
def measured(*args, **kwargs):
    {inject}
    write(*args, **kwargs)
    print((peak() - before) // 1024)
greenlane.timeline.write = measured
"""


@pytest.mark.around_core
def test_memory_for_writing(tmp_path: Path) -> None:
    """Is that of the events once more, 24 bytes each; as objects they would take 200."""
    files = ("-o", str(tmp_path / "out.json"), "--html", str(tmp_path / "out.html"))
    done = command(*files, "--limit", "1000000", "-c", MANY.format(inject=""))
    assert int(done.stdout) < 14 + 32, "MiB: the events, the buffer of a file"
    writing, said = done.stderr.splitlines()
    assert writing == "greenlane trace: writing 600002 events"
    assert said.startswith("greenlane trace: 2 greenlets, 600000 switches")
    _, _, rest = (tmp_path / "out.html").read_text().partition('id="data">')
    data = json.loads(rest.partition("</script>")[0])
    assert {len(data[each]) for each in ("time", "origin", "target", "place", "event")} == {600002}
    assert min(data["time"]) > 0


@pytest.mark.around_core
def test_no_memory_for_writing(tmp_path: Path) -> None:
    files = ("-o", str(tmp_path / "out.json"), "--limit", "1000000")
    done = command(*files, "-c", MANY.format(inject="raise MemoryError"))
    said = done.stderr.splitlines()[-1]
    assert said == "greenlane trace: there is no memory to write what was recorded"
    assert list(tmp_path.iterdir()) == []


def test_code_without_end_is_not_kept_without_end(trace: Trace) -> None:
    traced = trace(
        """
        import gc
        from greenlane import greenlet, getcurrent
        main = getcurrent()
        def work():
            while True:
                main.switch()
        g = greenlet(work)
        for number in range(70_000):
            exec("g.switch()")
        """,
        "--limit",
        "10",
    )
    first = traced.slices("main of MainThread #1")[0]
    assert "suspended at" not in first["args"]
    assert traced.slices("work #2")[-1]["args"]["suspended at"].endswith("work")


# ---- How programs end ----------------------------------------------------------------------------

ENDS = {
    "exception": ("raise KeyError('at last')", 1),
    "exit": ("import sys; sys.exit(7)", 7),
    "exit in a greenlet": ("import sys; greenlet(lambda: sys.exit(8)).switch()", 8),
    **{
        f"{name} {where}": (code.format(name), -getattr(signal, name))
        for name in ("SIGINT", "SIGTERM", "SIGHUP")
        for where, code in {
            "in main": "import os, signal, time; os.kill(os.getpid(), signal.{}); time.sleep(60)",
            "in a greenlet": "import os, signal\n"
            "def end():\n"
            "    os.kill(os.getpid(), signal.{})\n"
            "    while True: pass\n"
            "greenlet(end).switch()",
            "while a thread runs": "import os, signal, time, threading\n"
            "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
            "os.kill(os.getpid(), signal.{}); time.sleep(60)",
        }.items()
    },
}


@pytest.mark.around_core
@pytest.mark.parametrize("end", ENDS)
def test_ends(trace: Trace, end: str) -> None:
    code, returncode = ENDS[end]
    traced = trace(SEED + code, returncode=returncode)
    said = "3 greenlets, 5 switches, 0 throws"
    if "in a greenlet" in end:
        # SIGINT and sys.exit() arrive as an exception, in the greenlet, and leave it.
        arrives = end.startswith(("exit", "SIGINT"))
        said = f"4 greenlets, 6 switches, {int(arrives)} throws"
    assert f"greenlane trace: {said}: " in traced.done.stderr
    if end == "exception":
        assert "KeyError: 'at last'" in traced.done.stderr


def test_a_programs_own_handler_stays(trace: Trace) -> None:
    traced = trace(
        """
        import os, signal, sys
        from greenlane import greenlet
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
        greenlet(int).switch()
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            pass
        """,
        returncode=5,
    )
    assert len(traced.transfers()) == 2


def test_what_happens_at_exit_is_recorded(trace: Trace) -> None:
    traced = trace(
        """
        import atexit
        from greenlane import greenlet
        def late():
            pass
        atexit.register(lambda: greenlet(late).switch())
        """
    )
    assert len(traced.transfers()) == 2


def test_forked_children_write_their_own(trace: Trace, tmp_path: Path) -> None:
    traced = trace(
        """
        import os, sys
        from greenlane import greenlet, getcurrent
        main = getcurrent()
        def before():
            main.switch()
        def in_child():
            pass
        def in_parent():
            pass
        b = greenlet(before)
        b.switch()
        for switches in True, False:
            if not (pid := os.fork()):
                if switches:
                    greenlet(in_child).switch()
                    b.switch()
                sys.exit()
            assert os.waitpid(pid, 0)[1] == 0
        greenlet(in_parent).switch()
        """
    )
    assert [name.partition(" #")[0] for name in traced.names.values()] == [
        *("main of MainThread", "before", "in_parent")
    ]
    (other,) = set(tmp_path.glob("out.*.json"))
    child = Traced(traced.done, other)
    validate(child.trace)
    assert [(origin, target) for _, origin, target in child.transfers()] == [
        ("main of MainThread #1", "in_child #3"),
        ("in_child #3", "main of MainThread #1"),
        ("main of MainThread #1", "before #2"),
        ("before #2", "main of MainThread #1"),
    ]
    assert other.name == f"out.{child.events[0]['pid']}.json"


def test_children_of_multiprocessing_write_their_own(trace: Trace, tmp_path: Path) -> None:
    traced = trace(
        """
        import multiprocessing
        from greenlane import greenlet
        def work():
            greenlet(int).switch()
        if __name__ == "__main__":
            process = multiprocessing.get_context("fork").Process(target=work)
            process.start()
            process.join()
            print(process.exitcode)
        """
    )
    assert traced.done.stdout == "0\n"
    (other,) = set(tmp_path.glob("out.*.json"))
    child = Traced(traced.done, other)
    validate(child.trace)
    assert child.transfers() == [
        ("switch", "main of MainThread #1", "int #2"),
        ("switch", "int #2", "main of MainThread #1"),
    ]


def test_what_the_collector_does_not_tell_of(trace: Trace, tmp_path: Path) -> None:
    """Servers call gc.freeze() before they fork."""
    traced = trace(
        """
        import gc, os
        from greenlane import greenlet, getcurrent
        main = getcurrent()
        def work():
            while True:
                main.switch()
        worker = greenlet(work)
        worker.switch()
        new = greenlet(work, worker)
        gc.freeze()
        if not os.fork():
            worker.switch()
        else:
            os.wait()
            print(gc.get_freeze_count() > 0)
        """
    )
    assert traced.done.stdout == "True\n"
    (other,) = set(tmp_path.glob("out.*.json"))
    for each in traced, Traced(traced.done, other):
        assert list(each.names.values()) == ["main of MainThread #1", "work #2", "work #3"]
        assert each.who("suspended at the end") == ["work #2"]
        assert each.who("not started at the end") == ["work #3"]


def test_greenlet_that_is_being_freed_is_no_survivor() -> None:
    run_script(
        """
        import weakref
        from greenlane import _greenlet, greenlet
        class Sub(greenlet):
            pass
        class Member:
            def __del__(self):
                seen.append([_greenlet._serial(each) for each in _greenlet._survivors()])
        seen = []
        _greenlet._start_recording(1000, print)
        for cls in greenlet, Sub, greenlet:
            one, two, three = cls(int), cls(int), cls(int)
            two.member = Member()
            ref = weakref.ref(two, lambda _: Member())
            del two, one, three
        assert seen == [[4, 2, 1], [4, 2, 1], [7, 5, 1], [7, 5, 1], [10, 8, 1], [10, 8, 1]], seen
        assert len(_greenlet._survivors()) == 1
        """
    )


PARENTS_CHANGE = """
import os, sys
from greenlane import greenlet, getcurrent
main = getcurrent()
def work():
    while True:
        main.switch()
a = greenlet(work)
b = greenlet(work)
b.switch()
a.parent = b
a.switch()
a.parent = main
"""


@pytest.mark.parametrize(
    "rest",
    [
        "for _ in range(50): a.switch()\nb.parent = a\nb.switch()\n",
        "os.fork() and os.wait()\nb.parent = a\nb.switch()\na.switch()\n",
    ],
)
def test_parents_whose_records_are_gone(trace: Trace, tmp_path: Path, rest: str) -> None:
    last = trace(PARENTS_CHANGE + rest, "--limit", "20", "--html")
    for path in tmp_path.glob("out*.json"):
        traced = Traced(last.done, path)
        validate(traced.trace)
        assert list(traced.names.values()) == ["main of MainThread #1", "work #2", "work #3"]
        assert path.with_suffix(".html").exists()


def test_circle_of_parents_is_cut() -> None:
    lives = {
        serial: timeline.Life(serial, "x", "", parent, "")
        for serial, parent in ((1, 0), (2, 4), (3, 1), (4, 5), (5, 4), (6, 2))
    }
    trace = timeline.Trace("", 1, "", 0, 1, 1, 0, lives, [], timeline.Records())
    assert [life.serial for life in trace.in_order()] == [1, 3, 4, 2, 6, 5]
    assert [life.parent for life in lives.values()] == [0, 4, 1, 0, 4, 2]
    assert len(list(timeline.events(trace))) == 1 + 2 * 6


@pytest.mark.around_core
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_signals_do_not_stop_the_writing(trace: Trace, number: str) -> None:
    """The first ends the program, and more come all the time."""
    traced = trace(
        f"""
        import os, signal, sys, threading, time
        from greenlane import greenlet
        signal.signal(signal.SIGUSR1, lambda *_: sys.exit(1))
        for _ in range(500):
            greenlet(int).switch()
        def annoy():
            while True:
                os.kill(os.getpid(), signal.{number})
                time.sleep(0.01) if started.is_set() else started.wait(1)
        started = threading.Event()
        import greenlane.timeline
        write = greenlane.timeline.write
        def started_writing(*args, **kwargs):
            started.set()
            time.sleep(0.1)
            write(*args, **kwargs)
            os._exit(0)  # or the next one ends it otherwise
        greenlane.timeline.write = started_writing
        threading.Thread(target=annoy, daemon=True).start()
        time.sleep(60)
        """,
    )
    assert len(traced.transfers()) == 1000


@pytest.mark.around_core
def test_line_does_not_go_to_another_file(trace: Trace, tmp_path: Path) -> None:
    traced = trace(
        """
        import os, sys
        from greenlane import greenlet
        greenlet(int).switch()
        path = sys.argv[0] + ".data"
        os.close(2)
        assert os.open(path, os.O_RDWR | os.O_CREAT) == 2
        """
    )
    assert traced.done.stderr == ""
    assert (tmp_path / "program.py.data").read_text() == ""


@pytest.mark.around_core
def test_stderr_of_the_programs_own(trace: Trace) -> None:
    """The line goes to where it was at the start; nowhere, if that is closed."""
    code = "import sys, greenlet; greenlet.greenlet(int).switch(); "
    traced = trace(code + "sys.stderr = sys.stdout")
    assert traced.done.stdout == ""
    assert traced.done.stderr.startswith("greenlane trace: 2 greenlets")
    traced = trace(code + "sys.stderr.close()")
    assert traced.done.stdout == traced.done.stderr == ""


@pytest.mark.around_core
def test_stderr_that_is_captured_when_greenlet_is_imported(tmp_path: Path) -> None:
    """pytest does so with the descriptor, while a test runs."""
    program = """if True:
        import os, sys, tempfile
        kept = os.dup(2)
        with tempfile.TemporaryFile() as captured:
            os.dup2(captured.fileno(), 2)
            sys.stderr = open(captured.fileno(), "w", closefd=False)
            import greenlet
            greenlet.greenlet(int).switch()
            sys.stderr = sys.__stderr__
            os.dup2(kept, 2)
    """
    done = command("-o", str(tmp_path / "out.json"), "-c", program)
    assert done.stderr.startswith("greenlane trace: 2 greenlets")
    assert done.stderr.count("\n") == 1


@pytest.mark.around_core
@pytest.mark.parametrize("when", ["before", "after"])
def test_programs_modules_that_hide_pythons(trace: Trace, tmp_path: Path, when: str) -> None:
    names = ("argparse", "dataclasses", "html", "json", "shlex", "struct", "signal", "gc_", "gc")
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"print('their {name}')\n")
    statements = [f"import {', '.join(names)}", "import greenlet; greenlet.greenlet(int).switch()"]
    traced = trace("\n".join(statements if when == "before" else reversed(statements)), "--html")
    expected = [f"their {name}" for name in names if name != "gc"]  # that is built in
    assert traced.done.stdout.splitlines() == expected
    assert traced.done.stderr.startswith("greenlane trace: 2 greenlets")


@pytest.mark.around_core
def test_other_children_are_not_recorded(trace: Trace) -> None:
    traced = trace(
        """
        import os, subprocess, sys
        # Before greenlet is imported here, and after.
        code = "import greenlet; greenlet.greenlet(int).switch(); print('ran')"
        print(subprocess.run([sys.executable, "-c", code], capture_output=True))
        from greenlet import greenlet
        print(subprocess.run([sys.executable, "-c", code], capture_output=True))
        greenlet(int).switch()
        """
    )
    assert traced.done.stdout.count(r"stdout=b'ran\n', stderr=b''") == 2
    assert len(traced.transfers()) == 2


@pytest.mark.around_core
def test_nothing_to_record(tmp_path: Path) -> None:
    """Neither when there are no greenlets, nor when there is no program: no file, none is lost."""
    output, page = tmp_path / "out.json", tmp_path / "out.html"
    options = ("-o", str(output), "--html")
    assert command(*options, "-c", "print('no greenlets')").stdout == "no greenlets\n"
    assert command(*options, "-m", "nonexistent", returncode=1).stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    command(*options, "-c", SHOW)
    recorded = output.read_text(), page.read_text()
    assert command(*options, "-c", "pass").stderr == ""
    assert (output.read_text(), page.read_text()) == recorded
    command(*options, "-c", SHOW, "again")
    assert output.read_text() != recorded[0]
    assert page.read_text() != recorded[1]
    assert set(tmp_path.iterdir()) == {output, page}


@pytest.mark.around_core
def test_file_that_cannot_be_written_at_the_end(trace: Trace, tmp_path: Path) -> None:
    page = tmp_path / "gone" / "page.html"
    page.parent.mkdir()
    traced = trace(
        "import shutil, greenlet\n"
        "greenlet.greenlet(int).switch()\n"
        f"shutil.rmtree({str(page.parent)!r})\n"
        "raise SystemExit(3)\n",
        f"--html={page}",
        returncode=3,
    )
    assert f"greenlane trace: cannot write {page}: No such file" in traced.done.stderr
    assert len(traced.transfers()) == 2


# ---- The command line ----------------------------------------------------------------------------

SHOW = "import sys, greenlet; greenlet.greenlet(int).switch(); print(__name__, *sys.argv[1:])"


@pytest.mark.around_core
def test_forms(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(SHOW)
    output = tmp_path / "out.json"
    for arguments, shown in (
        ((str(program), "-o", str(output), "a", "-x"), "a -x"),
        (("-o", str(output), str(program), "-o", "theirs"), "-o theirs"),
        ((str(program), f"--output={output}", "--", "-o", "theirs"), "-o theirs"),
        ((f"-o{output}", "-m", "program", "--html"), "--html"),
        (("-o", str(output), "--", "-m", "program", "-h"), "-h"),
        (("-c", SHOW, "-o", str(output), "--limit", "5", "b"), "b"),
    ):
        done = command(*arguments, cwd=tmp_path)
        assert done.stdout == f"__main__ {shown}\n"
        validate(json.loads(output.read_text()))
        output.unlink()
    assert not (tmp_path / "trace.json").exists()
    done = command("--", str(program), "-o", "theirs", cwd=tmp_path)
    assert done.stdout == "__main__ -o theirs\n"
    command("-m", "program", "--port", "80", cwd=tmp_path)
    validate(json.loads((tmp_path / "trace.json").read_text()))


@pytest.mark.around_core
def test_program_is_started_as_without(tmp_path: Path) -> None:
    program = tmp_path / "look.py"
    program.write_text(
        "import greenlet, sys, os, json\n"
        "path = [each for each in sys.path if not each.endswith('stand_in')]\n"
        "variables = sorted(set(os.environ) - {'PYTHONPATH'})\n"
        "print(json.dumps([sys.argv, path, sorted(globals()), sys.orig_argv, variables]))\n"
    )
    environment = {**os.environ, "COLUMNS": "80"}
    arguments = [sys.executable, "-W", "error", str(program), "a", "b c"]
    plain = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
    ours = command("-o", str(tmp_path / "out.json"), str(program), "a", "b c")
    assert ours.stdout == plain.stdout


@pytest.mark.around_core
@pytest.mark.parametrize(
    ("arguments", "json_name", "page_name"),
    [
        ([], "trace.json", None),
        (["--html"], None, "trace.html"),
        (["--html", "page.html"], None, "page.html"),
        (["--html=page"], None, "page"),
        (["-o", "a.json", "--html"], "a.json", "a.html"),
        (["--html", "-o", "a.json"], "a.json", "a.html"),
        (["-oa.json", "--html", "b.htm"], "a.json", "b.htm"),
    ],
)
@pytest.mark.parametrize("position", ["before", "behind"])
def test_files(
    arguments: list[str], json_name: str | None, page_name: str | None, position: str
) -> None:
    program = ["-c", "pass"]
    request = tracing.parse(arguments + program if position == "before" else program + arguments)
    assert request.program == program
    for found, name in ((request.options.output, json_name), (request.options.html, page_name)):
        assert found == (None if name is None else str(Path.cwd() / name))


@pytest.mark.around_core
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a program"),
        (["-o", "x.json"], "name a program"),
        (["-o"], "expected one argument"),
        (["-m"], "an argument must follow -m"),
        (["--nosuch", "app.py"], "neither an option nor a program: --nosuch"),
        (["missing.py"], "there is no file 'missing.py' to run"),
        (["--limit", "0", "-c", "pass"], "must be from 1 to"),
        (["--limit", "many", "-c", "pass"], "invalid limit value: 'many'"),
        (["-o", "same.html", "--html", "same.html", "-c", "pass"], "cannot both be"),
        (["-o", "missing/out.json", "-c", "print(1)"], "missing/out.json: No such file"),
        (["--html", "/proc/x.html", "-c", "print(1)"], "cannot write /proc/x.html"),
        (["-o", ".", "-c", "print(1)"], "Is a directory"),
        (["-o", "-", "-c", "print(1)"], "standard output is written to as /dev/stdout"),
    ],
)
def test_errors(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = command(*arguments, returncode=2, cwd=tmp_path)
    assert message in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.around_core
@pytest.mark.parametrize("option", ["-o", "--html="])
def test_only_recordings_are_replaced(tmp_path: Path, option: str) -> None:
    program = tmp_path / "program.html"
    program.write_text(SHOW)
    options = (option, str(program)) if option == "-o" else (option + str(program),)
    done = command(*options, str(program), returncode=2)
    assert f"cannot write {program}: there is a file, which is no recording" in done.stderr
    assert done.stdout == ""
    assert program.read_text() == SHOW
    link = tmp_path / "link.html"
    link.symlink_to("empty.html")
    (tmp_path / "empty.html").touch()  # as mktemp makes it
    for _ in range(2):
        command(options[0].replace(str(program), str(link)), *[str(link)][: len(options) - 1],
                str(program))  # fmt: skip
        assert link.is_symlink()
        assert (tmp_path / "empty.html").stat().st_size > 1000


@pytest.mark.around_core
def test_devices_are_written_to(tmp_path: Path) -> None:
    done = command("-o", "/dev/stdout", "-c", "import greenlet", cwd=tmp_path)
    validate(json.loads(done.stdout))
    done = command("-o", "/dev/full", "-c", "import greenlet", cwd=tmp_path)
    assert done.stderr == "greenlane trace: cannot write /dev/full: No space left on device\n"


@pytest.mark.around_core
def test_arguments_that_are_not_unicode(tmp_path: Path) -> None:
    code = "import greenlet; greenlet.greenlet(int).switch()"
    done = command("-o", "out.json", "--html", "-c", code, os.fsdecode(b"\xff"), cwd=tmp_path)
    assert done.stderr.startswith("greenlane trace: 2 greenlets")
    assert "\\udcff" in (tmp_path / "out.html").read_text(encoding="utf-8")
    trace = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert trace["otherData"]["command"].endswith("\udcff'")


@pytest.mark.around_core
def test_page_of_another_name_is_not_taken_for_the_program(tmp_path: Path) -> None:
    done = command("--html", "page", "app.py", returncode=2, cwd=tmp_path)
    assert "must end in .html, or be given as --html=page" in done.stderr
    command("-o", "o.json", "-c", SHOW, cwd=tmp_path)
    done = command("--html", "o.json", "app.py", returncode=2, cwd=tmp_path)
    assert "'o.json' is a recording, no program; a page of that name is --html=o" in done.stderr


@pytest.mark.around_core
def test_directory_that_is_gone(tmp_path: Path) -> None:
    code = f"""
    import os, sys
    os.chdir({str(tmp_path)!r})
    os.rmdir({str(tmp_path)!r})
    os.execl(sys.executable, sys.executable, "-m", "greenlane", "trace", "-c", "print(1)")
    """
    done = run_script(code, returncode=2)
    assert "cannot write 'trace.json': the current directory is gone" in done.stderr


@pytest.mark.around_core
@pytest.mark.parametrize("value", ["", "1", "{}", "[]", '{"pid": %d}'])
def test_variable_that_is_not_ours(value: str) -> None:
    code = """
    import os
    os.environ["GREENLANE_TRACE"] = os.environ["GREENLANE_TRACE"].replace("%d", str(os.getpid()))
    import greenlane
    """
    done = run_script(code, environment={"GREENLANE_TRACE": value})
    assert done.stderr.startswith("greenlane trace: GREENLANE_TRACE is not understood: ")


@pytest.mark.around_core
def test_no_memory_for_the_limit(tmp_path: Path) -> None:
    code = f"""
    import resource, os, sys
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    os.execl(sys.executable, sys.executable, "-m", "greenlane", "trace", "--limit", "100000000",
             "-o", {str(tmp_path / "out.json")!r},
             "-c", "import greenlet; print(greenlet.greenlet(int).switch())")
    """
    done = run_script(code)
    assert done.stdout == "0\n"
    assert "no memory for 100000000 events; nothing is recorded" in done.stderr


@pytest.mark.around_core
def test_help_has_examples() -> None:
    shown = command("--help").stdout
    assert "examples:" in shown
    assert "trace -o out.json app.py" in shown


# ---- The page, as far as that goes without a browser ---------------------------------------------


@pytest.mark.around_core
def test_page_holds_all_of_it(trace: Trace, tmp_path: Path) -> None:
    end = "</script><!--<script>"
    traced = trace(
        SEED + f"g = greenlet(lambda: None)\ng.name = {end!r}\ng.switch()\n",
        "--html",
        arguments=(end,),
    )
    page = (tmp_path / "out.html").read_text()
    assert page.count("</script>") == 2
    assert "<!--<" not in page
    assert "://" not in page.replace("http://www.w3.org", "")
    _, _, rest = page.partition('<script type="application/json" id="data">')
    data = json.loads(rest.partition("</script>")[0])
    assert [each["label"] for each in data["greenlets"]] == list(traced.names.values())
    assert data["greenlets"][3]["name"] == end
    assert sum(event >= 3 for event in data["event"]) == len(traced.transfers()) == 7
    assert "@" not in page.partition("<style>")[0].replace(end, "")


# ---- The extension's functions -------------------------------------------------------------------


def test_functions_refuse_what_makes_no_sense() -> None:
    with pytest.raises(RuntimeError, match="nothing is being recorded"):
        _greenlet._stop_recording()
    with pytest.raises(ValueError, match="capacity must be positive"):
        _greenlet._start_recording(0, print)
    with pytest.raises(MemoryError):
        _greenlet._start_recording(sys.maxsize, print)
    with pytest.raises(TypeError):
        _greenlet._serial(1)  # type: ignore[arg-type]


def test_recording_can_stop_and_start_again() -> None:
    run_script(
        """
        from greenlane import _greenlet, getcurrent, gettrace, greenlet
        main = getcurrent()
        old = greenlet(lambda: main.switch())
        old.switch()
        counts = []
        size = 24
        for _ in range(3):
            introduced = []
            _greenlet._start_recording(1000, lambda serial, *_: introduced.append(serial))
            old.parent = main
            greenlet(int).switch()
            records, places, dropped = _greenlet._stop_recording()
            counts.append((len(records) // size, dropped, len(places), introduced))
            assert gettrace() is None
            greenlet(int).switch()
            assert gettrace() is None
        # The birth of the main greenlet, the birth of the other, there and back.
        assert counts == [(4, 0, 1, [1, 2]), (3, 0, 1, [3]), (3, 0, 1, [4])], counts
        """
    )


def test_a_callback_may_switch_fail_and_stop() -> None:
    done = run_script(
        """
        from greenlane import _greenlet, getcurrent, greenlet
        main = getcurrent()
        order = []
        def introduce(serial, each, run, argument, parent):
            order.append((serial, argument, parent))
            if serial == 2:
                greenlet(order.append).switch("nested")
            if serial == 4:
                _greenlet._stop_recording()
        _greenlet._start_recording(1000, introduce)
        greenlet(order.append).switch("argument")
        greenlet(order.append).switch("later")
        print(order)
        introduced = []
        def fail(serial, *_):
            introduced.append(serial)
            1 / 0
        _greenlet._start_recording(1000, fail)
        for number in range(2):
            try:
                greenlet(str).switch(5)
            except ZeroDivisionError as error:
                print(repr(error), introduced)
        _greenlet._stop_recording()
        """
    )
    assert done.stdout == (
        "[(1, None, 0), (2, 'argument', 1), (3, 'nested', 2), 'nested', 'argument', "
        "(4, 'later', 1), 'later']\n"
        "ZeroDivisionError('division by zero') [5, 5]\n"
        "ZeroDivisionError('division by zero') [5, 5, 6, 6]\n"
    )

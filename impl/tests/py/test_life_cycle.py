"""How processes, interpreters and threads begin and end, where greenlets are suspended."""

from __future__ import annotations

import ctypes
import gc
import os
import shlex
import signal
import subprocess
import sys
import sysconfig
import threading
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path

import greenlane
import pytest
from greenlane import error, getcurrent, greenlet
from support import TESTS, isolated, mapping_count, parent, resident_kib, run_script, suspended

count_mains: Callable[[], int] = greenlane._greenlet.get_total_main_greenlets


# ---- An interpreter in a program -----------------------------------------------------------------


def find_library() -> Path:
    """Return the shared library of this Python; skip the test if there is none."""
    name = sysconfig.get_config_var("LDLIBRARY")
    base = Path(sys.base_prefix)
    places = [
        sysconfig.get_config_var("LIBDIR"),
        base / "lib",
        base / "lib" / (sysconfig.get_config_var("MULTIARCH") or ""),
    ]
    for place in places:
        library = Path(place or "") / (name or "")
        if library.is_file() and library.suffix == ".so":
            return library
    pytest.skip(f"this Python has no shared library {name}")


@pytest.fixture(scope="session")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build extensions/embedding.c, a program."""
    library = find_library()
    # An interpreter may come with a C library of its own.
    loaded = [Path(each) for each in Path("/proc/self/maps").read_text().split() if "/" in each]
    linker = next(each for each in loaded if each.name.startswith("ld"))
    libc = next(each for each in loaded if each.name.startswith("libc"))
    program = tmp_path_factory.mktemp("embedding") / "embedding"
    subprocess.run(
        [
            *shlex.split(sysconfig.get_config_var("CC")),
            *("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"),
            *("-isystem", sysconfig.get_path("include")),
            str(TESTS / "extensions" / "embedding.c"),
            *(str(library), "-Wl,--allow-shlib-undefined", "-Wl,--disable-new-dtags"),
            *(f"-Wl,-rpath,{library.parent}:{libc.parent}", f"-Wl,--dynamic-linker={linker}"),
            *("-o", str(program)),
        ],
        check=True,
    )
    return program


USE = """
import gc, sys, threading
from greenlane import GreenletExit, error, getcurrent, greenlet

def wait():
    try:
        getcurrent().parent.switch("waits")
    finally:
        ended.append(1)

ended = []
kept = [greenlet(wait) for _ in range(20)]
assert [each.switch() for each in kept] == ["waits"] * 20
dropped = greenlet(wait)
dropped.switch()
del dropped
knot = greenlet(wait)
knot.me = knot
knot.switch()
del knot
gc.collect()
assert ended == [1, 1], ended
thread = threading.Thread(target=lambda: kept.append(greenlet(wait)) or kept[-1].switch())
thread.start()
thread.join()
try:
    kept[-1].switch()
except error:
    pass
else:
    raise AssertionError("another thread's greenlet was run")
try:
    greenlet(lambda: 1 // 0).switch()
except ZeroDivisionError:
    pass
try:
    greenlet(wait).throw(GreenletExit)
finally:
    sys.kept = kept
print("used", flush=True)
"""


USE_AT_ODD_MOMENTS = """
import sys, threading
from greenlane import getcurrent, greenlet, lanes, settrace

class Late:
    def __del__(self):
        kept.append(greenlet(lambda: getcurrent().parent.switch()))
        kept[-1].switch()

kept = []
local = threading.local()
for _ in range(3):
    thread = threading.Thread(target=lambda: setattr(local, "late", Late()))
    thread.start()
    thread.join()
assert len(kept) == 3
lanes.set_limit(0)
many = [greenlet(lambda: getcurrent().parent.switch()) for _ in range(20)]
for each in many:
    each.switch()
settrace(lambda *_: many)
sys.kept = kept, many
print("used", flush=True)
"""


def embed(embedding: Path, times: int, code: str) -> subprocess.CompletedProcess[str]:
    # A second interpreter of a process does not find the virtual environment on all versions.
    package = str(Path(greenlane.__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {package!r}){code}"
    return subprocess.run(
        [embedding, sys.executable, str(times), code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    )


def test_embedded(embedding: Path) -> None:
    done = embed(embedding, 1, USE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "used\n", "")


@pytest.mark.parametrize("use", [USE, USE_AT_ODD_MOMENTS], ids=["plain", "odd moments"])
def test_started_again_after_its_end(embedding: Path, use: str) -> None:
    """Also where threads have used greenlets when they were all but gone, and of shared lanes."""
    done = embed(embedding, 5, use)
    assert (done.returncode, done.stdout, done.stderr) == (0, "used\n" * 5, "")


# ---- Threads that Python did not make, and thread states -----------------------------------------


@isolated
def test_threads_of_others(thread_probe: str) -> None:
    """Each call has a thread state of its own, which ends with it, greenlets suspended or not."""
    sys.path.insert(0, thread_probe)
    call_from_threads = __import__("thread_probe").call_from_threads
    kept: list[greenlet] = []
    alive: list[weakref.ref[greenlet]] = []

    def use() -> None:
        each = suspended()
        if len(alive) % 3 == 0:
            kept.append(each)
        alive.append(weakref.ref(each))
        assert suspended().switch() == ()

    def rounds(count: int) -> None:
        assert call_from_threads(use, 3, count) == 0
        for each in kept:
            assert each.dead
            try:
                each.switch()
            except error:
                del each
                continue
            raise AssertionError("a greenlet of a thread that has gone was run")
        kept.clear()
        assert [each for each in alive if each() is not None] == []
        alive.clear()
        assert count_mains() == 1

    rounds(100)
    memory, mappings = resident_kib(), mapping_count()
    for _ in range(5):
        rounds(200)
    assert resident_kib() - memory < 1024
    assert mapping_count() - mappings < 16


@isolated
def test_two_thread_states_of_one_thread(thread_probe: str) -> None:
    """Greenlets belong to the thread state that they were started in."""
    sys.path.insert(0, thread_probe)
    probe = __import__("thread_probe")
    state = probe.new_state()
    root = getcurrent()
    mine = suspended(run=lambda: parent().switch() or "mine")
    theirs: list[greenlet] = []

    def refused(target: greenlet) -> bool:
        try:
            target.switch()
        except error:
            return True
        return False

    def first() -> bool:
        assert getcurrent() is not root
        theirs.append(suspended(run=lambda: parent().switch() or "theirs"))
        return refused(mine) and refused(root)

    def second() -> object:
        return theirs[0].switch()

    assert probe.call_in_state(state, first) is True
    assert refused(theirs[0])
    assert getcurrent() is root
    for _ in range(100):
        assert probe.call_in_state(state, getcurrent) is theirs[0].parent
        assert getcurrent() is root
    # From within a greenlet, too.
    inside = greenlet(probe.call_in_state)
    assert inside.switch(state, second) == "theirs"
    assert mine.switch() == "mine"
    theirs[:] = []
    left = probe.call_in_state(state, suspended)
    assert count_mains() == 2
    del state
    gc.collect()
    assert left.dead
    assert refused(left)
    assert count_mains() == 1


def test_thread_states_do_not_mix_at_the_end() -> None:
    """A process that ends while threads wait in greenlets, in all that a thread can wait for."""
    done = run_script(
        """
        import threading, time
        from greenlane import greenlet
        from support import suspended

        lock = threading.Lock()
        lock.acquire()
        ready = []

        def wait(how):
            local = [suspended() for _ in range(20)]
            ready.append(how)
            how()

        ways = [
            lock.acquire,
            lambda: time.sleep(60),
            lambda: threading.Event().wait(),
            lambda: [suspended() for _ in iter(int, 1)],
        ]
        for how in ways:
            thread = threading.Thread(
                target=lambda how=how: greenlet(lambda: greenlet(wait).switch(how)).switch(),
                daemon=True,
            )
            thread.start()
        while len(ready) < len(ways):
            time.sleep(0.001)
        print("end")
        """
    )
    assert (done.stdout, done.stderr) == ("end\n", "")


# ---- The end of a process ------------------------------------------------------------------------

PLACES = {
    "a module": "kept = make()",
    "a module that has gone": """
        import types
        module = sys.modules["gone"] = types.ModuleType("gone")
        module.kept = make()
        module.me = module
        del sys.modules["gone"], module
    """,
    "builtins": "import builtins; builtins.kept = make()",
    "sys": "sys.kept = make()",
    "a class": "type('Holder', (), {'kept': make()})",
    "an argument of atexit": "import atexit; atexit.register(len, make())",
    "a callback of atexit": """
        import atexit
        kept = make()
        atexit.register(lambda: [each.switch() for each in kept[:5]])
    """,
    "a callback of atexit that makes them": "import atexit; atexit.register(make)",
    "a thread local": "import threading; local = threading.local(); local.kept = make()",
    "a context variable": """
        import contextvars
        variable = contextvars.ContextVar('variable')
        variable.set(make())
    """,
    "a cycle": "kept = make(); kept.append(kept); del kept",
    "a cycle that is not collected": "gc.disable(); kept = make(); kept.append(kept); del kept",
    "a weak reference with a callback": """
        import weakref
        class Box(list):
            pass
        box = Box()
        def use(reference, kept=make()):
            for each in kept:
                try:
                    each.switch()
                except Exception:
                    pass
        sys.reference = weakref.ref(box, use)
        sys.box = box
        del box
    """,
    "a finalizer": """
        class Late:
            def __del__(self):
                for each in self.kept:
                    each.dead, bool(each), each.gr_frame, each.parent, each.gr_context
        sys.late = Late()
        sys.late.kept = make()
    """,
    "each other": """
        kept = make()
        for one, other in zip(kept, kept[1:]):
            one.other = other
        kept[-1].other = kept[0]
        del kept, one, other
        gc.disable()
    """,
    "another thread": """
        import threading
        started = threading.Event()
        def work():
            local = make()
            started.set()
            threading.Event().wait()
        threading.Thread(target=work, daemon=True).start()
        started.wait()
    """,
    "a generator": "def generate(kept): yield; print(kept)\nkept = generate(make()); next(kept)",
    "a traceback": """
        def fail():
            kept = make()
            raise ValueError
        try:
            fail()
        except ValueError as found:
            sys.last_value = found
    """,
}


@pytest.mark.parametrize("lanes", ["4096", "3"])
@pytest.mark.parametrize("place", PLACES)
def test_end_with_suspended_greenlets_in(place: str, lanes: str) -> None:
    """The process ends, with all that it prints, and without running them once it finalizes."""
    code = """
import gc, sys
from greenlane import getcurrent, greenlet
from support import parent

def generate():
    yield parent().switch()

def run(final=sys.is_finalizing, write=sys.stdout.write):
    try:
        for _ in range(3):
            parent().switch()
            list(generate())
    finally:
        if final():
            write("ran while finalizing")

def make():
    made = [greenlet(run) for _ in range(20)]
    for each in made:
        each.switch()
    return made

"""
    lines = PLACES[place].split("\n")
    indent = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    body = "\n".join([lines[0], *(line[indent:] if not lines[0] else line for line in lines[1:])])
    done = run_script(
        f"{code}{body}\nprint('end of the program')\n", environment={"GREENLANE_LANES": lanes}
    )
    assert (done.stdout, done.stderr) == ("end of the program\n", "")


@pytest.mark.parametrize("how", ["falls off", "sys.exit", "os._exit"])
@isolated
def test_a_child_lives_its_own_life(how: str) -> None:
    """Forked in a greenlet, beside threads that have greenlets: it makes, kills, collects, ends."""
    ready, leave = threading.Event(), threading.Event()
    shared: list[greenlet] = []

    def work() -> None:
        shared.extend(suspended() for _ in range(10))
        ready.set()
        leave.wait()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    ready.wait()
    ended: list[int] = []

    def wait() -> None:
        try:
            parent().switch()
        finally:
            ended.append(os.getpid())

    mine = [suspended(run=wait) for _ in range(10)]

    def live() -> None:
        del mine[:5]
        assert ended == [os.getpid()] * 5
        for each in mine:
            each.parent = getcurrent()
        mine[0].throw()
        mine[1].switch()
        shared.clear()
        for _ in range(100):
            knot = suspended(run=wait)
            knot.me = knot  # type: ignore[attr-defined]
        del knot
        gc.collect()
        assert len(ended) >= 7 + 100
        one = threading.Thread(target=lambda: suspended().switch())
        one.start()
        one.join()
        assert greenlet(lambda: greenlet(os.getpid).switch()).switch() == os.getpid()

    def fork() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            pid = os.fork()
        if pid == 0:
            live()
            if how == "os._exit":
                os._exit(0)
            if how == "sys.exit":
                sys.exit(0)
        return pid

    pid: int = greenlet(lambda: greenlet(fork).switch()).switch()
    if pid == 0:
        return  # off the end of the program, with what is suspended still
    _, status = os.waitpid(pid, 0)
    leave.set()
    for thread in threads:
        thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(mine) == 10
    assert ended == []


@pytest.mark.parametrize(
    ("statement", "code"),
    [("os._exit(7)", 7), ("os.abort()", -signal.SIGABRT), ("os.kill(os.getpid(), 9)", -9)],
)
def test_no_way_out_is_swallowed(statement: str, code: int) -> None:
    done = run_script(
        f"""
        import os
        from greenlane import greenlet
        from support import suspended
        kept = [suspended() for _ in range(3)]
        def leave():
            try:
                {statement}
            finally:
                print("went on", flush=True)
        greenlet(lambda: greenlet(leave).switch()).switch()
        """,
        returncode=code,
    )
    assert done.stdout == ""


@isolated
def test_closed_by_others() -> None:
    """Whoever closes the library once too often takes no code away that greenlets return to."""
    child = suspended()
    path = greenlane._greenlet.__file__
    assert path is not None
    handle = ctypes.CDLL(path)._handle
    close = ctypes.CDLL(None).dlclose
    close.argtypes = [ctypes.c_void_p]
    for _ in range(10):
        close(handle)
    assert path in Path("/proc/self/maps").read_text(encoding="utf-8")
    assert child.switch() == ()
    assert greenlet(lambda: "new").switch() == "new"


# ---- Subinterpreters -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_subinterpreters_are_refused_and_do_no_harm(kind: str) -> None:
    """Run in a greenlet or not, whose thread has another thread state for that while.

    From 3.12 on isolated ones have a GIL of their own, and it is the import that refuses.
    """
    done = run_script(
        f"""
        kind = {kind!r}"""
        """
        import gc, sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        from greenlane import getcurrent, greenlet
        from support import parent, suspended

        CODE = '''
        try:
            import greenlane
        except ImportError as found:
            import os
            os.write(1, (str(found) + "\\\\n").encode())
        '''.replace("\\n        ", "\\n")

        def run():
            try:
                one = interpreters.create(kind)
            except TypeError:
                one = interpreters.create(isolated=kind == "isolated")
            interpreters.run_string(one, CODE)
            assert getcurrent() in (root, child)
            parent_switched = keep.switch()
            interpreters.destroy(one)
            return parent_switched

        root = getcurrent()
        keep = greenlet(lambda: [getcurrent().parent.switch(i) for i in range(10)])
        keep.switch()
        child = greenlet(run)
        keep.parent = child
        print(child.switch())
        keep.parent = root
        child = None
        print(run())
        gc.collect()
        print(keep.switch())
        """
    )
    refusal = "greenlane does not support subinterpreters: import it in the main interpreter only"
    if kind == "isolated" and sys.version_info >= (3, 12):
        refusal = "module greenlane._greenlet does not support loading in subinterpreters"
    # Each interpreter writes for itself, so the order is that of their buffers.
    assert sorted(done.stdout.splitlines()) == ["1", "2", "3", refusal, refusal]
    assert done.stderr == ""

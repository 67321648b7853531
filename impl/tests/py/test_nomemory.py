"""Every request for memory is refused in turn: see nomemory.py.

With ``--thorough`` with one lane, or two, as well, of which greenlets can stand on the same one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nomemory
import pytest
from greenlane import greenlet, lanes
from support import TESTS, compile_extension, run_script

EXTENSION = TESTS / "extensions" / "faults_probe.c"


@pytest.fixture(scope="session")
def faults_probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build extensions/faults_probe.c."""
    directory = tmp_path_factory.mktemp("faults_probe")
    return compile_extension(EXTENSION, directory, EXTENSION.parent)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "limit" in metafunc.fixturenames:
        thorough = metafunc.config.getoption("thorough")
        metafunc.parametrize("limit", [4096, 0, 1, 2] if thorough else [4096, 0])


def run_with(probe: Path, code: str, *directories: str) -> None:
    """Run code in a process into which the probe has been loaded."""
    done = run_script(
        f"import sys\nsys.path += {[str(probe.parent), *directories]!r}\n{code}",
        environment={"LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {probe}"},
    )
    assert done.stderr == ""


# Against greenlet's header the same calls are compiled.
@pytest.mark.parametrize("capi_probe", ["greenlane"], indirect=True)
@pytest.mark.parametrize("name", sorted(nomemory.operations))
def test_refused(name: str, limit: int, faults_probe: Path, capi_probe: str) -> None:
    run_with(faults_probe, f"import nomemory; nomemory.run({name!r}, {limit})", capi_probe)


def refuse_what_is_known() -> None:
    """What the test above relies on. For a process into which the probe has been loaded."""
    import faults_probe  # type: ignore[import-not-found]

    faults_probe.install()
    refused = []
    for number in range(1, 20):
        attempt = nomemory.Attempt(faults_probe, number, True)
        child = greenlet(nomemory.echo)
        attempt(child.switch, 1, 2, 3)
        assert attempt.raised == (not child) == attempt.has_refused
        refused.append(attempt.has_refused)
    # Arguments; a slab of lanes; arguments of the switch back; some versions want more.
    wanted = refused.index(False)
    assert 3 <= wanted <= 6
    assert not any(refused[wanted:])
    before = faults_probe.blocks()
    kept = [bytes(8 * number) for number in range(1, 51)]
    assert 50 <= faults_probe.blocks() - before <= 55
    assert kept
    # A lane's memory is asked for by ours alone.
    assert lanes.status().own == 0
    assert faults_probe.mapped() >= lanes.status().address_space > 0


def test_the_probe_refuses(faults_probe: Path) -> None:
    run_with(faults_probe, "import test_nomemory; test_nomemory.refuse_what_is_known()")


INITIALISE = """
import _imp, importlib.machinery, importlib.util, os, sys, faults_probe

finder = importlib.util.find_spec("greenlane").submodule_search_locations
spec = importlib.machinery.PathFinder.find_spec("greenlane._greenlet", finder)

def initialise(number, all_after):
    module = _imp.create_dynamic(spec)
    disarm, execute = faults_probe.disarm, _imp.exec_dynamic
    faults_probe.arm(number, all_after)
    try:
        execute(module)
    except MemoryError:
        disarm()
    finally:
        disarm()
    return module

def work(number, all_after):
    initialise(number, all_after)
    refused = faults_probe.count() >= number
    module = initialise(0, False)
    child = module.greenlet(lambda value: module.getcurrent().parent.switch(value))
    assert (child.switch(1), child.switch(2)) == (1, 2)
    return refused

faults_probe.install()
for all_after in False, True:
    for number in range(1, 2_000):
        process = os.fork()
        if process == 0:
            os._exit(3 + work(number, all_after))
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert status in (3, 4), (number, all_after, status)
        if status == 3:
            break
    assert number > 10
"""


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 13),
    reason="CPython 3.13 spoils a dict that has no memory to grow while a type is made ready",
)
def test_initialisation(faults_probe: Path) -> None:
    """The module cannot be imported; later it can."""
    run_with(faults_probe, INITIALISE)

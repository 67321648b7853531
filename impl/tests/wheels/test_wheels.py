"""What is released, made and installed as a user would: source distribution and wheel.

Both are made once, with the Python that pytest runs on: the source distribution by ``python -m
build``, the wheel by pip from that, where there is neither git nor the working tree. auditwheel
then finds the oldest C library that the wheel works with. meson-python makes the source
distribution of the last commit, so what is not committed is not tested here. The results stay in
reports/wheels.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "reports" / "wheels"
EXTENSION = f"greenlane/_greenlet{sysconfig.get_config_var('EXT_SUFFIX')}"

#: What a wheel may weigh, in bytes. It was 79,228 when this was written, greenlet's 623,779.
LARGEST_WHEEL = 96_000

#: The newest glibc 2.x that a wheel may need: that of manylinux2014.
NEWEST_GLIBC = 17

#: Runs in an empty environment; prints what there is.
LOOK = """
import importlib.metadata, json
import greenlane
print(json.dumps({
    "distributions": [d.metadata["Name"] for d in importlib.metadata.distributions()],
    "value": greenlane.greenlet(lambda word: greenlane.getcurrent().parent.switch(word)).switch(42),
    "file": greenlane.__file__,
}))
"""


def run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    """Run a command outside the working tree; return its output. Fails with all of it."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, "PYTHONPATH": "", **(environment or {})},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``python -m build --sdist`` makes."""
    directory = tmp_path_factory.mktemp("sdist")
    build = (sys.executable, "-m", "build", "--sdist", "--no-isolation")
    run(*build, "--outdir", directory, ROOT)
    (found,) = directory.iterdir()
    return found


@pytest.fixture(scope="session")
def git(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A command git that fails, and says in the file ``called`` beside it that it was called."""
    stub = tmp_path_factory.mktemp("bin") / "git"
    stub.write_text('#!/bin/sh\necho "$@" >> "$(dirname "$0")/called"\nexit 1\n')
    stub.chmod(0o755)
    return stub


@pytest.fixture(scope="session")
def built(sdist: Path, git: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip makes of the source distribution.

    With the tools of this environment, for speed; the environments pyXYZ build in isolation.
    """
    directory = tmp_path_factory.mktemp("built")
    path = f"{git.parent}{os.pathsep}{os.environ['PATH']}"
    make = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    run(*make, "--wheel-dir", directory, sdist, environment={"PATH": path})
    (found,) = directory.iterdir()
    return found


@pytest.fixture(scope="session")
def wheel(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that auditwheel makes of that, in reports/wheels."""
    directory = tmp_path_factory.mktemp("repaired")
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", directory, built)
    (found,) = directory.iterdir()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for old in RESULTS.glob(f"greenlane-*-{tag(found)}-*.whl"):
        old.unlink()
    return found.rename(RESULTS / found.name)


@pytest.fixture(scope="session")
def empty(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel and nothing else, not even pip."""
    directory = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", "--without-pip", directory)
    python = directory / "bin" / "python"
    run(sys.executable, *("-m", "pip", "--python", python, "install", "--no-index", wheel))
    return python


def tag(wheel: Path) -> str:
    """Return the part of a wheel's name that says for which Python it is."""
    return wheel.name.split("-")[2]


# ---- The source distribution ---------------------------------------------------------------------


def test_sdist_has_what_is_committed_of_greenlane_and_nothing_else(sdist: Path) -> None:
    """The other packages of the repository, and what only its CI needs, are left out."""
    listed = run("git", "-C", ROOT, "ls-tree", "-r", "--name-only", "HEAD").splitlines()
    own = {"CHANGELOG.md", "LICENSE", "README.md"}
    own |= {"meson.build", "meson.options", "pyproject.toml"}
    expected = {
        name
        for name in listed
        if name in own
        or (name.startswith(("docs/", "impl/")) and not name.startswith("impl/everywhere/"))
    }
    assert own < expected
    with tarfile.open(sdist) as archive:
        names = {each.name.partition("/")[2] for each in archive.getmembers() if each.isfile()}
    assert names == expected | {"PKG-INFO"}


@pytest.mark.usefixtures("built")
def test_sdist_is_built_without_git(git: Path) -> None:
    called = git.parent / "called"
    assert not called.exists(), called.read_text()


# ---- The wheel -----------------------------------------------------------------------------------


def test_wheel_has_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    (information,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
    package = ROOT / "impl" / "python"
    expected = {
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    expected |= {EXTENSION, "greenlane/include/greenlane/greenlet.h"}
    expected |= {f"{information}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "LICENSE")}
    assert names == expected


def test_wheel_is_small(wheel: Path, tmp_path: Path) -> None:
    """Without debug information. Names of functions stay, for gdb and perf."""
    assert wheel.stat().st_size < LARGEST_WHEEL
    with zipfile.ZipFile(wheel) as archive:
        extension = archive.extract(EXTENSION, tmp_path)
    sections = run("readelf", "--sections", "--wide", extension)
    assert " .symtab " in sections
    assert " .debug_" not in sections


def test_wheel_works_with_old_c_libraries(wheel: Path) -> None:
    """auditwheel's tag says how old; what it found besides stays in reports/wheels."""
    report = run(sys.executable, "-m", "auditwheel", "show", wheel)
    (RESULTS / f"{tag(wheel)}.txt").write_text(report)
    needed = [int(minor) for minor in re.findall(r"manylinux_2_(\d+)_", wheel.name)]
    assert needed, wheel.name
    assert min(needed) <= NEWEST_GLIBC, report


def test_works_in_an_empty_environment(empty: Path) -> None:
    shown = json.loads(run(empty, "-c", LOOK))
    assert shown["distributions"] == ["greenlane"]
    assert shown["value"] == 42
    assert Path(shown["file"]).is_relative_to(empty.parent.parent)


def test_command_works_in_an_empty_environment(empty: Path, tmp_path: Path) -> None:
    assert "works!" in run(empty, "-m", "greenlane")
    assert re.search(r"^greenlane +0", run(empty, "-m", "greenlane", "doctor"), re.M)
    program = tmp_path / "program.py"
    program.write_text("import greenlet, sys\nprint(greenlet.__file__, sys.argv[1:])\n")
    shown = run(empty, "-m", "greenlane", program, "argument")
    assert re.search(r"greenlane/stand_in/greenlet/__init__\.py \['argument'\]$", shown, re.M)


def test_first_example_of_the_readme(empty: Path) -> None:
    """What stands first in the README prints what it says there, in the wheel, too."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert code is not None
    said = code.group(1).rpartition("# ")[2].strip().split(" / ")
    assert len(said) == 4
    assert run(empty, "-c", code.group(1)).splitlines() == said

"""Programs that import greenlet, run on greenlane: by command, by call, by environment variable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import greenlane
import pytest
from greenlane import command, installation
from support import IMPL, run_script

pytestmark = pytest.mark.around_core

EVERYWHERE = IMPL / "everywhere"

#: Prints the greenlet that a process gets, and how it was started.
SHOW = """
import sys, greenlet, greenlet._greenlet
print(type(greenlet.getcurrent()) is greenlet._greenlet.greenlet, end=" ")
print("greenlane._greenlet" in sys.modules, __name__, *sys.argv[1:])
"""
OURS = "True True"
THEIRS = "True False"


def run(
    *arguments: str,
    returncode: int = 0,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        input=stdin,
        timeout=60,
    )
    assert done.returncode == returncode, done.stderr
    return done


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(SHOW)
    return path


def test_without_it_greenlet_is_greenlet(program: Path) -> None:
    assert run(str(program)).stdout == f"{THEIRS} __main__\n"


def test_script(program: Path) -> None:
    done = run("-m", "greenlane", str(program), "--include", "doctor")
    assert done.stdout == f"{OURS} __main__ --include doctor\n"
    done = run("-m", "greenlane", "--", str(program), "--", "-x")
    assert done.stdout == f"{OURS} __main__ -- -x\n"


def test_module(program: Path) -> None:
    done = run("-m", "greenlane", "-m", "program", "-x", cwd=program.parent)
    assert done.stdout == f"{OURS} __main__ -x\n"


def test_code() -> None:
    assert run("-m", "greenlane", "-c", SHOW, "a", "-c").stdout == f"{OURS} __main__ a -c\n"


def test_standard_input() -> None:
    assert run("-m", "greenlane", "-", "a", stdin=SHOW).stdout == f"{OURS} __main__ a\n"


def test_exit_code_and_errors_are_the_programs() -> None:
    done = run("-m", "greenlane", "-c", "raise SystemExit(7)", returncode=7)
    assert (done.stdout, done.stderr) == ("", "")
    assert "No such file" in run("-m", "greenlane", "missing.py", returncode=2).stderr


def test_program_is_started_as_without_greenlane(tmp_path: Path) -> None:
    """What a program sees of its start is the same but for the search path's new entry."""
    program = tmp_path / "look.py"
    program.write_text(
        "import sys, json\n"
        "path = [each for each in sys.path if not each.endswith('stand_in')]\n"
        "flags = repr(sys.flags), sys._xoptions, sys.warnoptions\n"
        "print(json.dumps([sys.argv, path, flags, sorted(globals()), __file__, sys.orig_argv]))\n"
    )
    options = ["-O", "-X", "dev", "-W", "error", "-u"]
    plain = run(*options, str(program), "a", "b c")
    ours = run(*options, "-m", "greenlane", str(program), "a", "b c")
    assert ours.stdout == plain.stdout
    assert "b c" in plain.stdout


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (["-m", "greenlane"], []),
        (["-mgreenlane"], []),
        (["-um", "greenlane"], ["-u"]),
        (["-O", "-X", "dev", "-Bsm", "greenlane"], ["-O", "-X", "dev", "-Bs"]),
        (["-m", "coverage", "run", "-m", "greenlane"], ["-m", "coverage", "run"]),
        (["greenlane"], None),
        (["-m", "pytest"], None),
        ([], None),
    ],
)
def test_command_line_is_understood(before: list[str], expected: list[str] | None) -> None:
    assert command.without_greenlane(before) == expected


def test_only_a_command_line_runs_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["app.py"]) == 2
    assert "only the command line" in capsys.readouterr().err


def test_not_where_the_environment_is_ignored() -> None:
    done = run("-E", "-m", "greenlane", "-c", "print('ran')", returncode=2)
    assert done.stdout == ""
    assert "greenlane.install()" in done.stderr


CHILDREN = """
import multiprocessing, os, subprocess, sys

def which():
    import greenlet
    return "greenlane._greenlet" in sys.modules and greenlet.greenlet is not None

if __name__ == "__main__":
    for method in "spawn", "forkserver", "fork":
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(method, pool.apply(which))
    code = "import sys, greenlet; print('child', 'greenlane._greenlet' in sys.modules)"
    sys.stdout.flush()
    subprocess.run([sys.executable, "-c", code], check=True)
"""


@pytest.mark.parametrize("way", ["command", "call"])
def test_children(tmp_path: Path, way: str) -> None:
    program = tmp_path / "program.py"
    guard = "if __name__ == '__main__':\n    import greenlane\n    greenlane.install()\n"
    program.write_text(CHILDREN if way == "command" else guard + CHILDREN)
    done = run(*(["-m", "greenlane"] if way == "command" else []), str(program))
    assert done.stdout.split() == [
        *("spawn", "True", "forkserver", "True", "fork", "True", "child", "True")
    ]


def test_children_can_be_left_alone() -> None:
    done = run_script(
        """
        import os, subprocess, sys
        before = dict(os.environ)
        import greenlane
        greenlane.install(children=False)
        import greenlet
        assert greenlet.greenlet is greenlane.greenlet
        assert dict(os.environ) == before
        code = "import sys, greenlet; print('greenlane._greenlet' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)
        """
    )
    assert done.stdout == "False\n"


def test_python_without_greenlane_has_its_own_greenlet(tmp_path: Path) -> None:
    """A child of another virtual environment, say: greenlane cannot be imported there."""
    elsewhere = tmp_path / "greenlet"
    elsewhere.mkdir()
    (elsewhere / "__init__.py").write_text("name = __name__\nfrom greenlet import part\n")
    (elsewhere / "part.py").write_text("")
    path = [installation.STAND_IN, str(tmp_path)]
    code = "import sys, greenlet; print(greenlet.name, greenlet.__file__, *sys.path[:2])"
    done = run("-S", "-c", code, environment={"PYTHONPATH": os.pathsep.join(path)})
    name, file, *entries = done.stdout.split()
    assert (name, file) == ("greenlet", str(elsewhere / "__init__.py"))
    assert installation.STAND_IN not in entries
    only_ours = {"PYTHONPATH": installation.STAND_IN}
    failed = run("-S", "-c", "import greenlet", environment=only_ours, returncode=1)
    assert "ModuleNotFoundError: No module named 'greenlet'" in failed.stderr.splitlines()[-1]


def find_python(version: str) -> str:
    """Return the path of a Python that need not be there; skip the test if it is not."""
    pyenvs = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    found = next(pyenvs, None) or shutil.which(f"python{version}")
    if found is None:
        pytest.skip("not installed")
    return str(found)


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.8", "3.9"])
def test_older_python_as_a_child(tmp_path: Path, version: str) -> None:
    """It has its own greenlet and its own sitecustomize, and never hears of greenlane."""
    python = find_python(version)
    (tmp_path / "greenlet.py").write_text("print('theirs')")
    (tmp_path / "sitecustomize.py").write_text("print('customized')")
    home = str(Path(greenlane.__file__).parent.parent)
    path = os.pathsep.join([installation.STAND_IN, str(tmp_path), home])
    done = subprocess.run(
        [python, "-c", "import greenlet"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (done.stdout, done.stderr) == ("customized\ntheirs\n", "")


def test_a_greenlane_that_does_not_load_is_no_other_greenlet() -> None:
    broken = {"GREENLANE_LANES": "many", "PYTHONPATH": installation.STAND_IN}
    done = run("-c", "import greenlet", environment=broken, returncode=1)
    assert "GREENLANE_LANES must be a number" in done.stderr


def test_install() -> None:
    run_script(
        """
        import sys, greenlane
        greenlane.install()
        path = list(sys.path)
        greenlane.install()
        assert sys.path == path
        import greenlet, greenlet._greenlet, greenlane._greenlet
        assert greenlet is sys.modules["greenlet"] and greenlet.__name__ == "greenlet"
        assert greenlet._greenlet is greenlane._greenlet
        assert greenlet.greenlet is greenlane.greenlet
        assert greenlet._C_API is greenlane._C_API
        import ctypes
        ctypes.pythonapi.PyCapsule_Import.restype = ctypes.c_void_p
        assert ctypes.pythonapi.PyCapsule_Import(b"greenlet._C_API", 0)
        import pickle
        assert pickle.loads(pickle.dumps(greenlet.GreenletExit)) is greenlane.GreenletExit
        """
    )


def test_install_after_the_readmes_old_recipe() -> None:
    run_script(
        """
        import sys, greenlane
        sys.modules["greenlet"] = greenlane
        sys.modules["greenlet._greenlet"] = greenlane._greenlet
        greenlane.install()
        """
    )


def test_too_late() -> None:
    done = run_script(
        """
        import sys, types, os
        user = types.ModuleType("user")
        sys.modules["user"] = user
        exec("from greenlet import getcurrent", vars(user))
        derived = types.ModuleType("derived")
        sys.modules["derived"] = derived
        exec("class Own(greenlet): pass", vars(derived), vars(derived) | {
            "greenlet": sys.modules["greenlet"].greenlet})
        derived.Own = type("Own", (sys.modules["greenlet"].greenlet,), {})
        bystander = types.ModuleType("bystander")
        sys.modules["bystander"] = bystander
        before = dict(os.environ), list(sys.path)
        import greenlane
        try:
            greenlane.install()
        except RuntimeError as error:
            print(error)
        assert (dict(os.environ), list(sys.path)) == before
        """
    )
    assert done.stdout.startswith(f"greenlet {version('greenlet')} (")
    assert "has been imported already, by user, derived: call greenlane.install()" in done.stdout


def test_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "greenlet.py").write_text("")
    (tmp_path / "app.py").write_text("import greenlane\ngreenlane.install()\n")
    done = run(str(tmp_path / "app.py"), returncode=1)
    hidden = f"finds {tmp_path / 'greenlet.py'}, which hides every other greenlet"
    assert hidden in done.stderr
    app = tmp_path / "doctor.py"
    app.write_text("import greenlet, greenlane\nprint(greenlane.doctor())\n")
    assert hidden in run("-m", "greenlane", str(app)).stdout


def test_failed_installation_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "greenlet.py").write_text("print('imported')")
    (tmp_path / "app.py").write_text(
        "import sys, greenlane\n"
        "before = list(sys.path), list(sys.meta_path), dict(__import__('os').environ)\n"
        "try:\n"
        "    greenlane.install()\n"
        "except RuntimeError:\n"
        "    after = list(sys.path), list(sys.meta_path), dict(__import__('os').environ)\n"
        "    print(before == after, 'greenlet' in sys.modules)\n"
    )
    assert run(str(tmp_path / "app.py")).stdout == "True False\n"


def test_files_that_are_called_like_pythons_modules(tmp_path: Path) -> None:
    """They are the program's; neither the command nor the doctor takes them for Python's."""
    names = ("argparse", "platform", "pathlib", "csv", "struct", "resource", "html", "json")
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"print('loaded {name}', __name__)")
    done = run("-m", "greenlane", "platform.py", cwd=tmp_path)
    assert done.stdout == "loaded platform __main__\n"
    done = run("-m", "greenlane", "trace", "platform.py", cwd=tmp_path)
    assert done.stdout == "loaded platform __main__\n"
    for arguments in (), ("doctor",), ("trace", "--help"), ("-c", "import greenlane.diagnosis"):
        assert "loaded" not in run("-m", "greenlane", *arguments, cwd=tmp_path).stdout


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    """A program with greenlet in its folder, as `pip install -t .` puts it there."""
    (tmp_path / "app.py").write_text(SHOW)
    package = Path(str(distribution("greenlet").locate_file("greenlet")))
    (tmp_path / "greenlet").symlink_to(package)
    return tmp_path


def test_greenlet_beside_the_program(bundled: Path) -> None:
    app = str(bundled / "app.py")
    assert run(app).stdout == f"{THEIRS} __main__\n"
    assert run("-m", "greenlane", app).stdout == f"{OURS} __main__\n"
    assert run("-m", "greenlane", "-m", "app", cwd=bundled).stdout == f"{OURS} __main__\n"
    assert everywhere(SHOW, cwd=bundled, GREENLANE="1").stdout == f"{OURS} __main__\n"
    installs = f"import greenlane; greenlane.install()\n{SHOW}"
    assert run("-c", installs, cwd=bundled).stdout == f"{OURS} __main__\n"
    # Children, too.
    code = f"import subprocess, sys; subprocess.run([sys.executable, {app!r}])"
    assert run("-m", "greenlane", "-c", code).stdout == f"{OURS} __main__\n"


@pytest.mark.parametrize("theirs", ["print('started')", "import nonexistent", None])
def test_sitecustomize_of_the_environment_is_run(tmp_path: Path, theirs: str | None) -> None:
    """Ours hides it; what a program sees is the other one, or none, and errors as ever."""
    if theirs is not None:
        (tmp_path / "sitecustomize.py").write_text(theirs)
    show = (
        "import sys; found = sys.modules.get('sitecustomize');"
        "print(getattr(found, '__file__', None), any('stand_in' in e for e in sys.path))"
    )
    path = {"PYTHONPATH": str(tmp_path)}
    plain = run("-c", show, environment=path)
    ours = run("-m", "greenlane", "-c", show, environment=path)
    assert ours.stdout.splitlines()[-1] == plain.stdout.splitlines()[-1].replace("False", "True")
    assert ours.stdout.count("started") == 2 * plain.stdout.count("started")  # the launcher's
    assert ours.stderr == 2 * plain.stderr


def test_values_that_a_program_may_have_in_its_modules() -> None:
    """Whoever looks for those who hold greenlet touches no value, and survives odd names."""
    code = """if True:
        import sys, types
        class Proxy:
            @property
            def __class__(self):
                raise RuntimeError("working outside of context")
        user = sys.modules["user"] = types.ModuleType("user")
        user.proxy = Proxy()
        sys.modules[1] = types.ModuleType("numbered")
        exec("import greenlet", vars(user))
        import greenlane
        print(*greenlane.doctor().importers)
        try:
            greenlane.install()
        except RuntimeError as error:
            print("by user: call" in str(error))
        sys.modules["greenlet"] = None
        try:
            greenlane.install()
        except RuntimeError as raised:
            error = raised
            print("maps greenlet to None" in str(error))
        found = greenlane.doctor()
        print(found.greenlet, str(error) in found.fell_back)
        print("`import greenlet` fails in this process" in str(found))
    """
    assert run("-c", code).stdout == "user\nTrue\nTrue\nnone True\nTrue\n"


@pytest.mark.parametrize("path", ["", ":{other}", "{other}:", "{other}::{other}", "{other}"])
def test_path_stays_what_it_was(tmp_path: Path, path: str) -> None:
    """Behind the stand-in; an empty entry is the current directory."""
    path = path.format(other=tmp_path / "other")
    show = "import sys; print([entry for entry in sys.path if 'stand_in' not in entry])"
    theirs = run("-c", show, environment={"PYTHONPATH": path}, cwd=tmp_path)
    ours = run("-m", "greenlane", "-c", show, environment={"PYTHONPATH": path}, cwd=tmp_path)
    assert ours.stdout == theirs.stdout


@pytest.mark.parametrize("closed", ["1", "2", "0"])
def test_closed_streams(program: Path, closed: str) -> None:
    command = f'exec "$@" {closed}>&-'
    for before in ([], ["-m", "greenlane"]):
        arguments = [sys.executable, *before, str(program)]
        done = subprocess.run(["sh", "-c", command, "sh", *arguments], capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")


def test_complaints_are_not_written_to_the_programs_output() -> None:
    command = 'exec "$@" 2>&-'
    arguments = [sys.executable, "-I", "-m", "greenlane", "-c", "print(1)"]
    done = subprocess.run(["sh", "-c", command, "sh", *arguments], capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")
    code = f"import site; site.addsitedir({str(EVERYWHERE)!r}); print(1)"
    arguments = [sys.executable, "-c", code]
    environment = {**os.environ, "GREENLANE": "weird"}
    done = subprocess.run(
        ["sh", "-c", command, "sh", *arguments], capture_output=True, env=environment
    )
    assert done.stdout == b"1\n"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 has no -P")
def test_safe_path(tmp_path: Path) -> None:
    """Where Python puts no directory of the program first, the first one is that of PYTHONPATH."""
    place = Path(greenlane.__file__).parent
    (tmp_path / "greenlane").symlink_to(place)
    done = run("-P", "-m", "greenlane", "-c", SHOW, environment={"PYTHONPATH": str(tmp_path)})
    assert done.stdout.startswith(OURS)


def test_metadata_stays_true() -> None:
    """Who asks which greenlet is installed is told of greenlet, not of greenlane."""
    show = "import greenlet; from importlib.metadata import version, files\n"
    show += "print(version('greenlet'), any('stand_in' in str(each) for each in files('greenlet')))"
    assert run("-m", "greenlane", "-c", show).stdout == f"{version('greenlet')} False\n"


def test_stand_in_has_the_names_of_greenlet() -> None:
    show = "import greenlet; print(sorted(vars(greenlet)), greenlet.__version__)"
    theirs, ours = run("-c", show).stdout, run("-m", "greenlane", "-c", show).stdout
    names = [set(each.strip("[").partition("]")[0].split(", ")) for each in (theirs, ours)]
    assert names[0] - names[1] == set()
    assert not {"'os'", "'sys'", "'importlib'"} & (names[1] - names[0])
    assert ours.partition("]")[2] == theirs.partition("]")[2] == f" {version('greenlet')}\n"


def everywhere(
    code: str, *options: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run code with greenlane-everywhere in force, as if it were installed."""
    start = f"import site; site.addsitedir({str(EVERYWHERE)!r})\n"
    return run(*options, "-c", start + code, cwd=cwd, environment=environment)


@pytest.mark.parametrize(
    ("value", "expected"), [("1", OURS), ("0", THEIRS), ("", THEIRS), ("yes", THEIRS)]
)
def test_everywhere(value: str, expected: str) -> None:
    done = everywhere(SHOW, GREENLANE=value)
    assert done.stdout == f"{expected} __main__\n"
    complaint = "must be 0 or 1, not 'yes'; greenlet stays what it is" if value == "yes" else ""
    assert complaint in done.stderr
    assert done.stderr.count("must be") == bool(complaint)
    assert bool(done.stderr) == bool(complaint)


def test_everywhere_ignores_the_environment_where_python_does() -> None:
    assert everywhere(SHOW, "-E", GREENLANE="1").stdout == f"{THEIRS} __main__\n"


def test_everywhere_without_greenlane() -> None:
    done = everywhere("import sys; print(len(sys.path) > 0)", "-S", GREENLANE="1", PYTHONPATH="")
    assert done.stdout == "True\n"
    assert "greenlane is not installed here" in done.stderr


def test_doctor() -> None:
    found = greenlane.doctor()
    assert found.version == greenlane.__version__
    assert found.guards in ("MADV_GUARD_INSTALL", "PROT_NONE")
    assert found.greenlet_distribution == version("greenlet")
    assert found.mappings is None or found.mappings > 10
    shown = str(found)
    for each in (found.version, found.abi, found.guards, found.extension):
        assert each in shown


def test_doctor_command() -> None:
    shown = run("-m", "greenlane", "doctor").stdout
    assert "nothing has imported it in this process" in shown
    assert "fell back  nothing" in shown or "PROT_NONE" in shown
    assert "usage: python -m greenlane doctor" in run("-m", "greenlane", "doctor", "--help").stdout
    done = run("-m", "greenlane", "doctor", "app.py", returncode=2)
    assert "takes no arguments, such as 'app.py'" in done.stderr


def test_doctor_misses_greenlane_everywhere() -> None:
    missing = "fell back  GREENLANE=1 is set, but greenlane-everywhere is not installed here\n"
    for value in ("1", "0"):
        done = run("-m", "greenlane", "doctor", environment={"GREENLANE": value})
        assert (missing in done.stdout) == (value == "1")
    there = everywhere("import greenlane; print(greenlane.doctor())", GREENLANE="1")
    assert "fell back" in there.stdout
    assert missing not in there.stdout


def test_doctor_of_a_variable_that_makes_no_sense() -> None:
    shown = run("-m", "greenlane", "doctor", environment={"GREENLANE": "yes"}).stdout
    assert "GREENLANE=yes is set, but greenlane-everywhere is not installed here" in shown
    assert "GREENLANE must be 0 or 1, not 'yes', which counts as 0" in shown


@pytest.mark.parametrize("arguments", [(), ("doctor",), ("--include",)])
def test_output_that_cannot_be_written(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "greenlane", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    said = "python -m greenlane: cannot write the output: No space left on device\n"
    assert done.stderr == said


@pytest.mark.parametrize("arguments", [(), ("doctor",)])
def test_where_no_greenlet_can_be_started(arguments: tuple[str, ...]) -> None:
    done = run_script(
        f"""
        import refuse, sys
        refuse.refuse(refuse.no_mapping_of(8 << 20))
        from greenlane import command
        print(command.main({list(arguments)!r}))
        """
    )
    if arguments:
        assert "fell back  no greenlet can be started: no memory for" in done.stdout
        assert done.stdout.endswith("0\n")
    else:
        assert done.stdout == "1\n"
        assert "python -m greenlane: no memory for" in done.stderr


@pytest.mark.parametrize("ours", [True, False])
def test_doctor_says_whose_greenlet_it_is(ours: bool) -> None:
    code = """if True:
        import sys, types
        user = sys.modules["user"] = types.ModuleType("user")
        exec("import greenlet", vars(user))
        import greenlane
        found = greenlane.doctor()
        print(found.greenlet, found.importers, *found.fell_back)
    """
    shown = run(*(["-m", "greenlane"] if ours else []), "-c", code).stdout
    if ours:
        assert shown.startswith("greenlane ('user',)")
    else:
        assert shown.startswith("other ('user',)")
        assert "has been imported already, by user: call greenlane.install()" in shown


def test_doctor_under_a_limit_on_address_space() -> None:
    done = run_script(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (800 << 20, resource.RLIM_INFINITY))
        import greenlane
        found = greenlane.doctor()
        print(found.address_space >> 20, found.lanes.limit < found.asked_limit == 4096)
        print(*found.fell_back, sep="\\n")
        """
    )
    numbers, *reasons = done.stdout.splitlines()
    assert numbers == "800 True"
    assert any("instead of 4096: RLIMIT_AS" in reason for reason in reasons)


def test_doctor_sees_sharing() -> None:
    done = run_script(
        """
        import greenlane
        root = greenlane.getcurrent()
        suspended = [greenlane.greenlet(root.switch) for _ in range(20)]
        for each in suspended:
            each.switch()
        print(*greenlane.doctor().fell_back, sep="\\n")
        """,
        environment={"GREENLANE_LANES": "5"},
    )
    assert "15 greenlets share lanes, past the limit of 5" in done.stdout


def test_doctor_on_an_old_kernel() -> None:
    done = run_script(
        """
        import refuse
        refuse.refuse(refuse.OLD_KERNEL)
        import greenlane
        found = greenlane.doctor()
        print(found.guards)
        print(*found.fell_back, sep="\\n")
        """,
        environment={"GREENLANE_LANES": "20000"},
    )
    guards, *reasons = done.stdout.splitlines()
    assert guards == "PROT_NONE"
    assert any("MADV_GUARD_INSTALL was refused" in reason for reason in reasons)
    assert any(
        "16000 greenlets may have a lane of their own instead of 20000" in r for r in reasons
    )


def test_doctor_when_memory_was_refused() -> None:
    done = run_script(
        """
        import greenlane, refuse
        from greenlane import lanes
        root = greenlane.getcurrent()
        suspended = [greenlane.greenlet(root.switch) for _ in range(200)]
        suspended[0].switch()
        refuse.refuse(refuse.no_mapping_of(8 << 20))
        for each in suspended[1:]:
            each.switch()
        print(*greenlane.doctor().fell_back, sep="\\n")
        lanes.set_limit(1024)
        print(*greenlane.doctor().fell_back, sep="\\n")
        """,
    )
    assert "instead of 1024: the system refused memory for another one" in done.stdout

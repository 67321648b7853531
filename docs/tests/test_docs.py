"""What the pages say is so: programs and commands are run, names and drawings compared with code.

Run by `tox run -e docs`: greenlane, Sphinx and gevent are needed here.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest
from greenlet_conformance import examples

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent
IMPL = ROOT / "impl"
PAGES = sorted(DOCS.glob("*.md"))
DRAWINGS = sorted(DOCS.glob("*.svg"))
HEADER = IMPL / "include" / "greenlane" / "greenlet.h"
SWITCH = IMPL / "src" / "context" / "x86_64_sysv.S"

sys.path.insert(0, str(DOCS))

import quotation  # noqa: E402

# ---- Programs and commands -----------------------------------------------------------------------

PROGRAMS = examples.read(DOCS)


class Command(NamedTuple):
    """What stands after ``$`` in a block of console, and what it shall print.

    A command may go on after ``>``. In the output, ``...`` is anything.
    """

    page: str
    line: int
    text: str
    output: str


def read_commands(page: Path) -> list[Command]:
    text = page.read_text(encoding="utf-8")
    found = []
    for block in re.finditer(r"^```console\n(.*?)^```$", text, re.M | re.S):
        assert block[1].startswith("$ "), f"{page.name}: a block that begins without a command"
        for part in re.finditer(r"^\$ ((?:.*\n> )*.*)\n((?:(?!\$ ).*\n)*)", block[1], re.M):
            line = text.count("\n", 0, block.start(1) + part.start()) + 1
            found.append(Command(page.stem, line, part[1].replace("\n> ", "\n"), part[2]))
    return found


COMMANDS = [command for page in PAGES for command in read_commands(page)]


def matches(output: str, expected: str) -> bool:
    """Return whether an output is as expected, where ``...`` stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(pattern, output, re.S) is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples, in which commands are run, one after another."""
    return shutil.copytree(DOCS / "examples", tmp_path_factory.mktemp("docs") / "examples")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_program(program: examples.Example) -> None:
    assert examples.run(program, "greenlane") == program.output


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: f"{c.page}.md:{c.line}")
def test_command(command: Command, folder: Path) -> None:
    if "objdump" in command.text and platform.machine() != "x86_64":
        pytest.skip("about x86-64")
    scripts = sysconfig.get_path("scripts")
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=folder,
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert matches(done.stdout, command.output), done.stdout


def test_there_are_programs_and_commands() -> None:
    """A page that has lost its own would pass otherwise."""
    with_programs = {program.chapter for program in PROGRAMS}
    with_commands = {command.page for command in COMMANDS}
    assert with_programs == {"start", "switch", "lanes"}
    assert with_commands == {
        *("start", "gevent", "timeline", "environment", "lanes", "switch", "c-api")
    }


def test_what_is_not_run() -> None:
    """A block of sh is: it installs what these tests have installed already, or removes it."""
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```$", pages, re.M | re.S))
    installed = {}
    removed = set()
    for line in blocks.splitlines():
        pip, action, *what = line.split()
        assert pip == "pip"
        if action == "uninstall":
            removed |= set(what)
            continue
        assert action == "install"
        (folder,) = what
        project = (ROOT / folder.replace("/path/to/greenlane", ".")) / "pyproject.toml"
        name = re.search(r'^name = "(.*)"$', project.read_text(encoding="utf-8"), re.M)
        assert name
        installed[folder] = name[1]
    assert installed == {
        ".": "greenlane",
        "/path/to/greenlane": "greenlane",
        "/path/to/greenlane/impl/everywhere": "greenlane-everywhere",
    }
    assert removed == set(installed.values())


@pytest.mark.parametrize(
    ("output", "expected", "answer"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\nb\n", "a\n", False),
        ("a 1 b\n", "a ... b\n", True),
        ("a\n2\nb\n", "a\n...b\n", True),
        ("a 1 c\n", "a ... b\n", False),
    ],
)
def test_matches(output: str, expected: str, answer: bool) -> None:
    assert matches(output, expected) is answer


# ---- Without Sphinx ------------------------------------------------------------------------------


def links(page: Path) -> set[Path]:
    """Return the files that a page links to."""
    found = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return {(page.parent / link).resolve() for link in found}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda path: path.name)
def test_links_lead_to_files(page: Path) -> None:
    """Also those that the site leaves out."""
    assert {file for file in links(page) if not file.exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_what_is_included_is_linked(page: Path) -> None:
    """A reader of the plain Markdown sees no file that a directive shows, and needs a link."""
    text = page.read_text(encoding="utf-8")
    shown = {
        (ROOT if directive == "quote" else DOCS) / file
        for directive, file in re.findall(
            r"^```\{(quote|include|literalinclude)\} (\S+)", text, re.M
        )
    }
    assert {file.resolve() for file in shown} - links(page) == set()


def test_plain_paragraphs_are_left_out(site: Path) -> None:
    marked = [page for page in PAGES if "\n<!-- plain -->\n" in page.read_text(encoding="utf-8")]
    assert len(marked) > 5
    built = "".join(path.read_text(encoding="utf-8") for path in site.glob("*.html"))
    assert "plain --" not in built
    assert "As plain Markdown" not in built
    assert "One program is behind this page" in built


# ---- Names ---------------------------------------------------------------------------------------


def sources(*folders: str, suffixes: tuple[str, ...]) -> str:
    paths = [p for f in folders for p in sorted((IMPL / f).rglob("*")) if p.suffix in suffixes]
    assert paths
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def test_environment_variables() -> None:
    """The page has those that the code reads or sets, and no others."""
    code = sources("src", "python", "everywhere", suffixes=(".c", ".h", ".py"))
    use = r"(?:\bgetenv\(|\benviron(?:ment)?(?:\.get\(|\[))"
    named = re.findall(use + r'"(\w+)"', code)
    assert len(named) == len(re.findall(use, code)), "one has a name that is computed"
    page = (DOCS / "environment.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^`(\w+)`\n: ", page, re.M)) == set(named)
    limit = re.search(r"GREENLANE_LANES must be a number from 0 to (\d+)", code)
    assert limit
    assert f"{int(limit[1]):,}" in page


def test_memory_of_a_greenlet() -> None:
    """What was measured is written down in one place; the others say the same."""
    measured = re.search(
        r"A lane costs (\S+ KB) with its page tables, a place on a shared\s+lane (\S+ KB);",
        (IMPL / "ARCHITECTURE.md").read_text(encoding="utf-8"),
    )
    assert measured
    for page, figures in [
        (ROOT / "README.md", measured.groups()),
        (DOCS / "lanes.md", measured.groups()),
        (DOCS / "faq.md", measured.groups()[:1]),
    ]:
        assert tuple(re.findall(r"\d\S* KB", page.read_text(encoding="utf-8"))) == figures


@pytest.mark.parametrize("file", [*PAGES, *DRAWINGS], ids=lambda path: path.name)
def test_names_of_the_code_exist(file: Path) -> None:
    """Whatever looks like a name of greenlane's C code is one."""
    code = sources("src", "include", suffixes=(".c", ".h", ".S"))
    text = file.read_text(encoding="utf-8")
    names = set(re.findall(r"\b(?:gl_|GL_|_?PyGreenlet_|PyExc_Greenlet)\w+", text))
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == set()


def test_functions_of_the_c_api(tmp_path: Path) -> None:
    """The table has all of them, with the types that the header gives them."""
    header = HEADER.read_text(encoding="utf-8")
    page = (DOCS / "c-api.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `((?:int|PyGreenlet|PyObject) \*?)(\w+)(\(.*?\))`", page, re.M)
    documented = {name for _, name, _ in table}
    defined = set(re.findall(r"^#define (PyGreenlet_\w+|PyExc_\w+)\b", header, re.M))
    slots = {name for name in defined if name.endswith("_NUM")}
    assert len(slots) == 12
    others = {"PyGreenlet_API_pointers", "PyGreenlet_Import", "PyGreenlet_Type"}
    others |= {"PyExc_GreenletError", "PyExc_GreenletExit", "PyGreenlet_GET_PARENT"}
    assert documented == defined - slots - others
    assert {name for name in others if name not in page} == {"PyGreenlet_API_pointers"} - set(
        re.findall(r"\w+", page)
    )
    checks = [
        f"_Static_assert(__builtin_types_compatible_p(__typeof__({name}), {kind}{types}), "
        f'"{name}");'
        for kind, name, types in table
        if name != "PyGreenlet_Check"
    ]
    source = tmp_path / "types.c"
    text = "#include <greenlet.h>\n" + "\n".join(checks) + "\nint unused;\n"
    source.write_text(text, encoding="utf-8")
    include = sysconfig.get_path("include")
    flags = ["-fsyntax-only", f"-I{HEADER.parent}", f"-I{include}"]
    done = subprocess.run(["cc", *flags, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- Drawings ------------------------------------------------------------------------------------


def texts(drawing: str) -> list[str]:
    svg = (DOCS / drawing).read_text(encoding="utf-8")
    return [re.sub(r"<.*?>", "", text) for text in re.findall(r"<text .*?>(.*)</text>", svg)]


def test_frame() -> None:
    """The drawing has what SAVE_FRAME pushes, in that order, at the offsets of the file's head."""
    code = SWITCH.read_text(encoding="utf-8")
    pushed = re.findall(r"^ +pushq %(\w+)", quotation.find(code, "SAVE_FRAME"), re.M)
    assert len(pushed) == 6
    drawn = texts("frame.svg")
    rows = drawn[drawn.index("return address") :]
    assert rows[1:7] == pushed
    head = re.findall(r"^ \* +(\+\d+) +(.*)$", code, re.M)[::-1]
    assert [what.split()[0] for _, what in head] == ["return", *pushed, "mxcsr"]
    assert [text for text in drawn if text.startswith("+")] == [offset for offset, _ in head]


def test_swap() -> None:
    """The instructions that the drawing numbers follow one another in the code."""
    code = quotation.find(SWITCH.read_text(encoding="utf-8"), "gl_context_switch")
    steps = [re.sub(r"^\d +", "", text) for text in texts("swap.svg") if re.match(r"\d ", text)]
    assert len(steps) == 5
    places = [code.index(step.partition(":")[0]) for step in steps[:4]]
    assert places == sorted(places)


# ---- Quotations ----------------------------------------------------------------------------------

CODE = """\
/* Far above. */

/* Says what it does. */
static int
first(int a)
{
    return a;
}

typedef struct {
    int a;
} other;

typedef struct {
    int b;
} pair;
"""


def test_find() -> None:
    assert quotation.find(CODE, "first") == CODE.partition("\n\n")[2].partition("\n\n")[0]
    assert quotation.find(CODE, "pair") == "typedef struct {\n    int b;\n} pair;"
    with pytest.raises(LookupError, match="firs"):
        quotation.find(CODE, "firs")


# ---- The site ------------------------------------------------------------------------------------


def build(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Sphinx as `tox run -e docs` does."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"]
    command += ["-d", str(folder / "doctrees"), str(source), str(folder / "html")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(DOCS, folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "html"


def test_every_page_and_drawing_is_in_the_site(site: Path) -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in site.glob("*.html")}
    assert set(pages) == {page.stem for page in PAGES} | {"genindex", "search"}
    drawn = [mark for text in pages.values() for mark in re.findall(r'id="(\w+)-plain"', text)]
    assert sorted(drawn) == [drawing.stem for drawing in DRAWINGS]


def test_nothing_is_fetched(site: Path) -> None:
    """Pages and styles load from the disk."""
    loaded = []
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded += re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]*)"', text)
        loaded += re.findall(r'<link[^>]* href="([^"]*)"', text)
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        loaded += re.findall(r"(?:url\(|@import)\s*['\"]?([^)'\"]*)", text)
    assert len(loaded) > len(PAGES)
    assert [address for address in loaded if address.startswith(("http:", "https:", "//"))] == []


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("```{quote} impl/src/transfer.c gl_swich\n```\n", "there is no gl_swich"),
        ("```{quote} impl/src/pystate.h gl_pystate\n:behind: gl_pystate\n```\n", "not once"),
        ("[a page](nowhere.md)\n", "nowhere.md"),
    ],
)
def test_what_leads_nowhere_fails(tmp_path: Path, page: str, says: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    conf = (DOCS / "conf.py").read_text(encoding="utf-8")
    conf = conf.replace("Path(__file__).resolve().parent", f"Path({str(DOCS)!r})")
    (source / "conf.py").write_text(conf.replace(', "_static"', ""), encoding="utf-8")
    (source / "index.md").write_text("# A page\n\n" + page, encoding="utf-8")
    done = build(source, tmp_path)
    assert done.returncode != 0
    assert says in done.stderr

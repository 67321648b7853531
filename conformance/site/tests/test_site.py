"""The site has all that it should have, leads nowhere wrong, and needs no network.

Run by `tox run -e site`: Sphinx is needed here, and nowhere else.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from greenlet_conformance import SUITE, examples, spec

SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE))

import material  # noqa: E402

BOOK = spec.load()
FINDINGS = sorted(material.FINDINGS.glob("*.py"))


class Page(HTMLParser):
    """The ids, links, assets and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.assets: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Links are what one may follow, assets what the browser fetches by itself."""
        found = dict(attrs)
        self.ids[found.get("id") or ""] += 1
        self.links += [found["href"] or ""] if tag == "a" and "href" in found else []
        self.assets += [found[name] or "" for name in ("src", "srcset", "data") if name in found]
        self.assets += [found["href"] or ""] if tag in ("link", "image", "use") else []
        self.words += re.findall(r"url\(.*?\)|@import.*?;", found.get("style") or "")

    def handle_data(self, data: str) -> None:
        """The text, that of styles and scripts included."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """All of it, with single spaces."""
        return " ".join("".join(self.words).split())


def build(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs Sphinx as `tox run -e site` does."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"]
    command += ["-d", str(folder / "doctrees"), str(source), str(folder / "html")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(SOURCE, folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "html"


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Page]:
    """Every page by its address in the site."""
    return {str(p.relative_to(site)): Page(p) for p in sorted(site.rglob("*.html"))}


# --- what is there -----------------------------------------------------------------------


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.slug)
def test_clauses(pages: dict[str, Page], chapter: spec.Chapter) -> None:
    """Each clause of a chapter has an anchor, its level and source, and links to its tests."""
    page = pages[f"spec/{chapter.slug}.html"]
    source = page.path.read_text(encoding="utf-8")
    for clause in chapter.clauses:
        assert page.ids[clause.id] == 1, clause.id
        _, _, section = source.partition(f'id="{clause.id}"')
        section = section.partition('<section class="clause"')[0]
        assert f'badge-{clause.level.lower()}">{clause.level}<' in section, clause.id
        assert f"since {clause.since} · source: " in section, clause.id
        test = rf'href="\.\./suite/{chapter.test_file[:-3]}\.html#test_\w+"'
        assert re.search(test, section), clause.id


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.slug)
def test_tests(pages: dict[str, Page], chapter: spec.Chapter) -> None:
    """Each test of the suite is shown, and is linked from a clause."""
    page = pages[f"suite/{chapter.test_file[:-3]}.html"]
    code = (SUITE / chapter.test_file).read_text(encoding="utf-8")
    tests = re.findall(r"^def (test_\w+)", code, re.M)
    assert tests
    links = {link.partition("#")[2] for link in pages[f"spec/{chapter.slug}.html"].links}
    assert {test for test in tests if page.ids[test] != 1} == set()
    assert set(tests) - links == set()
    parts = ["".join(part.code.split()) for part in material.parts(SUITE / chapter.test_file)]
    assert "".join(parts) == "".join(code.split())
    text = page.text.replace(" ", "")
    assert [part for part in parts if part not in text] == []


@pytest.mark.parametrize("name", ["by-chapter", "by-level", "by-feature"])
def test_lists(pages: dict[str, Page], name: str) -> None:
    """Each list has a link to every clause: once, but where a clause has several features."""
    found = Counter(unquote(link).partition("#")[2] for link in pages[f"clauses/{name}.html"].links)
    counts = {clause: found[clause] for clause in BOOK.clauses}
    assert min(counts.values()) == 1
    assert max(counts.values()) == (1 if name != "by-feature" else 2)


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_findings(pages: dict[str, Page], path: Path) -> None:
    """Each finding has its text and its whole code, and its clauses lead there."""
    page = pages["findings.html"]
    anchor = f"finding-{path.stem.replace('_', '-')}"
    assert page.ids[anchor] == 1
    _, docstring, code = path.read_text(encoding="utf-8").split('"""', 2)
    text = page.text.replace(" ", "")
    assert "".join(code.split()) in text
    linked = [link for p in pages.values() for link in p.links if link.endswith(f"#{anchor}")]
    assert any("findings.html" in link for link in linked)
    assert docstring.split()[-1].rstrip(".") in text


def test_examples_and_drawings(pages: dict[str, Page]) -> None:
    """Each example stands in its chapter with its output, each drawing in the page itself."""
    for example in examples.read():
        text = pages[f"spec/{example.chapter}.html"].text.replace(" ", "")
        assert "".join(example.code.split()) + "".join(example.output.split()) in text
    drawings = sorted(path.stem for path in (SOURCE / "spec").glob("*.svg"))
    ids = {i for page in pages.values() for i in page.ids if i.endswith("-plain")}
    assert sorted(i.removesuffix("-plain") for i in ids) == drawings


def test_order() -> None:
    """The chapters are in the order of the specification."""
    listed = re.findall(r"^spec/(\S+)$", (SOURCE / "index.md").read_text(encoding="utf-8"), re.M)
    assert listed == [chapter.slug for chapter in BOOK.chapters]


# --- where it leads ----------------------------------------------------------------------


def test_links(site: Path, pages: dict[str, Page]) -> None:
    """Every link within the site leads to a page and to an anchor that exist."""
    wrong = []
    checked = 0
    for name, page in pages.items():
        for link in {*page.links, *page.assets}:
            if urlsplit(link).scheme or not link or link == "#":
                continue
            address, fragment = urldefrag(link)
            target = (page.path.parent / unquote(urlsplit(address).path)).resolve()
            target = target if address else page.path
            if not target.is_file():
                wrong.append(f"{name}: {link}")
            elif fragment and target.suffix == ".html":
                there = pages[str(target.relative_to(site.resolve()))]
                if not there.ids[unquote(fragment)]:
                    wrong.append(f"{name}: {link}")
            checked += 1
    assert wrong == []
    assert checked > len(BOOK.clauses)


def test_nothing_is_fetched(site: Path, pages: dict[str, Page]) -> None:
    """No page and no style sheet loads anything from elsewhere."""
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    inside = [word for page in pages.values() for word in page.words]
    loaded = [address for page in pages.values() for address in page.assets]
    for text in [*styles, *inside]:
        loaded += re.findall(r"url\(\s*['\"]?([^)'\"]*)", text)
        loaded += re.findall(r"@import\s*['\"]([^'\"]*)", text)
    assert loaded
    assert [a for a in loaded if a.startswith(("http:", "https:", "//"))] == []


def test_search(site: Path, pages: dict[str, Page]) -> None:
    """The index is a script, not fetched but loaded, with all words, and clauses as titles."""
    assert any("searchindex.js" in asset for asset in pages["search.html"].assets)
    script = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(script.removeprefix("Search.setIndex(").removesuffix(")"))
    titles = " ".join(index["alltitles"])
    assert [clause for clause in BOOK.clauses if f"{clause}: " not in titles] == []
    for clause in BOOK.clauses:
        ((page, anchor, main),) = index["indexentries"][clause]
        assert (index["docnames"][page], anchor) == (f"spec/{BOOK.find(clause).chapter}", clause)
        assert main, "otherwise all else is shown before it"
    throw = index["docnames"].index("spec/throw")
    for kind in "terms", "titleterms":  # in the text of the chapter, in the title of a clause
        word = {"terms": "thrower", "titleterms": "unstart"}[kind]
        found = index[kind][word]
        assert throw in (found if isinstance(found, list) else [found]), word


def test_broken_links_fail(tmp_path: Path) -> None:
    """The build refuses a chapter whose links lead nowhere."""
    shutil.copytree(material.FINDINGS, tmp_path / "findings")
    copy = shutil.copytree(SOURCE, tmp_path / "site")
    with (copy / "spec" / "throw.md").open("a", encoding="utf-8") as chapter:
        chapter.write("\n[a page](nowhere.md) and [an anchor](#none.such)\n")
    done = build(copy, tmp_path)
    assert done.returncode != 0
    assert re.search(r"throw\.md.*nowhere\.md", done.stderr)
    assert re.search(r"throw\.md.*none\.such", done.stderr)

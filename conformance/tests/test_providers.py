"""What other packages register is found, by a small distribution that exists for this only."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import TESTS, Ran

from greenlet_conformance import providers

KNOWN = """
[[expect]]
clause = "args.none"
outcome = "FAIL"
reason = "quicklets send None"
link = "https://example.org/quicklets"
"""


def install(folder: Path, name: str, entry_points: str) -> None:
    """Lays a distribution out as pip does."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[greenlet_conformance]\n{entry_points}\n")


@pytest.fixture
def quicklets(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Installs the package quicklets, whose module core is broken.NoneForNothing."""

    def make(entry_points: str) -> dict[str, str]:
        site = tmp_path / "site"
        install(site, "quicklets", entry_points)
        package = site / "quicklets"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "core.py").write_text("from broken import *\n__version__ = '7.0'\n")
        (package / "known.toml").write_text(KNOWN)
        path = os.pathsep.join([str(site), str(TESTS)])
        return {"PYTHONPATH": path, "BROKEN_GREENLET": "NoneForNothing"}

    return make


BOTH = "quick = quicklets.core\nquicklets.core = quicklets:known.toml"


@pytest.mark.parametrize("name", ["quick", "quicklets.core"])
def test_registered(
    run: Callable[..., Ran], quicklets: Callable[..., dict[str, str]], name: str
) -> None:
    """A registered name is the module, and its registered expectations hold."""
    ran = run("--impl", name, "--clause=args.none", "--clause=args.one", **quicklets(BOTH))
    assert ran.code == 0, ran.out + ran.err
    assert ran.records[0]["implementation"] == {"module": "quicklets.core", "version": "7.0"}
    assert ran.outcomes == {"test_none": "XFAIL", "test_one": "PASS"}
    assert {r["reason"] for r in ran.records if r.get("outcome") == "XFAIL"} == {
        "quicklets send None"
    }


def test_registered_in_plain_pytest(
    plain_pytest: Callable[..., Ran], quicklets: Callable[..., dict[str, str]]
) -> None:
    """Plain pytest finds the same."""
    suite = ["--pyargs", "greenlet_conformance.suite", "--clause=args.none"]
    ran = plain_pytest(*suite, "--greenlet-impl=quick", **quicklets(BOTH))
    assert ran.code == 0, ran.out + ran.err
    assert "1 xfailed" in ran.out


def test_only_a_module(run: Callable[..., Ran], quicklets: Callable[..., dict[str, str]]) -> None:
    """Without a file of expectations nothing is expected to fail."""
    environment = quicklets("quick = quicklets.core")
    assert run("--impl=quick", "--clause=args.none", **environment).outcomes == {
        "test_none": "FAIL"
    }


@pytest.mark.parametrize(
    ("entry_points", "says"),
    [
        ("quicklets.core = quicklets:lost.toml", "lost.toml does not exist"),
        ("quicklets.core = slowlets:known.toml", "there is no package 'slowlets'"),
        ("quicklets.core = quicklets:test.toml\nquicklets.core = quicklets:known.toml", "twice"),
        ("quick = quicklets.gore", "No module named 'quicklets.gore'"),
    ],
)
def test_wrong_registration(
    run: Callable[..., Ran],
    quicklets: Callable[..., dict[str, str]],
    entry_points: str,
    says: str,
) -> None:
    """What is registered wrongly is one line, and exit code 4."""
    name = "quick" if entry_points.startswith("quick ") else "quicklets.core"
    ran = run("--impl", name, "--clause=args.none", **quicklets(entry_points))
    assert ran.code == 4
    assert len(ran.err.strip().splitlines()) == 1
    assert says in ran.err


def test_nothing_is_imported(
    quicklets: Callable[..., dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither question imports the other package into this process."""
    quicklets(BOTH)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert providers.module_of("quick") == "quicklets.core"
    known = tmp_path / "site" / "quicklets" / "known.toml"
    assert providers.expectations_file("quicklets.core") == known
    assert not any(name.startswith("quicklets") for name in sys.modules)
    assert (providers.module_of("other"), providers.expectations_file("other")) == ("other", None)


def test_registered_twice(
    run: Callable[..., Ran], quicklets: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    """Two packages that claim one name are told, not guessed between."""
    environment = quicklets("quick = quicklets.core")
    install(tmp_path / "site", "slowlets", "quick = slowlets.core")
    ran = run("--impl=quick", "--clause=args.none", **environment)
    assert ran.code == 4
    assert len(ran.err.strip().splitlines()) == 1
    assert "registered twice, as quicklets.core and slowlets.core" in ran.err

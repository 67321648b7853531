"""A module that answers to `import greenlet`."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

from greenlet_bench.alias import CannotStandInError, stand_in


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module `other` with a C API, in a process that has imported no greenlet."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "greenlet"]:
        monkeypatch.delitem(sys.modules, name)
    # So that both are gone again after the test.
    monkeypatch.setitem(sys.modules, "greenlet", ModuleType("placeholder"))
    monkeypatch.setitem(sys.modules, "greenlet._greenlet", ModuleType("placeholder"))
    del sys.modules["greenlet"], sys.modules["greenlet._greenlet"]
    module = ModuleType("other")
    module._C_API = object()  # type: ignore[attr-defined]
    return module


def test_it_is_what_import_greenlet_gives(other: ModuleType) -> None:
    extension = other._greenlet = ModuleType("other._greenlet")  # type: ignore[attr-defined]
    stand_in(other, c_api=True)
    stand_in(other, c_api=True)  # twice does no harm
    assert importlib.import_module("greenlet") is other
    assert importlib.import_module("greenlet._greenlet") is extension


def test_a_module_without_an_extension_of_its_own_is_both(other: ModuleType) -> None:
    stand_in(other, c_api=True)
    assert importlib.import_module("greenlet._greenlet") is other


def test_without_a_c_api_it_cannot_be_used_from_c(other: ModuleType) -> None:
    del other._C_API
    with pytest.raises(CannotStandInError, match="other has no C API; give it"):
        stand_in(other, c_api=True)
    assert "greenlet" not in sys.modules
    stand_in(other, c_api=False)
    assert importlib.import_module("greenlet") is other


def test_nothing_stands_in_once_greenlet_is_imported(other: ModuleType) -> None:
    sys.modules["greenlet"] = ModuleType("greenlet")
    with pytest.raises(CannotStandInError, match="greenlet is imported beside other; measure"):
        stand_in(other, c_api=True)
    assert sys.modules["greenlet"] is not other


def test_greenlet_needs_no_stand_in(other: ModuleType) -> None:
    sys.modules["greenlet"] = other
    stand_in(other, c_api=True)
    assert "greenlet._greenlet" not in sys.modules

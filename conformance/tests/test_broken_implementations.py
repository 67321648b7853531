"""The suite sees what is broken: each rule of ``broken.rules`` fails the clauses it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
from broken import rules
from broken.model import Model
from running import Ran

BROKEN = [
    cls
    for name, cls in inspect.getmembers(rules, inspect.isclass)
    if issubclass(cls, Model) and cls not in (Model, rules.Intact)
]


def test_intact_model_keeps_every_clause(run: Callable[..., Ran]) -> None:
    """Without a broken rule the model passes, so that failures below come from the rule."""
    ran = run("--impl", "broken", BROKEN_GREENLET="Intact")
    assert ran.failed_clauses == set()
    assert ran.code == 0, ran.out


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.__name__)
def test_broken_rule_fails_its_clauses(rule: type[Model], run: Callable[..., Ran]) -> None:
    """Every clause that the rule says it breaks fails, and the run fails with it."""
    wanted = set(rule.breaks)
    selected = [f"--clause={clause}" for clause in wanted]
    ran = run("--impl", "broken", "--timeout", "3", *selected, BROKEN_GREENLET=rule.__name__)
    assert wanted
    assert ran.failed_clauses == wanted, ran.out
    assert ran.code == 1

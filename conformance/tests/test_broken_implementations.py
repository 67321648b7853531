"""The suite sees what is broken: each rule of ``broken`` fails the clauses it names."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator

import pytest
from broken import mutated, rules
from broken.model import BEYOND, MODELLED, Model
from broken.wrapped import RULES
from running import TESTS, Ran, selecting

from greenlet_conformance import spec
from mutants import served, trials

BROKEN = {
    name: cls.breaks
    for name, cls in inspect.getmembers(rules, inspect.isclass)
    if issubclass(cls, Model) and cls not in (Model, rules.Intact)
}
BROKEN |= {name: rule.breaks for name, rule in RULES.items() if rule.breaks}
BROKEN |= {name: mutant.breaks for name, mutant in mutated.MUTANTS.items()}


def test_intact_model_keeps_its_chapters(run: Callable[..., Ran]) -> None:
    """Without a broken rule the model passes, so that failures below come from the rule."""
    selected = selecting(MODELLED)
    ran = run("--impl", "broken", *selected, BROKEN_GREENLET="Intact")
    assert ran.failed_clauses == set(BEYOND), ran.out


def test_wrapping_breaks_nothing(run: Callable[..., Ran]) -> None:
    """A mere subclass of upstream passes all that the rules of ``broken.wrapped`` break."""
    broken = {clause for rule in RULES.values() for clause in rule.breaks}
    # The rules of the C API replace its table and leave the type alone, which is part of it.
    selected = selecting(clause for clause in broken if not clause.startswith("capi."))
    ran = run("--impl", "broken", "--timeout", "60", *selected, BROKEN_GREENLET="plain_subclass")
    assert ran.failed_clauses == set(), ran.out
    assert ran.code == 0, ran.out


def test_names_are_different() -> None:
    """No rule hides another one of the same name."""
    assert not set(RULES) & set(mutated.MUTANTS)
    assert not {name for name in dir(rules) if name in RULES or name in mutated.MUTANTS}


def test_reference_keeps_what_its_mutants_break(run: Callable[..., Ran]) -> None:
    """Without a replaced passage the reference passes, and each passage is there once."""
    broken = {clause for mutant in mutated.MUTANTS.values() for clause in mutant.breaks}
    assert all(mutant.text != mutated.SOURCE for mutant in mutated.MUTANTS.values())
    ran = run(*("--impl", "greenlet_conformance.reference", "--timeout", "60"), *selecting(broken))
    assert ran.code == 0, ran.out
    assert set(ran.outcomes.values()) == {"PASS"}


def test_run_fails(run: Callable[..., Ran]) -> None:
    """What the command says of a broken rule."""
    wanted = set(BROKEN["DeadRaises"])
    ran = run("--impl", "broken", *selecting(wanted), BROKEN_GREENLET="DeadRaises")
    assert ran.failed_clauses == wanted, ran.out
    assert ran.code == 1


Failing = Callable[[str, Collection[str]], set[str]]


@pytest.fixture(scope="session")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failing]:
    """Tells which of some clauses fail with a rule; the suite is collected once for all rules."""
    no_expectations = tmp_path_factory.mktemp("suite") / "expectations.toml"
    no_expectations.write_text("", encoding="utf-8")
    server = trials.Server("broken", no_expectations, TESTS, [])
    tests = server.tests()

    def fails(rule: str, clause: str) -> bool:
        environment = (("BROKEN_GREENLET", rule),)
        cases = [(trials.Case(t, environment), 5.0) for t, tied in tests.items() if clause in tied]
        assert cases
        outcome, *_ = server.play(TESTS, cases)[-1]
        return outcome not in served.GOOD

    yield lambda rule, clauses: {clause for clause in clauses if fails(rule, clause)}
    server.close()


#: Rules that break nothing before CPython 3.12, whose sys.call_tracing() brings hooks back where
#: earlier ones do not.
LATE = {"hooks_while_hooked", "tracer_hooked"} if sys.version_info < (3, 12) else set[str]()


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in LATE])
def test_broken_rule_fails_its_clauses(name: str, failing: Failing) -> None:
    """Every clause that the rule says it breaks fails."""
    wanted = set(BROKEN[name])
    assert wanted
    assert failing(name, wanted) == wanted


#: Clauses that no rule breaks, and why.
UNBROKEN = {"life.kill.chain": "neither upstream nor the reference keeps it on CPython 3.13"}


def test_every_clause_is_broken() -> None:
    """Each other clause has a rule that breaks it, so that its tests have been seen to fail."""
    broken = {clause for clauses in BROKEN.values() for clause in clauses}
    assert set(spec.load().clauses) - broken == set(UNBROKEN)

"""The driver: order, crashes, hangs, and implementations that cheat."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from greenlet_bench import progress, results
from greenlet_bench.catalogue import select
from greenlet_bench.driver import (
    QUICK,
    Batch,
    Driver,
    Settings,
    Step,
    Target,
    batches,
    schedule,
)
from greenlet_bench.errors import BenchError, ImplementationError
from greenlet_bench.results import CRASH, OK, TIMEOUT, Results
from greenlet_bench.summary import summarise

FLOOR, SWITCH = Batch("floor", ()), Batch("switch", ())
A, B, C = Target("a", "a"), Target("b", "b"), Target("c", "c")
SHORT = replace(QUICK, rounds=1, seconds=0.001, population=200)


def measure(
    output: Path,
    patterns: list[str],
    targets: list[Target],
    settings: Settings = SHORT,
) -> tuple[bool, Results]:
    """Run the driver without showing progress and read what it wrote."""
    driver = Driver(select(patterns), targets, settings)
    sound = driver.run(output, targets[0].label, lambda step, number, total: None)
    return sound, results.read(output)


def outcomes(found: Results, label: str) -> dict[str, str]:
    """The outcome of each benchmark of an implementation."""
    rows = [row for group in summarise(found) for row in group.rows]
    return {row.id: row.cells[label].outcome for row in rows}


def test_a_round_is_a_b_b_a_for_each_suite() -> None:
    steps = list(schedule([FLOOR, SWITCH], [A, B], rounds=2))
    for batch in (FLOOR, SWITCH):
        labels = "".join(step.target.label for step in steps if step.batch == batch)
        assert labels == "abbaabba"
    assert [step.batch.name for step in steps] == (["floor"] * 4 + ["switch"] * 4) * 2


def test_a_pair_runs_back_to_back_and_has_every_implementation_once() -> None:
    steps = list(schedule([SWITCH], [A, B, C], rounds=2))
    assert [step.target.label for step in steps] == list("abccba" * 2)
    assert Counter((step.pair, step.target.label) for step in steps) == Counter(
        (pair, label) for pair in range(4) for label in "abc"
    )
    assert [step.pair for step in steps] == sorted(step.pair for step in steps)


def test_a_benchmark_that_is_alone_gets_fewer_rounds() -> None:
    alone = Batch("memory.suspended", (), most_rounds=3)
    steps = list(schedule([alone, SWITCH], [A], rounds=10))
    assert Step(SWITCH, A, 19) in steps
    assert max(step.pair for step in steps if step.batch == alone) == 5


def test_a_batch_is_a_suite_or_one_that_is_alone() -> None:
    some = select(["switch.round_trip", "switch.ring", "memory.suspended", "life.function"])
    assert {b.name: [one.id for one in b.benchmarks] for b in batches(some, quick=False)} == {
        "switch": ["switch.round_trip", "switch.ring[2]", "switch.ring[100]"],
        "switch.ring[100000]": ["switch.ring[100000]"],
        "life": ["life.function"],
        "memory.suspended": ["memory.suspended"],
    }


def test_a_huge_one_gets_a_single_round() -> None:
    (batch,) = batches(select(["memory.among[1000000]"]), quick=False)
    assert [step.pair for step in schedule([batch], [A, B], rounds=8)] == [0, 0, 1, 1]


def test_a_quick_run_puts_suites_into_one_process() -> None:
    some = select(["switch.round_trip", "memory.suspended", "life.function"])
    assert {b.name: [one.id for one in b.benchmarks] for b in batches(some, quick=True)} == {
        "all suites": ["switch.round_trip", "life.function"],
        "memory.suspended": ["memory.suspended"],
    }


class Clock:
    """What time.monotonic is replaced with."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_the_time_left_is_that_of_the_batches_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    slow = Batch("slow", (), most_rounds=3)
    steps = list(schedule([FLOOR, slow], [A], rounds=2))
    assert [step.batch.name for step in steps] == ["floor", "floor", "slow", "slow"] * 2
    shown = io.StringIO()
    tell = progress.Progress(steps, shown)
    for number, step in enumerate(steps):
        clock.now = [0, 1, 2, 102, 202, 203, 204, 304][number]
        tell(step, number, len(steps))
    told = shown.getvalue().splitlines()
    assert told[0] == "[1/8] floor: a"
    # Two of the floor and two slow ones are ahead: 1 + 1 + 100 + 100 seconds.
    assert "[5/8] floor: a, about 3 min 22 s left" in told
    assert "[8/8] slow: a, about 1 min 40 s left" in told


def test_a_result_holds_every_sample_with_facts(tmp_path: Path) -> None:
    sound, found = measure(tmp_path / "r.jsonl", ["getcurrent"], [Target("greenlet", "greenlet")])
    assert sound
    assert [sample.outcome for sample in found.samples] == [OK, OK]
    assert len({sample.hash_seed for sample in found.samples}) == 2
    for sample in found.samples:
        assert sample.operations == 1000
        assert sample.dropped and len(sample.values) >= 5
        assert all(1 < value < 1e6 for value in sample.values)  # nanoseconds for one call
    header = found.header
    assert header["machine"]["cpu"] and header["machine"]["kernel"]
    assert header["python"]["cflags"] is not None
    assert header["implementations"][0]["version"]


def test_a_pair_shares_its_hash_seed(tmp_path: Path) -> None:
    targets = [Target("greenlet", "greenlet"), Target("again", "greenlet")]
    _, found = measure(tmp_path / "r.jsonl", ["getcurrent"], targets)
    seeds = {(sample.pair, sample.hash_seed) for sample in found.samples}
    assert len(found.samples) == 4 and len(seeds) == 2


@pytest.mark.usefixtures("fakes")
def test_a_crash_costs_one_row_and_makes_the_run_unsound(tmp_path: Path) -> None:
    targets = [Target("greenlet", "greenlet"), Target("crashing", "crashing")]
    sound, found = measure(tmp_path / "r.jsonl", ["throw", "getcurrent"], targets)
    assert not sound
    assert outcomes(found, "crashing") == {
        "throw.round_trip": CRASH,
        "throw.unstarted": CRASH,
        "throw.kill": CRASH,
        "getcurrent.getcurrent": OK,
    }
    assert set(outcomes(found, "greenlet").values()) == {OK}
    crashes = [sample for sample in found.samples if sample.outcome == CRASH]
    assert len(crashes) == 3, "what crashed once is not tried again"
    assert all("SIGKILL" in sample.message for sample in crashes)


@pytest.mark.usefixtures("fakes")
def test_after_a_crash_the_rest_of_the_suite_is_measured(tmp_path: Path) -> None:
    sound, found = measure(tmp_path / "r.jsonl", ["life", "throw"], [Target("c", "crashing")])
    assert not sound
    life = [v for k, v in outcomes(found, "c").items() if k.startswith("life")]
    assert life == [OK] * len(select(["life"]))


@pytest.mark.usefixtures("fakes")
def test_a_hang_is_a_timeout(tmp_path: Path) -> None:
    settings = replace(SHORT, timeout=4)
    sound, found = measure(
        tmp_path / "r.jsonl", ["create.drop", "floor.c_call"], [Target("h", "hanging")], settings
    )
    assert not sound
    assert outcomes(found, "h") == {"create.drop": TIMEOUT, "floor.c_call": OK}


def test_an_unknown_module_is_an_implementation_error(tmp_path: Path) -> None:
    with pytest.raises(ImplementationError, match="nosuch cannot be imported"):
        measure(tmp_path / "r.jsonl", ["getcurrent"], [Target("nosuch", "nosuch")])
    assert not list(tmp_path.iterdir())


def test_a_module_that_is_no_greenlet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImplementationError, match="json is not a greenlet: it has no greenlet"):
        measure(tmp_path / "r.jsonl", ["getcurrent"], [Target("json", "json")])


def test_targets_are_parsed() -> None:
    assert Target.parse("greenlet") == Target("greenlet", "greenlet")
    assert Target.parse("again=greenlet") == Target("again", "greenlet")
    for text in ("", "=greenlet", "again="):
        with pytest.raises(BenchError, match="LABEL=MODULE"):
            Target.parse(text)


def test_a_size_is_measured_and_described_on_its_own(tmp_path: Path) -> None:
    sound, found = measure(
        tmp_path / "r.jsonl",
        ["switch.ring[2]", "switch.ring[100]"],
        [Target("greenlet", "greenlet")],
    )
    assert sound
    assert [(b["series"], b["size"], b["axis"]) for b in found.benchmarks] == [
        ("ring.cyclic", 2, "greenlets"),
        ("ring.cyclic", 100, "greenlets"),
    ]
    assert {s.benchmark: s.operations for s in found.samples} == {
        "switch.ring[2]": 1500,
        "switch.ring[100]": 1010,
    }

"""Each benchmark checks that its work was done: the suites, on good and on broken implementations.

All in one process, with few greenlets and hardly any time: what is measured does not matter here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from greenlet_bench.catalogue import FLOOR, LARGE, PROGRAMS, Benchmark, catalogue, select
from greenlet_bench.driver import SUITES_FOLDER
from greenlet_bench.results import FAIL, OK, UNSUPPORTED

NEEDS = {"sqlalchemy": ["sqlalchemy", "aiosqlite"]}
"""What is to be installed for a suite of PROGRAMS, if that is not its name."""


def run(folder: Path, implementation: str, benchmarks: list[Benchmark]) -> dict[str, Any]:
    """What became of each benchmark, as its process wrote it down."""
    record = folder / "record.jsonl"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"),
            *("-c", str(SUITES_FOLDER / "pytest.ini"), "--rootdir", str(SUITES_FOLDER)),
            f"--greenlet-impl={implementation}",
            f"--bench-record={record}",
            "--bench-seconds=0.0001",
            "--bench-population=200",
            *(str(SUITES_FOLDER / benchmark.node) for benchmark in benchmarks),
        ],
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    results = {line["benchmark"]: line for line in lines if line["kind"] != "start"}
    assert set(results) == {benchmark.id for benchmark in benchmarks}, done.stdout + done.stderr
    return results


def small(patterns: list[str]) -> list[Benchmark]:
    return [benchmark for benchmark in select(patterns) if (benchmark.size or 0) < LARGE]


def outcome(result: dict[str, Any]) -> str:
    return str(result.get("outcome", OK))


def test_every_benchmark_works_on_upstream(tmp_path: Path) -> None:
    for id_, result in run(tmp_path, "greenlet", small([])).items():
        if outcome(result) == UNSUPPORTED:
            assert ";" in result["message"], f"{id_} does not say what to do about it"
        else:
            assert outcome(result) == OK, result["message"]
            assert all(value > 0 for value in result["values"]), id_


@pytest.mark.usefixtures("fakes")
def test_an_implementation_cannot_win_by_doing_nothing(tmp_path: Path) -> None:
    for id_, result in run(tmp_path, "idle", catalogue()).items():
        suite = id_.partition(".")[0]
        if suite == FLOOR:
            assert outcome(result) == OK, id_
        elif suite in PROGRAMS or id_ == "kill.collect":  # they find out first what it is able to
            assert outcome(result) in (FAIL, UNSUPPORTED), id_
        else:
            assert outcome(result) == FAIL, id_


@pytest.mark.usefixtures("fakes")
def test_an_implementation_cannot_win_by_doing_half_of_the_work(tmp_path: Path) -> None:
    patterns = ["switch", "depth", "args", "churn", "kill.finish", "context"]
    results = run(tmp_path, "lazy_rounds", small(patterns))
    assert {id_: outcome(result) for id_, result in results.items()} == dict.fromkeys(results, FAIL)
    message = results["switch.round_trip"]["message"]
    assert "operations were done in a round, not 1000" in message


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_uses_the_module_under_test_or_tells_how_to_install_it(
    tmp_path: Path, program: str
) -> None:
    installed = all(find_spec(name) for name in NEEDS.get(program, [program]))
    for id_, result in run(tmp_path, "renamed", select([program])).items():
        if outcome(result) == UNSUPPORTED:
            assert not installed, id_
            assert "pip install 'greenlet-bench[programs]'" in result["message"]
        else:
            assert outcome(result) == OK, result["message"]


@pytest.mark.usefixtures("fakes")
def test_a_program_in_c_does_not_run_on_a_module_without_a_c_api(tmp_path: Path) -> None:
    for result in run(tmp_path, "idle", select(["gevent"])).values():
        assert outcome(result) == UNSUPPORTED
        assert "idle has no C API; give it" in result["message"]


@pytest.mark.usefixtures("fakes")
def test_an_implementation_cannot_win_by_leaving_out_what_a_switch_or_a_death_entails(
    tmp_path: Path,
) -> None:
    some = select(["context.own", "context.read", "trace.round_trip", "kill.drop"])
    results = run(tmp_path, "careless", some)
    assert {id_: outcome(result) for id_, result in results.items()} == dict.fromkeys(results, FAIL)

"""The pytest plugin: which greenlet, which clauses, what came out.

It is installed as an entry point and so is present in every pytest run of its
environment. It acts only where tests of this package's ``suite`` folder are collected;
elsewhere it adds its options and nothing else.

The life of a run:

1. options: ``--greenlet-impl`` is added last, after every conftest, and only if nobody
   else has added it: the name is shared with other tools that choose a greenlet;
2. collection: every test must be tied to a clause that exists, and every clause of which
   all tests are collected must have one; then ``--clause`` selects;
3. each test runs in a child process (see ``isolation``) and ends in one outcome, which the
   file of expectations may turn into XFAIL, XPASS or UNSUPPORTED;
4. the outcomes go to pytest's terminal and to ``--conformance-jsonl``.
"""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections import Counter
from collections.abc import Collection, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import _pytest
import pluggy
import pytest
from _pytest.runner import runtestprotocol

from greenlet_conformance import (
    SUITE,
    expectations,
    implementation,
    isolation,
    providers,
    results,
    spec,
)

# --- options -----------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options that nobody else would have."""
    group = parser.getgroup("greenlet-conformance", "greenlet conformance suite")
    group.addoption(
        "--clause",
        action="append",
        default=[],
        metavar="PATTERN",
        help="run the tests of the clauses that match this glob, like 'dead.*' (repeatable)",
    )
    group.addoption(
        "--conformance-jsonl", metavar="FILE", help="write the results to FILE as JSON lines"
    )
    group.addoption(
        "--expectations",
        metavar="FILE",
        help="the TOML file of expected failures (default: the package's own, by module name)",
    )
    group.addoption(
        "--no-isolate",
        action="store_true",
        help="run the conformance tests in this process, to debug one of them",
    )
    group.addoption(
        "--conformance-timeout",
        type=float,
        default=isolation.TEST_SECONDS,
        metavar="SECONDS",
        help=f"seconds until a conformance test is a TIMEOUT (default: {isolation.TEST_SECONDS:g})",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Generator[None, Any, Any]:
    """Adds ``--greenlet-impl`` after the conftests, unless one of them has."""
    answer = yield
    groups = {id(g): g for g in [parser._anonymous, *parser._groups]}
    taken = {name for g in groups.values() for option in g.options for name in option.names()}
    if "--greenlet-impl" not in taken:
        parser.addoption(
            "--greenlet-impl",
            metavar="MODULE",
            help=f"the module of the greenlet to test (default: {implementation.DEFAULT})",
        )
    return answer


def _chosen(config: pytest.Config) -> str | None:
    """The module that ``--greenlet-impl`` means, or None if it was not given."""
    name = config.getoption("--greenlet-impl", default=None)
    try:
        return providers.module_of(str(name)) if name else None
    except providers.ProviderError as error:
        raise pytest.UsageError(str(error)) from None


# --- the state of one run ----------------------------------------------------------------


@dataclasses.dataclass
class Run:
    """What is known of the run; kept in the config's stash."""

    spec: spec.Spec
    facts: implementation.Facts
    expected: list[expectations.Expectation]
    tests: int = 0
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)  # of each test
    writer: results.Writer | None = None


RUN = pytest.StashKey[Run]()
FACTS = pytest.StashKey[implementation.Facts]()
FILES = pytest.StashKey[set[str]]()

#: The folders of pytest's own code.
PYTEST = {Path(str(module.__file__)).parent for module in (_pytest, pluggy)}


def current_run(config: pytest.Config) -> Run | None:
    """The conformance run, or None where the suite is not collected."""
    return config.stash.get(RUN, None)


def _load_spec() -> spec.Spec:
    try:
        return spec.load()
    except spec.SpecError as error:
        raise pytest.UsageError(str(error)) from None


def _probe(config: pytest.Config) -> implementation.Facts:
    """Asks once what the implementation is."""
    if FACTS not in config.stash:
        try:
            config.stash[FACTS] = implementation.probe(_chosen(config) or implementation.DEFAULT)
        except implementation.ImplementationError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[FACTS]


def _may_collect_suite(config: pytest.Config) -> bool:
    for arg in config.args:
        path = Path(config.invocation_params.dir, arg.partition("::")[0]).resolve()
        if path == SUITE or path in SUITE.parents or SUITE in path.parents:
            return True
        if arg.startswith("greenlet_conformance"):
            return True
    return False


def pytest_configure(config: pytest.Config) -> None:
    """Refuses what cannot work before anything is printed, so that the error is one line."""
    config.addinivalue_line("markers", "clause(*ids): the clauses that a conformance test holds")
    if config.option.clause:
        book = _load_spec()
        try:
            chapters = {clause.chapter for clause in book.select(config.option.clause)}
        except spec.UnknownClauseError as error:
            raise pytest.UsageError(str(error)) from None
        config.stash[FILES] = {c.test_file for c in book.chapters if c.slug in chapters}
    if _may_collect_suite(config):
        mistake = isolation.mistake_in_step_seconds()
        if mistake:
            raise pytest.UsageError(mistake)
        if _chosen(config):
            _probe(config)


# --- collection --------------------------------------------------------------------------


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out, to save time, the chapters in which ``--clause`` selects nothing."""
    files = config.stash.get(FILES, None)
    if files is None or collection_path.parent != SUITE or collection_path.suffix != ".py":
        return None
    return True if collection_path.name not in files else None


def _in_suite(item: pytest.Item) -> bool:
    return SUITE in item.path.parents


def clauses_of(item: pytest.Item) -> tuple[str, ...]:
    """The ids that ``@clause`` ties to this test."""
    return tuple(i for mark in item.iter_markers("clause") for i in mark.args)


def test_id(item: pytest.Item) -> str:
    """The name of a test in results and expectations, the same wherever pytest is started."""
    return f"{item.path.name}::{item.nodeid.partition('::')[2]}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Checks the ties between tests and clauses, then keeps the clauses that were asked for."""
    suite_items = [item for item in items if _in_suite(item)]
    if not suite_items:
        return
    book = _load_spec()
    whole = _is_whole_suite(config, suite_items)
    wanted = {c.id for c in book.select(config.option.clause)}
    errors = _loose_ends(
        book, suite_items, wanted if _has_all_of_them(config, suite_items) else set()
    )
    if errors:
        raise pytest.UsageError("\n".join(errors))
    facts = _probe(config)
    known = {test_id(item): clauses_of(item) for item in suite_items} if whole else {}
    config.stash[RUN] = Run(book, facts, _expected(config, book, facts, known))
    if config.option.clause:
        kept = [i for i in items if _in_suite(i) and wanted.intersection(clauses_of(i))]
        config.hook.pytest_deselected(items=[i for i in items if i not in kept])
        items[:] = kept


def _is_whole_suite(config: pytest.Config, items: Sequence[pytest.Item]) -> bool:
    """Whether every test of every file is here, and no filter says that less is meant."""
    return _has_all_of_them(config, items) and not config.option.clause


def _has_all_of_them(config: pytest.Config, items: Sequence[pytest.Item]) -> bool:
    """Whether all tests of the clauses that ``--clause`` selects are here."""
    option = config.option
    if option.keyword or option.markexpr or option.deselect or any("::" in a for a in config.args):
        return False
    chosen = config.stash.get(FILES, None)
    files = {p for p in SUITE.glob("test_*.py") if chosen is None or p.name in chosen}
    return files.issubset(item.path for item in items)


def _loose_ends(
    book: spec.Spec, items: Sequence[pytest.Item], complete: Collection[str]
) -> list[str]:
    """One line for each test without a clause and each clause without a test.

    ``complete`` are the clauses of which all tests are among the items.
    """
    errors = []
    clauses = book.clauses
    files = {chapter.slug: chapter.test_file for chapter in book.chapters}
    tied: set[str] = set()
    for item in items:
        ids = clauses_of(item)
        tied.update(ids)
        if not ids:
            errors.append(f"{test_id(item)}: is tied to no clause; add @clause('...')")
        for clause_id in ids:
            if clause_id not in clauses:
                errors.append(f"{test_id(item)}: {_near(book, clause_id)}")
            elif files[clauses[clause_id].chapter] != item.path.name:
                home = files[clauses[clause_id].chapter]
                errors.append(f"{test_id(item)}: clause {clause_id!r} belongs in {home}")
        if not (getattr(item.obj, "__doc__", None) or "").strip():  # type: ignore[attr-defined]
            errors.append(f"{test_id(item)}: has no docstring; say the clause in a sentence")
    untested = [i for i in clauses if i in complete and i not in tied]
    return errors + [f"clause {i!r} {spec.HAS_NO_TEST}" for i in untested]


def _near(book: spec.Spec, clause_id: str) -> str:
    try:
        return book.find(clause_id).id
    except spec.UnknownClauseError as error:
        return str(error)


def _expected(
    config: pytest.Config,
    book: spec.Spec,
    facts: implementation.Facts,
    tests: Mapping[str, Collection[str]],
) -> list[expectations.Expectation]:
    given = config.option.expectations
    try:
        path = Path(given) if given else expectations.path_for(facts.module)
        return expectations.load(path, facts.version, book.clauses, tests) if path else []
    except (expectations.ExpectationsError, providers.ProviderError) as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Opens the file of results, once it is known which tests remain."""
    run = current_run(session.config)
    if run is None or session.config.option.collectonly:
        return
    remaining = [item for item in session.items if _in_suite(item)]
    run.tests = len(remaining)
    if session.config.option.conformance_jsonl:
        tied = {i for item in remaining for i in clauses_of(item)}
        selected = [c for c in run.spec.clauses.values() if c.id in tied]
        path = Path(session.config.option.conformance_jsonl)
        try:
            run.writer = results.Writer(path, run.facts, selected)
        except OSError as error:
            raise pytest.UsageError(f"--conformance-jsonl: {error}") from None


def pytest_report_collectionfinish(
    config: pytest.Config, items: Sequence[pytest.Item]
) -> str | None:
    """Says what is about to be tested."""
    run = current_run(config)
    if run is None:
        return None
    tests = sum(map(_in_suite, items))
    how = "one process a test" if _isolates(config) else "all in this process"
    return f"conformance: {run.facts.module} {run.facts.version}, {tests} tests, {how}"


# --- running -----------------------------------------------------------------------------


def _isolates(config: pytest.Config) -> bool:
    return isolation.available and not config.option.no_isolate


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Runs one test of the suite and reports its one outcome."""
    run = current_run(item.config)
    if run is None or not _in_suite(item):
        return None
    entry = expectations.first(run.expected, test_id(item), clauses_of(item))
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    began = time.perf_counter()
    if entry and "UNSUPPORTED" in entry.outcomes:
        reports: list[pytest.TestReport] = []
        died = None  # it is not run
    else:
        reports, died = _run_item(item, nextitem)
    seconds = round(time.perf_counter() - began, 4)
    actual = _actual(reports, died)
    outcome = _outcome(actual, entry)
    message = _message(reports, died)
    if outcome == "XPASS" and entry:
        message = f"stale expectation: this passes, so delete its entry ({entry.reason})"
    report = _final_report(item, reports, outcome, message, entry, seconds)
    run.counts[outcome] += 1
    run.seconds[test_id(item)] = seconds
    if run.writer:
        run.writer.result(
            clauses=list(clauses_of(item)),
            test=f"suite/{test_id(item)}",
            outcome=outcome,
            actual=actual,
            seconds=seconds,
            message=message,
            reason=entry.reason if entry and outcome in ("XFAIL", "UNSUPPORTED", "XPASS") else "",
            link=entry.link if entry and outcome in ("XFAIL", "UNSUPPORTED", "XPASS") else "",
        )
    item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _run_item(
    item: pytest.Item, nextitem: pytest.Item | None
) -> tuple[list[pytest.TestReport], isolation.Died | None]:
    hook = item.config.hook
    if not _isolates(item.config):
        return list(runtestprotocol(item, log=False, nextitem=nextitem)), None

    def work() -> list[Any]:
        reports = runtestprotocol(item, log=False, nextitem=None)
        return [hook.pytest_report_to_serializable(config=item.config, report=r) for r in reports]

    answer = isolation.run(work, item.config.option.conformance_timeout)
    if isinstance(answer, isolation.Died):
        output = _output_of_the_dead(item.config)
        return [], dataclasses.replace(answer, message=answer.message + output)
    return [hook.pytest_report_from_serializable(config=item.config, data=d) for d in answer], None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Only the suite may skip: an implementation that raises a skip has failed the test."""
    raised = call.excinfo  # pytest replaces it
    report = yield
    if _in_suite(item) and report.skipped and raised and not _skipped_by_suite(raised):
        report.outcome = "failed"
        report.longrepr = item.repr_failure(raised)
        vars(report).pop("wasxfail", None)
    return report


def _skipped_by_suite(raised: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether the suite called ``pytest.skip`` or the like, or has the test marked so.

    The exception then comes from code of pytest, and right below that is the suite or nothing.
    """
    files = [Path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(raised.tb)]
    others = [file for file in files if not PYTEST.intersection(file.parents)]
    if not isinstance(raised.value, pytest.skip.Exception) or files[-1] in others:
        return False
    return not others or SUITE in others[-1].parents


def _output_of_the_dead(config: pytest.Config) -> str:
    """What a child that died had printed: it is still in the file that it shared with us."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None or not capture.is_globally_capturing():
        return ""
    return "".join(f"\n{text.rstrip()}" for text in capture.read_global_capture() if text)


def _actual(reports: Sequence[pytest.TestReport], died: isolation.Died | None) -> str:
    """What the test did, whatever was expected."""
    if died:
        return died.kind
    if any(r.failed for r in reports):
        return "FAIL"
    return "PASS" if reports and not any(r.skipped for r in reports) else "UNSUPPORTED"


def _outcome(actual: str, entry: expectations.Expectation | None) -> str:
    if entry is None or actual == "UNSUPPORTED":
        return actual
    if actual == "PASS":
        return "XPASS"
    return "XFAIL" if actual in entry.outcomes else actual


def _message(reports: Sequence[pytest.TestReport], died: isolation.Died | None) -> str:
    if died:
        return died.message
    return "\n".join(str(r.longreprtext) for r in reports if not r.passed)


def _final_report(
    item: pytest.Item,
    reports: Sequence[pytest.TestReport],
    outcome: str,
    message: str,
    entry: expectations.Expectation | None,
    seconds: float,
) -> pytest.TestReport:
    """One report for pytest's terminal, counts and other reporters."""
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=dict.fromkeys(item.keywords, 1),
        outcome="failed",
        longrepr=message,
        when="call",
        duration=seconds,
        user_properties=[("clause", i) for i in clauses_of(item)] + [("outcome", outcome)],
    )
    if outcome == "PASS":
        report.outcome, report.longrepr = "passed", None
    elif outcome == "XFAIL":
        report.outcome = "skipped"
        report.wasxfail = entry.reason if entry else ""
    elif outcome == "UNSUPPORTED":
        path, line, _ = item.location
        report.outcome = "skipped"
        report.longrepr = (path, line or 0, entry.reason if entry else message)
    else:
        failed = [r for r in reports if r.failed]
        if failed and outcome == "FAIL":
            report.longrepr = failed[0].longrepr
            report.sections = [section for r in reports for section in r.sections]
        clauses = current_run(item.config).spec.clauses  # type: ignore[union-attr]
        for clause in (clauses[i] for i in clauses_of(item)):
            report.sections.append((f"clause {clause.id}: {clause.title}", clause.text))
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Shows a crash and a hang by letters of their own; they count as failed."""
    outcome = dict(getattr(report, "user_properties", ())).get("outcome")
    if outcome in ("CRASH", "TIMEOUT", "XPASS"):
        return "failed", {"CRASH": "C", "TIMEOUT": "T", "XPASS": "X"}[outcome], outcome
    return None


# --- the end -----------------------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends the file of results; an incomplete run gets no footer."""
    run = current_run(session.config)
    if run is None or run.writer is None:
        return
    run.writer.close(complete=0 < run.tests == sum(run.counts.values()))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The counts of outcomes, in one line, right before pytest's own."""
    run = current_run(config)
    if run is None or config.option.collectonly:
        return
    counts = ", ".join(f"{run.counts[o]} {o}" for o in results.OUTCOMES if run.counts[o])
    missing = run.tests - sum(run.counts.values())
    cut = f"; {missing} not run: TRUNCATED, never a pass" if missing else ""
    name = f"{run.facts.module} {run.facts.version}"
    terminalreporter.write_line(f"conformance of {name}: {counts or 'no results'}{cut}")
    slow = slowness(run.seconds)
    if slow:
        terminalreporter.write_line(slow)


def slowness(seconds: Mapping[str, float]) -> str:
    """A line that names the slowest tests, if all together took longer than they should."""
    total = sum(seconds.values())
    if total <= isolation.SUITE_SECONDS:
        return ""
    slowest = sorted(seconds, key=lambda test: -seconds[test])[:3]
    return (
        f"slow: the tests took {total:.0f} seconds, more than {isolation.SUITE_SECONDS:g}; most of"
        f" all {', '.join(f'{test} ({seconds[test]:.1f})' for test in slowest)}"
    )

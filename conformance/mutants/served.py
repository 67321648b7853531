"""A pytest plugin: the suite, collected once, held to one mutant after the other.

To start pytest and to collect the suite takes longer than most mutants live. So this process does
it once, and then takes orders, a JSON line each, from the socket whose number is in
``MUTANTS_SOCKET``:

    {"folder": where the implementation is, "cases": [[test, environment, seconds], ...]}

The cases run in this order until one of them fails, and fails again: once could be chance, or a
machine that is busy with something else. The answer lists, for each that ran, the
outcome, how long it took, and what was said. Each test runs in a child process, as always; only
that child imports the implementation, which it finds because ``folder`` comes first on its path.

The first line that is sent, unasked, names the tests that can tell something, those without an
entry among the expectations, and for each its clauses.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from greenlet_conformance import expectations, plugin

#: The outcomes that do not kill.
GOOD = ("PASS", "UNSUPPORTED")
#: A test has to fail in each of these attempts, which get such a part of its seconds: who waits for
#: ever does so in both, and the first one need not be long.
ATTEMPTS = (0.4, 1.0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Takes orders in place of the one run that pytest would make."""
    with socket.socket(fileno=int(os.environ["MUTANTS_SOCKET"])) as connection:
        stream = connection.makefile("rw", encoding="utf-8")
        tests = {plugin.test_id(item): item for item in session.items if _can_tell(item)}
        _send(stream, {test: plugin.clauses_of(item) for test, item in tests.items()})
        for line in stream:
            _send(stream, _played(tests, json.loads(line)))
    return True


def _can_tell(item: pytest.Item) -> bool:
    run = plugin.current_run(item.config)
    entries = run.expected if run else []
    return expectations.first(entries, plugin.test_id(item), plugin.clauses_of(item)) is None


def _send(stream: Any, answer: object) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


def _played(tests: dict[str, pytest.Item], order: dict[str, Any]) -> list[tuple[Any, ...]]:
    results: list[tuple[Any, ...]] = []
    with _first_on_path(order["folder"]):
        for test, environment, seconds in order["cases"]:
            began = time.perf_counter()
            for part in ATTEMPTS:
                outcome, message = _outcome(tests[test], environment, part * seconds)
                if outcome in GOOD:
                    break
            results.append((outcome, time.perf_counter() - began, message))
            if outcome not in GOOD:
                break
    return results


def _outcome(item: pytest.Item, environment: dict[str, str], seconds: float) -> tuple[str, str]:
    item.config.option.conformance_timeout = seconds
    with _environment(environment):
        reports, died = plugin._run_item(item, None)
    return plugin._actual(reports, died), plugin._message(reports, died)


@contextlib.contextmanager
def _first_on_path(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@contextlib.contextmanager
def _environment(more: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

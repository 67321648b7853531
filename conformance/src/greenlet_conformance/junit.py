"""One run as JUnit XML, the format that CI systems show.

A test case has its clauses as properties. XFAIL and UNSUPPORTED are told as skipped, FAIL and
XPASS as failures, CRASH and TIMEOUT as errors.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from greenlet_conformance.results import Result, Run

_TAGS = {
    "XFAIL": "skipped",
    "UNSUPPORTED": "skipped",
    "FAIL": "failure",
    "XPASS": "failure",
    "CRASH": "error",
    "TIMEOUT": "error",
}

#: What XML 1.0 cannot hold, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(run: Run, name: str) -> str:
    """The XML of one run; ``name`` is that of the test suite."""
    tags = [_TAGS.get(result.outcome, "") for result in run.results]
    totals = {
        "name": _legal(name),
        "tests": str(len(tags)),
        "failures": str(tags.count("failure")),
        "errors": str(tags.count("error")),
        "skipped": str(tags.count("skipped")),
        "time": f"{run.seconds:.3f}",
    }
    root = ET.Element("testsuites", totals)
    suite = ET.SubElement(root, "testsuite", totals, timestamp=run.header["started"])
    properties = ET.SubElement(suite, "properties")
    for key in ("implementation", "python", "platform"):
        for part, value in run.header[key].items():
            _property(properties, f"{key}.{part}", str(value))
    for result in run.results:
        suite.append(_case(result))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(result: Result) -> ET.Element:
    file, _, name = result.test.partition("::")
    case = ET.Element(
        "testcase",
        classname=_legal(file.removesuffix(".py").replace("/", ".")),
        name=_legal(name),
        time=f"{result.seconds:.3f}",
    )
    properties = ET.SubElement(case, "properties")
    for clause in result.clauses:
        _property(properties, "clause", clause)
    _property(properties, "outcome", result.outcome)
    if result.outcome in _TAGS:
        says = result.reason or (result.message.strip().splitlines() or [""])[-1]
        tag = ET.SubElement(case, _TAGS[result.outcome], type=result.outcome, message=_legal(says))
        tag.text = _legal(result.message)
    return case


def _property(parent: ET.Element, name: str, value: str) -> None:
    ET.SubElement(parent, "property", name=name, value=_legal(value))


def _legal(text: str) -> str:
    return _ILLEGAL.sub(lambda found: f"#x{ord(found[0]):02X}", text)

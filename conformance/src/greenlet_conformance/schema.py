"""Whether a line of results keeps ``results.schema.json``, without a library for it.

Of JSON Schema this reads what that file uses, and nothing else; the suite's own tests compare it
with the library ``jsonschema``, which has parts in Rust that not every interpreter can have.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from greenlet_conformance import PACKAGE

FILE = PACKAGE / "results.schema.json"

_DEFINITIONS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["$defs"]

#: The kinds of lines.
KINDS = ("header", "clause", "result", "footer")

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def mistake(record: Any) -> str | None:
    """The first thing that is wrong with a line, in a few words, or None."""
    kind = record.get("kind") if isinstance(record, dict) else None
    if kind not in KINDS:
        return f"it is none of {', '.join(KINDS)}"
    return next(_mistakes(record, _DEFINITIONS[kind], kind), None)


def _mistakes(value: Any, rule: Mapping[str, Any], where: str) -> Iterator[str]:
    if "$ref" in rule:
        rule = _DEFINITIONS[rule["$ref"].rpartition("/")[2]]
    if "type" in rule and not _is(value, rule["type"]):
        yield f"{where} must be of type {rule['type']}"
    elif "const" in rule and not _same(value, rule["const"]):
        yield f"{where} must be {rule['const']!r}"
    elif "enum" in rule and not any(_same(value, choice) for choice in rule["enum"]):
        yield f"{where} must be one of {', '.join(rule['enum'])}"
    elif isinstance(value, str) and not re.search(rule.get("pattern", ""), value):
        yield f"{where} must match {rule['pattern']}"
    elif _is(value, "number") and "minimum" in rule and value < rule["minimum"]:
        yield f"{where} must be {rule['minimum']} or more"
    elif isinstance(value, list):
        if len(value) < rule.get("minItems", 0):
            yield f"{where} must have {rule['minItems']} or more"
        for number, item in enumerate(value):
            yield from _mistakes(item, rule.get("items", {}), f"{where}[{number}]")
    elif isinstance(value, dict):
        yield from (
            f"{where} lacks {key!r}" for key in rule.get("required", ()) if key not in value
        )
        for key, item in value.items():
            yield from _mistakes(key, rule.get("propertyNames", {}), f"a name in {where}")
            others = rule.get("additionalProperties", {})
            yield from _mistakes(
                item, rule.get("properties", {}).get(key, others), f"{where}.{key}"
            )


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False  # which is an int in Python only
    if isinstance(value, float) and not math.isfinite(value):
        return False  # which JSON does not have
    return isinstance(value, _TYPES[kind])


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)

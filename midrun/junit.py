"""Checks as a report in JUnit's format, which CI systems show. A test case for each evaluation."""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any

NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
GOOD, OTHERWISE = 0, 1
Found = list[tuple[str, dict[str, Any], int, float]]  # (what, its check, the exit code, seconds)


def write_report(file: Path, found: Found, exactly: bool = False) -> None:
    """Raises OSError. exactly: differences of rounding are failures, too"""
    root = xml.Element("testsuites", name="midrun check")
    for what, check, code, seconds in found:
        _suite(root, what, check, code, seconds, exactly)
    xml.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)


def _suite(
    root: xml.Element, what: str, check: dict[str, Any], code: int, seconds: float, exactly: bool
) -> None:
    rows = check["evaluations"]
    bad = ("different", "rounding") if exactly else ("different",)
    apart = [row for row in rows if row["same"] in bad and code == OTHERWISE]
    is_another = code == OTHERWISE and not apart  # the result, although the model answers as it did
    told = {"tests": len(rows) + (not rows or is_another), "failures": len(apart) + is_another}
    told |= {"errors": 0 if code in (GOOD, OTHERWISE) else 1}
    counts = {name: str(count) for name, count in told.items()}
    suite = xml.SubElement(root, "testsuite", counts | {"name": _text(what), "time": f"{seconds:.3f}"})
    for row in rows:
        name = f"node {row['node_id']}, call {row['call'] + 1}, evaluation {row['evaluation']}"
        case = xml.SubElement(suite, "testcase", classname=_text(what), name=_text(name))
        if row in apart:
            by = f"differs by {row['difference']}, relative {row['relative']}"
            xml.SubElement(case, "failure", message=by).text = _text(check["message"])
    if is_another:
        case = xml.SubElement(
            suite, "testcase", classname=_text(what), name="what the sampler is given and does"
        )
        xml.SubElement(case, "failure", message="the result is another").text = _text(check["message"])
    if code not in (GOOD, OTHERWISE):
        case = xml.SubElement(suite, "testcase", classname=_text(what), name="check")
        xml.SubElement(case, "error", message=_text(check["message"]))
    xml.SubElement(suite, "system-out").text = _text(check["message"])


def _text(told: str) -> str:
    return NOT_IN_XML.sub("?", told)

"""Gates as JUnit XML, one case per outcome, for Jenkins' Test Result page.

Refused and inconclusive are both failures, told apart by their type: a skipped case would leave the build
blue although nobody knows whether the model is good. A comparison without champion is skipped: it does not count.
"""

import xml.etree.ElementTree as ET

from mmcicd_jenkins.release.measures import Measures
from mmcicd_jenkins.release.records import GateReport
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.reports.gate_words import GateLine, gate_lines
from mmcicd_jenkins.reports.words import clean


def gates_xml(model: str, report: GateReport, baseline: Measures | None = None) -> bytes:
    """The document, in UTF-8."""
    model, lines = clean(model), gate_lines(report, baseline)
    failed = sum(line.counts and line.verdict is not Verdict.PASSED for line in lines) or int(not lines)
    skipped = sum(not line.counts for line in lines)
    totals = {
        "tests": str(max(1, len(lines))),
        "failures": str(failed),
        "errors": "0",
        "skipped": str(skipped),
    }
    root = ET.Element("testsuites", totals)
    suite = ET.SubElement(root, "testsuite", {"name": f"gates of {model}", **totals, "time": "0"})
    for line in lines:
        _case(suite, model, line)
    if not lines:
        case = ET.SubElement(suite, "testcase", {"classname": f"{model}.gates", "name": "gates", "time": "0"})
        ET.SubElement(case, "failure", {"type": "inconclusive", "message": clean(report.reason)})
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _case(suite: ET.Element, model: str, line: GateLine) -> None:
    name = f"{line.rule} ({line.slice})" if line.slice else line.rule
    case = ET.SubElement(suite, "testcase", {"classname": f"{model}.gates", "name": clean(name), "time": "0"})
    sentence = clean(line.sentence)
    if not line.counts:
        ET.SubElement(case, "skipped", {"message": sentence})
    elif line.verdict is Verdict.PASSED:
        ET.SubElement(case, "system-out").text = sentence
    else:
        told = {"type": line.word, "message": sentence}
        ET.SubElement(case, "failure", told).text = f"{line.word}: {sentence}"

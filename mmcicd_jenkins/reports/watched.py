"""The report of one look of a monitor: what was decided and why, each check, and the watched time as two images.

Made for Jenkins' default Content-Security-Policy like every report: no inline style, no script, image files.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.monitor_memory import Point
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.render.files import template_bytes
from mmcicd_jenkins.reports.charts import Figure
from mmcicd_jenkins.reports.html_tree import block, document, tag
from mmcicd_jenkins.reports.watch_charts import error_share, latency
from mmcicd_jenkins.reports.words import clean
from mmcicd_jenkins.reports.writing import replace_file

# A gate that fails is refused; here nothing was asked for.
WORDS = {Verdict.PASSED: "passed", Verdict.FAILED: "failed", Verdict.INCONCLUSIVE: "inconclusive"}
_CLASSES = {Verdict.PASSED: "passed", Verdict.FAILED: "refused", Verdict.INCONCLUSIVE: "inconclusive"}


@dataclass(frozen=True, kw_only=True)
class WatchedRecord:
    """One look. Times are seconds since 1970, 0 for none; `checks` are the decision's: name, verdict, reason."""

    model: str
    environment: str
    version: int
    verdict: Verdict
    action: str
    said: str
    checks: Sequence[Mapping[str, str]]
    points: Sequence[Point]
    since: float
    until: float
    availability: float
    latency_p99_seconds: float


def write_watched_report(folder: Path, record: WatchedRecord) -> Path:
    """Write it; returns the path of report.html, which is written last.

    Raises:
        OutsideFailed: a file cannot be written.
    """
    figures = _figures(record)
    files = {f"report/{figure.name}": figure.svg for figure in figures}
    files |= {
        "report.css": template_bytes("report/report.css"),
        "report.html": _page(record, figures).encode(),
    }
    try:
        return [replace_file(folder / name, content) for name, content in files.items()][-1]
    except OSError as e:
        why = e.strerror or str(e)
        raise OutsideFailed("the report cannot be written", where=str(e.filename or folder), why=why) from e


def _figures(record: WatchedRecord) -> tuple[Figure, ...]:
    if not record.points:
        return ()
    decided = record.points[-1].at if record.action in {"rollback", "freeze", "alert"} else 0.0
    allowed = 1.0 - record.availability
    return (
        error_share(record.points, allowed, record.since, decided),
        latency(record.points, record.latency_p99_seconds, record.since, decided),
    )


def _page(record: WatchedRecord, figures: Sequence[Figure]) -> str:
    name = f"{record.model} {record.version}"
    verdict = tag("span", WORDS[record.verdict], class_=f"verdict {_CLASSES[record.verdict]}")
    header = block(
        "header",
        block(
            "div",
            tag("p", f"Monitor of {record.environment}", class_="kind"),
            tag("h1", clean(name), " ", verdict),
            tag("p", clean(record.said), class_="reason"),
            class_="head-inner",
        ),
    )
    sections = [_section("Checks", _checks(record)), *_images(figures), _section("When", _times(record))]
    footer = tag(
        "footer", "Written by mmcicd-jenkins. A bucket of the server's histogram is as exact as p99 is."
    )
    return document(f"{clean(name)}: {WORDS[record.verdict]}", header, block("main", *sections), footer)


def _section(title: str, *parts: ET.Element) -> ET.Element:
    return block("section", tag("h2", title), *parts)


def _checks(record: WatchedRecord) -> ET.Element:
    rows = [_check(check) for check in record.checks]
    head = tag(
        "thead", tag("tr", *(tag("th", word, scope="col") for word in ("Verdict", "Check", "In words")))
    )
    return block("div", block("table", head, block("tbody", *rows)), class_="scroll")


def _check(check: Mapping[str, str]) -> ET.Element:
    verdict = Verdict(check["verdict"])
    word = tag("span", WORDS[verdict], class_=f"verdict {_CLASSES[verdict]}")
    name = tag("th", check["name"], scope="row")
    return tag("tr", tag("td", word), name, tag("td", clean(check["reason"]), class_="words"))


def _images(figures: Sequence[Figure]) -> tuple[ET.Element, ...]:
    if not figures:
        return ()
    shown = [
        tag(
            "figure",
            tag("img", src=f"report/{one.name}", alt=one.alt, width=str(one.width), height=str(one.height)),
            class_="wide",
        )
        for one in figures
    ]
    return (_section("Watched time", block("div", *shown, class_="figures")),)


def _times(record: WatchedRecord) -> ET.Element:
    facts = [("action", record.action)]
    if record.since:
        facts.append(("serves since", _told(record.since)))
    if record.until:
        facts.append(("watched until", _told(record.until)))
    return block("dl", *(part for label, text in facts for part in (tag("dt", label), tag("dd", text))))


def _told(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")

"""Writes the reports of one evaluation: report.html with report.css and its images, report.md, gates.xml.

Made for Jenkins' default Content-Security-Policy: no inline style, no script, no `data:` image. Files
are replaced one by one, the page last, so that a page never shows images that are not there.
"""

import os
from pathlib import Path

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.ports import EvaluationRecord
from mmcicd_jenkins.release.measures import Measures
from mmcicd_jenkins.render.files import template_bytes
from mmcicd_jenkins.reports.hypertext import to_html
from mmcicd_jenkins.reports.junit import gates_xml
from mmcicd_jenkins.reports.markdown import to_markdown
from mmcicd_jenkins.reports.metrics_file import read_metrics_file
from mmcicd_jenkins.reports.page import make_page

IMAGES = "report"


class ReportFiles:
    """`ports.Reports`."""

    def write(self, directory: Path, record: EvaluationRecord) -> Path:
        return write_report(directory, record)[-1]

    def read_metrics(self, path: Path) -> Measures:
        return read_metrics_file(path)


def write_report(directory: Path, record: EvaluationRecord) -> tuple[Path, ...]:
    """Write all of it; returns the paths, `report.html` last. The same record gives the same bytes.

    Raises:
        OutsideFailed: a file cannot be written.
    """
    page = make_page(record)
    files = {f"{IMAGES}/{figure.name}": figure.svg for figure in page.images}
    files |= {
        "report.css": template_bytes("report/report.css"),
        "report.md": to_markdown(page).encode(),
        "gates.xml": gates_xml(record.model, record.gates, record.baseline),
        "report.html": to_html(page).encode(),
    }
    try:
        written = tuple(replace_file(directory / name, content) for name, content in files.items())
        for stale in set((directory / IMAGES).glob("*.svg")) - set(written):
            stale.unlink(missing_ok=True)
        _sweep(directory)
        _sweep(directory / IMAGES)
    except OSError as e:
        why = e.strerror or str(e)
        raise OutsideFailed(
            "the report cannot be written", where=str(e.filename or directory), why=why
        ) from e
    return written


def _sweep(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for part in folder.glob(".*.part"):
        process = part.name.rsplit(".", 2)[1]
        if process.isdecimal() and not _is_running(int(process)):
            part.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def replace_file(path: Path, content: bytes) -> Path:
    """Whole or not at all when we die. A machine that dies may keep less; each evaluation writes all of it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)
    return path

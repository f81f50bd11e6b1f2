"""Rows of `status` on a screen: what fits stands in columns, what does not stands below its row. Pure.

A log has no width: there every row is one line, as it is read by search.
"""

import textwrap
from collections.abc import Sequence

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.status_lines import Line
from mmcicd_jenkins.cli.telling import moment

_HEAD = ("MODEL", "ENVIRONMENT", "VERSION", "STATE", "SINCE", "WHY")
# Columns that go below their row when the screen is too narrow, the least missed first.
_BELOW = ((), ("WHY",), ("WHY", "STATE"), ("WHY", "STATE", "SINCE"))


def table(lines: Sequence[Line], columns: int | None) -> str:
    """The rows with their head; `columns` is the width of the screen, None in a log."""
    rows = [_cells(line) for line in lines]
    for below in _BELOW:
        head = [name for name in _HEAD if name not in below]
        made = report.aligned([[row[name] for name in head] for row in rows], head=head)
        if columns is None or all(len(text) <= columns for text in made):
            break
    told = made[:1]
    for line, row in zip(made[1:], rows, strict=True):
        told.append(line)
        told += [
            _wrapped(f"  {name.lower()}: ", row[name], columns or 80) for name in reversed(below) if row[name]
        ]
    return "\n".join(told)


def _cells(line: Line) -> dict[str, str]:
    version = "-" if line.recorded is None else str(line.recorded)
    cells = (line.model, line.environment, version, line.state, moment(line.since), line.why)
    return {name: " ".join(report.plain(cell).split()) for name, cell in zip(_HEAD, cells, strict=True)}


def _wrapped(label: str, text: str, columns: int) -> str:
    return textwrap.fill(
        label + text, max(40, columns), subsequent_indent=" " * len(label), break_on_hyphens=False
    )

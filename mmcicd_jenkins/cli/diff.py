"""`diff MODEL@V1 MODEL@V2`: numbers, data, parameters and code of two releases side by side."""

import re
from pathlib import Path

import click

from mmcicd_jenkins.cli import completing, report
from mmcicd_jenkins.cli.naming import named_release
from mmcicd_jenkins.cli.options import json_option, shared_option
from mmcicd_jenkins.wiring import open_bench


@click.command(
    epilog="Example: mmcicd-jenkins diff churn@1 churn@2",
    help="Two releases side by side: metrics with their difference, data, parameters, commits.",
)
@click.argument("first", metavar="MODEL@V1", shell_complete=completing.releases)
@click.argument("second", metavar="MODEL@V2", shell_complete=completing.releases)
@shared_option
@json_option
def command(first: str, second: str, shared: bool, as_json: bool) -> int:
    from mmcicd_jenkins.reports.diff import compare

    bench = open_bench(Path.cwd(), report.Lines(), shared=shared)
    one, other = named_release(first, bench), named_release(second, bench)
    rows = compare(one, other)
    if as_json:
        report.emit({"first": first, "second": second, "rows": [list(row) for row in rows]})
        return 0
    report.out(
        report.table([tuple(map(_shown, row)) for row in rows], head=("", first, second, "DIFFERENCE"))
    )
    return 0


def _shown(cell: object) -> str:
    """Digests and commits by their beginning; `--json` has them whole."""
    return re.sub(r"\b(sha256:)?([0-9a-f]{12})[0-9a-f]{28,52}\b", r"\1\2", str(cell))

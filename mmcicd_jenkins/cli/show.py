"""`show MODEL@VERSION`: one release in full, and where it serves."""

from collections.abc import Mapping
from pathlib import Path

import click

from mmcicd_jenkins.cli import completing, report
from mmcicd_jenkins.cli.naming import named_release
from mmcicd_jenkins.cli.options import json_option, shared_option
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.runs import short
from mmcicd_jenkins.wiring import open_bench


@click.command(
    epilog="Example: mmcicd-jenkins show churn@2",
    help="One release in full: commit, data, parameters, numbers, gates, digests, and where it serves.",
)
@click.argument("release", metavar="MODEL@VERSION", shell_complete=completing.releases)
@shared_option
@json_option
def command(release: str, shared: bool, as_json: bool) -> int:
    bench = open_bench(Path.cwd(), report.Lines(), shared=shared)
    found = named_release(release, bench)
    snapshot = bench.ledger.snapshot(found.model)
    serves = [name for name, pointer in snapshot.pointers.items() if pointer.serving == found.version]
    revoked = snapshot.head.revoked.get(str(found.version), "")
    if as_json:
        report.emit({"release": to_document(found), "serves_in": serves, "revoked": revoked})
        return 0
    report.out(f"{found.model}@{found.version}" + (f", serving in {' and '.join(serves)}" if serves else ""))
    if revoked:
        report.out(f"revoked: {revoked}")
    report.out(report.table([(f"  {label}", text) for label, text in _facts(found) if text]))
    gates = [
        (f"  {o.verdict if o.counts else 'not counted'}", o.rule, o.slice or "everything", o.reason)
        for o in found.gates.outcomes
    ]
    report.out(report.table(gates, head=("  GATE", "RULE", "WHERE", "WHY")))
    return 0


def _facts(release: Release) -> list[tuple[str, str]]:
    return [
        ("commit", f"{release.commit} {release.branch}".strip()),
        ("author", release.author),
        ("run", short(release.run_id)),
        *((f"data {source}", digest) for source, digest in release.data.items()),
        ("parameters", ", ".join(f"{k}={v}" for k, v in release.parameters.items())),
        ("metrics", ", ".join(f"{k} {v:.4g}" for k, v in release.metrics.items() if v is not None)),
        ("model", f"{release.model_digest}, {release.model_size:,} bytes"),
        ("image", release.image_digest),
        ("stands on", _base(release.stands_on)),
        *(("verified with", f"{base} {digest[:19]}") for base, digest in release.verified_with.items()),
        *((f"{kind} statement", digest) for kind, digest in release.attestations.items()),
        ("built by", release.builder),
        ("created", release.created),
    ]


def _base(stands: Mapping[str, object]) -> str:
    platforms = stands.get("platforms")
    told = " ".join(map(str, platforms)) if isinstance(platforms, list) else ""
    return f"{stands.get('base')} {str(stands.get('digest'))[:19]}, {told}" if stands else ""

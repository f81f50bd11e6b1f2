"""A model's history as the steps that `release.proof` checks, a thousand commits at a time, and what they show."""

from collections.abc import Iterable, Iterator

from mmcicd_jenkins.adapters.git.objects import Objects
from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.release.proof import Step, Trust, prove

_BATCH = 1000


def steps(objects: Objects, head: str) -> Iterator[Step]:
    """Every commit up to `head`, oldest first, with the bytes of what it changed."""
    line = objects.line_of(head)
    for start in range(0, len(line), _BATCH):
        part = line[start : start + _BATCH]
        changes = objects.changes(part)
        oids = sorted({oid for files in changes for oid in files.values() if oid.strip("0")})
        blobs = {oid: f.data for oid, f in zip(oids, objects.read(oids), strict=True) if f is not None}
        for (commit, _), files in zip(part, changes, strict=True):
            yield Step(commit=commit, files={path: blobs.get(oid) for path, oid in files.items()})


def altered(model: str, history: Iterable[Step]) -> IntegrityFailed:
    """Something was written beside the newest event: which file, by whichever commit was the first to do so."""
    anyone = Trust(check=lambda *_: "laptop", zone="laptop", required=False)
    found = next(iter(prove(model, history, anyone).breaks), None)
    return IntegrityFailed(
        "the ledger was changed by something else than mmcicd-jenkins",
        where=f"{model} {found.place}" if found else model,
        why=f"{found.what} (commit {found.commit[:8]})"
        if found
        else "its files are not what its events wrote",
        fix="mmcicd-jenkins ledger verify shows every break; restore the branch from a copy",
    )

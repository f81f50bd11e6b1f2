"""A model's history as the steps that `release.proof` checks, a thousand commits at a time."""

from collections.abc import Iterator

from mmcicd_jenkins.adapters.git_objects import Objects
from mmcicd_jenkins.release.proof import Step

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

"""Which version a run has: one for each base that its image was released on.

The first is found by the run itself. When the lock moves to another base, the same trained model becomes a version of
its own, without a training: a security fix of the base reaches production as any other release does.
"""

from mmcicd_jenkins.release.canonical import digest_of
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.pins import pinned_base


def number_of(run_id: str, job: Job, ports: Ports) -> tuple[str, int | None]:
    """What the ledger counts this run by, and its number; None when it has none yet.

    Raises:
        InputError: the lock does not have the base.
    """
    model = job.model.name
    version = ports.ledger.version_of_run(model, run_id)
    base = pinned_base(job)[1]
    if version is None or not base:
        return run_id, version
    release = ports.ledger.release(model, version)
    if release is None or release.stands_on.get("digest") == base:
        return run_id, version
    key = digest_of({"run": run_id, "base": base})
    return key, ports.ledger.version_of_run(model, key)


def version_of(run_id: str, job: Job, ports: Ports) -> int | None:
    return number_of(run_id, job, ports)[1]

"""The release record of a verified image: written once, by the first environment that it is deployed to."""

from collections.abc import Mapping

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages.context import Job, Ports, timestamp
from mmcicd_jenkins.stages.evaluate import judge_run, overall, run_subject
from mmcicd_jenkins.stages.identity import identify
from mmcicd_jenkins.stages.numbering import version_of
from mmcicd_jenkins.stages.package import ensure_image, refuse_unless_passed
from mmcicd_jenkins.stages.verify import find_verified, with_outcomes


def find_release(job: Job, ports: Ports) -> Release | None:
    """The release of this checkout's run, None when it has none yet."""
    version = version_of(identify(job, ports).run_id, job, ports)
    return None if version is None else ports.ledger.release(job.model.name, version)


def draft_release(job: Job, ports: Ports) -> Release:
    """The record of this checkout's run, from what the earlier stages stored.

    Raises:
        InputError: the image was not verified, or not by the gates of today.
        GateRefused, Inconclusive: it no longer passes its gates.
    """
    identity = identify(job, ports)
    run = identity.trained(job.model.name)
    judged = judge_run(job, ports, run)
    # The champion or the gates may have changed since verify.
    refuse_unless_passed(job, judged)
    packaged = ensure_image(identity.run_id, job, ports)
    verified = find_verified(packaged, run, job, ports)
    if verified is None or verified.verdict is not Verdict.PASSED:
        raise InputError(
            f"version {packaged.version} of {job.model.name} has not passed verify",
            fix=f"mmcicd-jenkins stage verify --model {job.model.name}",
        )
    document = run.document
    parameters = document["parameters"]
    return Release(
        model=job.model.name,
        version=packaged.version,
        run_id=identity.run_id,
        commit=str(document["commit"]),
        branch=str(document["branch"]),
        author=str(document["author"]),
        data=dict(identity.data),
        parameters=parameters if isinstance(parameters, Mapping) else {},
        metrics=overall(judged.scored.measures),
        gates=with_outcomes(judged.gates, verified),
        model_digest=str(document["model_digest"]),
        model_size=int(str(document["model_size"])),
        layers=tuple(layer.to_json() for layer in run_subject(run).layers),
        image_digest=packaged.digest,
        evaluation=judged.evaluation,
        manifest_digest="",
        builder=job.builder,
        created=timestamp(ports.clock),
        reference=judged.scored.reference,
        warmup=packaged.warmup.to_json() if packaged.warmup else {},
        stands_on=packaged.stands_on,
        verified_with={one.base: one.digest for one in verified.tried},
    )

"""A model is a program: before it is kept, run or released, its operations are looked at without running it.

The side that trains does it to say early what is wrong; the side that releases does it again, on the bytes that it
releases, before they are loaded for the first time there.
"""

from pathlib import Path

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.operations import Concern
from mmcicd_jenkins.stages.context import Job, Ports

_SHOWN = 3


def refuse_unsafe(model: Path, job: Job, ports: Ports) -> None:
    """Nothing happens when the model only computes.

    Raises:
        InputError: it holds an operation or a file that does not belong into a server; nothing was stored or run.
    """
    concerns = ports.saved_models.concerns(model, job.model.serving.allow_ops)
    if concerns:
        raise _refused(concerns, job)


def _refused(concerns: tuple[Concern, ...], job: Job) -> InputError:
    others = len(concerns) - 1
    more = f" ({others} more of its kind below)" if others else ""
    operations = sorted({concern.operation for concern in concerns if concern.operation})
    allow = f"; to serve it as it is: models.{job.model.name}.serving.allow_ops: [{', '.join(operations)}]"
    told = [f"{c.what.removeprefix('the model holds ')}, {c.where}: {c.why}" for c in concerns[:_SHOWN]]
    left = len(concerns) - _SHOWN
    return InputError(
        f"{concerns[0].what}, which does not belong into a server{more}",
        where=f"{job.config.mark(f'models.{job.model.name}.serving')} {concerns[0].where}",
        why="; ".join(told) + (f"; and {left} more" if left > 0 else ""),
        fix=_fix(concerns) + (allow if operations else ""),
    )


def _fix(concerns: tuple[Concern, ...]) -> str:
    if concerns[0].operation:
        return "export a function without it (docs/howto/supply-chain.md says what takes its place)"
    return "write it elsewhere than into MMCICD_MODEL_DIR, or export the model again"

"""The team's own check of a canary: a command whose exit status is one of the four outcomes.

It is told by variables what it is about; its output goes to a log, and its last line is the reason.
"""

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import GateRefused, Inconclusive, OutsideFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canary import Check, Outcome
from mmcicd_jenkins.stages.context import Job, Ports, how_it_ended

# A look at a dashboard's numbers takes seconds; whoever needs longer makes the step longer.
TIMEOUT_SECONDS = 300.0
OUTCOMES = {
    0: Outcome.PASSED,
    GateRefused.exit_code: Outcome.FAILED,
    Inconclusive.exit_code: Outcome.INCONCLUSIVE,
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command is asked about. `share` is the canary's; `since` is when the step began."""

    version: int
    stable: int
    share: float
    step: int
    since: str


def ask(command: str, asked: Asked, place: Environment, job: Job, ports: Ports) -> Check:
    """What the command says.

    Raises:
        Terminated, Interrupted: we were told to stop.
    """
    log = job.workspace.root / "canary" / place.name / f"{job.model.name}.log"
    try:
        finished = ports.commands.run(
            command,
            directory=job.root,
            variables=_variables(asked, place, job),
            log=log,
            timeout_seconds=TIMEOUT_SECONDS,
        )
    except OutsideFailed as e:
        return Check(rule=command, outcome=Outcome.ERROR, reason=f"{command}: {e.what}")
    outcome = Outcome.ERROR if finished.timed_out else OUTCOMES.get(finished.status, Outcome.ERROR)
    said = finished.last_lines[-1] if finished.last_lines else ""
    if outcome is Outcome.ERROR:
        reason = f"{how_it_ended(command, finished)}" + (f": {said}" if said else "")
    else:
        reason = f"{command}: {said or outcome}"
    return Check(rule=command, outcome=outcome, reason=reason)


def _variables(asked: Asked, place: Environment, job: Job) -> dict[str, str]:
    return {
        "MMCICD_MODEL": job.model.name,
        "MMCICD_ENVIRONMENT": place.name,
        "MMCICD_NAMESPACE": place.namespace,
        "MMCICD_VERSION": str(asked.version),
        "MMCICD_STABLE_VERSION": str(asked.stable),
        "MMCICD_CANARY_SHARE": f"{asked.share:.4f}",
        "MMCICD_CANARY_STEP": str(asked.step),
        "MMCICD_CANARY_SINCE": asked.since,
    }

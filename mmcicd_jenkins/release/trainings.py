"""What a Job's pods say about a training: where it is, and why it does not come or ended. Pure: no clock, no cluster."""

from collections.abc import Iterable

from mmcicd_jenkins.records import dataclass

_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_CANNOT_START = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
OUT_OF_MEMORY = "OOMKilled"


@dataclass(frozen=True, kw_only=True)
class Pod:
    """One pod of a training. `waiting` is why its container does not run, `refused` why no node takes it; `exit_code` is
    None until its container ended, and `ended` how.
    """

    name: str
    made: str = ""
    phase: str = "Pending"
    running: bool = False
    waiting: str = ""
    message: str = ""
    refused: str = ""
    exit_code: int | None = None
    ended: str = ""
    evicted: str = ""


@dataclass(frozen=True, kw_only=True)
class State:
    """Where it is, in words for a person; `halted` says that it cannot start as it is, and what would let it."""

    words: str
    started: bool = False
    halted: str = ""
    fix: str = ""


def newest(pods: Iterable[Pod]) -> Pod | None:
    return max(pods, key=lambda pod: (pod.made, pod.name), default=None)


def state_of(pod: Pod | None, refused: str) -> State:
    """What the newest pod says; `refused` is why the cluster makes none."""
    if pod is None:
        if refused:
            return State(words="the cluster makes no pod", halted=refused, fix=_fix_of_refusal(refused))
        return State(words="waits for its pod")
    if pod.running or pod.exit_code is not None:
        return State(words="runs", started=True)
    if pod.refused:
        return State(
            words=f"waits for a node: {pod.refused}",
            halted=f"no node takes it: {pod.refused}",
            fix="ask for less (train.gpus, train.job.cpu, memory), or correct node_selector and tolerations",
        )
    said = f"{pod.waiting}: {pod.message}" if pod.message else pod.waiting
    if pod.waiting in _PULLING:
        return State(
            words=f"waits for its image: {said}",
            halted=f"its image cannot be pulled: {said}",
            fix="is train.image in a registry that the nodes reach, and train.job.pull_secrets right",
        )
    if pod.waiting in _CANNOT_START:
        return State(
            words=f"its container cannot be made: {said}",
            halted=f"its container cannot be made: {said}",
            fix="are train.job.secrets and checkpoints in this namespace: kubectl describe pod " + pod.name,
        )
    return State(words=f"starts{f' ({pod.waiting})' if pod.waiting else ''}")


def _fix_of_refusal(refused: str) -> str:
    if "exceeded quota" in refused:
        return "kubectl describe quota; ask for less, or have it raised"
    return "correct what the cluster names; kubectl get events tells more"


def why_it_ended(pod: Pod | None, reason: str, message: str) -> tuple[str, str, str]:
    """Whose fault it was (`command`, `time`, `memory`, `cluster`), why, and what to do."""
    if reason == "DeadlineExceeded":
        return "time", message or "it took longer than train.timeout", "raise train.timeout"
    if pod is not None and pod.ended == OUT_OF_MEMORY:
        return "memory", "the pod ran out of memory", "raise train.job.memory"
    if pod is not None and pod.exit_code:
        why = f"the stage in pod {pod.name} exited {pod.exit_code}"
        return "command", why, "read its log above; the same command again resumes from the last checkpoint"
    said = (pod.evicted if pod else "") or message or reason or "the Job failed"
    return "cluster", said, "the same command again; its checkpoint, if it has one, is kept"

"""Wait until a Deployment serves a version alone, or say why it does not come.

The judgement is `release.rollout`'s; this looks, sleeps for moments only (a signal ends any of them), tells what
changed and gives up: when nothing moves, when the cluster is silent, when a newer decision stands.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping

from mmcicd_jenkins.adapters.kubernetes import annotations, looking
from mmcicd_jenkins.adapters.kubernetes.annotations import Document, Fence
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.errors import one_line
from mmcicd_jenkins.adapters.kubernetes.fenced import superseded
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports import Progress
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.rollout import Judgement, Limits, Look, Trouble, judge, moved

POLL_SECONDS = 0.4
# An API server that is updated is away for a minute; nobody learns anything from a longer silence.
SILENCE_SECONDS = 90.0
_LOG_LINES = 20
_TOLD_LINES = 5


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What must come true of the Deployment `name`: the copies of `role` all run `version`, under our fence. People read
    `called` where they know the role by another word.
    """

    model: str
    role: str
    name: str
    version: int
    fence: Fence
    called: str = ""


class Waiting:
    """Waits in one namespace."""

    def __init__(self, api: Api, progress: Progress, limits: Limits) -> None:
        self._api = api
        self._progress = progress
        self._limits = limits

    @classmethod
    def of(cls, environment: Environment, api: Api, progress: Progress, limits: Limits | None) -> "Waiting":
        """With the environment's own patience unless another is given."""
        return cls(api, progress, limits or Limits(stall_seconds=environment.progress_timeout_seconds))

    def until_alone(self, wanted: Wanted) -> None:
        """Until the version serves alone.

        Raises:
            Superseded: a newer decision stands.
            OutsideFailed, IntegrityFailed: it does not come; says why.
        """
        clock = _Clock()
        while True:
            look = self._look(wanted, clock)
            if look is not None:
                # What moved while nobody could look counts before the time that it took does.
                clock.progressed(moved(wanted.version, look))
                look = dataclasses.replace(look, stalled_seconds=clock.stalled())
                judgement = judge(wanted.version, look, self._limits)
                self._tell(judgement, clock)
                if judgement.state == "done":
                    return
                if judgement.trouble is not None:
                    raise self._error(wanted, judgement.trouble)
            failpoint("kubernetes.waiting")
            time.sleep(POLL_SECONDS)

    def until_none(self, model: str, track: str = "") -> None:
        """Until no copy takes requests any more; with `track` none of that role.

        Raises:
            OutsideFailed: they do not end.
        """
        selector = {annotations.NAME: model} | ({annotations.TRACK: track} if track else {})
        end = time.monotonic() + self._limits.stall_seconds
        while time.monotonic() < end:
            copies = [looking.copy(pod) for pod in self._api.list("Pod", selector)]
            if all(copy.leaving or copy.gone for copy in copies):
                return
            time.sleep(POLL_SECONDS)
        raise OutsideFailed(
            f"copies of {model} do not end",
            where=f"namespace {self._api.namespace} of {self._api.server}",
            fix=f"kubectl get pods -n {self._api.namespace} -l {annotations.NAME}={model}",
        )

    def _look(self, wanted: Wanted, clock: "_Clock") -> Look | None:
        """None while the cluster is silent."""
        try:
            deployment = self._api.get("Deployment", wanted.name)
            pods = self._api.list("Pod", _selector(wanted))
        except OutsideFailed as e:
            if not e.retryable or clock.silence() > SILENCE_SECONDS:
                raise
            return None
        clock.heard()
        if deployment is None:
            raise OutsideFailed(
                f"deployment/{wanted.name} was deleted meanwhile",
                where=f"namespace {self._api.namespace} of {self._api.server}",
                fix="the same command again makes it anew when nothing newer stands",
            )
        _require_ours(deployment, wanted)
        return looking.look(wanted.called or wanted.role, deployment, pods)

    def _tell(self, judgement: Judgement, clock: "_Clock") -> None:
        if judgement.line != clock.told:
            clock.told = judgement.line
            self._progress.line(judgement.line)

    def _error(self, wanted: Wanted, trouble: Trouble) -> MmcicdError:
        kind: Callable[..., MmcicdError] = IntegrityFailed if trouble.integrity else OutsideFailed
        thing = f"pod/{trouble.copy}" if trouble.copy else f"deployment/{wanted.name}"
        said = self._last_words(trouble)
        return kind(
            f"{wanted.called or wanted.role}: {trouble.what}",
            where=f"{thing} in namespace {self._api.namespace} of {self._api.server}",
            why="; ".join(filter(None, [one_line(trouble.why), said])),
            fix=trouble.fix,
        )

    def _last_words(self, trouble: Trouble) -> str:
        """What the pod itself and its node said last; the error stands without it."""
        if not trouble.copy or not trouble.logs:
            return ""
        said = []
        with contextlib.suppress(MmcicdError):
            text = self._api.logs(trouble.copy, previous=True, lines=_LOG_LINES, container=trouble.container)
            text = text or self._api.logs(trouble.copy, lines=_LOG_LINES, container=trouble.container)
            lines = [one_line(line) for line in text.splitlines() if line.strip()]
            said += [f"its last lines: {' | '.join(lines[-_TOLD_LINES:])}"] if lines else []
        with contextlib.suppress(MmcicdError):
            warned = [one for one in self._api.events(trouble.copy) if one.get("type") == "Warning"]
            said += [f"its node: {one_line(str(warned[-1].get('message', '')))}"] if warned else []
        return "; ".join(said)


class _Clock:
    """For how long nothing moved, and for how long nobody answered."""

    def __init__(self) -> None:
        self.told = ""
        self._best: tuple[int, ...] = ()
        self._moved = self._heard = time.monotonic()

    def heard(self) -> None:
        self._heard = time.monotonic()

    def silence(self) -> float:
        return time.monotonic() - self._heard

    def stalled(self) -> float:
        return time.monotonic() - self._moved

    def progressed(self, numbers: tuple[int, ...]) -> None:
        """The best of each number counts, so that copies that come and go are no progress."""
        best = tuple(map(max, numbers, self._best)) if self._best else numbers
        if best != self._best:
            self._best, self._moved = best, time.monotonic()


def _selector(wanted: Wanted) -> Mapping[str, str]:
    return {annotations.NAME: wanted.model, annotations.TRACK: wanted.role}


def _require_ours(deployment: Document, wanted: Wanted) -> None:
    fence = annotations.fence_of(deployment)
    if fence != wanted.fence:
        raise superseded(deployment, fence, wanted.fence)
    told = annotations.version_told(deployment)
    if told != wanted.version:
        raise OutsideFailed(
            f"version {wanted.version} was taken away again while it came",
            where=annotations.resource(deployment),
            why=f"another run of the same command has put {told or 'nothing'} there",
            fix="mmcicd-jenkins status",
        )

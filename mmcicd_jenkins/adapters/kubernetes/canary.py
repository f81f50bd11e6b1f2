"""The copies of a canary: `ports.rollout.CanaryTarget` on one namespace.

The law: the fence goes on the stable Deployment first, by annotations alone, so that nothing rolls; the canary is born
without copies and gets them only when the fence still stands. So whoever takes a canary back has taken it back for good,
and an older process can bring nothing again. Nothing else of the stable copies, and no autoscaler, is touched.
"""

from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations, looking
from mmcicd_jenkins.adapters.kubernetes.annotations import Carried, Document, Fence, Standing
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.fenced import Fenced, superseded
from mmcicd_jenkins.adapters.kubernetes.parts import track_led_to
from mmcicd_jenkins.adapters.kubernetes.switching import CANARY, STABLE, Switching
from mmcicd_jenkins.adapters.kubernetes.waiting import Waiting, Wanted
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import OutsideFailed, Superseded
from mmcicd_jenkins.ports import Progress, Switch
from mmcicd_jenkins.ports.rollout import CanaryState
from mmcicd_jenkins.release.canary_notes import Notes, from_text, to_text
from mmcicd_jenkins.release.rollout import Copy, Limits
from mmcicd_jenkins.release.tracks import as_track

NOTES = "mmcicd.io/canary"


class KubernetesCanary:
    """Implements `ports.rollout.CanaryTarget`."""

    def __init__(
        self, environment: Environment, api: Api, progress: Progress, *, limits: Limits | None = None
    ) -> None:
        self._api = api
        self._waiting = Waiting.of(environment, api, progress, limits)

    def state(self, model: str) -> CanaryState | None:
        live = self._api.get("Deployment", _name(model, CANARY))
        if live is None:
            return None
        annotations.refuse_foreign(live)
        fence = annotations.fence_of(live)
        copies = self._ready(model, CANARY)
        told = annotations.read(live).told
        return CanaryState(
            version=told.version if told else 0,
            epoch=fence.epoch,
            op_id=fence.op_id,
            copies=live["spec"].get("replicas", 1),
            ready=len(copies),
            stable_ready=len(self._ready(model, STABLE)),
            restarts=sum(_deaths(copy) for copy in self._copies(model, CANARY)),
            notes=_notes(live),
        )

    def advance(self, order: Switch, step: int, copies: int) -> CanaryState:
        fence = Fence(epoch=order.epoch, op_id=order.op_id)
        writes = Fenced(self._api, fence)
        if writes.claim("Deployment", _name(order.model, STABLE)) is None:
            raise OutsideFailed(
                f"nothing stable of {order.model} is there, so that a canary would be all that serves",
                where=f"namespace {self._api.namespace} of {self._api.server}",
                fix="mmcicd-jenkins serve puts back what the ledger says",
            )
        self._require_one_service(order.model)
        name = _name(order.model, CANARY)
        live = self._api.get("Deployment", name)
        kept = _notes(live) if live is not None and annotations.fence_of(live) == fence else Notes(step=step)
        kept = kept if kept.step == step else Notes(step=step)
        writes.bring(_document(order, fence, copies, kept), lambda: self._require_claimed(order.model, fence))
        wanted = Wanted(model=order.model, role=CANARY, name=name, version=order.version, fence=fence)
        self._waiting.until_alone(wanted)
        state = self.state(order.model)
        if state is None or (state.epoch, state.op_id) != (order.epoch, order.op_id):
            raise _taken_away(order.model)
        return state

    def note(self, order: Switch, notes: Notes) -> None:
        fence = Fence(epoch=order.epoch, op_id=order.op_id)
        text = to_text(notes)

        def decide(live: Document) -> Document | None:
            if annotations.fence_of(live) != fence:
                raise superseded(live, annotations.fence_of(live), fence)
            return {"metadata": {"annotations": {NOTES: text}}}

        if Fenced(self._api, fence).change("Deployment", _name(order.model, CANARY), decide) is None:
            raise _taken_away(order.model)

    def remove(self, model: str, epoch: int, op_id: str) -> None:
        fence = Fence(epoch=epoch, op_id=op_id)
        Fenced(self._api, fence).claim("Deployment", _name(model, STABLE))
        if self._api.get("Deployment", _name(model, CANARY)) is None:
            return
        if not self._ready(model, STABLE):
            raise OutsideFailed(
                f"the canary of {model} stays, because nothing else of it serves",
                where=f"deployment/{_name(model, CANARY)} in namespace {self._api.namespace} of {self._api.server}",
                fix="mmcicd-jenkins serve puts back what the ledger says, and then removes it",
            )
        Switching(self._api, self._waiting, model, fence).end(CANARY)

    def _require_one_service(self, model: str) -> None:
        """Where a Service leads to one colour alone, a canary would see nobody."""
        track = track_led_to(self._api.get("Service", model))
        if track:
            raise OutsideFailed(
                f"a canary of {model} would get no requests",
                where=f"service/{model} in namespace {self._api.namespace} of {self._api.server}",
                why=f"its Service leads to the {track} copies alone, as strategy blue-green left it",
                fix="promote once with `strategy: rolling`, which leads it to all copies; then with the canary",
            )

    def _require_claimed(self, model: str, fence: Fence) -> None:
        live = self._api.get("Deployment", _name(model, STABLE))
        standing = annotations.fence_of(live) if live is not None else Fence()
        if live is None or standing != fence:
            raise _taken_away(model) if live is None else superseded(live, standing, fence)

    def _copies(self, model: str, track: str) -> list[Copy]:
        pods = self._api.list("Pod", {annotations.NAME: model, annotations.TRACK: track})
        return [copy for pod in pods if not (copy := looking.copy(pod)).leaving]

    def _ready(self, model: str, track: str) -> list[Copy]:
        return [copy for copy in self._copies(model, track) if copy.ready]


def _deaths(copy: Copy) -> int:
    """How often its server ended, one that was not started again yet included. What a node threw out did not end itself."""
    return 0 if copy.gone else max(copy.restarts, int(bool(copy.ended)))


def _name(model: str, track: str) -> str:
    return f"{model}-{track}"


def _document(order: Switch, fence: Fence, copies: int, kept: Notes) -> dict[str, Any]:
    """It remembers what it was told to serve, as every Deployment of ours."""
    told = Carried(version=order.version, manifest=order.manifest, seal=order.seal)
    noted = annotations.noted(Standing(fence=fence, told=told))
    return annotations.fenced(
        as_track(order.manifest, CANARY, copies), fence, {**noted, NOTES: to_text(kept)}
    )


def _notes(live: Document) -> Notes:
    return from_text((live["metadata"].get("annotations") or {}).get(NOTES, ""))


def _taken_away(model: str) -> Superseded:
    return Superseded(
        f"the canary of {model} was taken back; nothing was changed",
        where=f"deployment/{_name(model, CANARY)}",
        why="another command has ended it",
        fix="mmcicd-jenkins status",
    )

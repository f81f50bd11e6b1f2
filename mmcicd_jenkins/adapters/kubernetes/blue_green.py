"""Two colours: the stable and the preview Deployment, of which the Service leads to one. To switch is one patch of it.

The law: a version comes into the colour that takes no requests, and the Service is led there when all its copies are
ready. The colour that served stays warm as long as it is the way back. The stable Deployment carries the memory of the
model and its fence, whichever colour serves.
"""

from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations, looking
from mmcicd_jenkins.adapters.kubernetes.annotations import Document, Fence, Standing
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.documents import contains
from mmcicd_jenkins.adapters.kubernetes.fenced import Fenced
from mmcicd_jenkins.adapters.kubernetes.parts import (
    AUTOSCALER,
    PREVIEW,
    STABLE,
    counting,
    deployment,
    leading_to,
    of_kind,
    require,
    sized,
    track_led_to,
)
from mmcicd_jenkins.adapters.kubernetes.waiting import Waiting, Wanted
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.release.rollout import is_done
from mmcicd_jenkins.release.tracks import as_track


class Colours:
    """Both colours of one model, under the fence of one order."""

    def __init__(self, api: Api, waiting: Waiting, writes: Fenced, model: str, fence: Fence) -> None:
        self._api = api
        self._waiting = waiting
        self._writes = writes
        self._model = model
        self._fence = fence

    def bring(self, standing: Standing) -> None:
        """Have the Service lead to a colour that has what `standing` tells."""
        target = self.prepare(standing)
        if self.serving() != target:
            self._lead(target)
        for document in require(standing.told).manifest:
            if document["kind"] != "Deployment":
                self._writes.write(self._placed(document, target, other(target)))

    def prepare(self, standing: Standing) -> str:
        """Have a colour with what `standing` tells, all copies ready, and the preview Service leading there unless it
        serves. Returns the colour.
        """
        told = require(standing.told)
        self._writes.change(
            "Deployment", self._name(STABLE), lambda live: annotations.differing(live, standing)
        )
        serving = self.serving()
        target = self._colour_for(told.manifest, serving)
        if target == serving or not self._is_ready(target, serving, standing):
            freeze_autoscaler(self._writes, self._model, told.manifest)
            for document in told.manifest:
                if document["kind"] == "Deployment":
                    self._write_copies(target, serving, standing)
                elif document["kind"] != AUTOSCALER:
                    self._writes.write(self._placed(document, serving or target, target))
            self._wait(target, serving, told.version)
        return target

    def is_warm(self, standing: Standing) -> bool:
        """Whether nothing but a patch of the Service is missing."""
        told, serving = require(standing.told), self.serving()
        target = self._colour_for(told.manifest, serving)
        return target != serving and self._is_ready(target, serving, standing)

    def leave(self, standing: Standing) -> bool:
        """End two colours, as what is told wants none: its version serves from the stable Deployment first."""
        serving = track_led_to(self._api.get("Service", self._model))
        if serving == PREVIEW:
            self._write_copies(STABLE, serving, standing)
            self._wait(STABLE, serving, require(standing.told).version)
            self._lead(STABLE)
        return bool(serving)

    def cool(self, way_back: int | None) -> None:
        """Let the colour that does not serve have no copies, unless it is the way back."""
        idle = other(self.serving() or STABLE)

        def decide(live: Document) -> Document | None:
            warm = way_back is not None and looking.version_of(live["spec"]["template"]) == way_back
            return None if warm else {"spec": {"replicas": 0}}

        # The fence goes there, too: what an older order still wants with this colour is over.
        self._writes.change("Deployment", self._name(idle), decide)

    def serving(self) -> str:
        """The colour that the Service leads to; "" without one."""
        service = self._api.get("Service", self._model)
        return (track_led_to(service) or STABLE) if service else ""

    def _colour_for(self, manifest: tuple[Document, ...], serving: str) -> str:
        """The one that serves when it is as wanted already, else the other one; at first the stable one."""
        if not serving or self._api.get("Deployment", self._name(STABLE)) is None:
            return STABLE
        return serving if self._has(serving, manifest) else other(serving)

    def _has(self, track: str, manifest: tuple[Document, ...]) -> bool:
        live = self._api.get("Deployment", self._name(track))
        wanted = as_track(manifest, track, 1)["spec"]["template"]
        return live is not None and contains(live["spec"]["template"], wanted)

    def _is_ready(self, track: str, serving: str, standing: Standing) -> bool:
        told = require(standing.told)
        live = self._api.get("Deployment", self._name(track))
        # On the way back speed counts: an autoscaler adds what it misses.
        wanted = self._copies(track, "" if standing.takes_back else serving, standing)["spec"]["replicas"]
        if live is None or live["spec"].get("replicas", 0) < wanted or not self._has(track, told.manifest):
            return False
        pods = self._api.list("Pod", {annotations.NAME: self._model, annotations.TRACK: track})
        return is_done(told.version, looking.look(track, live, pods))

    def _copies(self, track: str, serving: str, standing: Standing) -> Document:
        """The Deployment of a colour; where an autoscaler counts its copies, as many as serve now."""
        manifest = require(standing.told).manifest
        plain = deployment(manifest)
        document: Mapping[str, Any] = as_track(manifest, track, plain["spec"].get("replicas", 1))
        if "replicas" in plain["spec"]:
            return document
        rest = {key: value for key, value in document["spec"].items() if key != "replicas"}
        live = self._api.get("Deployment", self._name(serving)) if serving else None
        return sized({**document, "spec": rest}, live, of_kind(manifest, AUTOSCALER))

    def _write_copies(self, track: str, serving: str, standing: Standing) -> None:
        own = standing if track == STABLE else Standing(fence=self._fence, told=standing.told)
        wanted = annotations.fenced(
            self._copies(track, serving, standing), self._fence, annotations.noted(own)
        )
        if track == STABLE:
            self._writes.write(wanted)
        else:
            self._writes.bring(wanted, self._require_claimed)

    def _placed(self, document: Document, serving: str, idle: str) -> Document:
        """Services and an autoscaler for the colours as they are."""
        if document["kind"] == AUTOSCALER:
            return counting(document, self._name(serving))
        track = track_led_to(document)
        return leading_to(document, serving if track == STABLE else idle) if track else document

    def _lead(self, track: str) -> None:
        failpoint("kubernetes.before-lead")
        body = {"spec": {"selector": {annotations.TRACK: track}}}
        self._writes.change("Service", self._model, lambda _: body)
        failpoint("kubernetes.after-lead")

    def _wait(self, track: str, serving: str, version: int) -> None:
        role = STABLE if track == (serving or track) else PREVIEW
        wanted = Wanted(
            model=self._model,
            role=track,
            name=self._name(track),
            version=version,
            fence=self._fence,
            called=role,
        )
        self._waiting.until_alone(wanted)

    def _require_claimed(self) -> None:
        live = self._api.get("Deployment", self._name(STABLE))
        if live is not None:
            self._writes.require(live)

    def _name(self, track: str) -> str:
        return f"{self._model}-{track}"


def freeze_autoscaler(writes: Fenced, model: str, manifest: tuple[Document, ...]) -> None:
    """One that is wanted no more counts what is wanted and nothing else; to delete it is no right of ours."""
    if of_kind(manifest, AUTOSCALER) is None:
        count = deployment(manifest)["spec"].get("replicas", 1)
        body = {"spec": {"minReplicas": count, "maxReplicas": count}}
        writes.change(AUTOSCALER, model, lambda _: body)


def other(track: str) -> str:
    return STABLE if track == PREVIEW else PREVIEW

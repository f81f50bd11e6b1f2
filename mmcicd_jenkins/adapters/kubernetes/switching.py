"""Bring a version into a cluster and the former one back when it does not come: the steps, in their order.

The law: the fence goes on the Deployment before anything else changes; the Deployment names the version in the same
write that changes its copies; a canary goes when the stable copies have its version, or, on the way back, when a stable
copy serves. Whoever is killed in between leaves a state from which the same call goes on.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations, looking
from mmcicd_jenkins.adapters.kubernetes.annotations import Carried, Document, Fence, Standing
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.fenced import Fenced
from mmcicd_jenkins.adapters.kubernetes.waiting import Waiting, Wanted
from mmcicd_jenkins.errors import InputError, IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint

STABLE, CANARY = "stable", "canary"


class Switching:
    """The steps of one order about one model."""

    def __init__(self, api: Api, waiting: Waiting, model: str, fence: Fence) -> None:
        self._api = api
        self._waiting = waiting
        self._model = model
        self._fence = fence
        self._writes = Fenced(api, fence)
        self._name = f"{model}-{STABLE}"

    def serve(self, standing: Standing) -> None:
        """Have the cluster serve what `standing` tells, and remember it as `standing` says.

        Raises:
            Superseded: a newer decision stands.
            OutsideFailed, InputError, IntegrityFailed: it did not come; what served before serves on, or it says
                that it could not be put back.
        """
        told = _require(standing.told)
        self._writes.claim("Deployment", self._name)
        if standing.takes_back and self._serves():
            self.end(CANARY)
        try:
            self._write(told, standing)
            self._wait(told.version)
        except (OutsideFailed, InputError, IntegrityFailed) as e:
            self._restore(standing, e)
            raise
        self.end(CANARY)
        self._settle()

    def end(self, track: str) -> None:
        """Remove the copies of another role than stable."""
        if self._writes.remove("Deployment", f"{self._model}-{track}"):
            self._waiting.until_none(self._model, track)

    def empty(self) -> None:
        """Serve nothing. The Deployment stays without copies: it carries the fence that keeps older orders out."""
        self._clear()
        self._writes.claim("Service", self._model)
        self.end(CANARY)
        self._waiting.until_none(self._model)

    def _clear(self) -> None:
        body = {"metadata": {"annotations": dict.fromkeys(annotations.MEMORY)}, "spec": {"replicas": 0}}
        self._writes.change("Deployment", self._name, lambda _: body)
        self._waiting.until_none(self._model, STABLE)

    def _write(self, told: Carried, standing: Standing) -> None:
        autoscaler = _of_kind(told.manifest, "HorizontalPodAutoscaler")
        if autoscaler is None:
            self._freeze_autoscaler(told)
        for document in told.manifest:
            if document["kind"] == "Deployment":
                self._write_deployment(document, standing, autoscaler)
            else:
                self._writes.write(document)

    def _write_deployment(self, document: Document, standing: Standing, autoscaler: Document | None) -> None:
        noted = {key: text for key, text in annotations.notes(standing).items() if text is not None}
        wanted = annotations.fenced(document, self._fence, noted)
        self._writes.write(wanted, lambda live: _sized(wanted, live, autoscaler))

    def _freeze_autoscaler(self, told: Carried) -> None:
        """One that is wanted no more counts what is wanted and nothing else; to delete it is no right of ours."""
        count = _deployment(told.manifest)["spec"].get("replicas", 1)
        body = {"spec": {"minReplicas": count, "maxReplicas": count}}
        self._writes.change("HorizontalPodAutoscaler", self._model, lambda _: body)

    def _wait(self, version: int) -> None:
        wanted = Wanted(model=self._model, role=STABLE, name=self._name, version=version, fence=self._fence)
        self._waiting.until_alone(wanted)

    def _restore(self, standing: Standing, error: MmcicdError) -> None:
        """Tell again what served alone before.

        Raises:
            Superseded: a newer decision stands.
            OutsideFailed: it could not be put back.
        """
        failpoint("kubernetes.before-restore")
        before = annotations.undone(standing)
        if before == standing:
            return
        try:
            if before.told is None:
                self._clear()
                return
            self._write(before.told, before)
            self._wait(before.told.version)
            self._settle()
        except (OutsideFailed, InputError, IntegrityFailed) as e:
            raise OutsideFailed(
                f"{error.what}; what served before could not be put back: {e.what}",
                where=e.where,
                why="; ".join(filter(None, [error.why, e.why])),
                fix="mmcicd-jenkins serve puts back what the ledger says",
            ) from error

    def _settle(self) -> None:
        """Note that what is told serves alone."""

        def decide(live: Mapping[str, Any]) -> Mapping[str, Any] | None:
            before = annotations.read_or_fence(live)
            former = annotations.notes(before)
            after = annotations.notes(annotations.settled(before))
            noted = {key: text for key, text in after.items() if text != former[key]}
            return {"metadata": {"annotations": noted}} if noted else None

        self._writes.change("Deployment", self._name, decide)

    def _serves(self) -> bool:
        """Whether a stable copy takes requests."""
        selector = {annotations.NAME: self._model, annotations.TRACK: STABLE}
        copies = (looking.copy(pod) for pod in self._api.list("Pod", selector))
        return any(copy.ready and not copy.leaving for copy in copies)


def _sized(document: Document, live: Mapping[str, Any] | None, autoscaler: Document | None) -> Document:
    """Where an autoscaler counts the copies, as many as there are: to say nothing would leave one of them."""
    if "replicas" in document["spec"]:
        return document
    count = live["spec"].get("replicas", 1) if live else 0
    if autoscaler is not None:
        least, most = autoscaler["spec"].get("minReplicas", 1), autoscaler["spec"]["maxReplicas"]
        count = min(max(count, least), most)
    return {**document, "spec": {**document["spec"], "replicas": max(count, 1)}}


def _require(told: Carried | None) -> Carried:
    if told is None or not told.manifest:
        raise InputError(
            "a version has no documents for a cluster",
            why="it was decided before this environment was one of a cluster",
            fix="mmcicd-jenkins deploy or promote it again",
        )
    _deployment(told.manifest)
    return told


def _deployment(manifest: tuple[Document, ...]) -> Document:
    found = _of_kind(manifest, "Deployment")
    if found is None:
        raise InputError("a manifest has no Deployment", fix="mmcicd-jenkins render kubernetes shows it")
    return found


def _of_kind(manifest: tuple[Document, ...], kind: str) -> Document | None:
    found: Iterator[Document] = (document for document in manifest if document["kind"] == kind)
    return next(found, None)

"""Bring a version into a cluster and the former one back when it does not come: the steps, in their order.

The law: the fence goes on the Deployment before anything else changes; where copies are replaced one by one it names the
version in the same write; a canary goes when the stable copies have its version, or, on the way back, when a stable
copy serves. Whoever is killed in between leaves a state from which the same call goes on. Where there are two colours
the steps are `blue_green`'s; which way a version comes is said by its documents, so that a change of strategy is a step
like any other.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations, looking
from mmcicd_jenkins.adapters.kubernetes.annotations import Carried, Document, Fence, Standing
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.blue_green import Colours, freeze_autoscaler
from mmcicd_jenkins.adapters.kubernetes.fenced import Fenced
from mmcicd_jenkins.adapters.kubernetes.parts import (
    AUTOSCALER,
    CANARY,
    PREVIEW,
    STABLE,
    has_colours,
    of_kind,
    require,
    sized,
)
from mmcicd_jenkins.adapters.kubernetes.waiting import Waiting, Wanted
from mmcicd_jenkins.errors import InputError, IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint

__all__ = ["CANARY", "STABLE", "Switching"]


class Switching:
    """The steps of one order about one model."""

    def __init__(self, api: Api, waiting: Waiting, model: str, fence: Fence) -> None:
        self._api = api
        self._waiting = waiting
        self._model = model
        self._fence = fence
        self._writes = Fenced(api, fence)
        self._name = f"{model}-{STABLE}"
        self._colours = Colours(api, waiting, self._writes, model, fence)

    def serve(self, standing: Standing) -> None:
        """Have the cluster serve what `standing` tells, and remember it as `standing` says.

        Raises:
            Superseded: a newer decision stands.
            OutsideFailed, InputError, IntegrityFailed: it did not come; what served before serves on, or it says
                that it could not be put back.
        """
        if not has_colours(require(standing.told).manifest):
            self._writes.claim("Deployment", self._name)
            if standing.takes_back and self._serves():
                self.end(CANARY)
        with self._restored(standing):
            self._bring(standing)
        self._finish()

    def prepare(self, standing: Standing) -> str:
        """Have what `standing` tells ready in a colour, and lead nobody there. Returns the Service by which it answers.

        Raises:
            As `serve`.
        """
        require(standing.told)
        with self._restored(standing):
            target = self._colours.prepare(standing)
            return self._model if target == self._colours.serving() else f"{self._model}-{PREVIEW}"

    def is_warm(self, standing: Standing) -> bool:
        """Whether all copies of it are there and ready, and only requests do not come to them."""
        return has_colours(require(standing.told).manifest) and self._colours.is_warm(standing)

    def end(self, track: str) -> None:
        """Remove the copies of another role than stable."""
        if self._writes.remove("Deployment", f"{self._model}-{track}"):
            self._waiting.until_none(self._model, track)

    def empty(self) -> None:
        """Serve nothing. The Deployment stays without copies: it carries the fence that keeps older orders out."""
        self._clear()
        self._writes.claim("Service", self._model)
        self.end(CANARY)
        self.end(PREVIEW)
        self._waiting.until_none(self._model)

    def _clear(self) -> None:
        body = {"metadata": {"annotations": dict.fromkeys(annotations.MEMORY)}, "spec": {"replicas": 0}}
        self._writes.change("Deployment", self._name, lambda _: body)
        self._waiting.until_none(self._model, STABLE)

    def _bring(self, standing: Standing) -> None:
        told = require(standing.told)
        if has_colours(told.manifest):
            self._colours.bring(standing)
            return
        if self._colours.leave(standing):
            self.end(PREVIEW)
        self._write(told, standing)
        self._wait(told.version)

    def _write(self, told: Carried, standing: Standing) -> None:
        freeze_autoscaler(self._writes, self._model, told.manifest)
        for document in told.manifest:
            if document["kind"] == "Deployment":
                self._write_deployment(document, standing, of_kind(told.manifest, AUTOSCALER))
            else:
                self._writes.write(document)

    def _write_deployment(self, document: Document, standing: Standing, autoscaler: Document | None) -> None:
        wanted = annotations.fenced(document, self._fence, annotations.noted(standing))
        self._writes.write(wanted, lambda live: sized(wanted, live, autoscaler))

    def _wait(self, version: int) -> None:
        wanted = Wanted(model=self._model, role=STABLE, name=self._name, version=version, fence=self._fence)
        self._waiting.until_alone(wanted)

    @contextlib.contextmanager
    def _restored(self, standing: Standing) -> Iterator[None]:
        """Tell again what served alone before, when what is told does not come.

        Raises:
            Superseded: a newer decision stands.
            OutsideFailed: it could not be put back.
        """
        try:
            yield
        except (OutsideFailed, InputError, IntegrityFailed) as e:
            failpoint("kubernetes.before-restore")
            before = annotations.undone(standing)
            if before != standing:
                self._put_back(before, e)
            raise

    def _put_back(self, before: Standing, error: MmcicdError) -> None:
        try:
            if before.told is None:
                self._clear()
                return
            self._bring(before)
            self._settle()
            self._cool()
        except (OutsideFailed, InputError, IntegrityFailed) as e:
            raise OutsideFailed(
                f"{error.what}; what served before could not be put back: {e.what}",
                where=e.where,
                why="; ".join(filter(None, [error.why, e.why])),
                fix="mmcicd-jenkins serve puts back what the ledger says",
            ) from error

    def _finish(self) -> None:
        self.end(CANARY)
        self._settle()
        self._cool()

    def _cool(self) -> None:
        """A colour that is no way back needs no copies."""
        standing = annotations.read_or_fence(self._api.get("Deployment", self._name))
        if standing.told is not None and has_colours(standing.told.manifest):
            self._colours.cool(standing.way_back.version if standing.way_back else None)

    def _settle(self) -> None:
        """Note that what is told serves alone."""

        def decide(live: Mapping[str, Any]) -> Mapping[str, Any] | None:
            return annotations.differing(live, annotations.settled(annotations.read_or_fence(live)))

        self._writes.change("Deployment", self._name, decide)

    def _serves(self) -> bool:
        """Whether a stable copy takes requests."""
        selector = {annotations.NAME: self._model, annotations.TRACK: STABLE}
        copies = (looking.copy(pod) for pod in self._api.list("Pod", selector))
        return any(copy.ready and not copy.leaving for copy in copies)

"""A cluster taken back by what its own Deployment remembers: no ledger, no store, no checkout; the API server alone.

The documents of the version before ride in an annotation, with the seal over them. A note of what was done stays there
until the ledger has it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.adapters.kubernetes.annotations import Carried, Fence, Standing
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.fenced import Fenced
from mmcicd_jenkins.adapters.kubernetes.switching import STABLE, Switching
from mmcicd_jenkins.adapters.kubernetes.waiting import Waiting
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.ports import Progress
from mmcicd_jenkins.ports.offline import Remembered
from mmcicd_jenkins.release.desired import TakenBack
from mmcicd_jenkins.release.rollout import Limits

# Given the model and what would be put back; raises IntegrityFailed when its seal does not fit.
CheckSeal = Callable[[str, Carried], None]


def unchecked(_model: str, _carried: Carried) -> None:
    """Where this machine knows no keys."""


class OfflineKubernetesTarget:
    """Implements `ports.OfflineTarget` on one namespace."""

    def __init__(
        self,
        environment: Environment,
        api: Api,
        progress: Progress,
        *,
        check_seal: CheckSeal = unchecked,
        limits: Limits | None = None,
    ) -> None:
        self._environment = environment
        self._api = api
        self._check_seal = check_seal
        self._waiting = Waiting.of(environment, api, progress, limits)

    def remember(self, model: str) -> Remembered:
        standing = self._standing(model)
        back = standing.way_back
        return Remembered(
            serving=standing.told.version if standing.told else None,
            previous=back.version if back else None,
            epoch=standing.fence.epoch,
            offline=standing.offline,
            manifest=standing.told.manifest if standing.told else (),
        )

    def take_back(self, model: str, order: TakenBack) -> None:
        fence = Fence(epoch=order.epoch, op_id=f"offline rollback {order.epoch}")
        standing = _taken_back(self._standing(model), order, fence, self._environment.name)
        if standing.told is not None:
            self._check_seal(model, standing.told)
        Switching(self._api, self._waiting, model, fence).serve(standing)

    def forget(self, model: str) -> None:
        name = f"{model}-{STABLE}"
        live = self._api.get("Deployment", name)
        if live is None:
            return
        body: dict[str, Any] = {"metadata": {"annotations": {annotations.OFFLINE: None}}}
        Fenced(self._api, annotations.fence_of(live)).change(
            "Deployment", name, lambda now: body if annotations.read(now).offline else None
        )

    def _standing(self, model: str) -> Standing:
        return annotations.read(self._api.get("Deployment", f"{model}-{STABLE}"))


def _taken_back(before: Standing, order: TakenBack, fence: Fence, environment: str) -> Standing:
    """The memory while it is taken back: the note is there from the first write on.

    Raises:
        InputError: the version does not lie there.
    """
    told = before.told
    if told is not None and told.version == order.to:
        # Cut short after it was told: the same order finishes it, under the fence that it put there.
        noted = before.offline if order in before.offline else (*before.offline, order)
        return dataclasses.replace(before, fence=fence, offline=noted, takes_back=True)
    back = before.way_back
    if back is None or back.version != order.to:
        raise InputError(
            f"version {order.to} does not lie in {environment}",
            why=f"it remembers {back.version if back else 'no version before'}",
            fix="mmcicd-jenkins rollback, when the ledger answers again",
        )
    return dataclasses.replace(
        before,
        fence=fence,
        told=back,
        settled=False,
        fallback=before.healthy,
        takes_back=True,
        offline=(*before.offline, order),
    )

"""A local environment taken back by its own state directory: no ledger, no store, no checkout.

The version before lies unpacked beside the one that serves. A note of what was done stays in the standing orders
until the ledger has it.
"""

import dataclasses
from pathlib import Path

from mmcicd_jenkins.adapters.local.arrival import Arrival, Wanted
from mmcicd_jenkins.adapters.local.server import LocalServer
from mmcicd_jenkins.adapters.local.standing_orders import StandingOrders
from mmcicd_jenkins.adapters.local.target import DEADLINE_SECONDS
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports.offline import Remembered
from mmcicd_jenkins.release.desired import ServedModel, TakenBack


class OfflineLocalTarget:
    """Implements `ports.OfflineTarget` on a state directory."""

    def __init__(
        self, environment: Environment, state: Path, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._server = LocalServer(state.absolute())
        self._orders = StandingOrders(self._server, environment)
        self._arrival = Arrival(self._server, self._orders, deadline_seconds)

    def remember(self, model: str) -> Remembered:
        desired = self._server.desired()
        told = desired.models.get(model, ServedModel()) if desired is not None else ServedModel()
        return Remembered(
            serving=max(map(int, told.versions), default=None),
            previous=max(map(int, told.previous), default=None),
            epoch=told.epoch,
            offline=told.offline,
        )

    def take_back(self, model: str, order: TakenBack) -> None:
        def change(before: ServedModel) -> ServedModel:
            if str(order.to) in before.versions:
                return before
            if str(order.to) not in before.previous:
                raise InputError(
                    f"version {order.to} of {model} does not lie in {self._server.root}",
                    fix="mmcicd-jenkins rollback, when ledger and store answer again",
                )
            return dataclasses.replace(
                before,
                epoch=order.epoch,
                op_id=f"offline rollback {order.epoch}",
                versions={str(order.to): before.previous[str(order.to)]},
                fallback=before.versions,
                previous={},
                offline=(*before.offline, order),
            )

        failpoint("serve.before-desired")
        desired = self._orders.change(model, order.epoch, change)
        failpoint("serve.after-desired")
        self._arrival.listen(desired)
        op_id = desired.models[model].op_id
        self._arrival.wait(Wanted(model=model, version=order.to, epoch=order.epoch, op_id=op_id))
        # What was taken back stays on the disk, where the next order tidies it away: it may be looked at.
        self._orders.change(model, order.epoch, lambda before: dataclasses.replace(before, fallback={}))

    def forget(self, model: str) -> None:
        epoch = self.remember(model).epoch
        self._orders.change(model, epoch, lambda before: dataclasses.replace(before, offline=()))

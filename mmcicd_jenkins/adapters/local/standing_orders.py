"""What a local server is wanted to serve: changed by one process at a time, and only upwards in epochs."""

import dataclasses
from collections.abc import Callable

from mmcicd_jenkins.adapters import file_lock
from mmcicd_jenkins.adapters.local.server import LocalServer
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import Superseded
from mmcicd_jenkins.release.desired import Desired, ServedModel

# A desired state is changed in milliseconds.
LOCK_SECONDS = 30.0


class StandingOrders:
    """The desired state of an environment's server."""

    def __init__(self, server: LocalServer, environment: Environment) -> None:
        self._server = server
        self._environment = environment

    def change(self, model: str, epoch: int, change: Callable[[ServedModel], ServedModel]) -> Desired:
        """Replace one model's part; the address is brought in line with the configuration at the same time.

        Raises:
            Superseded: a higher epoch stands.
        """
        with file_lock.hold(self._server.root / "locks" / "desired.lock", LOCK_SECONDS):
            former = self._server.desired() or Desired()
            before = former.models.get(model, ServedModel())
            if before.epoch > epoch:
                raise self._superseded(model, before.epoch, epoch)
            place = self._environment
            desired = dataclasses.replace(
                former,
                environment=place.name,
                host=place.host,
                rest_port=place.rest_port,
                grpc_port=place.grpc_port,
                models={**former.models, model: change(before)},
            )
            if desired != former:
                self._server.want(desired)
            return desired

    def check_fence(self, model: str, epoch: int) -> None:
        """Raises `Superseded` when an order above `epoch` stands."""
        desired = self._server.desired()
        standing = desired.models.get(model) if desired is not None else None
        if standing is not None and standing.epoch > epoch:
            raise self._superseded(model, standing.epoch, epoch)

    def _superseded(self, model: str, standing: int, epoch: int) -> Superseded:
        return Superseded(
            f"a newer decision about {model} in {self._environment.name} stands",
            where=str(self._server.root),
            why=f"epoch {standing} stands, this order has {epoch}",
            fix="look at mmcicd-jenkins status. Only when the ledger was lost: mmcicd-jenkins reconcile; where that cannot "
            f"prove what serves, mmcicd-jenkins stop, then delete {self._server.root}",
        )

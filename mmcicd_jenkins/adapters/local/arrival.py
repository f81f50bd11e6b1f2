"""Wait until a local server does what it is wanted to do: start it where it died, tell why it does not come.

Reads the order's own words alone (`epoch`, `op_id`), so that another order is never taken for it.
"""

import time

from mmcicd_jenkins.adapters.local.server import POLL_SECONDS, LocalServer
from mmcicd_jenkins.adapters.local.standing_orders import StandingOrders
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.desired import Actual, Desired, Listening, ModelState

# A server that dies again and again is not started for ever.
STARTS = 3


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What must come true."""

    model: str
    version: int
    epoch: int
    op_id: str


class Arrival:
    """The server of one state directory on its way to what is wanted."""

    def __init__(self, server: LocalServer, orders: StandingOrders, deadline_seconds: float) -> None:
        self._server = server
        self._orders = orders
        self._deadline = deadline_seconds

    def listen(self, desired: Desired) -> None:
        """A server that runs, on the ports that are wanted."""
        found = self._server.listening()
        if found is not None and _moved(found, desired):
            self._server.stop()
        self._server.ensure()

    def wait(self, wanted: Wanted) -> None:
        """Until the version serves alone.

        Raises:
            Superseded: a newer order stands.
            OutsideFailed: it does not load, or not in time.
        """
        deadline = time.monotonic() + self._deadline
        starts = 0
        while time.monotonic() < deadline:
            self._orders.check_fence(wanted.model, wanted.epoch)
            actual = self._server.actual()
            if actual is None:
                starts += 1
                self._start_again(wanted, starts)
            elif self._arrived(wanted, actual):
                return
            time.sleep(POLL_SECONDS)
        raise self._server.failed(
            f"version {wanted.version} of {wanted.model} was not available within {self._deadline:.0f} s"
        )

    def _start_again(self, wanted: Wanted, starts: int) -> None:
        if starts > STARTS:
            raise OutsideFailed(
                f"the server dies whenever it loads version {wanted.version} of {wanted.model}",
                where=str(self._server.root),
                why=self._server.tail() or "it left no word; the machine may lack memory for both versions",
                fix="give the machine more memory, or make the model smaller",
            )
        self._server.ensure()

    def _arrived(self, wanted: Wanted, actual: Actual) -> bool:
        state = actual.models.get(wanted.model)
        if state is None or (state.epoch, state.op_id) != (wanted.epoch, wanted.op_id):
            return False
        own = state.versions.get(str(wanted.version))
        if own is not None and own.state == "END" and own.error:
            raise self._server.failed(
                f"version {wanted.version} of {wanted.model} does not load", why=own.error
            )
        return state.serving == (wanted.version,) and is_quiet(state)


def _moved(found: Listening, desired: Desired) -> bool:
    """Whether the server listens elsewhere than wanted; port 0 is content with any."""
    wanted = (desired.host, desired.rest_port or found.rest_port, desired.grpc_port or found.grpc_port)
    return (found.host, found.rest_port, found.grpc_port) != wanted


def is_quiet(state: ModelState) -> bool:
    """Whether no version is on its way in or out."""
    return not any(version.state in ("LOADING", "UNLOADING") for version in state.versions.values())

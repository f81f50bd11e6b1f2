"""`ports.watching.Counters` of one server: it is one copy, and counts each of its versions apart."""

from collections.abc import Callable, Sequence

from mmcicd_jenkins.ports import Clock, ModelClient, Target
from mmcicd_jenkins.release.counters import read_counters
from mmcicd_jenkins.release.monitor_memory import Counted


class ServerCounters:
    """Args:
    client: asks the server.
    target: says where it is, each time anew, for it may have moved.
    clock: dates what it said.
    """

    def __init__(self, client: ModelClient, target: Callable[[], Target], clock: Clock) -> None:
        self._client = client
        self._target = target
        self._clock = clock

    def read(self, model: str, versions: Sequence[int], bins: int) -> tuple[Counted, ...]:
        """When it began is not told: what it counted before it was first looked at is not new."""
        text = self._client.metrics(self._target().endpoint(model))
        at = self._clock.now().timestamp()
        return tuple(
            Counted(copy="server", reading=read_counters(text, model, version, at=at, ready=True, bins=bins))
            for version in versions
        )

"""From the button to the last request that a new connection takes to the bad version: rollback against `kubectl`.

Two namespaces of one cluster serve the same images with the same manifest; turn by turn a bad version comes into each
and is taken back, here by the command of ours with all that it checks and writes, there by `kubectl rollout undo`.
Clients ask all the while; what counts is when the last request began that the bad version answered. Kept connections
are told as well: they live until the copy that holds them is gone.
"""

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.cluster_stand import Stand, kubectl_version, stand
from benchmarks.harness import options, our_version, tell

WHAT = "from the button of a rollback to the last new connection on the bad version, rolling, two copies"
LANES = ("new:80", "kept:20")
CALM_SECONDS = 6.0
_MOST = 1.2


@dataclass
class Side:
    """One contender: when each button was pressed, by bad version, and how long its command took."""

    pressed: dict[int, float] = field(default_factory=dict)
    commands: list[float] = field(default_factory=list)
    last_new: list[float] = field(default_factory=list)
    last_kept: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)

    def press(self, version: int, command: Callable[[], object]) -> None:
        self.pressed[version] = time.time()
        command()
        self.commands.append(time.time() - self.pressed[version])

    def read(self, lanes: dict[str, dict[str, Any]]) -> None:
        for way, kept in (("new", self.last_new), ("kept", self.last_kept)):
            kept += [lanes[way]["versions"][str(v)]["last"] - at for v, at in self.pressed.items()]
        self.failures = lanes["new"]["failures"]


def measure(place: Stand, runs: int) -> tuple[Side, Side]:
    from cluster_place import Place
    from cluster_road import QUICK, Road
    from load import asking

    road = Road(place.folder / "ours", place.cluster, place.namespace(), place.serving).make()
    for factor in range(1, runs + 2):
        road.release(factor)
    by_hand = Place(place.cluster, place.namespace(), place.serving, place.folder / "theirs", {"pods": QUICK})
    kubectl = Kubectl(place, by_hand)
    must(road.promote("--version", "1"))
    kubectl.apply(1)
    time.sleep(CALM_SECONDS)
    ours, peer = Side(), Side()
    with (
        asking(road.address, "churn", *LANES) as own_load,
        asking(kubectl.address, "churn", *LANES) as peer_load,
    ):
        for version in range(2, runs + 2):
            must(road.promote("--version", str(version)))
            time.sleep(CALM_SECONDS)
            ours.press(version, lambda: must(road.rollback()))
            time.sleep(CALM_SECONDS)
            kubectl.apply(version)
            time.sleep(CALM_SECONDS)
            peer.press(version, kubectl.undo)
            time.sleep(CALM_SECONDS)
        ours.read(own_load.end())
        peer.read(peer_load.end())
    return ours, peer


class Kubectl:
    """The same by hand."""

    def __init__(self, place: Stand, by_hand: Any) -> None:
        self.place, self.by_hand = place, by_hand
        self.here = f"--namespace={by_hand.namespace}"

    @property
    def address(self) -> str:
        return f"{self.place.cluster.get('service', 'churn', self.here)['spec']['clusterIP']}:8501"

    def apply(self, version: int) -> None:
        self.place.cluster.apply(self.by_hand.namespace, *self.by_hand.manifest(version))
        self.wait()

    def undo(self) -> None:
        self.place.cluster("rollout", "undo", "deployment/churn-stable", self.here)
        self.wait()

    def wait(self) -> None:
        self.place.cluster("rollout", "status", "deployment/churn-stable", self.here, "--timeout=120s")


def must(done: "subprocess.CompletedProcess[str]") -> None:
    if done.returncode:
        raise SystemExit(f"{' '.join(done.args)} ended with {done.returncode}: {done.stderr}")


def result(ours: Side, peer: Side, runs: int, version: str) -> dict[str, object]:
    ratio = round(statistics.median(ours.last_new) / statistics.median(peer.last_new), 2)
    return {
        "name": "rollback_speed",
        "what": WHAT,
        "size": f"{runs} rollbacks each, turn by turn; {', '.join(LANES)} requests a second",
        "runs": runs,
        "load_average": round(os.getloadavg()[1], 1),
        "ours": _line("mmcicd-jenkins rollback", our_version(), ours),
        "peer": _line("kubectl rollout undo", version, peer),
        "ratio": ratio,
        "goal": f"at most {_MOST} times kubectl rollout undo",
        "met": ratio <= _MOST,
    }


def _line(name: str, version: str, side: Side) -> dict[str, object]:
    return {
        "name": name,
        "version": version,
        "median_s": round(statistics.median(side.last_new), 3),
        "min_s": round(min(side.last_new), 3),
        "max_s": round(max(side.last_new), 3),
        "command_median_s": round(statistics.median(side.commands), 3),
        "last_request_on_a_kept_connection_s": round(max(side.last_kept), 3),
        "failed_requests_by_new_connections": sum(side.failures.values()),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
    }


def main() -> None:
    chosen = options(WHAT)
    runs = chosen.runs or (1 if chosen.smoke else 5)
    with stand(chosen.folder) as place:
        ours, peer = measure(place, runs)
        tell(result(ours, peer, runs, kubectl_version(place)), chosen.json)


if __name__ == "__main__":
    main()

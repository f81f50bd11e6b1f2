"""From the button to the last request that a new connection takes to the bad version: rollback against `kubectl`.

Two namespaces of one cluster serve the same images with the same manifest; turn by turn a bad version comes into each
and is taken back, here by the command of ours with all that it checks and writes, there by `kubectl rollout undo` or, where the versions
have a colour each, by a bare patch of the Service.
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

WHAT = "from the button of a rollback to the last new connection on the bad version"
LANES = ("new:80", "kept:20")
CALM_SECONDS = 6.0
_MOST_ROLLING, _MOST_COLOURS = 1.2, 2.0


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
        for way, last in (("new", self.last_new), ("kept", self.last_kept)):
            versions = lanes[way]["versions"]
            # A colour that stays warm keeps its connections: those never came to a version that came and went.
            last += [versions[str(v)]["last"] - at for v, at in self.pressed.items() if str(v) in versions]
        self.failures = lanes["new"]["failures"]


def measure(place: Stand, runs: int, strategy: str, by_hand: "Kubectl") -> tuple[Side, Side]:
    """Bad versions come and are taken back, turn by turn on both sides."""
    from cluster_road import Road
    from load import asking

    folder = place.folder / f"ours-{strategy}"
    road = Road(folder, place.cluster, place.namespace(), place.serving).make(strategy=strategy)
    for factor in range(1, runs + 2):
        road.release(factor)
    must(road.promote("--version", "1"))
    by_hand.begin()
    time.sleep(CALM_SECONDS)
    ours, peer = Side(), Side()
    with (
        asking(road.address, "churn", *LANES) as own_load,
        asking(by_hand.address, "churn", *LANES) as peer_load,
    ):
        for version in range(2, runs + 2):
            must(road.promote("--version", str(version)))
            time.sleep(CALM_SECONDS)
            ours.press(version, lambda: must(road.rollback()))
            time.sleep(CALM_SECONDS)
            by_hand.bring(version)
            time.sleep(CALM_SECONDS)
            peer.press(version, by_hand.back)
            time.sleep(CALM_SECONDS)
        ours.read(own_load.end())
        peer.read(peer_load.end())
    return ours, peer


class Kubectl:
    """The same by hand, rolling: a manifest is applied, waited for, and undone."""

    strategy = "rolling"

    def __init__(self, place: Stand) -> None:
        from cluster_place import Place
        from cluster_road import QUICK

        settings = {"pods": QUICK, "strategy": self.strategy}
        folder = place.folder / f"theirs-{self.strategy}"
        self.cluster = place.cluster
        self.place = Place(place.cluster, place.namespace(), place.serving, folder, settings)
        self.here = f"--namespace={self.place.namespace}"

    @property
    def address(self) -> str:
        return f"{self.cluster.get('service', 'churn', self.here)['spec']['clusterIP']}:8501"

    def begin(self) -> None:
        self.bring(1)

    def bring(self, version: int) -> None:
        self.cluster.apply(self.place.namespace, *self.place.manifest(version))
        self.wait("churn-stable")

    def back(self) -> None:
        self.cluster("rollout", "undo", "deployment/churn-stable", self.here)
        self.wait("churn-stable")

    def wait(self, name: str) -> None:
        self.cluster("rollout", "status", f"deployment/{name}", self.here, "--timeout=120s")


class Patch(Kubectl):
    """Blue-green by hand: the other colour is applied, and the Service's selector patched there and back."""

    strategy = "blue-green"

    def begin(self) -> None:
        self.cluster.apply(self.place.namespace, *self.place.manifest(1))
        self.wait("churn-stable")

    def bring(self, version: int) -> None:
        from mmcicd_jenkins.release.tracks import as_track

        self.cluster.apply(self.place.namespace, as_track(self.place.manifest(version), "preview", 2))
        self.wait("churn-preview")
        self.lead_to("preview")

    def back(self) -> None:
        self.lead_to("stable")

    def lead_to(self, track: str) -> None:
        body = f'{{"spec": {{"selector": {{"mmcicd.io/track": "{track}"}}}}}}'
        self.cluster("patch", "service", "churn", self.here, "--type=merge", f"--patch={body}")


def must(done: "subprocess.CompletedProcess[str]") -> None:
    if done.returncode:
        raise SystemExit(f"{' '.join(done.args)} ended with {done.returncode}: {done.stderr}")


def compared(ours: Side, peer: Side, peer_name: str, version: str, most: float) -> dict[str, object]:
    ratio = round(statistics.median(ours.last_new) / statistics.median(peer.last_new), 2)
    return {
        "ours": _line("mmcicd-jenkins rollback", our_version(), ours),
        "peer": _line(peer_name, version, peer),
        "ratio": ratio,
        "goal": f"at most {most} times {peer_name}",
        "met": ratio <= most,
    }


def _line(name: str, version: str, side: Side) -> dict[str, object]:
    return {
        "name": name,
        "version": version,
        "median_s": round(statistics.median(side.last_new), 3),
        "min_s": round(min(side.last_new), 3),
        "max_s": round(max(side.last_new), 3),
        "command_median_s": round(statistics.median(side.commands), 3),
        "last_request_on_a_kept_connection_s": round(max(side.last_kept, default=0.0), 3),
        "failed_requests_by_new_connections": sum(side.failures.values()),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
    }


def main() -> None:
    chosen = options(WHAT)
    runs = chosen.runs or (1 if chosen.smoke else 5)
    with stand(chosen.folder) as place:
        version = kubectl_version(place)
        rolling = measure(place, runs, "rolling", Kubectl(place))
        colours = measure(place, runs, "blue-green", Patch(place))
        told = {
            "name": "rollback_speed",
            "what": WHAT,
            "size": f"{runs} rollbacks each, turn by turn; {', '.join(LANES)} requests a second; two copies",
            "runs": runs,
            "load_average": round(os.getloadavg()[1], 1),
            **compared(*rolling, "kubectl rollout undo", version, _MOST_ROLLING),
            "others": [compared(*colours, "kubectl patch service (blue-green)", version, _MOST_COLOURS)],
        }
    tell(told, chosen.json)


if __name__ == "__main__":
    main()

"""Failed requests while versions come and go on a real cluster: deploy, promote, rollback, abort, again and again.

Clients ask staging and production all the while: by a new connection for each request, by connections that are kept, and by
gRPC. A request that fails is never asked again. Those that open connections must not see a switch; what those see that
keep them is counted, without a proxy. An abort is a rollback in the middle of a promotion. The peer is `kubectl`: the
same Deployment of the same images by `apply`, `rollout status` and `rollout undo`.
"""

import contextlib
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cluster_stand import Stand, kubectl_version, stand
from benchmarks.harness import options, our_version, tell

WHAT = "failed requests while versions come and go on a cluster"
VERBS = ("deploy", "promote", "rollback", "abort")
LANES = ("new:70", "kept:20", "grpc:20")
# A kubelet sends the last bytes of a copy well after the command has ended.
CALM_SECONDS = 3.0
# As they are unless told otherwise, but for `min_ready`: it makes each switch longer and protects no request.
PODS = {"drain": "10s", "longest_request": "10s", "min_ready": "2s", "start_timeout": "20s"}
_LEAST = 100_000
# What makes a version before it is deployed.
BEFORE = ("prepare", "test", "data", "train", "evaluate", "package", "verify")


@dataclass
class Tally:
    """When each operation began and ended, and what clients saw."""

    spans: list[tuple[str, float, float]] = field(default_factory=list)
    lanes: list[dict[str, Any]] = field(default_factory=list)

    @contextlib.contextmanager
    def span(self, verb: str) -> Iterator[None]:
        begun = time.time()
        yield
        self.spans.append((verb, begun, time.time()))

    def seconds(self, *verbs: str) -> list[float]:
        return [end - begun for verb, begun, end in self.spans if not verbs or verb in verbs]

    def sent(self, *ways: str) -> int:
        return sum(lane["sent"] for lane in self.lanes if lane["way"] in ways)

    def failures(self, *ways: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for lane in self.lanes:
            for kind, count in lane["failures"].items() if lane["way"] in ways else ():
                found[kind] = found.get(kind, 0) + count
        return found

    def by_verb(self, *ways: str) -> dict[str, int]:
        """Failures by what was done when they began; "between" is after an operation, while copies end."""
        found: dict[str, int] = {}
        for lane in self.lanes:
            for at, _ in lane["failed"] if lane["way"] in ways else ():
                verb = next((v for v, begun, end in self.spans if begun <= at <= end), "between")
                found[verb] = found.get(verb, 0) + 1
        return found


@contextlib.contextmanager
def asked(tally: Tally, *addresses: str) -> Iterator[None]:
    from load import asking

    with contextlib.ExitStack() as stack:
        loads = [
            stack.enter_context(asking(rest, "churn", *LANES, grpc=rest.replace(":8501", ":8500")))
            for rest in addresses
        ]
        yield
        time.sleep(CALM_SECONDS)
        for load in loads:
            tally.lanes += load.end().values()


def ours(place: Stand, cycles: int) -> Tally:
    from cluster_road import Road

    road = Road(
        place.folder / "ours",
        place.cluster,
        place.namespace(),
        place.serving,
        staging=place.namespace(),
        pods=PODS,
    )
    road.make()
    road.release(1)
    must(road.promote())
    tally, factor = Tally(), 1
    with asked(tally, road.address, road.address_of("staging")):
        for _ in range(cycles):
            for last in ("rollback", "abort"):
                factor += 1
                road.edit(factor)
                road.walk(*BEFORE)
                with tally.span("deploy"):
                    version = road.walk("deploy", "smoke", "propose")["version"]
                if last == "rollback":
                    with tally.span("promote"):
                        must(road.promote("--version", str(version)))
                    time.sleep(CALM_SECONDS)
                    with tally.span("rollback"):
                        must(road.rollback())
                else:
                    with tally.span("abort"):
                        abort(road, version)
                time.sleep(CALM_SECONDS)
    return tally


def abort(road: Any, version: int) -> None:
    """A rollback while the promotion has the new version's first copies there."""
    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder) / "seen"
        variables = {"MMCICD_TESTING": "1", "MMCICD_FAILPOINTS_SEEN": str(seen)}
        promotion = road.begin("promote", str(version), **variables)
        while promotion.poll() is None:
            if seen.exists() and seen.read_text().split().count("kubernetes.waiting") > 8:
                break
            time.sleep(0.05)
        must(road.rollback())
        promotion.communicate(timeout=120)
        if promotion.returncode not in {75, 0}:
            raise SystemExit(f"the promotion that was aborted ended with {promotion.returncode}")


def must(done: "subprocess.CompletedProcess[str]") -> None:
    if done.returncode:
        raise SystemExit(f"{' '.join(done.args)} ended with {done.returncode}: {done.stderr}")


def theirs(place: Stand, cycles: int) -> Tally:
    """The same by hand: the manifest of one version is applied, waited for, and undone."""
    from cluster_place import Place

    by_hand = Place(place.cluster, place.namespace(), place.serving, place.folder / "theirs", {"pods": PODS})
    tally = Tally()

    def apply(version: int) -> None:
        place.cluster.apply(by_hand.namespace, *by_hand.manifest(version))
        wait(place, by_hand.namespace)

    apply(1)
    time.sleep(CALM_SECONDS)
    service = place.cluster.get("service", "churn", f"--namespace={by_hand.namespace}")
    with asked(tally, f"{service['spec']['clusterIP']}:8501"):
        for cycle in range(cycles):
            with tally.span("promote"):
                apply(2 + cycle)
            time.sleep(CALM_SECONDS)
            with tally.span("rollback"):
                place.cluster(
                    "rollout", "undo", "deployment/churn-stable", f"--namespace={by_hand.namespace}"
                )
                wait(place, by_hand.namespace)
            time.sleep(CALM_SECONDS)
    return tally


def wait(place: Stand, namespace: str) -> None:
    words = ("rollout", "status", "deployment/churn-stable", f"--namespace={namespace}", "--timeout=120s")
    place.cluster(*words)


def result(own: Tally, peer: Tally, cycles: int, peer_cycles: int, version: str) -> dict[str, object]:
    keeping = ("kept", "grpc")
    failed = own.failures("new")
    switch, undone = own.seconds("promote", "rollback"), peer.seconds("promote", "rollback")
    return {
        "name": "rollout_requests",
        "what": WHAT,
        "size": f"{own.sent('new', *keeping)} requests, {own.sent('new')} of them by new connections, over {cycles} of "
        f"each of {', '.join(VERBS)}; two copies, drain 10 s",
        "runs": cycles,
        "failed_requests": sum(failed.values()),
        "failures": failed,
        "failed_by_verb": own.by_verb("new"),
        "requests_by_new_connections": own.sent("new"),
        "requests_by_kept_connections": own.sent(*keeping),
        "broken_by_kept_connections": own.failures(*keeping),
        "broken_by_verb": own.by_verb(*keeping),
        "broken_per_switch": round(sum(own.failures(*keeping).values()) / max(1, len(own.spans)), 2),
        "oldest_kept_connection_s": round(max((lane["oldest"] for lane in own.lanes), default=0.0), 1),
        "longest_gap_s": round(max(lane["longest_gap"] for lane in own.lanes), 2),
        "client_late_s": round(max(lane["latest_start"] for lane in own.lanes), 2),
        "load_average": round(os.getloadavg()[1], 1),
        "seconds": {verb: round(statistics.median(own.seconds(verb)), 2) for verb in VERBS},
        "ours": _line("promote and rollback, mmcicd-jenkins", our_version(), switch),
        "peer": {
            **_line("kubectl apply, rollout status and undo", version, undone),
            "failed_requests": sum(peer.failures("new").values()),
            "requests_by_new_connections": peer.sent("new"),
            "broken_per_switch": round(sum(peer.failures(*keeping).values()) / max(1, 2 * peer_cycles), 2),
        },
        "ratio": round(statistics.median(switch) / statistics.median(undone), 2),
        "goal": "0 failed requests by new connections in 100,000; the ratio is reported",
        "met": not failed and own.sent("new") >= _LEAST,
    }


def _line(name: str, version: str, seconds: list[float]) -> dict[str, object]:
    return {
        "name": name,
        "version": version,
        "median_s": round(statistics.median(seconds), 3),
        "min_s": round(min(seconds), 3),
        "max_s": round(max(seconds), 3),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
    }


def main() -> None:
    chosen = options(WHAT)
    cycles = chosen.runs or (1 if chosen.smoke else 20)
    peer_cycles = max(1, cycles // 4)
    with stand(chosen.folder) as place:
        own, peer = ours(place, cycles), theirs(place, peer_cycles)
        tell(result(own, peer, cycles, peer_cycles, kubectl_version(place)), chosen.json)


if __name__ == "__main__":
    main()

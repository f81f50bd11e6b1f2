"""A switch of versions under load: failed requests, and the worst answer during a switch against the median before it.

A client process of its own asks all the time by a kept connection, by new connections and by gRPC, while this
process switches a local environment back and forth between two versions. The peer is the same server, undisturbed.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import options, our_version, tell

WHAT = "a switch of versions under load: worst answer against the median before it"
ROWS, RATE = 8, 50.0


@dataclass(frozen=True)
class Asked:
    """One request: when it began, how long it took, how it failed ("" = it did not)."""

    at: float
    seconds: float
    failure: str


def switch_under_load(folder: Path, switches: int, quiet_seconds: float) -> dict[str, object]:
    from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
    from mmcicd_jenkins.adapters.local.target import LocalTarget
    from mmcicd_jenkins.config.model import Environment
    from mmcicd_jenkins.ports import Switch

    building = [sys.executable, "-m", "benchmarks.switch_under_load", "build", str(folder / "models")]
    subprocess.run(building, check=True, capture_output=True)
    store = OciLayoutStore(folder / "store")
    layers = {
        version: tuple(layer.blob for layer in store.put_model(folder / "models" / str(version)).layers)
        for version in (1, 2)
    }
    target = LocalTarget(Environment(name="bench", rest_port=0, grpc_port=0), folder / "state", store)

    def switch(epoch: int) -> tuple[float, float]:
        version, began = 1 + epoch % 2, time.time()
        order = Switch(model="m", version=version, epoch=epoch, op_id=str(epoch), layers=layers[version])
        target.switch(order)
        return began, time.time()

    try:
        switch(1)
        endpoint = target.endpoint("m")
        client = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.switch_under_load", "ask", endpoint.rest, endpoint.grpc],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        time.sleep(quiet_seconds)
        spans = []
        for epoch in range(2, switches + 2):
            spans.append(switch(epoch))
            time.sleep(0.5)
        said, _ = client.communicate()
    finally:
        target.stop()
    return _result([Asked(*line) for line in json.loads(said)], spans)


def _result(asked: list[Asked], spans: list[tuple[float, float]]) -> dict[str, object]:
    # The client's first half second is its own start.
    start = min(a.at for a in asked) + 0.5
    before = [a.seconds for a in asked if start <= a.at and a.at + a.seconds < spans[0][0]]
    worst = [max(_inside(asked, *span), default=0.0) for span in spans]
    failed = sum(bool(a.failure) for a in asked)
    median = statistics.median(before)
    return {
        "name": "switch_under_load",
        "what": WHAT,
        "size": f"{len(spans)} switches, {len(asked)} requests of {ROWS} rows by REST (kept and new connections) and gRPC",
        "runs": len(spans),
        "failed_requests": failed,
        "failures": sorted({a.failure for a in asked if a.failure}),
        "ours": _line("worst answer during each switch", worst),
        "peer": _line("the same server, undisturbed", before),
        "ratio": round(max(worst) / median, 1),
        "switch_s": round(statistics.median(end - began for began, end in spans), 3),
        "goal": "0 failed requests; the ratio is reported",
        "met": failed == 0,
    }


def _inside(asked: list[Asked], began: float, ended: float) -> list[float]:
    return [a.seconds for a in asked if a.at < ended and a.at + a.seconds > began]


def _line(name: str, seconds: list[float]) -> dict[str, object]:
    return {
        "name": name,
        "version": our_version(),
        "median_s": round(statistics.median(seconds), 5),
        "min_s": round(min(seconds), 5),
        "max_s": round(max(seconds), 5),
        "peak_rss_mb": 0.0,
    }


def build(folder: str) -> None:
    """Two versions of a dense network of 64-512-10: 150 kB, the size of a small production model."""
    import tensorflow as tf

    for version in ("1", "2"):
        module = tf.Module()
        wide = module.wide = tf.Variable(tf.random.normal([64, 512]))
        narrow = module.narrow = tf.Variable(tf.random.normal([512, 10]))
        spec = tf.TensorSpec([None, 64], tf.float32, name="x")
        call = tf.function(_network(tf, wide, narrow), input_signature=[spec])
        module.call = call
        tf.saved_model.save(module, f"{folder}/{version}", signatures={"serving_default": call})


def _network(tf: Any, wide: Any, narrow: Any) -> Callable[[Any], dict[str, Any]]:
    return lambda x: {"y": tf.nn.softmax(tf.nn.relu(x @ wide) @ narrow)}


def ask(rest: str, grpc_address: str) -> None:
    """The client: asks until its standard input closes, then prints every request."""
    asked: list[Asked] = []
    ended = threading.Event()
    instances = [[0.5] * 64] * ROWS
    threads = [
        threading.Thread(target=_ask_rest, args=(rest, keep, instances, asked, ended))
        for keep in (True, False)
    ]
    threads.append(threading.Thread(target=_ask_grpc, args=(grpc_address, instances, asked, ended)))
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    print(json.dumps([[a.at, a.seconds, a.failure] for a in asked]))


def _ask_rest(
    rest: str, keep: bool, instances: list[list[float]], asked: list[Asked], ended: threading.Event
) -> None:
    from mmcicd_jenkins.serving.traffic import Asker

    asker = Asker(rest, "m", keep_alive=keep)
    body = json.dumps({"instances": instances}).encode()
    while not ended.wait(1.0 / RATE):
        sent = asker.ask(body)
        asked.append(Asked(sent.at, sent.seconds, sent.failure))
    asker.close()


def _ask_grpc(address: str, instances: list[list[float]], asked: list[Asked], ended: threading.Event) -> None:
    import grpc
    import numpy as np

    from mmcicd_jenkins.adapters.models import tf_wire

    feeds = {"x": np.asarray(instances, np.float32)}
    request = tf_wire.predict_request("m", "", feeds)
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            tf_wire.PREDICT,
            request_serializer=tf_wire.PredictRequest.SerializeToString,
            response_deserializer=tf_wire.PredictResponse.FromString,
        )
        while not ended.wait(1.0 / RATE):
            at, started, failure = time.time(), time.perf_counter(), ""
            try:
                call(request, timeout=10)
            except grpc.RpcError as e:
                failure = e.code().name
            asked.append(Asked(at, time.perf_counter() - started, failure))


def main() -> None:
    parts = {"ask": ask, "build": build}
    if len(sys.argv) > 1 and sys.argv[1] in parts:
        parts[sys.argv[1]](*sys.argv[2:])
        return
    chosen = options(WHAT)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        switches = chosen.runs or (2 if chosen.smoke else 20)
        tell(switch_under_load(Path(folder), switches, 1.5 if chosen.smoke else 5.0), chosen.json)


if __name__ == "__main__":
    main()

"""A client that never stops asking: `python -m mmcicd_jenkins.serving.traffic --help`.

It sends the instances of a golden document at a steady rate and counts what came back per second and per answering
version. Whatever happens is counted, nothing is raised. It ends on SIGTERM, SIGINT or after `--seconds`; the summary
is replaced every second, so that it can be read meanwhile.

The summary is

    {"started": ..., "ended": ..., "sent": n, "ok": n, "failed": n,
     "failures": {"<status or error>": n},
     "versions": {"<version>": {"ok": n, "failed": n, "first": t, "last": t}},
     "windows": [{"second": t, "ok": n, "failed": n, "slowest_ms": x, "median_ms": x, "versions": ["1"],
                  "failed_by": {"<version, empty when none answered>": n}}]}

with times in seconds since 1970. A failure is any answer that is not 200 and every connection that broke.
"""

import argparse
import dataclasses
import http.client
import json
import signal
import statistics
import sys
import threading
import time
from contextlib import closing
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from mmcicd_jenkins.records import dataclass

# An hour of seconds: a demo takes minutes, and a forgotten client must not grow.
WINDOWS_KEPT = 3600
TIMEOUT_SECONDS = 10.0
VERSION_HEADER = "X-Model-Version"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How one request ended. `failure` is "" for a 200."""

    at: float
    seconds: float
    version: str
    failure: str


class Asker:
    """Asks one model by REST; `keep_alive` uses one connection for all requests."""

    def __init__(self, url: str, model: str, *, keep_alive: bool) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._path = f"/v1/models/{quote(model, safe='')}:predict"
        self._keep_alive = keep_alive
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, body: bytes) -> Sent:
        at, started = time.time(), time.perf_counter()
        version, failure = "", ""
        try:
            version, failure = self._exchange(body)
        except (OSError, http.client.HTTPException) as e:
            failure = type(e).__name__
            self.close()
        return Sent(at=at, seconds=time.perf_counter() - started, version=version, failure=failure)

    def _exchange(self, body: bytes) -> tuple[str, str]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT_SECONDS)
        self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        answer.read()
        if not self._keep_alive or answer.will_close:
            self.close()
        failure = "" if answer.status == 200 else f"status {answer.status}"
        return answer.headers.get(VERSION_HEADER, ""), failure

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclasses.dataclass(kw_only=True)
class _Window:
    second: int
    ok: int = 0
    failed: int = 0
    millis: list[float] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    failed_by: dict[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "second": self.second,
            "ok": self.ok,
            "failed": self.failed,
            "slowest_ms": round(max(self.millis, default=0.0), 3),
            "median_ms": round(statistics.median(self.millis), 3) if self.millis else 0.0,
            "versions": sorted(self.versions),
            "failed_by": dict(sorted(self.failed_by.items())),
        }


class Tally:
    """Counts what was sent. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.time()
        self._failures: dict[str, int] = {}
        self._versions: dict[str, dict[str, float]] = {}
        self._windows: dict[int, _Window] = {}
        self._ok = 0

    def add(self, sent: Sent) -> None:
        with self._lock:
            self._ok += not sent.failure
            if sent.failure:
                self._failures[sent.failure] = self._failures.get(sent.failure, 0) + 1
            line = self._versions.setdefault(
                sent.version, {"ok": 0, "failed": 0, "first": sent.at, "last": sent.at}
            )
            line["failed" if sent.failure else "ok"] += 1
            line["last"] = sent.at
            window = self._windows.setdefault(int(sent.at), _Window(second=int(sent.at)))
            window.failed += bool(sent.failure)
            if sent.failure:
                window.failed_by[sent.version] = window.failed_by.get(sent.version, 0) + 1
            window.ok += not sent.failure
            window.millis.append(sent.seconds * 1e3)
            if sent.version:
                window.versions.add(sent.version)
            while len(self._windows) > WINDOWS_KEPT:
                del self._windows[min(self._windows)]

    def document(self) -> dict[str, Any]:
        with self._lock:
            failed = sum(self._failures.values())
            return {
                "started": self._started,
                "ended": time.time(),
                "sent": self._ok + failed,
                "ok": self._ok,
                "failed": failed,
                "failures": dict(sorted(self._failures.items())),
                "versions": {name: dict(line) for name, line in sorted(self._versions.items())},
                "windows": [window.document() for _, window in sorted(self._windows.items())],
            }


def bodies_of(golden: dict[str, Any]) -> list[bytes]:
    """One request body per golden instance."""
    signature = golden.get("signature") or "serving_default"
    return [
        json.dumps({"signature_name": signature, "instances": [instance]}).encode()
        for instance in golden["instances"]
    ]


def keep_asking(asker: Asker, bodies: list[bytes], rate: float, tally: Tally, ended: threading.Event) -> None:
    """Ask until `ended`. A slow answer delays what follows; lost beats are not made up for."""
    beat, place = time.monotonic(), 0
    with closing(asker):
        while not ended.is_set():
            tally.add(asker.ask(bodies[place % len(bodies)]))
            place += 1
            beat = max(beat + 1.0 / rate, time.monotonic())
            ended.wait(max(0.0, beat - time.monotonic()))


def write_summary(path: Path, document: dict[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(json.dumps(document, indent=1), encoding="utf-8")
    beside.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="mmcicd_jenkins.serving.traffic", description="Ask a model all the time."
    )
    parser.add_argument("--url", required=True, help="http://host:port of the REST side")
    parser.add_argument("--model", required=True)
    parser.add_argument("--golden", required=True, type=Path, help="a document with instances")
    parser.add_argument("--summary", required=True, type=Path, help="where the counts are written")
    parser.add_argument("--rate", type=float, default=20.0, help="requests per second and connection")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end by itself after this time")
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--new-connections", action="store_true", help="a connection for each request")
    options = parser.parse_args()
    tally, ended = Tally(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    bodies = bodies_of(json.loads(options.golden.read_bytes()))
    threads = [
        threading.Thread(
            target=keep_asking,
            args=(
                Asker(options.url, options.model, keep_alive=not options.new_connections),
                bodies,
                options.rate,
                tally,
                ended,
            ),
        )
        for _ in range(options.connections)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + options.seconds
    while not ended.wait(1.0) and time.monotonic() < deadline:
        write_summary(options.summary, tally.document())
    ended.set()
    for thread in threads:
        thread.join()
    write_summary(options.summary, tally.document())
    return 0


if __name__ == "__main__":
    sys.exit(main())

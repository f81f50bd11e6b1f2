"""A real Prometheus that scrapes the pods of a namespace, as operators run it: labels `namespace` and `pod`.

`with scraping(cluster, namespace, folder) as url:` needs the program `prometheus` (Debian's package of that name). It
knows nothing of pytest.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from cluster_tool import Cluster

METRICS = "/monitoring/prometheus/metrics"
_SECONDS = 30.0


class UnavailableError(Exception):
    """There is no Prometheus here; the sentence says how to get it."""


def _config(targets: Path) -> dict[str, object]:
    job = {"job_name": "models", "metrics_path": METRICS, "file_sd_configs": [{"files": [str(targets)]}]}
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}


class Discovery:
    """Debian's Prometheus is built without Kubernetes' discovery: we tell it which pods there are, as that would."""

    def __init__(self, cluster: Cluster, namespace: str, path: Path) -> None:
        self._cluster, self._namespace, self._path = cluster, namespace, path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(1.0):
            self.look()

    def look(self) -> None:
        pods = self._cluster.get("pods", f"--namespace={self._namespace}")["items"]
        found = [(pod["metadata"]["name"], pod["status"].get("podIP")) for pod in pods]
        groups = [
            {"targets": [f"{address}:8501"], "labels": {"namespace": self._namespace, "pod": name}}
            for name, address in found
            if address
        ]
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(groups))
        part.replace(self._path)

    def __enter__(self) -> None:
        self.look()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@contextlib.contextmanager
def scraping(cluster: Cluster, namespace: str, folder: Path) -> Iterator[str]:
    """Its address, while it scrapes every second."""
    if not shutil.which("prometheus"):
        raise UnavailableError("prometheus is missing: apt-get install prometheus")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    folder.mkdir(parents=True, exist_ok=True)
    config, targets = folder / "prometheus.yml", folder / "targets.json"
    config.write_text(json.dumps(_config(targets)))  # JSON is YAML
    words = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with Discovery(cluster, namespace, targets), (folder / "log").open("w") as log:
        process = subprocess.Popen(["prometheus", *words], stdout=log, stderr=log)
        try:
            _await(f"http://{address}/-/ready", process, folder / "log")
            yield f"http://{address}"
        finally:
            process.kill()
            process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=2).close()
            return
        time.sleep(0.1)
    raise AssertionError(f"prometheus does not start: {log.read_text()[-2000:]}")

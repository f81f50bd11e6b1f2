"""The client that never stops asking: it counts everything and raises nothing."""

import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mmcicd_jenkins.serving.traffic import WINDOWS_KEPT, Asker, Sent, Tally, bodies_of

GOLDEN = {"instances": [[1.0], {"b64": "AA=="}], "signature": "s"}


class Server(ThreadingHTTPServer):
    """Answers what `script` says, in turn: a status, or "drop" to close without a word."""

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.connections = 0
        self.bodies = []

    def get_request(self):
        self.connections += 1
        return super().get_request()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.script.pop(0) if self.server.script else 200
        if answer == "drop":
            self.close_connection = True
            return
        self.send_response(answer)
        self.send_header("X-Model-Version", "7")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def server(request):
    with Server(list(getattr(request, "param", []))) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def url(server):
    return f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(("keep_alive", "connections"), [(True, 1), (False, 3)])
def test_connections_are_kept_or_made_anew(server, keep_alive, connections):
    asker = Asker(url(server), "m", keep_alive=keep_alive)
    assert [asker.ask(b"{}").failure for _ in range(3)] == ["", "", ""]
    asker.close()
    assert server.connections == connections


@pytest.mark.parametrize("server", [[200, 503, "drop", 200]], indirect=True)
def test_every_end_is_counted_and_the_next_request_goes_on(server):
    asker, tally = Asker(url(server), "m", keep_alive=True), Tally()
    for _ in range(4):
        tally.add(asker.ask(b"{}"))
    asker.close()
    counted = tally.document()
    assert (counted["sent"], counted["ok"], counted["failed"]) == (4, 2, 2)
    assert counted["failures"] == {"RemoteDisconnected": 1, "status 503": 1}
    assert (counted["versions"]["7"]["ok"], counted["versions"]["7"]["failed"]) == (2, 1)
    assert sum(window["failed"] for window in counted["windows"]) == 2


def test_nothing_at_the_address_is_a_failure():
    asker = Asker("http://127.0.0.1:9", "m", keep_alive=True)
    assert asker.ask(b"{}").failure == "ConnectionRefusedError"


def test_windows_are_bounded():
    tally = Tally()
    for second in range(WINDOWS_KEPT + 10):
        tally.add(Sent(at=float(second), seconds=0.001, version="1", failure=""))
    document = tally.document()
    assert len(document["windows"]) == WINDOWS_KEPT
    assert document["windows"][0]["second"] == 10
    assert document["ok"] == WINDOWS_KEPT + 10


def test_bodies_name_the_signature():
    assert [json.loads(body) for body in bodies_of(GOLDEN)] == [
        {"signature_name": "s", "instances": [[1.0]]},
        {"signature_name": "s", "instances": [{"b64": "AA=="}]},
    ]


def test_the_process_writes_its_summary_and_ends_on_sigterm(server, tmp_path):
    (tmp_path / "golden.json").write_text(json.dumps(GOLDEN))
    summary = tmp_path / "summary.json"
    command = [sys.executable, "-m", "mmcicd_jenkins.serving.traffic", "--url", url(server), "--model", "m"]
    command += ["--golden", str(tmp_path / "golden.json"), "--summary", str(summary), "--rate", "100"]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not summary.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    counted = json.loads(summary.read_text())
    assert counted["ok"] == len(server.bodies) > 10
    assert counted["failed"] == 0

"""The report in a real browser, served with the Content-Security-Policy that Jenkins puts on archived pages."""

import functools
import http.server
import shutil
import subprocess
import threading

import pytest

from mmcicd_jenkins.ports import EvaluationRecord
from mmcicd_jenkins.release.gates import judge
from mmcicd_jenkins.release.measures import Measure, Measures
from mmcicd_jenkins.release.rules import parse_rule
from mmcicd_jenkins.reports.writing import write_report

# DirectoryBrowserSupport.DEFAULT_CSP_VALUE of Jenkins.
POLICY = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(BROWSER is None, reason="no browser here: apt-get install chromium"),
]


class Archive(http.server.SimpleHTTPRequestHandler):
    """Serves a folder as Jenkins serves artifacts; remembers what was asked and not found."""

    asked: list[str]
    missing: list[str]

    def end_headers(self):
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def send_error(self, code, message=None, explain=None):
        self.missing.append(self.path)
        super().send_error(code, message, explain)

    def log_message(self, *_):
        self.asked.append(self.path)


@pytest.fixture
def archive(tmp_path):
    kind = type("Handler", (Archive,), {"asked": [], "missing": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(kind, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield kind, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def browse(url, folder):
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=390,2000",
        f"--user-data-dir={folder / 'profile'}", f"--screenshot={folder / 'page.png'}", url,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stderr


def report(folder):
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "loss": 1}\n{"epoch": 2, "loss": 0.5}\n')
    found = {"recall": Measure(value=0.8, samples=900)}
    measures = Measures(overall=found, slices={"country": {"BR": found, "<b>": found}})
    record = EvaluationRecord(
        model="<script>churn",
        problem="binary",
        gates=judge([parse_rule("recall >= 0.9")], measures, None, champion=None, min_samples=10),
        measures=measures,
        baseline=None,
        report={"classes": ["no", "yes"], "confusion": [[1, 2], [3, 4]]},
        curves=folder / "metrics.jsonl",
        lineage={"commit": "4be19c2"},
        environment=(),
    )
    return write_report(folder, record)


def test_style_and_images_are_loaded_and_nothing_is_refused(tmp_path, archive):
    handler, address = archive
    paths = report(tmp_path)
    log = browse(f"{address}/report.html", tmp_path)
    wanted = {
        f"/{p.relative_to(tmp_path).as_posix()}" for p in paths if p.suffix in {".html", ".css", ".svg"}
    }
    assert wanted <= set(handler.asked)
    assert set(handler.missing) <= {"/favicon.ico"}
    assert "Content Security Policy" not in log.replace("favicon", "")


def test_the_browser_would_tell_of_an_inline_style(tmp_path, archive):
    """The guard above is worth something only while this holds."""
    _, address = archive
    (tmp_path / "bad.html").write_text('<!doctype html><p style="color: red">no</p>')
    assert "Content Security Policy" in browse(f"{address}/bad.html", tmp_path)

"""Models and servers for the tests of serving: one TensorFlow process writes the models, one server serves them."""

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
REFERENCE = {"output": "y", "kind": "value", "edges": [0.0, 10.0], "counts": [1, 2, 3]}


@dataclass(frozen=True)
class Address:
    rest: str
    grpc: str
    state: Path = Path()


def eventually(condition, seconds=60.0, why="it did not happen"):
    """The first true answer of `condition`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(why)


def read(path: Path):
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}


def want(state: Path, **document) -> None:
    beside = state / "desired.part"
    beside.write_text(json.dumps(document))
    beside.replace(state / "desired.json")


@contextlib.contextmanager
def serving(state: Path, **document):
    """A server in the foreground on free ports, until the block ends."""
    state.mkdir(exist_ok=True)
    want(state, rest_port=0, grpc_port=0, **document)
    with (state / "out").open("wb") as out:
        command = [sys.executable, "-m", "mmcicd_jenkins.serving", "--state", str(state)]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=ENVIRONMENT)
    try:
        found = eventually(lambda: process.poll() is not None or read(state / "server.json"), 120)
        assert process.poll() is None, (state / "out").read_text()
        yield Address(f"http://127.0.0.1:{found['rest_port']}", f"127.0.0.1:{found['grpc_port']}", state)
    finally:
        process.terminate()
        assert process.wait(60) == 0, (state / "out").read_text()


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("models")
    script = HERE / "serving_models.py"
    done = subprocess.run(
        [sys.executable, str(script), str(root)], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="session")
def address(models, tmp_path_factory) -> Address:
    """One server with every good model; tests do not change what it serves."""
    names = {
        "two": "two",
        "text": "text",
        "odd": "odd",
        "strict": "strict",
        "examples": "examples",
        "classes": "classes",
    }
    document = {
        name: {"versions": {"1": {"directory": str(models / directory)}}} for name, directory in names.items()
    }
    document["scaled"] = {
        "versions": {
            n: {"directory": str(models / "scaled" / n), "reference": REFERENCE if n == "2" else {}}
            for n in ("1", "2")
        },
        "labels": {"stable": 1, "canary": 2},
    }
    with serving(tmp_path_factory.mktemp("state") / "main", models=document) as found:
        eventually(lambda: _available(found, [*names, "scaled"]))
        yield found


def _available(address, names):
    actual = read(address.state / "actual.json").get("models", {})
    return all(actual.get(name, {}).get("serving") for name in names)


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: dict

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def error(self):
        return self.json["error"]


@pytest.fixture
def ask(address):
    """A request to the session's server: `ask("POST", path, document or bytes)`."""
    pool = urllib3.PoolManager(retries=False, timeout=60)

    def send(verb, path, body=None, **headers):
        raw = json.dumps(body).encode() if isinstance(body, dict | list) else body
        answer = pool.request(verb, address.rest + path, body=raw, headers=headers)
        return Answer(answer.status, answer.data.decode(), dict(answer.headers))

    yield send
    pool.clear()


@pytest.fixture(scope="session")
def stubs(address):
    # Imported here: the stock stubs bring all of TensorFlow into this process.
    from stock_stubs import StockStubs

    made = StockStubs(address.grpc)
    yield made
    made.channel.close()

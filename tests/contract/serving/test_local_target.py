"""A local environment: what switches, what is refused, and what every way to die leaves behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import eventually, read

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.adapters.local.target import LocalTarget
from mmcicd_jenkins.adapters.models.client import HttpModelClient
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import OutsideFailed, Superseded
from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.serving.traffic import Asker, Tally, bodies_of, keep_asking

pytestmark = pytest.mark.tensorflow

GOLDEN = {
    "signature": "serving_default",
    "inputs": {"x": {"dtype": "float32", "shape": [None, 2]}},
    "output": "y",
    "instances": [{"x": [1.0, 2.0]}, {"x": [0.5, 0.1]}],
    "outputs": [[2.0, 4.0], [1.0, 0.2]],
    "tolerance": 1e-4,
}


@pytest.fixture(scope="module")
def store(models, tmp_path_factory):
    return OciLayoutStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def layers(models, store):
    """The layers of a model directory in the store."""

    def of(name):
        return tuple(layer.blob for layer in store.put_model(models / name).layers)

    return of


@pytest.fixture
def order(layers):
    def make(version, epoch, name="", model="m"):
        return Switch(
            model=model,
            version=version,
            epoch=epoch,
            op_id=f"op-{epoch}",
            layers=layers(name or f"scaled/{version}"),
        )

    return make


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("environment")


@pytest.fixture(scope="module")
def target(state, store):
    made = LocalTarget(
        Environment(name="staging", rest_port=0, grpc_port=0), state, store, deadline_seconds=60
    )
    yield made
    made.stop()


@pytest.fixture
def epoch(target):
    """One more than stands, so that tests do not depend on each other's order."""
    return max(target.observe(model).epoch for model in ("m", "other")) + 1


def served(target, model="m"):
    observed = target.observe(model)
    return observed.version, observed.state


def test_nothing_is_served_before_the_first_switch(tmp_path, store):
    fresh = LocalTarget(Environment(name="x", rest_port=0, grpc_port=0), tmp_path, store)
    observed = fresh.observe("m")
    assert (observed.version, observed.state, observed.epoch) == (None, "STOPPED", 0)
    assert fresh.stop() is False
    assert fresh.ensure() is False
    with pytest.raises(OutsideFailed, match="no address"):
        fresh.endpoint("m")


def test_a_switch_serves_the_version_alone_and_may_be_repeated(target, order, epoch):
    for _ in range(2):
        target.switch(order(2, epoch))
        assert served(target) == (2, "AVAILABLE")
    result = HttpModelClient().ask_golden(target.endpoint("m"), "m", GOLDEN)
    assert (result.asked, result.matched_rest, result.matched_grpc, result.differences) == (2, 2, 2, ())
    target.switch(order(1, epoch + 1))
    result = HttpModelClient().ask_golden(target.endpoint("m"), "m", GOLDEN)
    assert (result.matched_rest, result.matched_grpc) == (0, 0)
    assert result.differences[0] == "request 0 by REST: expected 2, got 1, tolerance 0.0001"
    assert result.differences[2] == "request 0 by gRPC: expected 2, got 1, tolerance 0.0001"


@pytest.mark.parametrize("name", ["corrupt", "warm-wrong"])
def test_a_version_that_does_not_load_leaves_the_old_one(target, state, order, epoch, name):
    target.switch(order(1, epoch))
    with pytest.raises(OutsideFailed, match="version 9 of m does not load") as failed:
        target.switch(order(9, epoch + 1, name))
    assert failed.value.why
    assert not failed.value.retryable
    assert served(target) == (1, "AVAILABLE")
    assert target.observe("m").epoch == epoch + 1
    assert list(read(state / "desired.json")["models"]["m"]["versions"]) == ["1"]


def test_a_version_that_loads_too_slowly_leaves_the_old_one(target, state, store, order, epoch):
    target.switch(order(1, epoch))
    hasty = LocalTarget(
        Environment(name="staging", rest_port=0, grpc_port=0), state, store, deadline_seconds=0.5
    )
    with pytest.raises(OutsideFailed, match="was not available within"):
        hasty.switch(order(4, epoch + 1, "slow-load"))
    assert served(target) == (1, "AVAILABLE")
    eventually(lambda: read(state / "actual.json")["models"]["m"]["versions"]["4"]["state"] == "END")
    assert served(target) == (1, "AVAILABLE")


def test_an_order_for_what_serves_already_never_takes_it_away(target, state, store, order, epoch):
    target.switch(order(1, epoch))
    hopeless = LocalTarget(
        Environment(name="staging", rest_port=0, grpc_port=0), state, store, deadline_seconds=0
    )
    with pytest.raises(OutsideFailed):
        hopeless.switch(order(1, epoch + 1))
    assert served(target) == (1, "AVAILABLE")


def test_a_first_version_that_does_not_load_leaves_nothing(target, order, epoch):
    with pytest.raises(OutsideFailed):
        target.switch(order(1, epoch, "corrupt", model="first"))
    observed = target.observe("first")
    assert (observed.version, observed.state) == (None, "END")
    assert "does not load" in observed.reason


def test_a_lower_epoch_changes_nothing(target, order, epoch):
    target.switch(order(1, epoch + 1))
    with pytest.raises(Superseded) as refused:
        target.switch(order(2, epoch))
    assert refused.value.why == f"epoch {epoch + 1} stands, this order has {epoch}"
    with pytest.raises(Superseded):
        target.withdraw("m", epoch)
    assert served(target) == (1, "AVAILABLE")


def test_a_withdrawn_model_is_served_no_more_and_keeps_its_fence(target, order, epoch):
    target.switch(order(1, epoch, model="other"))
    target.withdraw("other", epoch + 1)
    assert served(target, "other") == (None, "END")
    with pytest.raises(Superseded):
        target.switch(order(1, epoch, model="other"))
    target.switch(order(1, epoch + 1, model="other"))
    assert served(target, "other") == (1, "AVAILABLE")


def test_a_newer_decision_ends_a_switch_that_waits(target, order, epoch):
    target.switch(order(1, epoch))
    ended = []

    def slowly():
        try:
            target.switch(order(4, epoch + 1, "slow-load"))
        except Superseded as e:
            ended.append(e)

    waiting = threading.Thread(target=slowly)
    waiting.start()
    eventually(lambda: target.observe("m").epoch == epoch + 1)
    target.switch(order(2, epoch + 2))
    waiting.join()
    assert len(ended) == 1
    assert served(target) == (2, "AVAILABLE")


def test_files_that_were_changed_are_unpacked_again(target, state, order, epoch):
    target.switch(order(1, epoch))
    desired = read(state / "desired.json")["models"]["m"]["versions"]["1"]
    file = state / desired["directory"] / "saved_model.pb"
    file.write_bytes(b"tampered")
    target.switch(order(1, epoch))
    assert file.read_bytes() != b"tampered"


def test_files_of_versions_that_nothing_names_are_removed(target, state, order, epoch):
    target.withdraw("other", epoch)
    for version in (1, 2, 3):
        target.switch(order(version, epoch + version))
    kept = [p for p in (state / "models").iterdir() if p.is_dir()]
    assert len(kept) == 2, "what serves, and the version before for a way back that needs no store"


def kill(state):
    pid = read(state / "server.json")["pid"]
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_killed_server_is_started_again_by_the_next_switch(target, state, order, epoch):
    target.switch(order(1, epoch))
    kill(state)
    eventually(lambda: target.observe("m").state == "STOPPED")
    assert target.observe("m").version is None
    target.switch(order(2, epoch + 1))
    assert served(target) == (2, "AVAILABLE")


def test_a_server_killed_in_a_switch_costs_only_time(target, state, order, epoch):
    target.switch(order(1, epoch))
    killer = threading.Timer(0.3, kill, [state])
    killer.start()
    target.switch(order(4, epoch + 1, "slow-load"))
    killer.join()
    assert served(target) == (4, "AVAILABLE")


def test_a_server_that_starts_in_a_failing_switch_serves_what_served_before(target, state, order, epoch):
    """The order giver was killed after it wrote the order, and so was the server."""
    target.switch(order(1, epoch))
    kill(state)
    with pytest.raises(OutsideFailed, match="does not load"):
        target.switch(order(9, epoch + 1, "corrupt"))
    assert served(target) == (1, "AVAILABLE")


CHILD = """
import sys
from pathlib import Path
from mmcicd_jenkins.adapters.local.target import LocalTarget
from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.ports import Switch
state, store, model, version, epoch = sys.argv[1:]
store = OciLayoutStore(Path(store))
layers = tuple(layer.blob for layer in store.put_model(Path(model)).layers)
target = LocalTarget(Environment(name="staging", rest_port=0, grpc_port=0), Path(state), store)
order = Switch(model="m", version=int(version), epoch=int(epoch), op_id=f"op-{epoch}", layers=layers)
target.switch(order)
assert "tensorflow" not in sys.modules
"""


def run_child(state, store_path, model, version, epoch, **variables):
    command = [sys.executable, "-c", CHILD, str(state), str(store_path), str(model), str(version), str(epoch)]
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("place", ["serve.before-desired", "serve.after-desired"])
def test_a_killed_order_giver_is_finished_by_the_same_order(
    target, state, models, order, epoch, tmp_path, place
):
    target.switch(order(1, epoch))
    arguments = (state, tmp_path / "store", models / "scaled/3", 3, epoch + 1)
    killed = run_child(*arguments, MMCICD_TESTING="1", MMCICD_FAILPOINTS=f"{place}=kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = run_child(*arguments)
    assert again.returncode == 0, again.stderr
    assert served(target) == (3, "AVAILABLE")


def test_two_orders_at_once_leave_the_newer(target, state, models, epoch, tmp_path):
    results = {}

    def give(version, at):
        results[at] = run_child(state, tmp_path / f"store{at}", models / f"scaled/{version}", version, at)

    givers = [threading.Thread(target=give, args=(v, epoch + v)) for v in (1, 2)]
    for giver in givers:
        giver.start()
    for giver in givers:
        giver.join()
    assert results[epoch + 2].returncode == 0, results[epoch + 2].stderr
    assert results[epoch + 1].returncode == 0 or "Superseded" in results[epoch + 1].stderr
    assert served(target) == (2, "AVAILABLE")


def test_no_request_fails_in_a_switch(target, order, epoch):
    """By kept connections, new connections and gRPC, over several switches, one back to an older version."""
    from stock_stubs import StockStubs

    target.switch(order(1, epoch))
    endpoint, tally, ended = target.endpoint("m"), Tally(), threading.Event()
    grpc_errors = []

    def by_grpc():
        import grpc
        import numpy as np

        stubs = StockStubs(endpoint.grpc)
        while not ended.is_set():
            try:
                stubs.prediction.Predict(stubs.predict("m", {"x": np.ones((1, 2), np.float32)}))
            except grpc.RpcError as e:
                grpc_errors.append(e.code())
        stubs.channel.close()

    clients = [
        threading.Thread(
            target=keep_asking,
            args=(Asker(endpoint.rest, "m", keep_alive=keep), bodies_of(GOLDEN), 200.0, tally, ended),
        )
        for keep in (True, False)
    ]
    clients.append(threading.Thread(target=by_grpc))
    for client in clients:
        client.start()
    for place, version in enumerate((2, 3, 1, 2)):
        time.sleep(0.3)
        target.switch(order(version, epoch + 1 + place))
    time.sleep(0.3)
    ended.set()
    for client in clients:
        client.join()
    counted = tally.document()
    assert counted["failures"] == {}
    assert grpc_errors == []
    assert set(counted["versions"]) == {"1", "2", "3"}
    assert counted["ok"] > 100


def test_a_request_that_runs_outlives_its_version(target, order, epoch, state):
    target.switch(order(4, epoch, "slow"))
    answers = []
    asker = Asker(target.endpoint("m").rest, "m", keep_alive=True)
    body = b'{"instances": [[1.0]]}'
    asking = threading.Thread(target=lambda: answers.extend(asker.ask(body) for _ in range(3)))
    asking.start()
    time.sleep(0.05)
    # Another shape of input: whoever reaches the new version is refused, whoever runs is answered by the old one.
    target.switch(order(1, epoch + 1))
    asking.join()
    asker.close()
    assert answers[0].failure == ""
    assert answers[0].version == "4"


def test_a_port_that_another_program_has_is_named_with_its_key(store, tmp_path, order):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for key, ports in (("rest_port", (port, 0)), ("grpc_port", (0, port))):
            place = Environment(name="production", rest_port=ports[0], grpc_port=ports[1])
            taken = LocalTarget(place, tmp_path / key, store)
            with pytest.raises(OutsideFailed) as failed:
                taken.switch(order(1, 1))
            assert failed.value.what == f"port {port} on 127.0.0.1 is taken"
            assert f"environments.production.{key}" in failed.value.fix
            assert served(taken) == (None, "STOPPED")


def test_stop_answers_what_runs_and_leaves_the_order(target, state, order, epoch):
    target.switch(order(4, epoch, "slow"))
    answers = []
    asker = Asker(target.endpoint("m").rest, "m", keep_alive=True)
    asking = threading.Thread(target=lambda: answers.append(asker.ask(b'{"instances": [[1.0]]}')))
    asking.start()
    time.sleep(0.05)
    assert target.stop() is True
    asking.join()
    asker.close()
    assert answers[0].failure == ""
    assert target.stop() is False
    assert not (state / "server.json").exists()
    assert target.ensure() is True
    eventually(lambda: served(target) == (4, "AVAILABLE"))


def test_an_address_of_another_machine_is_named_with_its_key(store, tmp_path, order):
    away = LocalTarget(Environment(name="production", host="192.0.2.1"), tmp_path, store)
    with pytest.raises(OutsideFailed, match=r"cannot listen on 192\.0\.2\.1") as failed:
        away.switch(order(1, 1))
    assert "environments.production.host" in failed.value.fix

"""How long a registry is waited for: tries and their pauses, an end to both, and streams that hardly move."""

import socket
import threading
import time

import fault_proxy
import faults
import pytest

from mmcicd_jenkins.adapters.registry.errors import Trouble
from mmcicd_jenkins.adapters.registry.tries import Deadlines, Pace, Patience, Tries
from mmcicd_jenkins.errors import OutsideFailed


def trouble(wait=0.0):
    return Trouble(OutsideFailed("it failed", why="so it is", retryable=True), wait)


def pauses(patience, waits):
    slept = []
    tries = Tries(patience, slept.append)
    for wait in waits:
        try:
            tries.again(trouble(wait))
        except OutsideFailed as error:
            return slept, error
    raise AssertionError("it had no end")


def test_pauses_are_drawn_below_a_doubling_ceiling():
    drawn = [pauses(Patience(tries=6, pause=1, longest=5), [0] * 6)[0] for _ in range(50)]
    assert all(len(one) == 5 for one in drawn)
    for at, ceiling in enumerate((1, 2, 4, 5, 5)):
        seen = [one[at] for one in drawn]
        assert all(0 <= pause <= ceiling for pause in seen)
        assert max(seen) - min(seen) > ceiling / 4, (
            "they are spread, so that many clients do not come at once"
        )


def test_what_the_registry_asks_for_is_the_least():
    slept, _ = pauses(Patience(tries=3, pause=1), [10, 20, 0])
    assert 10 <= slept[0] <= 11
    assert 20 <= slept[1] <= 22


def test_a_pause_beyond_the_budget_is_the_end():
    slept, error = pauses(Patience(tries=9, pause=1, budget=30), [5, 40])
    assert len(slept) == 1
    assert "tried 2 times" in error.why
    assert "wait for 40 s" in error.why
    assert error.retryable


def test_one_try_says_nothing_of_tries():
    _, error = pauses(Patience(tries=1), [0])
    assert error.why == "so it is"


def test_a_pace(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace(60)
    for _ in range(10):
        now[0] += 50
        assert pace.moved(2**16)
    now[0] += 59
    assert pace.moved(2**16 - 1)
    now[0] += 1.5
    assert not pace.moved(0)


def test_a_download_that_hardly_moves_ends(standin, opened, blob):
    content, named, _ = blob()
    standin.put("ml/churn", content)
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("GET", "/blobs/", faults.slow(0.02, piece=1), times=100)
        repository = opened(
            proxy.host, deadlines=Deadlines(connect=1, stall=0.1), patience=Patience(tries=2, pause=0.001)
        )
        with pytest.raises(OutsideFailed, match="broke off") as error:
            list(repository.chunks(named))
    assert "too slowly" in error.value.why


def test_a_document_that_hardly_moves_ends(standin, opened):
    standin.put_manifest("ml/churn", "7", b"{" + b" " * 1000 + b"}", "application/json")
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("GET", "/manifests/", faults.slow(0.02, piece=1), times=100)
        patience = Patience(tries=2, pause=0.001, budget=0.3)
        with pytest.raises(OutsideFailed) as error:
            opened(proxy.host, patience=patience).manifest("7")
    assert "too slowly" in error.value.why


def test_an_upload_that_hardly_moves_ends(standin, opened, blob):
    """Whoever takes the bytes takes some of them, now and then."""
    sipped = threading.Event()

    def sips(exchange):
        exchange.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while not exchange.proxy.closing.wait(0.02):
            try:
                if not exchange.client.recv(1024):
                    break
            except OSError:
                break
        sipped.set()
        raise fault_proxy.EndedError

    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("PATCH", "", sips, times=100)
        repository = opened(
            proxy.host, deadlines=Deadlines(connect=1, stall=0.2), patience=Patience(tries=1, pause=0.001)
        )
        with pytest.raises(OutsideFailed, match="broke off"):
            repository.upload(blob(20_000_000, piece=1_000_000)[2])
    assert sipped.wait(10)

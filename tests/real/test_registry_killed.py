"""A push that is killed at any of its requests, before or after the registry did what was asked: the next one finishes.

Afterwards the registry holds the same image as after a push that nobody disturbed, and gives every byte of the model
back; what it holds before is never a tag that names what is not there.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import fault_proxy
import faults
import pytest
import registry
from registry import plain_registry  # noqa: F401 - a fixture
from registry_pusher import SIGNED, open_store, push

from mmcicd_jenkins.errors import IntegrityFailed, MmcicdError

pytestmark = [pytest.mark.real, registry.needs_registry]

PUSHER = Path(__file__).with_name("registry_pusher.py")
REQUESTS = {
    "begins a layer": ("POST", "/uploads/$"),
    "sends a layer": ("PATCH", "/uploads/"),
    "ends a layer": ("PUT", "/uploads/"),
    "ends the second layer": ("PUT", "/uploads/", 1),
    "puts the run": ("PUT", "/mmcicd.ops/manifests/"),
    "mounts": ("POST", "mount="),
    "asks for a layer": ("HEAD", "/blobs/"),
    "puts the image": ("PUT", "/churn/manifests/1"),
    "reads it back": ("GET", "/churn/manifests/"),
    "attaches": ("PUT", "/churn/manifests/sha256"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "variables").mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01graph")
    for number in range(2):
        (folder / "variables" / f"shard-{number}").write_bytes(os.urandom(2_000_000))
    return folder


@pytest.fixture(scope="module")
def undisturbed(model, tmp_path_factory):
    with registry.serve(tmp_path_factory.mktemp("other")) as other:
        return push(open_store(f"{other.host}/team", tmp_path_factory.mktemp("cache")), model)


def process(root, model, cache):
    return subprocess.Popen(
        [sys.executable, str(PUSHER), root, str(model), str(cache)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def all_is_there(root, model, cache, digest, folder):
    """Read as another machine would, by way of what names it."""
    store = open_store(root, cache)
    image = store.find_image("churn", 1)
    assert image
    assert image.digest == digest
    run = store.find("run-1")
    assert run
    weights = [layer for layer in run.layers if "tar" in layer.media_type]
    store.extract(weights, folder)
    for path in model.rglob("*"):
        if path.is_file():
            assert (folder / path.relative_to(model)).read_bytes() == path.read_bytes()
    for layer in image.layers:
        store.check_blob("churn", layer, deep=True)
    assert [store.read(one.layers[0]) for one in store.attached("churn", digest, SIGNED)] == [
        b'{"signed": 1}'
    ]


def no_tag_lies(root, cache):
    """Whatever a tag names can be read, all of it."""
    store = open_store(root, cache)
    for found in (store.find("run-1"), store.find_image("churn", 1)):
        for blob in found.layers if found else ():
            store.read(blob)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("request_", REQUESTS)
def test_killed_at_a_request_and_done_again(plain_registry, model, undisturbed, tmp_path, request_, when):  # noqa: F811
    root = f"team/k{secrets.token_hex(6)}"
    method, path, *after = REQUESTS[request_]
    with fault_proxy.serve(plain_registry.host) as proxy:
        running = process(f"{proxy.host}/{root}", model, tmp_path / "cache")

        def kills(exchange):
            if when == "after":
                exchange.send()
                exchange.receive()
            running.send_signal(signal.SIGKILL)
            raise fault_proxy.EndedError

        proxy.on(method, path, kills, after=after[0] if after else 0)
        running.communicate(timeout=60)
        assert running.returncode == -signal.SIGKILL, "it was met"
    no_tag_lies(f"{plain_registry.host}/{root}", tmp_path / "reader")
    again = process(f"{plain_registry.host}/{root}", model, tmp_path / "cache")
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert out.strip() == undisturbed
    all_is_there(f"{plain_registry.host}/{root}", model, tmp_path / "reader", undisturbed, tmp_path / "out")


def test_several_push_the_same_at_once(plain_registry, model, undisturbed, tmp_path):  # noqa: F811
    root = f"{plain_registry.host}/team/k{secrets.token_hex(6)}"
    running = [process(root, model, tmp_path / f"cache-{number}") for number in range(3)]
    told = [one.communicate(timeout=120) for one in running]
    assert [out.strip() for out, _ in told] == [undisturbed] * 3, told
    all_is_there(root, model, tmp_path / "reader", undisturbed, tmp_path / "out")


def test_a_layer_that_another_one_deletes_meanwhile(plain_registry, model, undisturbed, tmp_path):  # noqa: F811
    """What garbage collection does to a registry in use: the push that needed it says so, or stores it again."""
    root = f"{plain_registry.host}/team/k{secrets.token_hex(6)}"
    store = open_store(root, tmp_path / "cache")
    layers = store.put_model(model)
    plain_registry.blob(layers.layers[0].blob.digest).unlink()
    with contextlib.suppress(MmcicdError):
        push(open_store(root, tmp_path / "cache"), model)
    assert push(open_store(root, tmp_path / "cache"), model) == undisturbed
    all_is_there(root, model, tmp_path / "reader", undisturbed, tmp_path / "out")


@pytest.mark.parametrize("part", ["a layer", "the run", "the image", "what is attached"])
def test_a_wrong_byte_in_the_registry_is_refused(model, tmp_path, part):
    with registry.serve(tmp_path / "registry") as running:
        root = f"{running.host}/team"
        store = open_store(root, tmp_path / "cache")
        digest = push(store, model)
        run = store.find("run-1")
        image = store.find_image("churn", 1)
        (attached,) = store.attached("churn", digest, SIGNED)
        assert run
        assert image
        blob = {
            "a layer": run.layers[0].digest,
            "the run": run.digest,
            "the image": image.digest,
            "what is attached": attached.layers[0].digest,
        }[part]
        content = bytearray(running.blob(blob).read_bytes())
        content[len(content) // 2] ^= 1
        running.blob(blob).write_bytes(content)
        with pytest.raises(IntegrityFailed):
            all_is_there(root, model, tmp_path / "reader", digest, tmp_path / "out")
        assert not (tmp_path / "out").exists() or not part.startswith("a layer")


def test_a_wrong_byte_on_the_way_here_is_refused(plain_registry, model, tmp_path):  # noqa: F811
    root = f"team/k{secrets.token_hex(6)}"
    push(open_store(f"{plain_registry.host}/{root}", tmp_path / "cache"), model)
    with fault_proxy.serve(plain_registry.host) as proxy:
        store = open_store(f"{proxy.host}/{root}", tmp_path / "reader")
        run = store.find("run-1")
        assert run
        proxy.on("GET", "/blobs/", faults.flip(1000), times=10)
        with pytest.raises(IntegrityFailed):
            store.extract(run.layers[:1], tmp_path / "out")
        assert not (tmp_path / "out").exists()

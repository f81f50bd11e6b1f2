"""A real registry behind a network that breaks: every request of a push and a pull meets every fault.

What is true at the end of each: the bytes are in the registry as they should be, or an error of ours says why not,
and then the same command does it once the fault is gone. Faults of contents end with code 7.
"""

import concurrent.futures
import hashlib
import signal
import subprocess

import fault_proxy
import faults
import pytest
import registry
from registry import plain_registry  # noqa: F401 - a fixture

from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.adapters.registry.tries import Deadlines, Patience
from mmcicd_jenkins.errors import InputError, IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.image.artifact import json_bytes
from mmcicd_jenkins.image.descriptor import CONFIG, LAYER, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.reference import Reference

pytestmark = [pytest.mark.real, registry.needs_registry]

SIZE = 400_000
STALL = 0.25

# Each may pass by itself, so a client goes on.
PASSING = {
    "dropped": faults.drop,
    "answer dropped": faults.drop_answer,
    "stalled": faults.stall,
    "half open": faults.half_open,
    "half open in the middle": lambda: faults.half_open(100_000),
    "half closed": faults.half_closed,
    "reset before": faults.reset_before,
    "reset in the middle": lambda: faults.reset_before(100_000),
    "reset after": faults.reset_after,
    "429": lambda: faults.answer(429, Retry_After="0"),
    "429 at once": lambda: faults.answer(429, at_once=True, Connection="close"),
    "500": lambda: faults.answer(500, b'{"errors":[{"code":"UNKNOWN"}]}'),
    "502": lambda: faults.answer(502, b"<html><body>Bad gateway</body></html>", Content_Type="text/html"),
    "503 at once": lambda: faults.answer(503, at_once=True),
}
# Those only refuse: nothing can be done but to say so.
REFUSING = {
    "401": lambda: faults.answer(401),
    "403": lambda: faults.answer(403, b'{"errors":[{"code":"DENIED","message":"no rights"}]}'),
    "400": lambda: faults.answer(400, b"?"),
    "418 with a long page": lambda: faults.answer(418, b"<p>" + b"x" * 1_000_000),
}


REQUESTS = {
    "the first": ("GET", "/v2/$"),
    "is it there": ("HEAD", "/blobs/"),
    "begin": ("POST", "/uploads/$"),
    "send": ("PATCH", "/uploads/"),
    "end": ("PUT", "/uploads/"),
    "mount": ("POST", "mount="),
    "put the manifest": ("PUT", "/manifests/"),
    "read the manifest": ("GET", "/manifests/"),
    "read a layer": ("GET", "/blobs/"),
}


# The answer is lost, and the effect is seen by another request; and what cannot be mounted is copied.
NEEDS_NO_ANSWER = {
    ("end", "reset after"),
    ("put the manifest", "reset after"),
    *(("mount", refusal) for refusal in REFUSING),
}


def content(seed, size=SIZE):
    made = hashlib.shake_256(str(seed).encode()).digest(size)
    return made, Descriptor(media_type=LAYER, digest=digest_bytes(made), size=size)


def writer(data, blob, piece=50_000):
    def write(sink):
        for at in range(0, len(data), piece):
            sink([memoryview(data)[at : at + piece // 2], data[at + piece // 2 : at + piece]])
        return blob

    return write


def manifest(*layers, seed=0):
    config = Descriptor(media_type=CONFIG, digest=digest_bytes(b"{}"), size=2)
    return json_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.to_json(),
            "layers": [layer.to_json() for layer in layers],
            "annotations": {"seed": str(seed)},
        }
    )


@pytest.fixture
def proxy(plain_registry):  # noqa: F811
    with fault_proxy.serve(plain_registry.host) as running:
        yield running


@pytest.fixture
def opened(request, proxy):
    """A function that opens a repository of this test by the proxy, by a registry or elsewhere."""
    name = "t" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    made = []

    def open_repository(part="here", host="", **settings):
        given = {
            "insecure": True,
            "deadlines": Deadlines(connect=1, stall=STALL),
            "patience": Patience(tries=4, pause=0.01, budget=30),
            **settings,
        }
        variables = given.pop("variables", {})
        host = host or proxy.host
        made.append(Access(host, {"HOME": "/nonexistent", **variables}, **given))
        return Repository(Reference(registry=host, name=f"{name}/{part}"), made[-1])

    yield open_repository
    for access in made:
        access.close()


def stored(running, blob):
    path = running.blob(blob.digest)
    return path.is_file() and digest_bytes(path.read_bytes()) == blob.digest


def push_and_pull(opened, seed, **settings):
    """An upload, a mount from a neighbour, a manifest under a tag; and all of it read again."""
    here, neighbour = opened("here", **settings), opened("neighbour", **settings)
    shared, shared_blob = content(f"{seed} shared", 10_000)
    neighbour.put_blob(shared)
    data, blob = content(seed)
    here.upload(writer(data, blob), blob.size)
    if not here.mount(shared_blob.digest, neighbour.place):
        here.put_blob(shared)
    here.put_blob(b"{}")
    document = manifest(blob, shared_blob, seed=seed)
    assert here.put_manifest("1", document, MANIFEST) == digest_bytes(document)
    assert here.manifest("1") == (
        Descriptor(media_type=MANIFEST, digest=digest_bytes(document), size=len(document)),
        document,
    )
    for one, expected in ((blob, data), (shared_blob, shared)):
        assert b"".join(here.chunks(one)) == expected
    return blob


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("request_", REQUESTS)
def test_what_passes_by_itself_is_survived(opened, proxy, plain_registry, request_, fault):  # noqa: F811
    proxy.on(*REQUESTS[request_], PASSING[fault]())
    blob = push_and_pull(opened, f"{request_} {fault}")
    assert [what for _, _, what in proxy.seen if what != "passed"], "the fault was met"
    assert stored(plain_registry, blob)


@pytest.mark.parametrize("fault", ["reset before", "reset after", "stalled", "500", "429 at once", *REFUSING])
@pytest.mark.parametrize("request_", REQUESTS)
def test_what_stays_is_told_and_can_be_done_again(opened, proxy, request_, fault):
    proxy.on(*REQUESTS[request_], (PASSING | REFUSING)[fault](), times=10**6)
    if (request_, fault) in NEEDS_NO_ANSWER:
        push_and_pull(opened, request_)
        return
    with pytest.raises(MmcicdError) as error:
        push_and_pull(opened, request_, patience=Patience(tries=2, pause=0.01))
    assert error.value.exit_code in {OutsideFailed.exit_code, InputError.exit_code}
    if fault in PASSING:
        assert error.value.retryable
    assert error.value.where
    assert len(str(error.value.to_json())) < 2000
    proxy.calm()
    push_and_pull(opened, request_)


@pytest.mark.parametrize("times", [1, 10**6], ids=["once", "always"])
@pytest.mark.parametrize(
    ("method", "path", "fault"),
    [
        ("PATCH", "/uploads/", lambda: faults.flip_sent(5_000)),
        ("PUT", "/uploads/", lambda: faults.with_headers(Docker_Content_Digest="sha256:" + "0" * 64)),
        ("PUT", "/manifests/", lambda: faults.flip_sent(40)),
        ("GET", "/manifests/", lambda: faults.flip(40)),
        ("GET", "/manifests/1", lambda: faults.with_headers(Docker_Content_Digest="sha256:" + "0" * 64)),
        ("GET", "/manifests/", lambda: faults.truncate(40, honest=False)),
    ],
    ids=["layer sent", "layer's name", "manifest sent", "manifest read", "manifest's name", "manifest cut"],
)
def test_other_bytes_than_were_meant_end_with_7(opened, proxy, method, path, fault, times):
    proxy.on(method, path, fault(), times=times)
    try:
        push_and_pull(opened, f"{method} {path} {times}")
    except MmcicdError as error:
        # A manifest that lost or changed a byte need not be one any more, and the registry refuses it as such.
        assert error.exit_code == IntegrityFailed.exit_code or "manifest" in str(error), error
    else:
        pytest.fail("it was taken")
    proxy.calm()
    push_and_pull(opened, f"{method} {path} {times}")


def test_a_layer_that_is_cut_on_its_way_here_is_read_to_its_end(opened, proxy):
    proxy.on("GET", "/blobs/", faults.truncate(100_000))
    proxy.on("GET", "/blobs/", faults.truncate(200_000, honest=False))
    proxy.on("GET", "/blobs/", faults.stall_answer(5_000))
    push_and_pull(opened, "cut")
    assert len(proxy.asked("GET", "/blobs/")) > 3


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST"])
def test_what_is_written_goes_to_no_other_place(opened, proxy, method):
    heard = []

    def listens(exchange):
        heard.append(exchange.head)
        fault_proxy.passed(exchange)

    with fault_proxy.serve(proxy.host) as elsewhere:
        elsewhere.on("*", "/", listens, times=10**6)
        proxy.on(method, "/uploads/", faults.redirect(f"http://{elsewhere.host}/taken"), times=10**6)
        with pytest.raises(OutsideFailed):
            push_and_pull(opened, method)
    assert not heard


def test_an_answer_without_end_is_not_read_to_its_end(opened, proxy):
    for path in ("/manifests/", "/tags/"):
        proxy.on("GET", path, faults.endless(Content_Type="application/json"))
        with pytest.raises(MmcicdError):
            list(opened().tags()) if "tags" in path else opened().manifest("1")


@pytest.mark.parametrize("place", ["refuses", "is silent"])
def test_a_registry_that_is_not_there(opened, place):
    with fault_proxy.black_hole() as nobody:
        host = nobody if place == "is silent" else "127.0.0.1:9"
        repository = opened(host=host, deadlines=Deadlines(connect=0.2, stall=0.2))
        with pytest.raises(OutsideFailed) as error:
            repository.put_blob(b"content")
        assert error.value.retryable
        assert host in str(error.value.to_json())


def test_a_full_disk_of_the_registry(opened, tmp_path):
    data, blob = content("full", 5_000_000)
    with registry.serve(tmp_path, size="4m") as running:
        repository = opened(host=running.host)
        for _ in range(2):
            with pytest.raises(OutsideFailed, match="no room left") as error:
                repository.upload(writer(data, blob), blob.size)
            assert not error.value.retryable
        subprocess.run(["mount", "-o", "remount,size=30m", running.storage], check=True)
        repository.upload(writer(data, blob), blob.size)
        assert stored(running, blob)


def test_a_registry_that_takes_nothing(opened, tmp_path):
    with registry.serve(tmp_path, read_only=True) as running, pytest.raises(OutsideFailed) as error:
        opened(host=running.host).put_blob(b"content")
    assert not error.value.retryable


def test_a_registry_that_is_restarted_in_the_middle(opened, tmp_path):
    data, blob = content("restarted", 20_000_000)
    with registry.serve(tmp_path) as running:
        repository = opened(host=running.host)
        restarted = []

        def write(sink):
            for at in range(0, len(data), 100_000):
                if at > len(data) // 2 and not restarted:
                    restarted.append(at)
                    running.stop(signal.SIGKILL)
                    running.start()
                sink([data[at : at + 100_000]])
            return blob

        repository.upload(write, blob.size)
        assert restarted
        assert stored(running, blob)


def test_two_push_one_layer_at_once(opened, plain_registry):  # noqa: F811
    data, blob = content("at once", 10_000_000)
    repositories = [opened(host=plain_registry.host) for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda one: one.upload(writer(data, blob), blob.size), repositories * 2))
    assert made == [blob] * 8
    assert stored(plain_registry, blob)
    assert b"".join(repositories[0].chunks(blob)) == data


def test_a_tag_that_was_moved_behind_our_back(opened, plain_registry):  # noqa: F811
    repository = opened(host=plain_registry.host)
    repository.put_blob(b"{}")
    mine, theirs = manifest(seed=1), manifest(seed=2)
    digest = repository.put_manifest("7", mine, MANIFEST)
    other = repository.put_manifest("8", theirs, MANIFEST)
    plain_registry.tag(repository.place.name, "7").write_text(other)
    found = repository.manifest("7")
    assert found
    assert found[0].digest == other, "a tag says what it names now"
    found = repository.manifest(digest)
    assert found
    assert found[1] == mine, "a digest is what it was"
    plain_registry.blob(digest).write_bytes(theirs)
    with pytest.raises(IntegrityFailed):
        repository.manifest(digest)

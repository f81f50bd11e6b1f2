"""Uploads. We test these aspects:

One stream, framed or of a known length; pieces where a limit is set or found; a replay after what may pass and none
after what may not; what is looked up before anything is sent again; what becomes of a session nobody finishes.
"""

from concurrent.futures import ThreadPoolExecutor

import fault_proxy
import faults
import pytest

from mmcicd_jenkins.adapters.registry.tries import Deadlines, Patience
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed


def test_a_blob_goes_in_one_stream(standin, opened, blob):
    content, named, write = blob()
    assert opened(standin.host).upload(write) == named
    assert standin.blobs["ml/churn"] == {named.digest: content}
    assert [asked.method for asked in standin.seen] == ["GET", "POST", "PATCH", "PUT"]
    assert standin.asked("PATCH")[0].headers["Transfer-Encoding"] == "chunked"


def test_a_known_size_is_announced(standin, opened, blob):
    content, named, write = blob()
    opened(standin.host).upload(write, len(content))
    assert standin.asked("PATCH")[0].headers["Content-Length"] == str(len(content))
    assert standin.blobs["ml/churn"] == {named.digest: content}


def test_a_size_that_is_not_kept_is_our_bug(standin, opened, blob):
    _, named, write = blob()
    for wrong in (named.size - 1, named.size + 1):
        with pytest.raises(AssertionError):
            opened(standin.host).upload(write, wrong)
    assert not standin.blobs["ml/churn"]


def test_an_empty_blob(standin, opened, blob):
    _, named, write = blob(size=0)
    assert opened(standin.host).upload(write) == named
    assert standin.blobs["ml/churn"] == {named.digest: b""}


@pytest.mark.parametrize("base", ["", "own"])
def test_where_an_upload_goes_is_what_the_registry_says(standin, opened, blob, base):
    standin.base = f"http://{standin.host}" if base else ""
    _, named, write = blob()
    opened(standin.host).upload(write)
    assert standin.asked("PUT")[0].path.endswith(f"?state=a%2Fb&digest={named.digest}")


def test_pieces_by_setting(standin, opened, blob):
    content, named, write = blob(size=250_000)
    assert opened(standin.host, piece=100_000).upload(write) == named
    ranges = [asked.headers["Content-Range"] for asked in standin.asked("PATCH")]
    assert ranges == ["0-99999", "100000-199999", "200000-249999"]
    assert standin.blobs["ml/churn"] == {named.digest: content}


def test_pieces_are_not_smaller_than_the_registry_wants(standin, opened, blob):
    standin.least = 150_000
    _, _, write = blob(size=250_000)
    opened(standin.host, piece=100_000).upload(write)
    assert [len(asked.body) for asked in standin.asked("PATCH")] == [150_000, 100_000]


def test_a_limit_that_is_met_makes_pieces_small_enough(standin, opened, blob):
    standin.limit = 2**20
    repository = opened(standin.host)
    content, named, write = blob(size=2_500_000)
    assert repository.upload(write, len(content)) == named
    assert standin.blobs["ml/churn"][named.digest] == content
    before = len(standin.asked("PATCH"))
    _, other, write = blob(size=1_500_000, seed="other")
    repository.upload(write)
    assert len(standin.asked("PATCH")) - before == 2, "the size that was found is kept"
    assert standin.blobs["ml/churn"].keys() == {named.digest, other.digest}
    assert not standin.sessions, "what was refused is not left behind"


def test_a_limit_below_every_piece_is_told(standin, opened, blob):
    standin.limit = 1000
    with pytest.raises(OutsideFailed, match="only smaller pieces") as error:
        opened(standin.host).upload(blob()[2])
    assert not error.value.retryable
    assert "413 Request Entity Too Large" in error.value.why


def test_pieces_larger_than_memory_are_refused(standin, opened, blob):
    standin.least = 2**30
    with pytest.raises(OutsideFailed, match="larger pieces"):
        opened(standin.host, piece=2**20).upload(blob()[2])


@pytest.mark.parametrize("piece", [0, 100_000])
def test_an_acknowledgement_of_fewer_bytes_is_no_acknowledgement(standin, opened, blob, piece):
    standin.on("PATCH", "", 202, Range="0-99", Location="/v2/ml/churn/blobs/uploads/x")
    content, named, write = blob()
    opened(standin.host, piece=piece).upload(write)
    assert write.calls == 2
    assert standin.blobs["ml/churn"] == {named.digest: content}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_what_may_pass_is_tried_again(standin, opened, blob, method, status):
    standin.on(method, "/uploads/", status, times=2)
    content, named, write = blob()
    opened(standin.host).upload(write)
    assert standin.blobs["ml/churn"] == {named.digest: content}
    assert write.calls == (3 if method == "PATCH" else 1), "bytes are sent again only when they were lost"


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_what_stays_is_told_with_its_words(standin, opened, blob, method):
    body = b'{"errors":[{"code":"UNKNOWN","message":"storage is away"}]}'
    standin.on(method, "/uploads/", 500, body, times=100)
    with pytest.raises(OutsideFailed) as error:
        opened(standin.host).upload(blob()[2])
    assert error.value.retryable
    assert error.value.where == f"{standin.host}/ml/churn"
    assert "storage is away" in error.value.why
    assert "tried 4 times" in error.value.why


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"errors":[{"code":"UNKNOWN","detail":{"Op":"write","Err":28}}]}', 500),
        (b'{"errors":[{"code":"DENIED","message":"adding 2 GiB would exceed the quota of 10 GiB"}]}', 403),
        (b"", 507),
    ],
)
def test_a_full_registry_is_not_tried_again(standin, opened, blob, body, status):
    standin.on("PATCH", "/uploads/", status, body, times=100)
    _, _, write = blob()
    with pytest.raises(OutsideFailed, match="no room") as error:
        opened(standin.host).upload(write)
    assert not error.value.retryable
    assert write.calls == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409])
def test_what_no_retry_cures_is_told_at_once(standin, opened, blob, status):
    standin.on("POST", "/uploads/", status, b'{"errors":[{"code":"X","message":"never"}]}', times=100)
    _, _, write = blob()
    with pytest.raises((OutsideFailed, InputError)) as error:
        opened(standin.host).upload(write)
    assert not error.value.retryable
    assert "never" in error.value.why
    assert len(standin.asked("POST")) == 1
    assert not write.calls


def test_an_unknown_repository_is_named(standin, opened, blob):
    standin.on("POST", "/uploads/", 404, b'{"errors":[{"code":"NAME_UNKNOWN","message":"no such repo"}]}')
    with pytest.raises(InputError, match="no such repository") as error:
        opened(standin.host).upload(blob()[2])
    assert error.value.where == f"{standin.host}/ml/churn"


def test_a_pause_is_as_long_as_the_registry_asks(standin, opened, blob):
    pauses = []
    standin.on("POST", "/uploads/", 429, Retry_After="7")
    opened(standin.host, sleep=pauses.append).upload(blob()[2])
    assert 7 <= pauses[0] < 8


def test_a_pause_beyond_all_patience_is_not_begun(standin, opened, blob):
    pauses = []
    standin.on("POST", "/uploads/", 429, Retry_After="3600", times=100)
    with pytest.raises(OutsideFailed, match="less often") as error:
        opened(standin.host, sleep=pauses.append).upload(blob()[2])
    assert not pauses
    assert error.value.retryable
    assert "3600 s" in error.value.why


def test_bytes_that_changed_on_the_way_are_told(standin, opened, blob):
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("PATCH", "", faults.flip_sent(5000), times=100)
        with pytest.raises(IntegrityFailed):
            opened(proxy.host).upload(blob()[2])
    assert not standin.blobs["ml/churn"]


def test_another_digest_in_the_last_answer_is_told(standin, opened, blob):
    standin.on("PUT", "", 201, Docker_Content_Digest="sha256:" + "0" * 64)
    with pytest.raises(IntegrityFailed):
        opened(standin.host).upload(blob()[2])


@pytest.mark.parametrize(
    "fault",
    [
        faults.drop,
        faults.drop_answer,
        faults.reset_before,
        faults.reset_after,
        faults.half_closed,
        faults.stall,
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_a_broken_connection_is_survived(standin, opened, blob, method, fault):
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on(method, "/uploads/", fault())
        content, named, write = blob()
        opened(proxy.host, deadlines=Deadlines(connect=2, stall=0.5)).upload(write)
    assert standin.blobs["ml/churn"] == {named.digest: content}


def test_a_lost_last_answer_costs_one_look(standin, opened, blob):
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("PUT", "/uploads/", faults.reset_after())
        _, _, write = blob()
        opened(proxy.host).upload(write)
    assert write.calls == 1
    assert len(standin.asked("HEAD", "/blobs/")) == 1
    assert len(standin.asked("PUT")) == 1


def test_an_answer_in_the_middle_of_a_stream_is_heard(standin, opened, blob):
    """A proxy says why and hangs up while it is being sent to."""
    body = b'{"errors":[{"code":"DENIED","message":"not on Fridays"}]}'
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("PATCH", "", faults.answer(403, body, at_once=True), times=100)
        _, _, write = blob(size=30_000_000, piece=1_000_000)
        with pytest.raises(OutsideFailed) as error:
            opened(proxy.host).upload(write)
    assert write.calls < 4, "unless the words were lost with the connection"
    assert "not on Fridays" in error.value.why


def test_what_the_maker_of_the_bytes_raises_passes_through(standin, opened):
    def write(sink):
        sink([b"begun"])
        raise InputError("a model file changed")

    with pytest.raises(InputError, match="a model file changed"):
        opened(standin.host).upload(write)
    assert not standin.sessions, "the registry is told to forget it"


def test_silence_ends(opened, blob):
    with fault_proxy.black_hole() as host:
        patience = Patience(tries=2, pause=0.001)
        repository = opened(host, deadlines=Deadlines(connect=0.1, stall=0.1), patience=patience)
        with pytest.raises(OutsideFailed, match="cannot be reached") as error:
            repository.upload(blob()[2])
    assert error.value.retryable


def test_a_small_blob_is_sent_once(standin, opened):
    repository = opened(standin.host)
    assert repository.put_blob(b"{}") == repository.put_blob(b"{}")
    assert [asked.method for asked in standin.seen] == ["GET", "HEAD", "POST", "PUT", "HEAD"]
    (content,) = standin.blobs["ml/churn"].values()
    assert content == b"{}"


def test_a_small_blob_whose_session_was_lost(standin, opened):
    standin.on("PUT", "/uploads/", 404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
    digest = opened(standin.host).put_blob(b"{}")
    assert standin.blobs["ml/churn"] == {digest: b"{}"}


def test_whether_one_may_write_is_found_out_without_a_trace(standin, opened):
    opened(standin.host).check_write()
    assert not standin.sessions
    standin.on("POST", "/uploads/", 403, b'{"errors":[{"code":"DENIED","message":"read only"}]}')
    with pytest.raises(OutsideFailed, match="write to it"):
        opened(standin.host).check_write()


def test_a_mount(standin, opened):
    digest = standin.put("ml/base", b"layer")
    repository, base = opened(standin.host), opened(standin.host, "ml/base")
    assert repository.mount(digest, base.place)
    assert standin.blobs["ml/churn"] == {digest: b"layer"}
    assert not repository.mount("sha256:" + "1" * 64, base.place), "it is not there"
    assert not standin.sessions, "the upload that was begun instead is let go"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_mount_that_is_refused_is_none(standin, opened, status):
    digest = standin.put("ml/base", b"layer")
    standin.on("POST", "mount=", status)
    repository = opened(standin.host)
    assert not repository.mount(digest, opened(standin.host, "ml/base").place)
    repository.put_blob(b"layer")
    assert standin.asked("POST", "/uploads/$"), "the bytes go without asking for a mount"


def test_nothing_is_mounted_from_another_registry(standin, opened):
    repository = opened(standin.host)
    assert not repository.mount(standin.put("ml/base", b"x"), opened("127.0.0.1:9", "ml/base").place)
    assert not standin.seen


def test_a_pause_that_is_asked_for_in_the_middle_of_a_stream(standin, opened, blob):
    pauses = []
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("PATCH", "", faults.answer(429, at_once=True, Retry_After="7"))
        content, named, write = blob(size=30_000_000, piece=1_000_000)
        opened(proxy.host, sleep=pauses.append).upload(write)
    assert standin.blobs["ml/churn"] == {named.digest: content}
    # A reset may overtake the words.
    assert len(pauses) == 1


@pytest.mark.parametrize("piece", [-1, 2**30])
def test_pieces_that_are_no_choice(opened, piece):
    with pytest.raises(InputError, match="in pieces of"):
        opened("127.0.0.1:1", piece=piece)


@pytest.mark.parametrize("name", ["../../x", "sha256:../x", "a/b", "", "sha256:" + "0" * 63, "x" * 200])
def test_what_becomes_part_of_an_address_is_checked(standin, opened, name):
    repository = opened(standin.host)
    for ask in (
        repository.blob_size,
        repository.manifest,
        repository.referrers,
        repository.delete,
        lambda digest: repository.mount(digest, repository.place),
        lambda which: repository.put_manifest(which, b"{}", "a/b"),
    ):
        with pytest.raises(InputError):
            ask(name)
    assert all(asked.path == "/v2/" for asked in standin.seen)


def test_many_at_once(standin, opened, blob, caplog):
    repository = opened(standin.host)
    made = [blob(200_000, seed=str(at)) for at in range(24)]
    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(lambda one: repository.upload(one[2]), made)) == [named for _, named, _ in made]
        sizes = list(pool.map(lambda one: repository.blob_size(one[1].digest), made))
    assert sizes == [200_000] * 24
    assert standin.blobs["ml/churn"] == {named.digest: content for content, named, _ in made}
    assert not caplog.records, "nobody asked for a log"

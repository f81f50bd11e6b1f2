"""Reading from a registry. We test these aspects:

Blobs that break off, from registries with and without parts; documents that are not what they are called, too long
or in another format; pages of tags; redirects to storage, and what goes along; deleting.
"""

import json

import fault_proxy
import faults
import pytest
import registry_standin

from mmcicd_jenkins.adapters.registry.tries import Deadlines
from mmcicd_jenkins.errors import InputError, IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.image.descriptor import INDEX, LAYER, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def test_a_blob_that_is_not_there(standin, opened, blob):
    repository = opened(standin.host)
    named = blob()[1]
    assert repository.blob_size(named.digest) is None
    with pytest.raises(IntegrityFailed, match="does not hold"):
        list(repository.chunks(named))


def test_a_blob_as_it_is(standin, opened, blob):
    content, named, _ = blob(3_000_000)
    standin.put("ml/churn", content)
    repository = opened(standin.host)
    assert repository.blob_size(named.digest) == len(content)
    assert b"".join(repository.chunks(named)) == content


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("fault", [lambda: faults.truncate(100_000), lambda: faults.stall_answer(70_000)])
def test_a_download_that_breaks_off_is_gone_on_with(standin, opened, blob, fault, ranges):
    standin.ranges = ranges
    content, named, _ = blob(400_000)
    standin.put("ml/churn", content)
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("GET", "/blobs/", fault(), times=2)
        repository = opened(proxy.host, deadlines=Deadlines(connect=2, stall=0.2))
        assert b"".join(repository.chunks(named)) == content
    asked = [one.headers.get("Range", "") for one in standin.asked("GET", "/blobs/")]
    assert len(asked) == 3
    assert asked[0] == ""
    assert asked[1].startswith("bytes=")


def test_another_part_than_was_asked_for_is_not_taken(standin, opened, blob):
    content, named, _ = blob(400_000)
    standin.put("ml/churn", content)
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("GET", "/blobs/", faults.truncate(100_000))
        proxy.on("GET", "/blobs/", faults.with_headers(Content_Range="bytes 5-399999/400000"))
        assert b"".join(opened(proxy.host).chunks(named)) == content


def test_a_download_without_progress_ends(standin, opened, blob):
    content, named, _ = blob()
    standin.put("ml/churn", content)
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("GET", "/blobs/", faults.drop(), times=100)
        with pytest.raises(OutsideFailed, match="broke off") as error:
            list(opened(proxy.host).chunks(named))
    assert error.value.retryable


def test_no_more_bytes_are_handed_on_than_a_blob_has(standin, opened, blob):
    content, named, _ = blob()
    standin.blobs["ml/churn"][named.digest] = content + b"more"
    chunks = opened(standin.host).chunks(named)
    try:
        assert sum(map(len, chunks)) <= named.size
    except IntegrityFailed as error:
        assert named.digest in str(error)


def document(**more):
    config = Descriptor(media_type=LAYER, digest=digest_bytes(b"{}"), size=2).to_json()
    return json.dumps({"schemaVersion": 2, "config": config, "layers": [], **more}).encode()


@pytest.mark.parametrize("media_type", [MANIFEST, INDEX, DOCKER, DOCKER_LIST])
def test_manifests_of_all_current_kinds(standin, opened, media_type):
    content = document(mediaType=media_type)
    digest = standin.put_manifest("ml/churn", "7", content, media_type)
    for which in ("7", digest):
        named = Descriptor(media_type=media_type, digest=digest, size=len(content))
        assert opened(standin.host).manifest(which) == (named, content)
    assert all(kind in standin.asked("GET", "/manifests/")[0].headers["Accept"] for kind in (DOCKER, INDEX))


def test_a_manifest_without_a_word_on_its_kind_is_what_the_registry_says(standin, opened):
    standin.put_manifest("ml/churn", "7", document(), f"{DOCKER}; charset=utf-8")
    found = opened(standin.host).manifest("7")
    assert found
    assert found[0].media_type == DOCKER


def test_a_manifest_of_the_first_format_is_refused(standin, opened):
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    standin.put_manifest("ml/churn", "7", b'{"schemaVersion":1}', kind)
    with pytest.raises(IntegrityFailed, match="cannot be read") as error:
        opened(standin.host).manifest("7")
    assert "first format" in error.value.why


def test_no_manifest(standin, opened):
    assert opened(standin.host).manifest("7") is None
    assert opened(standin.host).manifest("sha256:" + "0" * 64) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'"text"'])
def test_a_manifest_that_is_none(standin, opened, content):
    standin.put_manifest("ml/churn", "7", content, MANIFEST)
    with pytest.raises(IntegrityFailed):
        opened(standin.host).manifest("7")


def test_a_manifest_has_a_largest_size(standin, opened):
    content = document(annotations={"a": "x" * 5000})
    standin.put_manifest("ml/churn", "7", content, MANIFEST)
    repository = opened(standin.host)
    assert repository.manifest("7", most=len(content))
    with pytest.raises(IntegrityFailed):
        repository.manifest("7", most=len(content) - 1)


def test_a_document_without_end(standin, opened):
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("GET", "/manifests/", faults.endless())
        with pytest.raises(IntegrityFailed):
            opened(proxy.host).manifest("7")


def test_another_manifest_than_its_digest(standin, opened):
    digest = standin.put_manifest("ml/churn", "7", document(), MANIFEST)
    standin.manifests["ml/churn"][digest] = MANIFEST, document(annotations={"changed": "yes"})
    for which in ("7", digest):
        with pytest.raises(IntegrityFailed) as error:
            opened(standin.host).manifest(which)
        assert error.value.exit_code == 7


def test_a_manifest_is_read_back(standin, opened):
    repository = opened(standin.host)
    content = document(mediaType=MANIFEST)
    assert repository.put_manifest("7", content, MANIFEST) == digest_bytes(content)
    assert standin.asked("GET", "/manifests/sha256:")
    standin.on("PUT", "/manifests/", 201)  # says yes and keeps nothing
    with pytest.raises(IntegrityFailed, match="does not give back"):
        repository.put_manifest("8", document(annotations={}), MANIFEST)


def test_a_lost_answer_to_a_manifest_is_looked_for(standin, opened):
    with fault_proxy.serve(standin.host) as proxy:
        proxy.on("PUT", "/manifests/", faults.reset_after())
        opened(proxy.host).put_manifest("7", document(), MANIFEST)
    assert len(standin.asked("PUT")) == 1


def test_missing_layers_are_told_as_the_registry_does(standin, opened):
    body = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown","detail":"sha256:1"}]}'
    standin.on("PUT", "/manifests/", 400, body)
    with pytest.raises(OutsideFailed, match="lost bytes") as error:
        opened(standin.host).put_manifest("7", document(), MANIFEST)
    assert error.value.retryable


@pytest.mark.parametrize("link", ["{path}", "http://elsewhere.example{path}"])
def test_tags_page_by_page(standin, opened, link):
    standin.page, standin.link = 2, link
    for tag in "abcde":
        standin.put_manifest("ml/churn", tag, document(), MANIFEST)
    assert list(opened(standin.host).tags()) == list("abcde")
    assert len(standin.asked("GET", "/tags/")) == 3


def test_no_tags(standin, opened):
    assert list(opened(standin.host).tags()) == []
    standin.on("GET", "/tags/", 200, b'{"name":"ml/churn","tags":null}')
    assert list(opened(standin.host).tags()) == []


@pytest.mark.parametrize("body", [b'{"tags":{}}', b"[]", b"x"])
def test_tags_that_are_none(standin, opened, body):
    standin.on("GET", "/tags/", 200, body)
    with pytest.raises(IntegrityFailed):
        list(opened(standin.host).tags())


def test_deleting(standin, opened):
    digest = standin.put_manifest("ml/churn", "7", document(), MANIFEST)
    repository = opened(standin.host)
    assert repository.delete(digest)
    assert not repository.delete(digest)
    standin.on("DELETE", "/manifests/", 405, b'{"errors":[{"code":"UNSUPPORTED"}]}')
    with pytest.raises(OutsideFailed, match="deletes nothing"):
        repository.delete(digest)
    with pytest.raises(InputError, match="not a digest"):
        repository.delete("7")


def test_a_blob_from_storage_elsewhere(standin, opened, blob):
    content, named, _ = blob()
    with registry_standin.serve() as storage:
        standin.put("ml/churn", content)
        storage.put("ml/churn", content)
        standin.storage = f"http://{storage.host}"
        assert b"".join(opened(standin.host).chunks(named)) == content
        assert len(storage.asked("GET", "/blobs/")) == 1


def test_redirects_without_end(standin, opened, blob):
    named = blob()[1]
    standin.on("GET", "/blobs/", 307, times=100, Location=f"/v2/ml/churn/blobs/{named.digest}")
    with pytest.raises(OutsideFailed, match="not trusted"):
        list(opened(standin.host).chunks(named))
    assert len(standin.asked("GET", "/blobs/")) < 10


@pytest.mark.parametrize(
    "location", ["ftp://x/", "//", "http://[", "file:///etc/passwd", "http://u:p@x/", "\x00"]
)
def test_redirects_to_nowhere(standin, opened, blob, location):
    standin.on("GET", "/blobs/", 307, times=100, Location=location)
    with pytest.raises(MmcicdError) as error:
        list(opened(standin.host).chunks(blob()[1]))
    assert error.value.exit_code == OutsideFailed.exit_code


def test_what_is_no_registry(standin, opened):
    standin.on("GET", "/v2/$", 200, b"<html>", times=0)
    standin.on("GET", "/v2/$", 404, b"<html><title>Welcome</title><h1>It works</h1></html>", times=9)
    with pytest.raises(InputError, match="no registry at") as error:
        opened(standin.host).blob_size("sha256:" + "0" * 64)
    assert error.value.where == f"http://{standin.host}/v2/"


def test_words_of_a_registry_are_cut_and_on_one_line(standin, opened):
    standin.on("GET", "/manifests/", 400, b"\x1b[31m" + b"<p>no\r\n\x07</p>" * 3000)
    with pytest.raises(OutsideFailed) as error:
        opened(standin.host).manifest("7")
    assert len(error.value.why) <= 300
    assert error.value.why.isprintable()

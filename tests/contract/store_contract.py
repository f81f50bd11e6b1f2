"""What every `ports.Store` must do, whatever stands behind it. An adapter's test inherits `StoreContract`.

The inheriting class gives a fixture `open_store`: a function without arguments that opens one and the same
store anew, as another process would, and a fixture `damage(store, digest, content)` that replaces a blob's bytes
behind the store's back (None: removes it).
"""

import concurrent.futures
import hashlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.artifact import json_bytes
from mmcicd_jenkins.image.descriptor import (
    CONFIG,
    INDEX,
    LAYER,
    MANIFEST,
    Descriptor,
    Layer,
    ModelLayers,
)
from mmcicd_jenkins.image.digest import digest_bytes, digest_tree
from mmcicd_jenkins.image.manifest import BaseImage, Image, Origin, join
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.image.version_layer import version_layer

RUN = "application/vnd.mmcicd.run.v1"
SIGNED = "application/vnd.mmcicd.signed.v1+json"
LISTED = "application/vnd.mmcicd.listed.v1+json"
MODEL = {
    "saved_model.pb": b"\x08\x01graph",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 8192,
    "assets": None,
    "assets.extra/a name with spaces, ü and 新": b"",
}


def write(root, content):
    root.mkdir(parents=True, exist_ok=True)
    for path, data in content.items():
        target = root / path
        (target if data is None else target.parent).mkdir(parents=True, exist_ok=True)
        if data is not None:
            target.write_bytes(data)
    return root


def read(root):
    """Files with their bytes and empty folders with None."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            found[str(path.relative_to(root))] = path.read_bytes()
        elif not any(path.iterdir()):
            found[str(path.relative_to(root))] = None
    return found


def image_of(layers, version=3):
    blob, layer = version_layer("churn", version)
    origin = Origin(
        model="churn", version=version, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9
    )
    return join(BaseImage(), layers, layer, origin), blob


class Elsewhere:
    """A source of blobs that counts what it is asked for."""

    place = None

    def __init__(self, contents):
        self.content = {digest_bytes(content): content for content in contents}
        self.asked = []

    @property
    def blobs(self):
        return [Descriptor(media_type=LAYER, digest=d, size=len(c)) for d, c in self.content.items()]

    def chunks(self, blob):
        self.asked.append(blob.digest)
        content = self.content[blob.digest]
        yield from (content[at : at + 1000] for at in range(0, len(content), 1000))


class StoreContract:
    # Whether of many writers of one tag, or of one list of attachments, each is told who was first.
    arbitrates = True
    # Whether bytes that were damaged are replaced by storing them again; those that are gone always come back.
    overwrites_damage = True

    @pytest.fixture
    def store(self, open_store):
        return open_store()

    @pytest.fixture
    def model(self, tmp_path):
        return write(tmp_path / "model", MODEL)

    @pytest.fixture
    def layers(self, store, model):
        return store.put_model(model)

    def test_a_model_comes_back_as_it_was(self, open_store, layers, tmp_path):
        open_store().extract([layer.blob for layer in layers.layers], tmp_path / "out")
        assert read(tmp_path / "out") == MODEL

    def test_a_model_is_named_by_its_files(self, layers, model):
        assert layers.digest == digest_tree(scan(model))
        assert layers.size == sum(len(data or b"") for data in MODEL.values())

    def test_the_same_model_again_gives_the_same(self, open_store, layers, model, tmp_path):
        other = write(tmp_path / "elsewhere" / "m", MODEL)
        assert open_store().put_model(model) == layers
        assert open_store().put_model(other) == layers

    @pytest.mark.parametrize("size", [0, 1, 65_535, 2**20])
    def test_a_file_changed_in_place_with_the_same_size_is_noticed(self, store, model, size, tmp_path):
        file = model / "variables" / "changed"
        file.write_bytes(b"a" * size)
        before = store.put_model(model)
        file.write_bytes(b"b" * size)
        after = store.put_model(model)
        assert (before == after) is (size == 0)
        store.extract([layer.blob for layer in after.layers], tmp_path / "out")
        assert read(tmp_path / "out") == read(model)

    def test_progress_rises_to_the_size_of_the_model_every_time(self, store, model):
        for _ in range(2):
            seen = []
            size = store.put_model(model, lambda done, total, seen=seen: seen.append((done, total))).size
            assert seen[-1] == (size, size)
            assert seen == sorted(seen)

    def test_what_is_no_model_is_refused_and_nothing_is_stored(self, store, tmp_path):
        folder = write(tmp_path / "bad", {"saved_model.pb": b"x"})
        (folder / "link").symlink_to("/etc/passwd")
        with pytest.raises(InputError, match="link"):
            store.put_model(folder)

    def test_unpacking_takes_an_empty_folder_and_no_other(self, store, layers, tmp_path):
        blobs = [layer.blob for layer in layers.layers]
        (tmp_path / "empty").mkdir()
        store.extract(blobs, tmp_path / "empty")
        assert read(tmp_path / "empty") == MODEL
        full = write(tmp_path / "full", {"mine": b"precious"})
        with pytest.raises(InputError):
            store.extract(blobs, full)
        assert read(full) == {"mine": b"precious"}

    def test_unpacking_makes_the_folders_above(self, store, layers, tmp_path):
        store.extract([layer.blob for layer in layers.layers], tmp_path / "a" / "b" / "model")
        assert read(tmp_path / "a" / "b" / "model") == MODEL

    def test_an_artifact_is_found_by_tag_and_by_digest(self, open_store, store, layers, tmp_path):
        report = tmp_path / "report.html"
        report.write_bytes(b"<p>" * 10**6)
        document = {"run_id": "sha256:" + "0" * 64, "loss": 0.25, "name": "$(id)\n'\"", "nothing": None}
        put = store.put_artifact(
            "run-1",
            RUN,
            document,
            layers=[layer.blob for layer in layers.layers],
            files={"metrics.json": b"{}", "report.html": report, "empty": b""},
        )
        found = open_store().find("run-1")
        assert found == put == open_store().find(put.digest)
        assert found.kind == RUN
        assert found.document == document
        assert found.layers[: len(layers.layers)] == tuple(layer.blob for layer in layers.layers)
        assert open_store().read(found.file("report.html")) == b"<p>" * 10**6
        assert open_store().read(found.file("metrics.json")) == b"{}"
        assert open_store().read(found.file("empty")) == b""
        assert found.file("absent") is None

    def test_the_same_artifact_has_the_same_digest_under_every_tag(self, store):
        one = store.put_artifact("a", RUN, {"b": 1, "a": 2}, files={"y": b"1", "x": b"2"})
        other = store.put_artifact("b", RUN, {"a": 2, "b": 1}, files={"x": b"2", "y": b"1"})
        assert one == other

    def test_a_tag_of_an_artifact_is_never_moved(self, open_store, store):
        first = store.put_artifact("run-1", RUN, {"n": 1})
        assert open_store().put_artifact("run-1", RUN, {"n": 2}) == first
        assert open_store().find("run-1") == first

    def test_of_many_that_put_one_tag_at_once_all_get_the_same(self, open_store, model):
        def put(number):
            store = open_store()
            layers = [layer.blob for layer in store.put_model(model).layers]
            return store.put_artifact("run-1", RUN, {"n": number}, layers=layers, files={"f": b"%d" % number})

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(put, range(8)))
        assert open_store().find("run-1") in answers
        if self.arbitrates:
            assert len({answer.digest for answer in answers}) == 1
        for answer in answers:
            assert open_store().find(answer.digest) == answer

    def test_many_tags_put_at_once_are_all_there(self, open_store):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            put = list(pool.map(lambda n: open_store().put_artifact(f"run-{n}", RUN, {"n": n}), range(24)))
        assert [open_store().find(f"run-{n}") for n in range(24)] == put

    @pytest.mark.parametrize(
        "tag", ["", "a/b", "a:b", "-x", "../x", "a b", "$(id)", "ü", "a\n", "x" * 129, ".x"]
    )
    def test_a_tag_that_a_registry_would_refuse_is_refused(self, store, tag):
        with pytest.raises(InputError):
            store.put_artifact(tag, RUN, {})

    @pytest.mark.parametrize("kind", ["", "run", "a/b/c", "a b/c", "application/x\n"])
    def test_a_kind_that_is_no_media_type_is_refused(self, store, kind):
        with pytest.raises(InputError):
            store.put_artifact("t", kind, {})

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, "\ud800"])
    def test_a_document_that_json_cannot_say_is_refused(self, store, value):
        with pytest.raises(InputError):
            store.put_artifact("t", RUN, {"value": value})
        assert store.find("t") is None

    def test_a_document_too_large_to_be_found_again_is_refused(self, store):
        with pytest.raises(InputError, match="most"):
            store.put_artifact("t", RUN, {"value": "x" * 5_000_000})
        assert store.find("t") is None

    def test_a_file_that_is_not_there_is_refused_by_name(self, store, tmp_path):
        with pytest.raises(InputError) as error:
            store.put_artifact("t", RUN, {}, files={"x": tmp_path / "gone"})
        assert "gone" in error.value.where
        assert store.find("t") is None

    def test_a_layer_that_was_never_stored_is_refused(self, store):
        absent = Descriptor(media_type=RUN, digest="sha256:" + "a" * 64, size=3)
        with pytest.raises(IntegrityFailed):
            store.put_artifact("t", RUN, {}, layers=[absent])
        assert store.find("t") is None

    @pytest.mark.parametrize(
        "tag", ["absent", "sha256:" + "a" * 64, "a/b", "../../etc/passwd", "sha256:x", ""]
    )
    @pytest.mark.usefixtures("layers")
    def test_nothing_is_found_under_a_name_that_was_never_given(self, store, tag):
        assert store.find(tag) is None

    def test_an_empty_store_has_nothing_and_is_not_made_by_looking(self, store):
        assert store.find("t") is None
        with pytest.raises(IntegrityFailed):
            store.read(Descriptor(media_type=RUN, digest="sha256:" + "a" * 64, size=3))

    def test_an_image_is_found_with_its_config_and_layers(self, open_store, store, layers):
        image, blob = image_of(layers)
        digest = store.put_image("churn", 3, image, [blob])
        assert digest == image.digest == digest_bytes(image.manifest)
        other = open_store()
        found = other.find_image("churn", 3)
        assert found == open_store().find_image("churn", digest)
        assert found.kind == CONFIG
        assert found.document == json.loads(image.config)
        assert other.read(found.config) == image.config
        named = Descriptor(media_type=MANIFEST, digest=digest, size=len(image.manifest))
        assert found.manifest == named
        assert other.read(named) == image.manifest

    @pytest.mark.parametrize("which", [4, 0, -1, "sha256:" + "a" * 64, "3", "", "../x", "latest"])
    def test_no_image_is_found_under_another_version_or_digest(self, store, layers, which):
        image, blob = image_of(layers)
        store.put_image("churn", 3, image, [blob])
        assert store.find_image("churn", which) is None
        assert store.find_image("fraud", 3) is None

    def test_an_image_put_again_changes_nothing_and_a_moved_version_names_the_new_one(
        self, open_store, store, layers
    ):
        first, blob = image_of(layers, 3)
        second, other = image_of(layers, 4)
        for _ in range(2):
            store.put_image("churn", 3, first, [blob])
        store.put_image("churn", 3, second, [other])
        assert open_store().find_image("churn", 3).digest == second.digest
        assert open_store().find_image("churn", first.digest).digest == first.digest

    def test_an_image_whose_layer_was_never_stored_is_refused(self, store, layers):
        image, _ = image_of(layers)
        with pytest.raises(IntegrityFailed):
            store.put_image("churn", 3, image)
        assert store.find_image("churn", 3) is None

    def test_documents_that_contradict_each_other_are_refused(self, store, layers):
        image, blob = image_of(layers)
        wrong = Image(documents=(image.config + b" ", image.manifest))
        with pytest.raises(IntegrityFailed):
            store.put_image("churn", 3, wrong, [blob])
        assert store.find_image("churn", 3) is None

    def test_images_for_several_platforms_are_one_under_their_index(self, open_store, store, layers):
        one, blob = image_of(layers, 3)
        other, second = image_of(layers, 4)
        entries = [
            Descriptor(media_type=MANIFEST, digest=i.digest, size=len(i.manifest)) for i in (one, other)
        ]
        index = json_bytes(
            {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry.to_json() for entry in entries]}
        )
        both = Image(documents=(*one.documents, *other.documents, index))
        digest = store.put_image("churn", 3, both, [blob, second])
        found = open_store().find_image("churn", 3)
        assert (found.digest, found.kind, found.layers) == (digest, INDEX, tuple(entries))
        assert open_store().find_image("churn", other.digest).document == json.loads(other.config)
        with pytest.raises(IntegrityFailed, match="contradict"):
            store.put_image("churn", 4, Image(documents=(*one.documents, index)), [blob])

    def test_what_is_attached_is_found_by_what_it_is_said_of(self, open_store, store, layers):
        image, blob = image_of(layers)
        store.put_image("churn", 3, image, [blob])
        subject = store.find_image("churn", 3).manifest
        assert store.attached("churn", image.digest) == ()
        notes = {"org.example.note": "ü $(id)"}
        one = store.attach("churn", subject, SIGNED, b'{"a": 1}', notes)
        other = open_store().attach("churn", subject, LISTED, b"")
        assert open_store().attach("churn", subject, SIGNED, b'{"a": 1}', notes) == one
        again = open_store()
        assert {a.digest for a in again.attached("churn", image.digest)} == {one.digest, other.digest}
        assert again.attached("churn", image.digest, SIGNED) == (one,)
        assert again.attached("churn", image.digest, "application/none") == ()
        assert again.attached("churn", "sha256:" + "a" * 64) == ()
        assert (one.kind, one.annotations) == (SIGNED, notes)
        assert [again.read(layer) for layer in one.layers] == [b'{"a": 1}']
        assert [again.read(layer) for layer in again.attached("churn", image.digest, LISTED)[0].layers] == [
            b""
        ]

    def test_nothing_is_attached_to_what_is_not_there(self, store, layers):  # noqa: ARG002 - makes the store
        absent = Descriptor(media_type=MANIFEST, digest="sha256:" + "a" * 64, size=3)
        with pytest.raises(IntegrityFailed):
            store.attach("churn", absent, SIGNED, b"x")
        assert store.attached("churn", absent.digest) == ()

    def test_many_say_something_at_once(self, open_store, store, layers):
        image, blob = image_of(layers)
        store.put_image("churn", 3, image, [blob])
        subject = store.find_image("churn", 3).manifest
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            said = list(
                pool.map(lambda n: open_store().attach("churn", subject, SIGNED, b"%d" % (n % 6)), range(12))
            )
        if not self.arbitrates:
            found = open_store().attached("churn", image.digest)
            assert {a.digest for a in found} <= {a.digest for a in said}
            for number in range(6):
                open_store().attach("churn", subject, SIGNED, b"%d" % number)
        found = open_store().attached("churn", image.digest)
        assert {a.digest for a in found} == {a.digest for a in said}
        assert len(found) == 6

    def test_blobs_are_taken_from_elsewhere_once(self, open_store, store, layers):
        elsewhere = Elsewhere([b"base" * 1000, b"", b"more"])
        seen = []
        store.take("churn", elsewhere.blobs, elsewhere, lambda done, total: seen.append((done, total)))
        assert seen[-1] == (4004, 4004)
        assert seen == sorted(seen)
        assert elsewhere.asked == [blob.digest for blob in elsewhere.blobs]
        open_store().take("churn", elsewhere.blobs, elsewhere)
        assert len(elsewhere.asked) == 3
        base = ModelLayers(
            digest=layers.digest,
            size=layers.size,
            layers=(
                Layer(blob=elsewhere.blobs[0], diff_id=elsewhere.blobs[0].digest),
                *layers.layers,
            ),
        )
        image, blob = image_of(base)
        open_store().put_image("churn", 3, image, [blob])
        assert open_store().find_image("churn", 3).layers[0] == elsewhere.blobs[0]

    @pytest.mark.parametrize("wrong", [b"bas", b"base ", b"bose", b""])
    def test_a_source_that_gives_other_bytes_is_refused_and_nothing_is_kept(self, open_store, wrong):
        elsewhere = Elsewhere([b"base"])
        elsewhere.content[elsewhere.blobs[0].digest] = wrong
        with pytest.raises(IntegrityFailed):
            open_store().take("churn", elsewhere.blobs, elsewhere)
        elsewhere.content[elsewhere.blobs[0].digest] = b"base"
        open_store().take("churn", elsewhere.blobs, elsewhere)
        assert len(elsewhere.asked) == 2

    def test_the_bytes_of_a_layer_are_given_in_pieces(self, open_store, layers):
        for layer in layers.layers:
            content = b"".join(open_store().chunks(layer.blob))
            assert (digest_bytes(content), len(content)) == (layer.blob.digest, layer.blob.size)
        with pytest.raises(IntegrityFailed):
            list(open_store().chunks(Descriptor(media_type=LAYER, digest="sha256:" + "a" * 64, size=3)))

    def test_an_address_ends_in_the_digest_or_there_is_none(self, store):
        assert store.address("churn", "sha256:" + "a" * 64).partition("@")[2] in ("", "sha256:" + "a" * 64)

    def test_a_flipped_bit_in_any_blob_is_noticed_by_whoever_needs_it(self, store, model, damage, tmp_path):
        layers = store.put_model(model)
        blobs = [layer.blob for layer in layers.layers]
        artifact = store.put_artifact("t", RUN, {"a": 1}, layers=blobs, files={"f": b"text"})
        for number, blob in enumerate([*blobs, artifact.file("f")]):
            content = store.read(blob)
            for at in {0, len(content) // 2, len(content) - 1}:
                damage(store, blob.digest, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
                self.expect_damage_noticed(store, blob, blobs, tmp_path / f"out{number}")
            damage(store, blob.digest, content)
        store.extract(blobs, tmp_path / "good")
        assert read(tmp_path / "good") == MODEL

    def expect_damage_noticed(self, store, blob, blobs, out):
        with pytest.raises(IntegrityFailed) as error:
            store.read(blob)
        assert error.value.exit_code == 7
        assert not error.value.retryable
        if blob in blobs:
            with pytest.raises(IntegrityFailed):
                store.extract(blobs, out)
            assert not out.exists()
            assert not [path for path in out.parent.iterdir() if path.name.startswith(".")]

    @pytest.mark.parametrize("change", ["short", "long", "empty", "gone"])
    def test_a_blob_of_another_size_or_none_is_noticed(self, store, layers, damage, change, tmp_path):
        blob = layers.layers[0].blob
        content = store.read(blob)
        other = {"short": content[:-1], "long": content + b"\0", "empty": b"", "gone": None}[change]
        damage(store, blob.digest, other)
        with pytest.raises(IntegrityFailed):
            store.read(blob)
        with pytest.raises(IntegrityFailed):
            store.extract([blob], tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        "digest", ["", "sha256:", "sha256:../../../../etc/passwd", "sha512:" + "a" * 128, "/etc/passwd"]
    )
    def test_a_descriptor_with_a_digest_that_is_none_is_refused(self, store, layers, digest, tmp_path):
        blob = Descriptor(media_type=layers.layers[0].blob.media_type, digest=digest, size=1)
        with pytest.raises(IntegrityFailed):
            store.read(blob)
        with pytest.raises(IntegrityFailed):
            store.extract([blob], tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_descriptor_with_the_wrong_size_is_refused(self, store, layers):
        blob = layers.layers[0].blob
        for size in (blob.size - 1, blob.size + 1, 0):
            with pytest.raises(IntegrityFailed):
                store.read(Descriptor(media_type=blob.media_type, digest=blob.digest, size=size))

    def test_a_damaged_manifest_or_config_is_noticed(self, store, damage):
        artifact = store.put_artifact("t", RUN, {"a": 1})
        damage(store, artifact.digest, b'{"schemaVersion":2}')
        with pytest.raises(IntegrityFailed):
            store.find("t")
        with pytest.raises(IntegrityFailed):
            store.find(artifact.digest)

    def test_storing_the_same_again_makes_a_damaged_artifact_whole(self, store, damage):
        artifact = store.put_artifact("t", RUN, {"a": 1}, files={"f": b"text"})
        for digest in (artifact.digest, artifact.file("f").digest, digest_bytes(b'{"a":1}')):
            damage(store, artifact.digest, b"broken" if self.overwrites_damage else None)
            damage(store, digest, None)
            assert store.put_artifact("t", RUN, {"a": 1}, files={"f": b"text"}) == artifact
            assert store.read(artifact.file("f")) == b"text"

    def test_storing_a_model_again_brings_back_a_lost_layer(self, store, model, layers, damage):
        blob = layers.layers[0].blob
        damage(store, blob.digest, None)
        assert store.put_model(model) == layers
        assert hashlib.sha256(store.read(blob)).hexdigest() == blob.digest.removeprefix("sha256:")

    @given(
        content=st.dictionaries(st.integers(0, 30).map(str), st.binary(max_size=500), min_size=1, max_size=5)
    )
    @settings(
        max_examples=15,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_any_model_comes_back(self, open_store, tmp_path_factory, content):
        folder = tmp_path_factory.mktemp("any")
        layers = open_store().put_model(write(folder / "m", content))
        open_store().extract([layer.blob for layer in layers.layers], folder / "out")
        assert read(folder / "out") == content

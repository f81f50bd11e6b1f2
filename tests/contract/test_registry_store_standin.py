"""The registry store on a registry that lists referrers; what each side sees of the other; what an unchanged push asks.

The same contract on a real registry is in tests/real/test_registry_store.py.
"""

import concurrent.futures
import secrets
import shutil
import time

import pytest
import registry_standin
from store_contract import MODEL, RUN, StoreContract, image_of, write

from mmcicd_jenkins.adapters.registry.client import Access
from mmcicd_jenkins.adapters.registry.repositories import Places
from mmcicd_jenkins.adapters.registry.store import RegistryStore
from mmcicd_jenkins.adapters.registry.tries import Patience
from mmcicd_jenkins.errors import IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.descriptor import LAYER, Descriptor
from mmcicd_jenkins.stages.zones import SHELVES


@pytest.fixture
def standin():
    with registry_standin.serve() as running:
        yield running


def open_store(running, cache, zone="trusted", root="team"):
    access = Access(running.host, {"HOME": "/nowhere"}, insecure=True, patience=Patience(tries=3, pause=0.01))
    return RegistryStore(Places(f"{running.host}/{root}", access, SHELVES[zone], ["churn"]), cache)


class TestRegistryThatListsReferrers(StoreContract):
    arbitrates = False

    @pytest.fixture
    def open_store(self, standin, tmp_path):
        root = f"t{secrets.token_hex(4)}"
        return lambda: open_store(standin, tmp_path / "cache", root=root)

    @pytest.fixture
    def damage(self, standin):
        def replace(_store, digest, content):
            for blobs in standin.blobs.values():
                if content is None:
                    blobs.pop(digest, None)
                elif digest in blobs:
                    blobs[digest] = content
            for documents in standin.manifests.values():
                if digest in documents:
                    if content is None:
                        del documents[digest]
                    else:
                        documents[digest] = documents[digest][0], content

        return replace


@pytest.fixture
def model(tmp_path):
    return write(tmp_path / "model", MODEL)


@pytest.fixture
def sides(standin, tmp_path):
    """`sides(zone)`: the store as that side sees it, on a machine of its own."""
    return lambda zone: open_store(standin, tmp_path / zone, zone)


def test_the_trusted_side_takes_runs_and_data_of_ci_and_nothing_else(sides):
    for tag in (
        "run-1",
        "data-1",
        "evaluation-1",
        "ci-evaluation-1",
        "branch-run-1",
        "release-churn-1",
        "timed-1",
    ):
        sides("main").put_artifact(tag, RUN, {"by": "ci"})
    seen = {
        tag for tag in ("run-1", "data-1", "evaluation-1", "branch-run-1", "release-churn-1", "timed-1")
        if sides("trusted").find(tag)
    }  # fmt: skip
    assert seen == {"run-1", "data-1"}


def test_what_ops_has_is_not_hidden_by_what_ci_puts(sides):
    sides("trusted").put_artifact("run-1", RUN, {"by": "ops"})
    assert sides("branch").put_artifact("run-1", RUN, {"by": "a branch"}).document == {"by": "ops"}
    assert sides("trusted").find("run-1").document == {"by": "ops"}


def test_ci_reads_what_ops_has_and_writes_its_own(sides, standin):
    sides("trusted").put_artifact("evaluation-1", RUN, {})
    assert sides("main").find("evaluation-1")
    sides("branch").put_artifact("branch-run-1", RUN, {})
    assert "branch-run-1" in standin.tags["team/mmcicd.ci"]
    assert set(standin.tags["team/mmcicd.ops"]) == {"evaluation-1"}


def test_what_ci_trained_becomes_an_image_of_ops_by_mounts_alone(sides, standin, model, tmp_path):
    layers = sides("main").put_model(model)
    sides("main").put_artifact("run-1", RUN, {}, layers=[layer.blob for layer in layers.layers])
    image, blob = image_of(layers)
    standin.seen.clear()
    sides("trusted").put_image("churn", 3, image, [blob])
    assert not standin.asked("PATCH", "team/mmcicd")
    assert len(standin.asked("POST", "mount=.*from=team/mmcicd.ci")) == len(layers.layers)
    sides("trusted").extract([layer.blob for layer in layers.layers], tmp_path / "out")


def test_where_nothing_can_be_mounted_layers_are_copied(sides, standin, model):
    standin.mounts = False
    layers = sides("main").put_model(model)
    image, blob = image_of(layers)
    sides("trusted").put_image("churn", 3, image, [blob])
    for layer in layers.layers:
        assert layer.blob.digest in standin.blobs["team/churn"]


def test_a_base_is_mounted_from_another_repository_of_the_registry(sides, standin):
    digest = standin.put("mirror/serving", b"base")
    blob = Descriptor(media_type=LAYER, digest=digest, size=4)

    class Mirror:
        place = Places(f"{standin.host}/mirror", Access(standin.host, {}), {"serving": ("",)}).own.place

        def chunks(self, blob):
            raise AssertionError(f"the bytes of {blob.digest} are not needed")

    sides("trusted").take("churn", [blob], Mirror())
    assert standin.blobs["team/churn"][digest] == b"base"


def test_an_unchanged_model_costs_one_question_for_each_layer(sides, standin, model):
    # Younger than this a file may yet change without a trace in its times.
    time.sleep(0.1)
    layers = sides("main").put_model(model)
    standin.seen.clear()
    assert sides("main").put_model(model) == layers
    assert [one.method for one in standin.seen if "/blobs/" in one.path] == ["HEAD"] * len(layers.layers)
    assert len(standin.seen) <= len(layers.layers) + 1


def test_a_model_that_was_exported_again_costs_one_question_for_each_layer(sides, standin, model, tmp_path):
    layers = sides("main").put_model(model)
    standin.seen.clear()
    again = shutil.copytree(model, tmp_path / "again", copy_function=shutil.copyfile)
    assert sides("main").put_model(again) == layers
    assert [one.method for one in standin.seen if "/blobs/" in one.path] == ["HEAD"] * len(layers.layers)


def test_an_export_whose_layers_the_registry_lost_is_sent(sides, standin, model, tmp_path):
    layers = sides("main").put_model(model)
    for blobs in standin.blobs.values():
        blobs.clear()
    again = shutil.copytree(model, tmp_path / "again", copy_function=shutil.copyfile)
    seen = []
    assert sides("main").put_model(again, lambda done, total: seen.append((done, total))) == layers
    assert seen == sorted(seen)
    assert seen[-1] == (layers.size, layers.size)
    sides("trusted").extract([layer.blob for layer in layers.layers], tmp_path / "out")


def test_progress_never_goes_back_when_a_layer_is_sent_again(sides, standin, model):
    standin.on("PATCH", "/uploads/", 503, times=2)
    seen = []
    size = sides("main").put_model(model, lambda done, total: seen.append((done, total))).size
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)


def test_two_pushes_of_one_model_at_once(sides, standin, model, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(lambda _: sides("main").put_model(model), range(4))
    assert others == [first] * 3
    sides("trusted").extract([layer.blob for layer in first.layers], tmp_path / "out")


def test_a_push_that_is_refused_stops_all_layers_and_stores_no_tag(sides, standin, model):
    standin.on("POST", "/uploads/", 403, times=99)
    with pytest.raises(OutsideFailed):
        sides("main").put_model(model)
    assert not standin.tags["team/mmcicd.ci"]


def test_a_tag_that_was_moved_behind_our_back_names_what_it_names_now(sides, standin):
    first = sides("trusted").put_artifact("run-1", RUN, {"n": 1})
    standin.tags["team/mmcicd.ops"]["run-1"] = sides("trusted").put_artifact("run-2", RUN, {"n": 2}).digest
    assert sides("trusted").find("run-1").document == {"n": 2}
    assert sides("trusted").find(first.digest) == first


def test_a_registry_that_answers_with_another_manifest_than_was_put_is_told(sides, standin):
    standin.on("GET", "/manifests/sha256:", 200, b'{"schemaVersion":2}', times=9)
    with pytest.raises(IntegrityFailed):
        sides("trusted").put_artifact("run-1", RUN, {})

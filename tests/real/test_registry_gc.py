"""A real registry is tidied: manifests go with what is attached to them, the rest can still be pulled."""

import json
import secrets
import subprocess

import pytest
import registry_server
from registry import needs_registry, plain_registry, serve  # noqa: F401 - a fixture
from store_contract import SIGNED, image_of, write

from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.adapters.registry.keeper import RegistryKeeper
from mmcicd_jenkins.adapters.registry.repositories import Places
from mmcicd_jenkins.adapters.registry.store import RegistryStore
from mmcicd_jenkins.adapters.registry.tries import Patience
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.image.artifact import json_bytes
from mmcicd_jenkins.image.descriptor import INDEX, MANIFEST, Descriptor
from mmcicd_jenkins.image.manifest import Image
from mmcicd_jenkins.image.reference import parse_reference

pytestmark = [pytest.mark.real, needs_registry]

RUN = "application/vnd.mmcicd.run.v1+json"


class Site:
    """A project's repositories, with a store and a keeper for them."""

    def __init__(self, registry, cache):
        self.root = f"{registry.host}/team/g{secrets.token_hex(6)}"
        self.access = Access(registry.host, {}, insecure=True, patience=Patience(tries=2, pause=0.05))
        self.store = RegistryStore(Places(self.root, self.access, {"mmcicd.ops": ("",)}, ["churn"]), cache)

    def repository(self, name):
        return Repository(parse_reference(f"{self.root}/{name}"), self.access)

    @property
    def keeper(self):
        return RegistryKeeper({name: self.repository(name) for name in ("mmcicd.ops", "churn")})

    def held(self):
        return {(each.place, *each.tags): each for each in self.keeper.holdings()}


@pytest.fixture
def site(plain_registry, tmp_path):  # noqa: F811
    return Site(plain_registry, tmp_path / "cache")


@pytest.fixture
def layers(site, tmp_path):
    model = write(tmp_path / "model", {"saved_model.pb": b"graph", "weights": bytes(2_000_000)})
    return site.store.put_model(model)


def put_images(site, layers, *versions):
    for version in versions:
        image, blob = image_of(layers, version)
        digest = site.store.put_image("churn", version, image, [blob])
        subject = Descriptor(media_type=MANIFEST, digest=digest, size=len(image.manifest))
        site.store.attach("churn", subject, SIGNED, f"signed {version}".encode())


def test_what_it_holds(site, layers):
    put_images(site, layers, 1)
    site.store.put_artifact("run-1", RUN, {"model": "churn"}, layers=[one.blob for one in layers.layers])
    held = site.held()
    assert held["mmcicd.ops", "run-1"].document == {"model": "churn"}
    image = held["churn", "1"]
    assert image.notes["io.mmcicd.run-id"]
    assert {layer.blob.digest for layer in layers.layers} <= image.blobs.keys()
    assert [each.kind for each in held.values() if each.subject == image.digest and not each.tags] == [SIGNED]


def test_an_image_goes_with_what_is_attached_and_others_stay(site, layers):
    put_images(site, layers, 1, 2)
    held = site.held()
    image = held["churn", "1"]
    doomed = [each for each in site.keeper.holdings() if image.digest in (each.digest, each.subject)]
    assert len(doomed) >= 2
    attached_first = sorted(doomed, key=lambda one: not one.subject)
    assert list(site.keeper.remove(doomed)) == attached_first
    left = site.held()
    assert not [each for each in left.values() if image.digest in (each.digest, each.subject)]
    assert site.store.find_image("churn", 1) is None
    assert site.store.find_image("churn", 2) is not None
    assert site.store.attached("churn", left["churn", "2"].digest)
    assert "garbage" in site.keeper.sweep(0).why_not
    assert list(site.keeper.remove(doomed)) == attached_first, "gone is out as well"


def test_after_the_registrys_own_collection_what_stays_is_whole(tmp_path):
    with serve(tmp_path / "registry") as registry:
        site = Site(registry, tmp_path / "cache")
        model = write(tmp_path / "model", {"saved_model.pb": b"graph", "weights": bytes(2_000_000)})
        put_images(site, site.store.put_model(model), 1, 2)
        image = site.held()["churn", "1"]
        site.keeper.remove(
            [each for each in site.keeper.holdings() if image.digest in (each.digest, each.subject)]
        )
        config = next((tmp_path / "registry").glob("*.yml"))
        collected = subprocess.run(
            [registry_server.PROGRAM, "garbage-collect", str(config)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert collected.returncode == 0, collected.stderr
        found = site.store.find_image("churn", 2)
        for layer in found.layers:
            assert len(b"".join(site.repository("churn").chunks(layer))) == layer.size


def test_a_digest_with_a_tag_that_was_not_planned_is_left(site, layers):
    put_images(site, layers, 1)
    image = site.held()["churn", "1"]
    repository = site.repository("churn")
    repository.put_manifest("mine", repository.manifest("1")[1], MANIFEST)
    assert site.keeper.remove([image]) == ()
    assert site.store.find_image("churn", 1) is not None


def test_pieces_of_an_image_for_several_platforms_go_unless_another_needs_them(site, layers):
    one, blob = image_of(layers, 3)
    other, second = image_of(layers, 4)
    entries = [Descriptor(media_type=MANIFEST, digest=i.digest, size=len(i.manifest)) for i in (one, other)]
    index = json_bytes(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry.to_json() for entry in entries]}
    )
    site.store.put_image(
        "churn", 3, Image(documents=(*one.documents, *other.documents, index)), [blob, second]
    )
    site.store.put_image("churn", 4, other, [second])
    held = site.held()
    both = held["churn", "3"]
    assert set(both.children) == {one.digest, other.digest}
    assert json.loads(index)["manifests"][0]["digest"] in both.children
    assert site.keeper.remove([both]) == (both,)
    repository = site.repository("churn")
    assert repository.manifest(one.digest) is None
    assert repository.manifest(other.digest) is not None
    assert site.store.find_image("churn", 4) is not None


def test_a_registry_that_deletes_nothing_says_how_to_allow_it(tmp_path):
    with serve(tmp_path / "registry", deletes=False) as registry:
        site = Site(registry, tmp_path / "cache")
        site.store.put_artifact("run-1", RUN, {"model": "churn"})
        with pytest.raises(OutsideFailed, match="deletes nothing") as failed:
            site.keeper.remove(list(site.keeper.holdings()))
        assert "REGISTRY_STORAGE_DELETE_ENABLED" in failed.value.fix
        assert site.store.find("run-1") is not None


def test_repositories_that_are_not_there_hold_nothing(site):
    assert list(site.keeper.holdings()) == []
    assert site.keeper.remove([]) == ()

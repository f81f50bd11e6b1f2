"""Bases from a registry, a layout and an engine: what is asked, what is kept, what is said when it is gone."""

import io
import json
import os
import tarfile

import pytest
from base_documents import Documents, named, tar_of, two_platforms, write_layout

from mmcicd_jenkins.adapters.base_images import BaseImageFiles
from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.descriptor import LAYER, LAYER_GZIP
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.reference import parse_reference

NAME = "registry.example/mirror/serving:2.20.0"


class Registry:
    """One repository: what `adapters.registry_client.Repository` answers, and what it was asked."""

    def __init__(self, documents, tags):
        self.place = parse_reference("registry.example/mirror/serving")
        self.documents, self.tags, self.asked = documents, tags, []

    def manifest(self, which):
        self.asked.append(which)
        digest = self.tags.get(which, which)
        if digest not in self.documents:
            return None
        content = self.documents[digest]
        kind = json.loads(content)["mediaType"]
        return named({"mediaType": kind, "digest": digest_bytes(content), "size": len(content)}), content

    def chunks(self, blob):
        self.asked.append(blob.digest)
        yield self.documents[blob.digest]


class Engine:
    def __init__(self, archive=b"", image="sha256:" + "1" * 64):
        self.archive, self.id, self.saved = archive, image, 0

    def image(self, _):
        return {"Id": self.id} if self.id else None

    def save(self, _):
        self.saved += 1
        for at in range(0, len(self.archive), 1000):
            yield self.archive[at : at + 1000]


@pytest.fixture
def documents():
    return Documents()


@pytest.fixture
def files(tmp_path):
    def make(repository=None, engine=None):
        (tmp_path / "repo").mkdir(exist_ok=True)
        return BaseImageFiles(tmp_path / "repo", tmp_path / "cache", lambda _: repository, lambda: engine)

    return make


def test_a_pinned_base_is_asked_for_once_by_digest(documents, files):
    top = two_platforms(documents)
    registry = Registry(documents, {"2.20.0": top["digest"]})
    base = files(registry).read(NAME, top["digest"])
    assert len(base.platforms) == 2
    assert "2.20.0" not in registry.asked
    assert len(registry.asked) == 5
    registry.asked.clear()
    assert files(registry).read(NAME, top["digest"]) == base
    assert registry.asked == []


def test_what_a_name_stands_for_is_always_asked(documents, files):
    first, second = documents.image(), documents.image(text=b"newer")
    registry = Registry(documents, {"2.20.0": first["digest"]})
    assert files(registry).newest(NAME).digest == first["digest"]
    registry.tags["2.20.0"] = second["digest"]
    assert files(registry).newest(NAME).digest == second["digest"]
    # The old pin stays readable from what was kept, though the registry deleted it.
    for digest in [*documents]:
        del documents[digest]
    assert files(registry).read(NAME, first["digest"]).digest == first["digest"]


def test_a_damaged_copy_is_fetched_again(documents, files, tmp_path):
    top = documents.image()
    registry = Registry(documents, {})
    base = files(registry).read(NAME, top["digest"])
    for blob in (tmp_path / "cache/blobs/sha256").iterdir():
        blob.write_bytes(b"x" + blob.read_bytes()[1:])
    assert files(registry).read(NAME, top["digest"]) == base
    registry.asked.clear()
    assert files(registry).read(NAME, top["digest"]) == base
    assert registry.asked == []


def test_a_base_that_is_gone_says_how_to_move_on(documents, files):
    with pytest.raises(InputError, match="no longer there") as e:
        files(Registry(documents, {})).read(NAME, "sha256:" + "a" * 64)
    assert "image update-base" in e.value.fix
    with pytest.raises(InputError, match="there is no image"):
        files(Registry(documents, {})).newest(NAME)


def test_a_registry_that_gives_other_bytes_is_refused_and_nothing_is_kept(documents, files):
    top = documents.image()
    documents[top["digest"]] += b" "
    registry = Registry(documents, {})
    for _ in range(2):
        with pytest.raises(IntegrityFailed):
            files(registry).read(NAME, top["digest"])


def test_a_digest_in_the_name_needs_no_tag(documents, files):
    top = documents.image()
    name = f"registry.example/mirror/serving@{top['digest']}"
    assert files(Registry(documents, {})).newest(name).digest == top["digest"]


def test_layers_come_from_the_repository_itself(documents, files, tmp_path):
    top = two_platforms(documents)
    registry = Registry(documents, {})
    bases = files(registry)
    base = bases.read(NAME, top["digest"])
    source = bases.source(NAME, top["digest"])
    assert source.place == registry.place
    store = OciLayoutStore(tmp_path / "store")
    store.take("churn", base.layers, source)
    registry.asked.clear()
    store.take("churn", base.layers, source)
    assert registry.asked == []
    assert [store.read(layer) for layer in base.layers] == [documents[layer.digest] for layer in base.layers]


def test_a_base_in_a_layout(documents, files, tmp_path):
    top = two_platforms(documents)
    write_layout(tmp_path / "layouts" / "serving", documents, {"2.20": top})
    name = "oci:../layouts/serving:2.20"
    base = files().newest(name)
    assert (base.digest, base.name) == (top["digest"], name)
    assert files().read(name, top["digest"]) == base
    source = files().source(name, top["digest"])
    assert source.place is None
    assert b"".join(source.chunks(base.layers[0])) == documents[base.layers[0].digest]


@pytest.mark.parametrize(
    ("name", "why"), [("oci:../nothing:1", "no OCI image layout"), ("oci:../layout:2", "no such tag")]
)
def test_a_layout_that_is_not_there_or_lacks_the_tag(documents, files, tmp_path, name, why):
    write_layout(tmp_path / "layout", documents, {"1": documents.image()})
    with pytest.raises(InputError) as e:
        files().newest(name)
    assert why in e.value.why


def old_archive(layers, links=None, config=None):
    """As Docker before 25 writes it: a folder per layer, equal layers as links."""
    diff_ids = [digest_bytes(layer) for layer in layers]
    document = config or {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    content = json.dumps(document).encode()
    name = digest_bytes(content).removeprefix("sha256:") + ".json"
    names = [f"layer{n}/layer.tar" for n in range(len(layers))]
    manifest = [{"Config": name, "RepoTags": ["serving:1"], "Layers": names}]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, data in [
            *zip(names, layers, strict=True),
            (name, content),
            ("manifest.json", json.dumps(manifest).encode()),
        ]:
            member = tarfile.TarInfo(path)
            if path in (links or {}):
                member.type, member.linkname = tarfile.SYMTYPE, links[path]
                archive.addfile(member)
            else:
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return out.getvalue(), content


def test_a_base_in_an_engine_is_handed_out_once(files):
    layers = [tar_of({"a": (os.urandom(3_000_000), 0o644)}), tar_of({"b": (b"b", 0o644)})]
    archive, config = old_archive(layers)
    engine = Engine(archive)
    base = files(engine=engine).newest("docker:serving:1")
    assert base.platforms[0].config == config
    assert [layer.digest for layer in base.layers] == [digest_bytes(layer) for layer in layers]
    assert {layer.media_type for layer in base.layers} == {LAYER}
    again = files(engine=engine)
    assert again.newest("docker:serving:1") == again.read("docker:serving:1", base.digest) == base
    source = again.source("docker:serving:1", base.digest)
    assert b"".join(source.chunks(base.layers[0])) == layers[0]
    assert engine.saved == 1


def test_a_pinned_engine_image_is_read_without_an_engine(files):
    archive, _ = old_archive([tar_of({"a": (b"a", 0o644)})])
    base = files(engine=Engine(archive)).newest("docker:serving:1")
    assert files().read("docker:serving:1", base.digest) == base


def test_equal_layers_of_an_engine_are_links(files):
    layer = tar_of({"a": (b"a", 0o644)})
    archive, _ = old_archive([layer, layer], {"layer1/layer.tar": "../layer0/layer.tar"})
    base = files(engine=Engine(archive)).newest("docker:serving:1")
    assert [one.digest for one in base.platforms[0].layers] == [digest_bytes(layer)] * 2


def test_an_engine_that_keeps_what_it_pulled_hands_out_compressed_layers(files, documents):
    entry = documents.image()
    manifest = json.loads(documents[entry["digest"]])
    path = {digest: f"blobs/sha256/{digest.removeprefix('sha256:')}" for digest in documents}
    told = [
        {
            "Config": path[manifest["config"]["digest"]],
            "Layers": [path[layer["digest"]] for layer in manifest["layers"]],
        }
    ]
    members = {path[digest]: (content, 0o644) for digest, content in documents.items()}
    archive = tar_of(members | {"manifest.json": (json.dumps(told).encode(), 0o644)})
    base = files(engine=Engine(archive)).newest("docker:serving:1")
    assert [layer.media_type for layer in base.layers] == [LAYER_GZIP]


def test_an_engine_without_the_image_or_with_another_one(files):
    with pytest.raises(InputError, match="has no image"):
        files(engine=Engine(image="")).newest("docker:serving:1")
    archive, _ = old_archive([tar_of({"a": (b"a", 0o644)})])
    with pytest.raises(InputError, match="no longer there"):
        files(engine=Engine(archive)).read("docker:serving:1", "sha256:" + "a" * 64)


def broken_archives():
    good, _ = old_archive([tar_of({"a": (b"a", 0o644)})])

    def told(manifest):
        return tar_of({"manifest.json": (manifest, 0o644), "c": (b"{}", 0o644)})

    return {
        "nothing": b"",
        "no tar": b"x" * 5000,
        "cut": good[:2000],
        "no manifest": tar_of({"a": (b"", 0o644)}),
        "no JSON": told(b"{"),
        "two images": told(b'[{"Config":"c","Layers":[]},{"Config":"c","Layers":[]}]'),
        "no list": told(b'{"Config":"c"}'),
        "no config": told(b'[{"Config":"x","Layers":[]}]'),
        "a config that is a number": told(b'[{"Config":5,"Layers":[]}]'),
        "a config outside": told(b'[{"Config":"../../etc/passwd","Layers":[]}]'),
        "layers that are an object": told(b'[{"Config":"c","Layers":{}}]'),
        "a config without a platform": told(b'[{"Config":"c","Layers":[]}]'),
        "a manifest of many megabytes": told(b"[" + b" " * (5 * 2**20) + b"]"),
    }


@pytest.mark.parametrize("name", sorted(broken_archives()))
def test_a_broken_archive_is_refused(files, name):
    with pytest.raises(IntegrityFailed):
        files(engine=Engine(broken_archives()[name])).newest("docker:serving:1")


def test_another_layer_than_the_config_names_is_refused_when_images_are_made(files):
    layer = tar_of({"a": (b"a", 0o644)})
    wrong = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]},
    }
    archive, _ = old_archive([layer], config=wrong)
    with pytest.raises(IntegrityFailed):
        files(engine=Engine(archive)).newest("docker:serving:1")

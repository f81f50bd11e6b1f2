"""The whole way of an image on a base: pinned, packaged, released, and what a moved base changes and does not."""

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile

import pytest
from base_documents import Documents, two_platforms, write_layout
from paper import MODEL, commit, make_repository, on_paper
from test_killed_anywhere import update_lock

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.descriptor import INDEX, MANIFEST, Descriptor
from mmcicd_jenkins.stages import ROAD, run_stage
from mmcicd_jenkins.wiring import open_bench

BASE = "oci:../layout:2.20.0"
GOLDEN = {
    "signature": "serving_default",
    "inputs": {"x": {"dtype": "float32", "shape": [None]}},
    "output": "y",
    "instances": [1.0, 2.0],
    "outputs": [2.0, 4.0],
}


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A repository whose images stand on a base for two platforms, pinned and committed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MODEL_FIXTURE", str(MODEL))
    put(tmp_path, two_platforms)
    root = make_repository(tmp_path / "repo")
    evaluate = (root / "evaluate.sh").read_text()
    (root / "evaluate.sh").write_text(
        evaluate + f"printf '%s' '{json.dumps(GOLDEN)}' > \"$MMCICD_EVALUATION_DIR/golden.json\"\n"
    )
    config = root / "mmcicd.yaml"
    config.write_text(config.read_text() + f"image: {BASE}\njenkins: {{source: {{github: acme/ml}}}}\n")
    update_lock(tmp_path)
    update_base(tmp_path)
    commit(root, "a base")
    return tmp_path


def put(folder, make):
    documents = Documents()
    shutil.rmtree(folder / "layout", ignore_errors=True)
    write_layout(folder / "layout", documents, {"2.20.0": make(documents)})


def update_base(folder):
    arguments = [sys.executable, "-m", "mmcicd_jenkins", "image", "update-base"]
    subprocess.run(arguments, cwd=folder / "repo", check=True, capture_output=True, env={**os.environ})


def road(folder, until="propose", **instead):
    """The stages in this process; outcomes by name."""
    bench = open_bench(folder / "repo")
    ports = on_paper(bench, client=Answers(), **instead)
    outcomes = {}
    for name in ROAD:
        outcomes[name] = run_stage(name, bench.job("double"), ports)
        if name == until:
            break
    return outcomes


class Answers:
    """A client whose server answers every golden request as it should."""

    def ask_golden(self, _endpoint, _model, golden):
        from mmcicd_jenkins.ports import GoldenResult

        asked = len(golden["instances"])
        return GoldenResult(asked=asked, matched_rest=asked, matched_grpc=asked, seconds=(0.01,) * asked)


def stored(folder):
    """The store, the index of version 1, and its manifests."""
    store = OciLayoutStore(folder / "repo.store")
    image = store.find_image("double", 1)
    assert image.kind == INDEX
    manifests = [
        json.loads(store.read(Descriptor(media_type=MANIFEST, digest=e["digest"], size=e["size"])))
        for e in image.document["manifests"]
    ]
    return store, image, manifests


def content(store, entry):
    blob = store.read(Descriptor(media_type=entry["mediaType"], digest=entry["digest"], size=entry["size"]))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as archive:
        return {m.name: archive.extractfile(m).read() if m.isreg() else m.linkname for m in archive}


def test_an_image_for_each_platform_with_all_that_tf_serving_expects(base):
    outcome = road(base, "package")["package"]
    assert f"on {BASE} for linux/amd64 and linux/arm64/v8" in outcome.sentence
    assert outcome.detail["platforms"] == ["linux/amd64", "linux/arm64/v8"]
    store, image, manifests = stored(base)
    assert image.digest == outcome.detail["image"]
    for manifest in manifests:
        first, *_, warmup, version = [content(store, entry) for entry in manifest["layers"]]
        assert "usr/bin/tf_serving_entrypoint.sh" in first
        assert (
            warmup["srv/mmcicd/model/assets.extra/tf_serving_warmup_requests"].count(b"serving_default") == 2
        )
        assert version["models/double/1"] == "../../srv/mmcicd/model"
        config = json.loads(store.read(Descriptor(media_type="", **pick(manifest["config"]))))["config"]
        assert config["Entrypoint"] == ["/usr/bin/tf_serving_entrypoint.sh"]
        assert config["Cmd"] == ["--monitoring_config_file=/etc/mmcicd/monitoring.config"]
        assert {"MODEL_NAME=double", "MODEL_BASE_PATH=/models"} <= set(config["Env"])
        notes = manifest["annotations"]
        assert notes["org.opencontainers.image.source"] == "https://github.com/acme/ml.git"
        assert notes["io.mmcicd.metrics-digest"].startswith("sha256:")
        assert store.read(
            Descriptor(media_type="", digest=notes["io.mmcicd.metrics-digest"], size=size(store, notes))
        ).startswith(b"{")


def pick(entry):
    return {"digest": entry["digest"], "size": entry["size"]}


def size(store, notes):
    return store._files.size(notes["io.mmcicd.metrics-digest"])


def test_again_is_found_without_the_base(base):
    first = road(base, "package")["package"]
    shutil.rmtree(base / "layout")
    again = road(base, "package")["package"]
    assert (again.found, again.detail["image"]) == (True, first.detail["image"])


def test_a_base_that_is_not_pinned_is_told_with_the_command(base):
    config = base / "repo" / "mmcicd.yaml"
    config.write_text(config.read_text().replace(":2.20.0", ":2.21.0"))
    commit(base / "repo", "another base")
    with pytest.raises(InputError, match="does not have the image") as e:
        road(base, "package")
    assert "mmcicd-jenkins image update-base" in e.value.fix
    assert e.value.where.startswith("mmcicd.yaml:")


def shown(base, release):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "show", release],
        cwd=base / "repo", check=True, capture_output=True, text=True, env={**os.environ},
    )  # fmt: skip
    return " ".join(done.stdout.split())


def move(base):
    put(base, lambda documents: documents.image(text=b"newer"))
    update_base(base)
    commit(base / "repo", "a newer base")


def test_a_moved_base_makes_a_version_of_the_same_model_without_a_training(base):
    first = road(base)
    assert f"stands on {BASE} sha256:" in shown(base, "double@1")
    assert "linux/amd64 linux/arm64/v8" in shown(base, "double@1")
    move(base)
    second = road(base)
    assert second["train"].found
    assert second["package"].detail["version"] == 2
    assert second["package"].detail["platforms"] == ["linux/amd64"]
    assert second["deploy"].sentence == "staging serves 2"
    told = [
        re.search("run ([0-9a-f]+) .*model (sha256:[0-9a-f]+)", shown(base, f"double@{n}")).groups()
        for n in (1, 2)
    ]
    assert told[0] == told[1]
    third = road(base)
    assert all(third[name].found for name in ("train", "evaluate", "package", "verify", "deploy"))
    # What was released is what it was.
    store = OciLayoutStore(base / "repo.store")
    assert store.find_image("double", 1).digest == first["package"].detail["image"]
    assert (
        subprocess.run(
            [sys.executable, "-m", "mmcicd_jenkins", "ledger", "verify"], cwd=base / "repo", check=False
        ).returncode
        == 0
    )


def test_until_it_is_released_a_version_follows_the_lock(base):
    first = road(base, "package")["package"]
    move(base)
    second = road(base, "package")["package"]
    assert (first.detail["version"], second.detail["version"]) == (1, 1)
    assert second.detail["image"] != first.detail["image"]


def test_an_image_without_a_base_gets_a_version_on_one(base):
    config = base / "repo" / "mmcicd.yaml"
    text = config.read_text()
    config.write_text(text.replace(f"image: {BASE}\n", ""))
    commit(base / "repo", "no base")
    assert road(base)["package"].detail["base"] == ""
    config.write_text(text)
    commit(base / "repo", "a base again")
    package = road(base)["package"]
    assert (package.detail["version"], package.detail["base"]) == (2, BASE)


def test_a_released_image_that_the_store_lost_is_made_again_or_refused(base):
    first = road(base)["package"]
    blob = base / "repo.store/blobs/sha256" / first.detail["image"].removeprefix("sha256:")
    blob.unlink()
    assert road(base, "package")["package"].detail["image"] == first.detail["image"]
    assert blob.is_file()
    config = base / "repo" / "mmcicd.yaml"
    config.write_text(config.read_text().replace(f"image: {BASE}", f"image: {{base: '{BASE}', user: '7'}}"))
    commit(base / "repo", "another user")
    assert road(base, "package")["package"].detail["image"] == first.detail["image"]
    blob.unlink()
    with pytest.raises(IntegrityFailed, match="cannot be made again"):
        road(base, "package")


def test_warm_up_requests_of_the_model_itself_are_kept(base):
    root = base / "repo"
    train = (root / "train.sh").read_text()
    (root / "train.sh").write_text(
        train + 'mkdir -p "$MMCICD_MODEL_DIR/assets.extra"\n'
        ': > "$MMCICD_MODEL_DIR/assets.extra/tf_serving_warmup_requests"\n'
    )
    commit(root, "warm-up of its own")
    assert road(base, "package")["package"].detail["warmup"] == ""


def test_warm_up_can_be_switched_off(base):
    config = base / "repo" / "mmcicd.yaml"
    config.write_text(
        config.read_text().replace(
            "    min_samples: 10\n", "    min_samples: 10\n    serving: {warmup: false}\n"
        )
    )
    commit(base / "repo", "no warm-up")
    assert road(base, "package")["package"].detail["warmup"] == ""

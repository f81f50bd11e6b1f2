"""`image.verify_with` on a paper repository: real layouts, store, ledger and git; the containers are of paper.

We test: every listed version is tried once and told, in the release too; one that answers otherwise, or does not load, or
cannot be tried here, stops the release and nothing else is tried again; what is shown is exactly what was joined.
"""

import gzip
import io
import json
import shutil
import tarfile

import pytest
from base_documents import Documents, two_platforms, write_layout
from paper import MODEL, FileTarget, commit, make_repository, on_paper
from test_images_on_a_base import GOLDEN, update_base
from test_killed_anywhere import update_lock

from mmcicd_jenkins.adapters.docker.images import EngineImages
from mmcicd_jenkins.adapters.embedded_trial import EmbeddedTrial
from mmcicd_jenkins.cli.show import command as show
from mmcicd_jenkins.errors import GateRefused, InputError, IntegrityFailed
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.ports import Endpoint, GoldenResult
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages import run_stage
from mmcicd_jenkins.wiring import open_bench

BASE, OLDER, OLDEST = (f"oci:../layout:{version}" for version in ("2.20.0", "2.18.0", "2.16.0"))
BEFORE = ("prepare", "test", "data", "train", "evaluate", "package")


@pytest.fixture
def repo(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MODEL_FIXTURE", str(MODEL))
    documents = Documents()
    write_layout(
        tmp_path / "layout",
        documents,
        {
            "2.20.0": two_platforms(documents),
            "2.18.0": documents.image(text=b"older"),
            "2.16.0": documents.image(text=b"oldest"),
        },
    )
    root = make_repository(tmp_path / "repo")
    with (root / "evaluate.sh").open("a") as file:
        file.write(f"printf '%s' '{json.dumps(GOLDEN)}' > \"$MMCICD_EVALUATION_DIR/golden.json\"\n")
    with (root / "mmcicd.yaml").open("a") as file:
        file.write(f"image: {{base: '{BASE}', verify_with: ['{OLDER}', '{OLDEST}']}}\n")
    update_lock(tmp_path)
    update_base(tmp_path)
    commit(root, "two more versions")
    return root


class Engine:
    """A Docker engine of paper: it has what it was loaded with."""

    platform = "linux/amd64"
    name = "paper"

    def __init__(self):
        self.images = {}

    def image(self, reference):
        return self.images.get(reference)

    def load(self, archive):
        with tarfile.open(fileobj=io.BytesIO(b"".join(archive))) as found:
            files = {one.name: found.extractfile(one).read() for one in found if one.isreg()}
        (entry,) = json.loads(files["manifest.json"])
        self.images[entry["RepoTags"][0]] = {
            "Id": digest_bytes(files[entry["Config"]]),
            "files": files,
            **entry,
        }

    def tags(self, name):
        return tuple(tag for tag in self.images if tag.startswith(f"{name}:"))

    def forget(self, reference):
        self.images.pop(reference, None)


class PaperTrial(EmbeddedTrial):
    """A container of paper for what is joined: it brings the image into `site.engine`, and knows which base it is on."""

    def __init__(self, target, folder, site):
        super().__init__(target, folder, "paper")
        self.site, self.name = site, ""

    def start(self, order):
        if order.joined is None:
            self.site.tried.append("own")
            return super().start(order)
        if not self.site.has_engine:
            return super().start(order)
        self.name = self.site.images.bring_joined(order.model, order.joined)
        files = self.site.engine.images[self.name]["files"]
        text = root_of(files)["usr/bin/tf_serving_entrypoint.sh"].decode()
        self.site.tried.append(text)
        self.site.seen[text] = files
        if text in self.site.broken:
            raise GateRefused("version 1 of double was refused: the model does not load", why="too new")
        return Endpoint(rest=f"http://{text}", grpc="")

    def stop(self):
        if self.name:
            self.site.images.forget(self.name)
        return super().stop()


class Site:
    """Runs stages of a repository; `wrong` and `broken` are the bases on which servers misbehave."""

    def __init__(self, root, *, wrong=(), broken=(), has_engine=True):
        self.bench = open_bench(root)
        self.wrong, self.broken, self.has_engine = wrong, broken, has_engine
        self.engine, self.tried, self.seen = Engine(), [], {}
        self.images = EngineImages(self.engine, self.bench.store)

    def run(self, *names):
        ports = on_paper(self.bench, client=self)
        ports.throwaway = lambda folder, runnable: PaperTrial(  # noqa: ARG005 - the port names it
            FileTarget(folder / "target.json", self.bench.store), folder, self
        )
        return [
            run_stage(name, self.bench.job("double", environment=self.place(name)), ports) for name in names
        ][-1]

    def place(self, name):
        return "staging" if name in {"deploy", "smoke"} else None

    def ask_golden(self, endpoint, _model, golden):
        asked = len(golden["instances"])
        differs = ("golden request 1 by REST: expected 2, got 3",) if endpoint.rest[7:] in self.wrong else ()
        matched = 0 if differs else asked
        return GoldenResult(
            asked=asked,
            matched_rest=matched,
            matched_grpc=asked,
            seconds=(0.01,) * asked,
            differences=differs,
        )


def root_of(files):
    """The files that an image's layers hold."""
    found = {}
    (entry,) = json.loads(files["manifest.json"])
    for layer in entry["Layers"]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(files[layer]))) as archive:
            found |= {m.name: archive.extractfile(m).read() if m.isreg() else m.linkname for m in archive}
    return found


def test_every_listed_version_is_tried_once_told_and_in_the_release(repo, monkeypatch, capsys):
    site = Site(repo)
    seen = site.run(*BEFORE, "verify")
    assert site.tried == ["own", "olderamd64", "oldestamd64"]
    assert seen.verdict is Verdict.PASSED
    assert seen.sentence.endswith(
        f"; {OLDER}: loads; 2 of 2 golden answers; {OLDEST}: loads; 2 of 2 golden answers"
    )
    assert [(one["base"], one["verdict"]) for one in seen.detail["verified"]["tried"]] == [
        (OLDER, "passed"),
        (OLDEST, "passed"),
    ]
    again = site.run("verify")
    assert (again.found, len(site.tried), again.detail["verified"]) == (True, 3, seen.detail["verified"])
    site.run("deploy")
    release = site.bench.ledger.release("double", 1)
    assert release.verified_with == {base: site.bench.lock.images[base] for base in (OLDER, OLDEST)}
    assert release.stands_on["base"] == BASE
    monkeypatch.chdir(repo)
    show.main(["double@1"], standalone_mode=False)
    told = capsys.readouterr().out
    for base in (OLDER, OLDEST):
        assert f"{base} {site.bench.lock.images[base][:19]}" in told


def test_what_is_tried_is_the_model_on_that_base_and_stays_nowhere(repo):
    site = Site(repo)
    seen = site.run(*BEFORE, "verify")
    files = root_of(site.seen["olderamd64"])
    assert files["srv/mmcicd/model/saved_model.pb"] == (MODEL / "saved_model.pb").read_bytes()
    assert files["models/double/1"].endswith("srv/mmcicd/model")
    assert site.engine.images == {}
    for one in seen.detail["verified"]["tried"]:
        assert site.bench.store.find_image("double", one["image"]) is None
    assert site.bench.store.find_image("double", 1).digest == seen.detail["image"]


def test_the_first_bad_version_does_not_hide_the_next_and_refuses_the_release(repo):
    site = Site(repo, broken=["olderamd64"], wrong=["oldestamd64"])
    refused = site.run(*BEFORE, "verify")
    assert (refused.verdict, refused.exit_code) == (Verdict.FAILED, 4)
    assert refused.sentence.startswith(
        f"refused: {OLDER}: version 1 of double was refused: the model does not load: too new; "
        f"{OLDEST}: golden request 1 by REST: expected 2, got 3; loads; 2 of 2 golden answers"
    )
    with pytest.raises(InputError, match="has not passed verify"):
        site.run("deploy")
    assert site.bench.ledger.release("double", 1) is None


def test_what_passed_is_not_tried_again_after_one_that_did_not(repo):
    Site(repo, wrong=["oldestamd64"]).run(*BEFORE, "verify")
    cured = Site(repo)
    seen = cured.run("verify")
    assert cured.tried == ["oldestamd64"]
    assert (seen.verdict, seen.found) == (Verdict.PASSED, False)


def test_without_an_engine_it_is_undecided_and_says_why(repo):
    site = Site(repo, has_engine=False)
    undecided = site.run(*BEFORE, "verify")
    assert (undecided.verdict, undecided.exit_code) == (Verdict.INCONCLUSIVE, 6)
    assert undecided.sentence.startswith(f"inconclusive: {OLDER}: only a container can show it: paper; ")
    with pytest.raises(InputError, match="has not passed verify"):
        site.run("deploy")


def test_what_a_laptop_does_not_fetch_is_named(repo):
    config = repo / "mmcicd.yaml"
    config.write_text(config.read_text().replace(OLDEST, "registry.example/serving:2.16.0"))
    commit(repo, "one of a registry")
    site = Site(repo)
    seen = site.run(*BEFORE, "verify")
    assert seen.verdict is Verdict.PASSED
    assert seen.sentence.endswith("; not tried on this machine: registry.example/serving:2.16.0")
    assert site.tried == ["own", "olderamd64"]


def test_another_base_of_the_same_name_is_another_version_to_try(repo):
    Site(repo).run(*BEFORE, "verify")
    documents = Documents()
    shutil.rmtree(repo.parent / "layout")
    write_layout(
        repo.parent / "layout",
        documents,
        {
            "2.20.0": two_platforms(documents),
            "2.18.0": documents.image(text=b"patched"),
            "2.16.0": documents.image(text=b"oldest"),
        },
    )
    update_base(repo.parent)
    commit(repo, "a patch of an older version")
    site = Site(repo)
    assert not site.run("verify").found
    assert site.tried == ["patchedamd64"]


def test_one_that_is_not_pinned_stops_the_first_stage(repo):
    config = repo / "mmcicd.yaml"
    config.write_text(config.read_text().replace(OLDEST, "oci:../layout:2.14.0"))
    commit(repo, "a third")
    with pytest.raises(InputError, match=r"does not have the image oci:\.\./layout:2\.14\.0") as error:
        Site(repo).run("prepare")
    assert "update-base" in error.value.fix


def test_a_layer_with_a_wrong_byte_is_refused(repo):
    site = Site(repo)
    site.run(*BEFORE)
    layer = site.bench.bases.read(OLDER, site.bench.lock.images[OLDER]).layers[0]
    path = repo.parent / "layout/blobs/sha256" / layer.digest.removeprefix("sha256:")
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityFailed):
        site.run("verify")
    assert site.engine.images == {}

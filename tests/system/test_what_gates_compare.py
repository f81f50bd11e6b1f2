"""What the numbers of a gate stand for: the label, the parameters and the code of today, on candidate and champion alike.

Aspects: stored evaluations that no longer fit; code that no commit has; a champion that cannot be scored; a verdict that
changes between two stages; a champion that the ledger lost; smoke on a dead server.
"""

import json
import shutil

import pytest
from paper import MODEL, commit, make_repository, on_paper
from test_killed_anywhere import end_state, update_lock
from test_the_road import command, edit, road

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.release import history
from mmcicd_jenkins.stages import run_stage
from mmcicd_jenkins.stages.evaluate import find_champion
from mmcicd_jenkins.stages.identity import data_key, locked_data
from mmcicd_jenkins.stages.scoring import evaluation_id
from mmcicd_jenkins.wiring import open_bench


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    base = tmp_path_factory.mktemp("compare")
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    return base


@pytest.fixture
def base(template, tmp_path):
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    return tmp_path / "base"


def identity(base):
    bench = open_bench(base / "repo")
    return evaluation_id(bench.job("double"), bench.ports, "sha256:" + "0" * 64)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("label: y", "label: x"),
        ("params: {factor: 2}", "params: {factor: 3}"),
        ("test_size: 0.3", "test_size: 0.2"),
    ],
)
def test_numbers_of_another_label_parameter_or_split_are_not_found_again(base, old, new):
    before = identity(base)
    edit(base, "mmcicd.yaml", old, new)
    assert identity(base) != before


def test_data_prepared_under_another_file_name_are_prepared_again(base):
    def key():
        job = open_bench(base / "repo").job("double")
        return data_key(job, locked_data(job))

    before = key()
    (base / "repo/data/numbers.csv").rename(base / "repo/data/figures.csv")
    edit(base, "mmcicd.yaml", "data/numbers.csv", "data/figures.csv")
    update_lock(base)
    assert key() != before


def test_an_evaluation_by_code_that_no_commit_has_is_refused_and_not_kept(base):
    script = base / "repo/evaluate.sh"
    script.write_text(script.read_text() + "sed -i s/0.80/0.99/ $MMCICD_EVALUATION_DIR/metrics.json\n")
    assert "evaluate.sh" in road(base, code=3)["where"]
    script.write_text(script.read_text().replace("0.99", "0.98"))
    assert "evaluate.sh" in command(base, "evaluate", code=3)["where"]


def test_a_champion_that_cannot_be_scored_decides_nothing_and_is_named(base):
    road(base)
    command(base, "promote")
    commit(base / "repo", "better", factor_txt="0.90")
    script = base / "repo/evaluate.sh"
    script.write_text(script.read_text() + 'grep -q 0.90 "$MMCICD_MODEL_DIR/assets_factor.txt"\n')
    edit(base, "evaluate.sh", "set -eu", "set -eu ", "a stricter evaluation")
    outcomes = road(base, code=6)
    assert "champion 1 cannot be scored" in outcomes["evaluate"]["sentence"]
    assert end_state(base)["versions"] == 1


def test_a_verdict_that_changed_after_verify_makes_no_release(base):
    road(base)
    command(base, "promote")
    for factor in ("0.95", "0.80"):
        commit(base / "repo", factor, factor_txt=factor)
    commit(base / "repo", "hardly worse", factor_txt="0.79")
    for stage in ("train", "evaluate", "package", "verify"):
        command(base, stage)
    edit(base, "mmcicd.yaml", "accuracy >= 0.5", "accuracy >= 0.85")
    refused = command(base, "deploy", code=4)
    assert "0.85" in refused["why"]
    assert open_bench(base / "repo").ledger.release("double", 2) is None


def test_a_champion_that_the_ledger_lost_is_no_first_release(base):
    road(base)
    bench = open_bench(base / "repo")
    who = history.Who(actor="ada", at="2026-11-24T00:00:00+00:00", reason="by hand")
    pointer = bench.ledger.commit(
        "double", lambda s: history.begin(s, "production", "promote", 77, who)
    ).pointer("production")
    bench.ledger.commit("double", lambda s: history.finish(s, "production", pointer.epoch, who))
    with pytest.raises(IntegrityFailed, match="77"):
        find_champion(bench.job("double"), bench.ports)


def test_smoke_on_a_server_that_serves_nothing_fails_though_there_is_nothing_to_ask(base):
    road(base)
    (base / "repo.serve/staging/target.json").unlink()
    assert command(base, "smoke", code=5)["retryable"] is False


def test_a_model_folder_that_was_damaged_is_unpacked_again(base):
    road(base)
    [folder] = (base / "repo/.mmcicd/models").iterdir()
    (folder / "assets_factor.txt").write_text("0.99")
    edit(base, "evaluate.sh", "set -eu", "set -e -u", "evaluate anew")
    assert road(base)["evaluate"]["metrics"]["accuracy"] == 0.8


def test_two_models_never_share_a_folder_by_the_beginning_of_their_digests(base):
    workspace = open_bench(base / "repo").workspace
    alike = ["sha256:" + "0" * 8 + letter * 56 for letter in "ab"]
    for place in (workspace.model_files, workspace.data, workspace.checkpoints):
        assert place(alike[0]) != place(alike[1])


def index(base):
    path = base / "repo.store/index.json"
    return path, json.loads(path.read_text())


def test_a_tag_that_was_moved_by_hand_is_an_integrity_error(base):
    road(base)
    path, document = index(base)
    name = "org.opencontainers.image.ref.name"
    named = [m for m in document["manifests"] if name in m.get("annotations", {})]
    names = {m["annotations"][name]: m for m in named}
    run = next(name for name in names if name.startswith("run-"))
    evaluation = next(name for name in names if name.startswith("evaluation-"))
    for one, other in ((run, evaluation), (evaluation, run)):
        moved = [
            {**names[other], "annotations": m["annotations"]} if m is names[one] else m
            for m in document["manifests"]
        ]
        path.write_text(json.dumps({**document, "manifests": moved}))
        assert "under the name of" in road(base, code=7)["error"]


def test_a_damaged_run_is_made_anew_by_again_as_its_error_says(base, monkeypatch):
    monkeypatch.setenv("MODEL_FIXTURE", str(MODEL))
    monkeypatch.setenv("XDG_CACHE_HOME", str(base / "cache"))
    road(base)
    _, document = index(base)
    [run] = [m for m in document["manifests"] if m.get("artifactType", "").endswith("run.v1+json")]
    manifest = base / "repo.store/blobs/sha256" / run["digest"].removeprefix("sha256:")
    config = json.loads(manifest.read_text())["config"]["digest"].removeprefix("sha256:")
    (manifest.parent / config).unlink()
    assert "run --again" in road(base, code=7)["fix"]
    bench = open_bench(base / "repo")
    ports = on_paper(bench)
    run_stage("train", bench.job("double", again=True), ports)
    assert road(base)["train"]["found"]
    assert end_state(base)["versions"] == 2


def test_production_that_serves_what_was_taken_back_is_compared_with_what_was_healthy_there(base):
    road(base)
    command(base, "promote")
    commit(base / "repo", "better", factor_txt="0.90")
    road(base)
    command(base, "promote")
    bench = open_bench(base / "repo")
    run_stage("rollback", bench.job("double", environment="staging"), on_paper(bench))
    snapshot = bench.ledger.snapshot("double")
    assert (snapshot.pointer("production").serving, snapshot.is_revoked(2)) == (2, True)
    assert find_champion(bench.job("double"), bench.ports).version == 1


def test_the_champion_on_its_own_commit_is_found_where_every_gate_compares_with_it(base):
    road(base)
    command(base, "promote")
    edit(base, "mmcicd.yaml", "      - accuracy >= 0.5\n", "")
    outcomes = road(base)
    assert "it is 1, which serves" in outcomes["evaluate"]["sentence"]
    assert all(outcome["exit_code"] == 0 for outcome in outcomes.values())
    assert end_state(base)["versions"] == 1

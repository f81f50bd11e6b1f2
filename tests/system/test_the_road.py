"""The pipeline on a paper repository: what is found, what is refused, what each failure says and leaves behind.

Aspects: a run depends only on its inputs; gates; changed gates; the champion; promotion, rollback, revocation;
uncommitted changes; the lock; training that fails in every way; odd checkouts; two at once.
"""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paper import MODEL, commit, git, make_repository
from test_killed_anywhere import drive, end_state, update_lock


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    base = tmp_path_factory.mktemp("paper")
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    return base


@pytest.fixture
def base(template, tmp_path):
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    return tmp_path / "base"


def road(base, code=0):
    done = drive(base, "road")
    assert done.returncode == code, done.stdout + done.stderr
    return {o["stage"]: o for o in json.loads(done.stdout)} if done.stdout else json.loads(done.stderr)


def command(base, name, code=0):
    done = drive(base, name)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)[-1] if code == 0 else json.loads(done.stderr)


def edit(base, path, old, new, message="edit"):
    file = base / "repo" / path
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    git(base / "repo", "commit", "-qam", message)


def tries(base):
    """How often training ran, by its own log."""
    logs = (base / "repo/.mmcicd/runs").glob("*/train.log")
    return sum(log.read_text().count("training sha256:") for log in logs)


def test_a_commit_becomes_a_version_that_waits(base):
    outcomes = road(base)
    assert list(outcomes) == [
        "prepare", "test", "data", "train", "evaluate", "package", "verify", "deploy", "smoke", "propose",
    ]  # fmt: skip
    assert "no champion yet" in outcomes["evaluate"]["sentence"]
    assert outcomes["package"]["version"] == 1
    assert outcomes["deploy"]["sentence"] == "staging serves 1"
    assert outcomes["propose"]["sentence"] == "production waits for you"
    assert end_state(base)["pointers"].keys() == {"staging"}


def test_a_commit_that_changes_no_input_trains_nothing(base):
    road(base)
    before = tries(base)
    commit(base / "repo", "words", README_md="words")
    (base / "repo" / "README.md").write_text("hello")
    commit(base / "repo", "more words")
    outcomes = road(base)
    assert tries(base) == before == 1
    assert outcomes["train"]["sentence"] == "found, not trained again"
    assert outcomes["prepare"]["sentence"].endswith("nothing to train since 1")
    assert end_state(base)["versions"] == 1


def test_a_fresh_workspace_finds_everything_in_store_and_ledger(base):
    road(base)
    for folder in ("runs", "data", "models", "evaluations"):
        shutil.rmtree(base / "repo/.mmcicd" / folder, ignore_errors=True)
    assert road(base)["train"]["found"]


def test_a_gate_refuses_and_production_keeps_serving(base):
    road(base)
    command(base, "promote")
    commit(base / "repo", "worse", factor_txt="0.60")
    outcomes = road(base, code=4)
    assert list(outcomes)[-1] == "evaluate"
    assert "accuracy 0.600, needs >= 0.700 (champion 1 has 0.800)" in outcomes["evaluate"]["sentence"]
    end = end_state(base)
    assert (end["versions"], end["served"]["production"]["double"]["version"]) == (1, 1)


def test_a_changed_gate_judges_the_found_run_again(base):
    commit(base / "repo", "worse", factor_txt="0.45")
    road(base, code=4)
    edit(base, "mmcicd.yaml", "accuracy >= 0.5", "accuracy >= 0.4")
    outcomes = road(base)
    assert outcomes["train"]["found"]
    assert outcomes["evaluate"]["found"]
    assert tries(base) == 1


def test_too_few_samples_are_inconclusive(base):
    edit(base, "mmcicd.yaml", "min_samples: 10", "min_samples: 1000")
    outcomes = road(base, code=6)
    assert "30 of 1,000 samples" in outcomes["evaluate"]["sentence"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", '"0.9"', "null", "true", "[1]"])
def test_numbers_that_are_none_never_pass(base, value):
    commit(base / "repo", "odd", factor_txt=value)
    done = drive(base, "road")
    assert done.returncode in {3, 4, 6, 8}, done.stderr + done.stdout
    assert not (base / "repo.serve").exists()


def test_promote_roll_back_and_never_promote_again(base):
    road(base)
    assert command(base, "promote")["sentence"] == "production serves 1"
    assert command(base, "promote")["sentence"] == "production serves 1 already"
    commit(base / "repo", "better", factor_txt="0.90")
    road(base)
    command(base, "promote")
    assert command(base, "rollback")["to"] == 1
    assert "already rolled back" in command(base, "rollback")["sentence"]
    refused = command(base, "promote", code=4)
    assert "taken back" in refused["error"]
    assert end_state(base)["served"]["production"]["double"]["version"] == 1


def test_a_version_that_was_taken_back_waits_for_nobody(base):
    road(base)
    command(base, "promote")
    commit(base / "repo", "better", factor_txt="0.90")
    road(base)
    command(base, "promote")
    command(base, "rollback")
    proposed = road(base)["propose"]
    assert proposed["sentence"] == "2 was taken back, so nothing waits"
    assert not proposed["waits"]


def test_rolling_back_the_first_release_asks_a_person(base):
    road(base)
    command(base, "promote")
    assert "no earlier healthy release" in command(base, "rollback", code=6)["error"]


def test_a_version_that_never_served_before_production_is_not_promoted(base):
    road(base)
    command(base, "promote")
    environment = {**os.environ, "XDG_CACHE_HOME": str(base / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "promote", "--version", "7", "--yes", "--reason", "x"],
        cwd=base / "repo", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "no release 7" in done.stderr


def test_uncommitted_inputs_are_refused_by_name(base):
    (base / "repo" / "train.sh").write_text("#!/bin/sh\n")
    error = road(base, code=3)
    assert "train.sh" in error["where"]
    git(base / "repo", "checkout", "-q", "train.sh")
    (base / "repo" / "notes.txt").write_text("not an input")
    road(base)


def test_no_lock_says_how_to_make_one(base):
    git(base / "repo", "rm", "-q", "mmcicd.lock")
    git(base / "repo", "commit", "-qm", "no lock")
    error = road(base, code=3)
    assert "data update" in error["fix"]
    assert error["where"].endswith("mmcicd.yaml:4:7") or ":4:" in error["where"]


def test_changed_data_without_a_changed_lock_is_an_integrity_error(base):
    table = base / "repo/data/numbers.csv"
    table.write_text(table.read_text() + "100,200\n")
    git(base / "repo", "commit", "-qam", "one more row")
    error = road(base, code=7)
    assert "data update" in error["fix"]
    update_lock(base)
    commit(base / "repo", "move the lock")
    assert road(base)["data"]["test_rows"]["numbers"] > 0


@pytest.mark.parametrize(
    ("script", "code", "told"),
    [
        ("#!/bin/sh\necho deep trouble >&2\nexit 1\n", 8, "deep trouble"),
        ("#!/bin/sh\nkill -9 $$\n", 8, "killed"),
        ("#!/bin/sh\nexit 0\n", 8, "without a SavedModel"),
        ('#!/bin/sh\necho x > "$MMCICD_MODEL_DIR/saved_model.pb"\n', 8, "cannot be used"),
        ("#!/no/such/interpreter\n", 8, ""),
        ('#!/bin/sh\nln -s /etc/passwd "$MMCICD_MODEL_DIR/evil"; cp -R "$MODEL_FIXTURE"/. "$MMCICD_MODEL_DIR"/\n', 8, "symbolic link"),
    ],
)  # fmt: skip
def test_training_that_fails(base, script, code, told):
    (base / "repo" / "train.sh").write_text(script)
    git(base / "repo", "commit", "-qam", "bad training")
    error = road(base, code=code)
    assert told in json.dumps(error)
    git(base / "repo", "revert", "--no-edit", "HEAD")
    road(base)


def test_a_hanging_training_is_ended(base):
    (base / "repo" / "train.sh").write_text("#!/bin/sh\nsleep 600\n")
    edit(base, "mmcicd.yaml", "command: ./train.sh", "command: ./train.sh\n      timeout: 2s")
    error = road(base, code=8)
    assert "still running after 2 s" in error["why"]


def test_a_killed_training_resumes_from_its_checkpoint(base):
    script = (
        '#!/bin/sh\nif [ ! -f "$MMCICD_CHECKPOINT_DIR/half" ]; then touch "$MMCICD_CHECKPOINT_DIR/half"; kill -9 $PPID $$; fi\n'
        'cp -R "$MODEL_FIXTURE"/. "$MMCICD_MODEL_DIR"/; cp factor.txt "$MMCICD_MODEL_DIR"/assets_factor.txt\n'
    )
    (base / "repo" / "train.sh").write_text(script)
    git(base / "repo", "commit", "-qam", "half way")
    drive(base, "road")
    road(base)
    assert not list((base / "repo/.mmcicd/checkpoints").glob("*/half"))


def test_detached_and_shallow_checkouts_work(base):
    git(base / "repo", "checkout", "-q", "--detach")
    road(base)
    git(base, "clone", "-q", "--depth", "1", f"file://{base / 'repo'}", "shallow")
    assert git(base / "shallow", "rev-parse", "--is-shallow-repository").strip() == "true"
    shutil.rmtree(base / "repo")
    (base / "shallow").rename(base / "repo")
    road(base)


def test_no_commit_and_no_repository_are_told(base):
    shutil.rmtree(base / "repo/.git")
    assert "git init" in road(base, code=3)["fix"]
    git(base / "repo", "init", "-q")
    assert "commit" in road(base, code=3)["fix"]


def test_two_runs_at_once_train_once(base):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: drive(base, "road"), range(2)))
    codes = sorted(done.returncode for done in both)
    assert codes in ([0, 0], [0, 75]), [done.stderr for done in both]
    assert tries(base) == 1
    end = end_state(base)
    assert (end["versions"], end["pointers"]["staging"][0]) == (1, 1)


def test_a_ledger_edited_by_hand_is_noticed(base):
    road(base)
    clone = base / "clone"
    git(base, "clone", "-q", "-b", "mmcicd/double", str(base / "repo.ledger.git"), "clone")
    release = clone / "releases/000/1.json"
    release.write_text(release.read_text().replace('"accuracy": 0.8', '"accuracy": 0.99'))
    git(clone, "commit", "-qam", "nobody will notice")
    git(clone, "push", "-q", "origin", "HEAD")
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "ledger", "verify"],
        cwd=base / "repo", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 7, done.stdout + done.stderr


def test_a_damaged_store_is_refused(base):
    road(base)
    command(base, "promote")
    blobs = (base / "repo.store/blobs/sha256").iterdir()
    largest = max((b for b in blobs if b.is_file()), key=lambda b: b.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(content)
    shutil.rmtree(base / "repo/.mmcicd/models", ignore_errors=True)
    commit(base / "repo", "better", factor_txt="0.90")
    shutil.rmtree(base / "repo/.mmcicd/runs")
    (base / "repo.serve/production/target.json").unlink()
    error = command(base, "promote", code=7)
    assert error["retryable"] is False


def test_hostile_parameters_and_file_names_are_data(base):
    hostile = "$(touch PWNED); `touch PWNED`; \"quoted\" 'quoted'\n--help ../.. é"
    config = (
        (base / "repo/mmcicd.yaml").read_text().replace("{factor: 2}", json.dumps({hostile[:20]: hostile}))
    )
    (base / "repo/mmcicd.yaml").write_text(config)
    for name in ("-rf", "$(touch PWNED).py", "a b\n.py", "..hidden", "name;touch PWNED"):
        (base / "repo" / name).write_text("x")
    git(base / "repo", "add", "-A", "--", ".")
    git(base / "repo", "commit", "-qm", "$(touch PWNED)")
    git(base / "repo", "checkout", "-qb", "model;touch${IFS}PWNED")
    road(base)
    command(base, "promote")
    assert not list(base.rglob("PWNED"))


def test_a_read_only_workspace_is_told(base):
    if os.geteuid() == 0:
        workspace = base / "repo/.mmcicd"
        workspace.write_text("a file where the folder should be")
    else:
        (base / "repo").chmod(0o500)
    error = road(base, code=5)
    assert error["fix"]
    assert Path(MODEL).exists()


def test_locked_bytes_come_from_the_store_when_the_source_has_moved_on(base):
    road(base)
    table = base / "repo/data/numbers.csv"
    table.write_text(table.read_text() + "100,200\n")
    git(base / "repo", "commit", "-qam", "one more row")
    shutil.rmtree(base / "cache")
    shutil.rmtree(base / "repo/.mmcicd/data")
    outcomes = road(base)
    assert outcomes["train"]["found"]
    assert tries(base) == 1


def test_what_training_leaves_beside_itself_does_not_block_the_next_run(base):
    edit(base, "mmcicd.yaml", "      inputs: [train.sh, factor.txt]\n", "")
    (base / "repo" / "double.keras").write_text("left by training")
    road(base)
    (base / "repo" / "helpers.py").write_text("could be imported")
    assert "helpers.py" in road(base, code=3)["where"]


def test_a_laptops_run_touches_nothing_shared(base):
    shared = (
        "ledger: {url: 'ssh://git@127.0.0.1:1/ml/ledger.git'}\n"
        "store: {registry: registry.invalid/ml}\n"
        "environments:\n"
        "  staging: {kind: kubernetes, cluster: 'https://k8s.invalid:6443', namespace: ml-staging}\n"
        "  production: {kind: kubernetes, cluster: 'https://k8s.invalid:6443', namespace: ml}\n"
    )
    config = base / "repo/mmcicd.yaml"
    config.write_text(config.read_text() + shared)
    git(base / "repo", "commit", "-qam", "share everything")
    environment = {**os.environ, "XDG_CACHE_HOME": str(base / "cache"), "MODEL_FIXTURE": str(MODEL)}

    def mmcicd(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "mmcicd_jenkins", *arguments],
            cwd=base / "repo", env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = mmcicd("run", "--until", "package")
    assert done.returncode == 0, done.stderr
    assert "on this machine only: nothing shared is touched" in done.stderr
    assert (base / "repo.ledger.git").is_dir()
    refused = mmcicd("run", "--shared", "--until", "package")
    assert refused.returncode == 5
    assert "registry.invalid" in refused.stderr

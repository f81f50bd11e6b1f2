"""What the data of a hand-written repository do to the pipeline: a schema is asked on every run, and is no input of one."""

import json
import shutil
import subprocess
import sys

import pytest
from paper import EVALUATE, TRAIN, commit, git, make_repository
from test_killed_anywhere import drive, update_lock
from test_the_road import road, tries


@pytest.fixture
def base(tmp_path):
    make_repository(tmp_path / "repo")
    update_lock(tmp_path)
    commit(tmp_path / "repo", "begin")
    return tmp_path


def with_schema(base, text):
    config = base / "repo" / "mmcicd.yaml"
    if "schema:" not in config.read_text():
        config.write_text(
            config.read_text()
            .replace("test_size: 0.3", "test_size: 0.3\n        schema: numbers.schema.yaml")
            .replace("      inputs: [train.sh, factor.txt]\n", "")
        )
    (base / "repo" / "numbers.schema.yaml").write_text(text)
    git(base / "repo", "add", "-A")
    git(base / "repo", "commit", "-qm", "a schema")


def test_data_that_break_their_schema_stop_the_pipeline_though_they_were_fetched_before(base):
    road(base)
    with_schema(base, "columns: {x: {type: integer, max: 50}, z: text}\n")
    error = road(base, code=3)
    assert "goes up to 99, the highest allowed is 50" in error["why"]
    assert "column z is missing" in error["why"]
    assert "mmcicd.yaml" in error["where"]


def test_a_schema_that_is_met_goes_through_and_a_changed_one_trains_nothing(base):
    with_schema(base, "columns: {x: {type: integer, max: 100}}\n")
    road(base)
    with_schema(base, "columns: {x: {type: integer, max: 99}}\n")
    outcomes = road(base)
    assert outcomes["train"]["found"]
    assert tries(base) == 1


def test_a_schema_with_a_mistake_is_told_with_its_place(base):
    with_schema(base, "columns: {x: {typ: integer}}\n")
    error = road(base, code=3)
    assert "numbers.schema.yaml" in str(error)


def test_sources_that_are_not_divided_are_told_by_what_they_hold(base):
    config = base / "repo" / "mmcicd.yaml"
    config.write_text(
        config.read_text().replace("    data:\n", "    data:\n      pictures: data/pictures/\n")
    )
    (base / "repo/data/pictures/a folder").mkdir(parents=True)
    for name in ("it's one.png", "a folder/zwei.png"):
        (base / "repo/data/pictures" / name).write_bytes(b"picture")
    update_lock(base)
    commit(base / "repo", "pictures")
    assert "pictures: 2 files; numbers: " in road(base)["data"]["sentence"]


def test_a_source_that_moved_on_is_told_while_the_locked_bytes_are_used(base):
    assert "moved on" not in road(base)["data"]["sentence"]
    assert road(base)["data"]["sentence"] == "found"
    table = base / "repo/data/numbers.csv"
    old = table.read_text()
    commit(base / "repo", "more rows", **{"data/numbers.csv": old + "100,200\n"})
    outcome = road(base)["data"]
    assert outcome["found"]
    assert (
        "found; numbers has moved on since the lock: mmcicd-jenkins data update takes it"
        in outcome["sentence"]
    )
    # Written again as it was: another time, the same bytes.
    commit(base / "repo", "as it was", **{"data/numbers.csv": old})
    assert road(base)["data"]["sentence"] == "found"


def test_a_workspace_that_never_held_the_data_tells_it_as_well(base):
    road(base)
    table = base / "repo/data/numbers.csv"
    commit(base / "repo", "more rows", **{"data/numbers.csv": table.read_text() + "100,200\n"})
    shutil.rmtree(base / "repo/.mmcicd")
    sentence = road(base)["data"]["sentence"]
    assert "train" in sentence
    assert "numbers has moved on since the lock" in sentence


@pytest.mark.parametrize(
    ("line", "path", "did"),
    [
        ('chmod u+w "$MMCICD_DATA_DIR"/numbers/train.csv; echo 1,2 >> "$MMCICD_DATA_DIR"/numbers/train.csv', "train/numbers/train.csv", "changed"),
        ('rm -f "$MMCICD_DATA_DIR"/../test/numbers/test.csv', "test/numbers/test.csv", "deleted"),
        ('echo x > "$MMCICD_DATA_DIR"/numbers/cache.npy', "train/numbers/cache.npy", "made"),
    ],
)  # fmt: skip
def test_a_training_that_writes_into_its_data_ends_and_the_next_one_has_them_whole(base, line, path, did):
    commit(base / "repo", "careless", **{"train.sh": TRAIN + line + "\n"})
    failed = drive(base, "road")
    assert failed.returncode == 8, failed.stdout + failed.stderr
    told = json.loads(failed.stderr)
    assert "wrote into the prepared data" in told["error"]
    assert f"{path} was {did}" in told["why"]
    commit(base / "repo", "careful", **{"train.sh": TRAIN})
    outcomes = road(base)
    assert outcomes["evaluate"]["exit_code"] == 0


def test_an_evaluation_that_writes_into_its_data_ends_as_well(base):
    commit(
        base / "repo", "careless", **{"evaluate.sh": EVALUATE + 'echo x > "$MMCICD_DATA_DIR"/numbers/mine\n'}
    )
    failed = drive(base, "road")
    assert failed.returncode == 8, failed.stdout + failed.stderr
    assert "the evaluation of double wrote into the prepared data" in json.loads(failed.stderr)["error"]


def test_prepared_data_that_somebody_changed_are_prepared_anew(base):
    rows = road(base)["data"]["train_rows"]
    [table] = (base / "repo/.mmcicd/data").glob("*/test/numbers/test.csv")
    assert not table.stat().st_mode & 0o222
    whole = table.read_bytes()
    table.unlink()
    table.write_text("x,y\n1,2\n")
    outcome = road(base)["data"]
    assert not outcome["found"]
    assert (outcome["train_rows"], table.read_bytes()) == (rows, whole)


def update(base, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "data", "update"],
        cwd=base / "repo", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_lock_is_not_moved_to_data_that_no_run_can_use(base):
    table, lock = base / "repo/data/numbers.csv", base / "repo/mmcicd.lock"
    locked, whole = lock.read_bytes(), table.read_text()
    table.write_text("x,y\n")
    said = update(base, 3)
    assert "double/numbers: the table has a header and no rows" in said
    table.unlink()
    table.mkdir()
    (table / "a.txt").write_text("x")
    assert "data/numbers.csv was a table of 100 rows and is no table now" in update(base, 3)
    assert lock.read_bytes() == locked
    shutil.rmtree(table)
    table.write_text(whole + "100,200\n")
    assert "rows 100 -> 101" in update(base)


def test_a_lock_is_not_moved_to_data_that_break_their_schema(base):
    with_schema(base, "columns: {x: {type: integer, max: 50}}\n")
    assert "stays as it is" in update(base, 3)

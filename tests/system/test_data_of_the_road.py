"""What the data of a hand-written repository do to the pipeline: a schema is asked on every run, and is no input of one."""

import pytest
from paper import commit, git, make_repository
from test_killed_anywhere import update_lock
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

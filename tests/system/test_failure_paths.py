"""What a person reads at night: the real command line on a paper repository, one failure at a time.

Aspects: no identity; what a training or an evaluation may leave behind; how a command ended, in words; SIGTERM and
Ctrl-C in every stage; a store or a ledger that was lost or edited; names that want to be more than names.
Each ends in one sentence with the right code, and the same command then finishes the work.
"""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from paper import MODEL, TRAIN, commit, git, hang, make_repository
from test_killed_anywhere import drive, update_lock

RUN = [sys.executable, "-m", "mmcicd_jenkins", "run", "--until", "package"]
ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    base = tmp_path_factory.mktemp("failures")
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    return base


@pytest.fixture
def base(template, tmp_path):
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    return tmp_path / "base"


def variables(base):
    return {**os.environ, "XDG_CACHE_HOME": str(base / "cache"), "MODEL_FIXTURE": str(MODEL), "NO_COLOR": "1"}


def cli(base, *arguments, code=0, **more):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", *arguments],
        cwd=base / "repo", env=variables(base) | more, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "this is a bug" not in done.stderr
    assert ESCAPE not in done.stderr + done.stdout
    return done.stdout + done.stderr


def run(base, code=0, until="package"):
    return cli(base, "run", "--until", until, code=code)


def train_with(base, line, message="another training"):
    """The good training, and then this line."""
    commit(base / "repo", message, **{"train.sh": TRAIN + line + "\n"})


def evaluate_with(base, text, name="metrics.json"):
    good = '{"metrics": {"accuracy": 0.8}, "samples": 30}'
    script = (
        f"#!/bin/sh\ncd $MMCICD_EVALUATION_DIR\necho '{good}' > metrics.json\n{text.replace('FILE', name)}\n"
    )
    commit(base / "repo", "another evaluation", **{"evaluate.sh": script})


def test_no_git_identity_is_needed_to_write_the_ledger(base):
    nobody = {f"GIT_{who}_{what}": "" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    nowhere = {"HOME": str(base), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    told = cli(base, "run", "--until", "package", **nobody, **nowhere)
    assert "version 1" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("no-such-program", "exited 127: a command was not found"),
        (": > no-x; chmod -x no-x; ./no-x", "exited 126: a file is there but cannot be executed"),
        ("kill -9 $$", "was killed (SIGKILL); mostly because memory ran out"),
        ("kill -SEGV $$", "SIGSEGV"),
        (': > "$MMCICD_MODEL_DIR/saved_model.pb"', "the file is empty"),
        ('mkfifo "$MMCICD_MODEL_DIR/pipe"', "named pipe"),
        ('cd "$MMCICD_MODEL_DIR"; mkdir 1; mv saved_model.pb variables 1', "without a version below it"),
        ('cd "$MMCICD_MODEL_DIR"; rm -r *; echo x > m.keras', "m.keras"),
    ],
)
def test_a_training_that_failed_is_told_in_words(base, line, told):
    train_with(base, line)
    said = run(base, code=8)
    assert told in said
    assert "mmcicd.yaml:8:5 models.double.train" in said


def test_after_the_mending_commit_the_same_command_finishes(base):
    train_with(base, "exit 7")
    run(base, code=8)
    train_with(base, "", "mended")
    evaluate_with(base, ": > FILE")
    run(base, code=3)
    evaluate_with(base, "")
    assert "version 1" in run(base)


@pytest.mark.parametrize(
    "line",
    [
        'printf \'{"epoch": 1, "val_x": %s}\' "$(printf "%0400d" 0 | tr 0 9)" > "$MMCICD_METRICS"',
        'head -c 90000 /dev/zero | tr "\\0" "[" > "$MMCICD_METRICS"',
        'head -c 5000 /dev/urandom > "$MMCICD_METRICS"',
        'rm "$MMCICD_METRICS"; mkdir "$MMCICD_METRICS"',
        'rm "$MMCICD_METRICS"; mkfifo "$MMCICD_METRICS"',
        'rm "$MMCICD_METRICS"; ln -s /dev/zero "$MMCICD_METRICS"',
        'truncate -s 3G "$MMCICD_METRICS"',
        'printf \'{"epoch": 1, "val_\\\\u001b[31m\\\\n\\\\u202ex": 0.5}\' > "$MMCICD_METRICS"',
    ],
)
def test_learning_curves_may_be_anything(base, line):
    train_with(base, line)
    said = run(base, until="evaluate")
    assert "passed: accuracy 0.800" in said
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in said


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("rm FILE", 8, "wrote no metrics.json"),
        ("kill -9 $$", 8, "SIGKILL"),
        (": > FILE", 3, "is not JSON"),
        ("head -c 900 /dev/urandom > FILE", 3, "cannot be read"),
        ("head -c 6000000 /dev/zero > FILE", 3, "larger than 5 MB"),
        ("head -c 90000 /dev/zero | tr '\\0' '[' > FILE", 3, "nested too deeply"),
        ("printf '{\"accuracy\": %s}' $(printf %05000d 0 | tr 0 9) > FILE", 3, "too many digits"),
        ('echo \'{"metrics": {"accuracy": NaN}, "samples": 30}\' > FILE', 4, "accuracy is nan"),
        ('echo \'{"metrics": {"accuracy": 1e999}, "samples": 30}\' > FILE', 4, "accuracy is inf"),
        ('echo \'{"metrics": {"f1": 0.9}, "samples": 30}\' > FILE', 6, "was not measured"),
    ],
)
def test_metrics_that_decide_nothing(base, text, code, told):
    evaluate_with(base, text)
    said = run(base, code=code)
    assert told in said
    assert code in (4, 6) or "fix" in said
    assert "version 1" not in said


@pytest.mark.parametrize("text", ["{bad", "[1, 2]", '{"instances": 5}', "[" * 9000])
def test_golden_requests_that_are_none(base, text):
    evaluate_with(base, f"echo '{text}' > FILE", "golden.json")
    said = run(base, code=3, until="evaluate")
    assert "golden.json of the evaluate command does not hold golden requests" in said


def test_a_label_that_is_no_column_names_the_columns(base):
    data = base / "repo" / "data" / "numbers.csv"
    data.write_text(data.read_text().replace("x,y", "x,z", 1))
    said = cli(base, "data", "update", code=3)
    assert "there is no column 'y'" in said
    assert "the columns are x, z" in said


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("data.split", signal.SIGTERM),
        ("train.before-command", signal.SIGINT),
        ("store.before-tag", signal.SIGTERM),
        ("evaluate.scored", signal.SIGINT),
        ("ledger.before-push", signal.SIGTERM),
    ],
)
def test_told_to_end_anywhere(base, place, number):
    process = hang(base, place, variables(base), RUN)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number, out + err
    assert "nothing is lost" in err
    assert "run the same command again" in err
    assert "version 1" in run(base)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_while_the_training_runs(base, number):
    train_with(
        base,
        'test -e ../go || { trap "echo told >> ../told; exit 1" TERM INT; : > ../started; sleep 600 & wait; }',
    )
    process = subprocess.Popen(RUN, cwd=base / "repo", env=variables(base), stderr=subprocess.PIPE, text=True)
    while not (base / "started").exists():
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number, err
    assert (base / "told").exists()
    (base / "go").touch()
    assert "version 1" in run(base)


def test_a_lost_store_is_filled_again_when_training_gives_the_same_bytes(base):
    assert "version 1" in run(base)
    shutil.rmtree(base / "repo.store")
    assert "version 1" in run(base)


def test_other_bytes_never_take_the_number_of_a_release(base):
    train_with(base, 'date +%N > "$MMCICD_MODEL_DIR/assets_noise"')
    assert drive(base, "road").returncode == 0
    shutil.rmtree(base / "repo.store")
    said = run(base, code=7)
    assert "version 1 of double was released with other bytes" in said
    assert "--again" in said
    assert "version 2" in cli(base, "run", "--until", "package", "--again")


def test_lost_bytes_of_a_version_end_the_move_and_are_told(base):
    assert drive(base, "road").returncode == 0
    assert drive(base, "promote").returncode == 0
    commit(base / "repo", "better", **{"factor.txt": "0.90"})
    assert drive(base, "road").returncode == 0
    assert drive(base, "promote").returncode == 0
    shutil.rmtree(base / "repo.store")
    back = drive(base, "rollback")
    assert back.returncode == 7
    assert "the store does not hold" in json.loads(back.stderr)["error"]
    # Not left half done: what served serves on, and the history says what went wrong.
    events = cli(base, "history")
    assert "failed" in events
    target = json.loads((base / "repo.serve/production/target.json").read_text())
    assert target["double"]["version"] == 2


def test_a_champion_whose_bytes_are_lost_blocks_with_a_way_out(base):
    assert drive(base, "road").returncode == 0
    assert drive(base, "promote").returncode == 0
    commit(base / "repo", "better", **{"factor.txt": "0.90"})
    shutil.rmtree(base / "repo.store")
    shutil.rmtree(base / "repo" / ".mmcicd")
    said = run(base, code=7)
    assert "champion 1 cannot be scored: the store does not hold" in said
    assert "leave the gates that name the champion out" in said
    config = base / "repo" / "mmcicd.yaml"
    commit(
        base / "repo",
        "without",
        **{"mmcicd.yaml": config.read_text().replace("      - accuracy >= champion - 0.1\n", "")},
    )
    assert "version 2" in run(base)


def change_ledger(base, path, text, *, amend=False):
    clone = base / "clone"
    git(base, "clone", "-q", "-b", "mmcicd/double", str(base / "repo.ledger.git"), "clone")
    (clone / path).write_text(text(json.loads((clone / path).read_text())))
    if amend:
        # Whoever owns the folder may turn the refusal of such pushes off.
        git(base / "repo.ledger.git", "config", "receive.denyNonFastForwards", "false")
        git(clone, "commit", "-qa", "--amend", "--no-edit")
        git(clone, "push", "-qf")
        return
    git(clone, "commit", "-qam", "by hand")
    git(clone, "push", "-q")


EDITS = {
    "environments/production.json": lambda d: json.dumps(d | {"serving": 99}),
    "releases/000/1.json": lambda d: json.dumps(d | {"metrics": {"accuracy": 0.5}}, indent=2, sort_keys=True),
    "releases/000/2.json": lambda _: "{bad",
}


@pytest.fixture(scope="module")
def two_versions(template, tmp_path_factory):
    """Two releases, the first of them in production."""
    base = tmp_path_factory.mktemp("two") / "base"
    shutil.copytree(template, base, symlinks=True)
    assert drive(base, "road").returncode == 0
    assert drive(base, "promote").returncode == 0
    commit(base / "repo", "better", **{"factor.txt": "0.90"})
    assert drive(base, "road").returncode == 0
    return base


@pytest.mark.parametrize("path", EDITS)
def test_whatever_reads_a_ledger_that_was_edited_by_hand_stops_and_names_the_file(
    two_versions, path, tmp_path
):
    """Not only `ledger verify`: nothing is decided on a record that nobody recorded."""
    base = tmp_path / "base"
    shutil.copytree(two_versions, base, symlinks=True)
    change_ledger(base, path, EDITS[path])
    for words in (
        ("status",),
        ("history",),
        ("show", "double@1"),
        ("diff", "double@1", "double@2"),
        ("run",),
        ("promote", "--version", "2", "--yes", "--reason", "because"),
        ("rollback", "--reason", "because"),
        ("serve",),
    ):
        said = cli(base, *words, code=7)
        assert "the ledger was changed by something else than mmcicd-jenkins" in said, words
        assert path in said, words
    assert "a commit with 0 events" in cli(base, "ledger", "verify", code=7)


def test_a_commit_that_was_written_anew_is_no_better(two_versions, tmp_path):
    """The number of commits and the event are right; only the file is another one."""
    base = tmp_path / "base"
    shutil.copytree(two_versions, base, symlinks=True)
    change_ledger(base, "releases/000/2.json", EDITS["releases/000/1.json"], amend=True)
    said = cli(base, "status", code=7)
    assert "releases/000/2.json" in said


def test_a_lost_ledger_begins_anew_and_a_file_in_its_place_is_told(base):
    assert "version 1" in run(base)
    shutil.rmtree(base / "repo.ledger.git")
    (base / "repo.ledger.git").write_text("hello")
    assert "the ledger's folder is a file" in cli(base, "status", code=3)
    said = run(base, code=3)
    assert "the ledger's folder is a file" in said
    (base / "repo.ledger.git").unlink()
    assert "version 1" in run(base)


def test_hostile_names_of_branch_author_and_commit_are_words(base):
    evil = f"$(touch {base}/PWNED);`touch {base}/PWNED`|&'\""
    git(base / "repo", "checkout", "-qb", "x$(touch${IFS}PWNED);`id`&|'\"")
    (base / "repo" / "factor.txt").write_text("0.81")
    author = f"{evil}{ESCAPE}[31m"
    subprocess.run(
        ["git", "-c", f"user.name={author}", "-c", "user.email=<script>alert(1)</script>", "commit", "-qam", f"-rf {evil}\n{ESCAPE}[8m"],
        cwd=base / "repo", check=True, capture_output=True,
    )  # fmt: skip
    assert drive(base, "road").returncode == 0
    cli(base, "show", "double@1")
    cli(base, "history")
    page = next((base / "repo/.mmcicd/runs").glob("*/report.html")).read_text()
    assert "<script>alert" not in page
    assert not list(base.rglob("PWNED"))


def test_a_file_name_that_is_no_text_is_named(base):
    config = base / "repo" / "mmcicd.yaml"
    config.write_text(config.read_text().replace("inputs: [train.sh, factor.txt]", 'inputs: ["*"]'))
    (base / "repo" / os.fsdecode(b"bad\xff$(id)\n.sh")).touch()
    commit(base / "repo", "odd")
    said = run(base, code=3)
    assert "is not UTF-8" in said
    assert "bad\\udcff$(id)" in said
    cli(base, "run", "--json", code=3)


def test_a_changed_file_cannot_draw_on_the_terminal(base):
    config = base / "repo" / "mmcicd.yaml"
    config.write_text(config.read_text().replace("inputs: [train.sh, factor.txt]", 'inputs: ["*"]'))
    odd = base / "repo" / f"x{ESCAPE}[31m\N{RIGHT-TO-LEFT OVERRIDE}y.sh"
    odd.touch()
    commit(base / "repo", "odd")
    odd.write_text("changed")
    said = run(base, code=3)
    assert "\N{REPLACEMENT CHARACTER}[31m" in said
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in said


def test_run_tells_what_config_check_warns_of_once_and_briefly(base):
    config = base / "repo/mmcicd.yaml"
    commit(
        base / "repo",
        "no limit",
        **{"mmcicd.yaml": config.read_text().replace("      - accuracy >= 0.5\n", "")},
    )
    said = cli(base, "run", "--until", "prepare")
    assert said.count("warning: mmcicd.yaml:") == 1
    assert "no gate has a limit of its own" in said


def test_a_fresh_clone_has_the_schema_for_editors_after_its_first_run(base):
    schema = base / "repo/.mmcicd/schema.json"
    schema.unlink(missing_ok=True)
    cli(base, "run", "--until", "prepare")
    whole = schema.read_bytes()
    assert json.loads(whole)["title"] == "mmcicd.yaml"
    schema.write_text("{}")
    os.utime(schema, (0, 0))
    cli(base, "run", "--until", "prepare")
    assert schema.read_bytes() == whole

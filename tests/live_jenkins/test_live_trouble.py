"""What goes wrong on a real controller: red and yellow builds, aborts in the middle, replays, restarts from a stage.

Each test pushes what it needs; the model serves in staging before the first.
"""

from pathlib import Path

import pytest
from live_controller import choices, until

pytestmark = [pytest.mark.real, pytest.mark.live_jenkins]


def test_branches_end_as_their_commands_do(first, site, admin, ci, ops):
    """Better, broken, worse, too few samples: green, red, yellow, yellow; what comes after is left out, none is released."""
    wanted = {
        "feature/better": ("0.93", "SUCCESS", 0, "passed"),
        "feature/broken": ("broken", "FAILURE", None, ""),
        "feature/worse": ("0.30", "UNSTABLE", 4, "refused"),
        "feature/few": ("few", "UNSTABLE", 6, "inconclusive"),
    }
    released = admin.newest(ops("release"))
    for branch, (factor, *_) in wanted.items():
        site.push(branch, factor_txt=factor)
    site.git("checkout", "-q", "main")
    builds = {}
    for branch in wanted:
        builds[branch] = admin.scan(ci, branch) if not builds else (admin.branch(ci, branch), 1)
    for branch, (_, result, _, words) in wanted.items():
        ended = admin.ended(*builds[branch])
        assert ended["result"] == result, (branch, admin.log(*builds[branch]))
        assert words in ended["description"], (branch, ended["description"])
        assert admin.left_out(*builds[branch], "Release")
    broken = builds["feature/broken"]
    assert "no such column: y" in admin.log(*broken)
    assert any(path.endswith("/train.log") for path in admin.artifacts(*broken))
    assert admin.stages(*broken)["Train"] == "FAILED"
    assert admin.left_out(*broken, "Evaluate")
    assert admin.stages(*builds["feature/worse"])["Evaluate"] == "UNSTABLE"
    assert admin.newest(ops("release")) == released
    for branch, (_, _, code, _) in wanted.items():
        if code is not None:
            done = site.cli("jobs", "run", "ci", "--branch", branch, "--build", str(builds[branch][1]))
            assert done.returncode == code, (branch, done.stderr)


def test_a_gate_that_says_no_on_main_releases_nothing(first, site, admin, ci, ops):
    before = site.serving("staging"), admin.newest(ops("release"))
    site.push(factor_txt="0.40")
    job, number = admin.scan(ci, "main")
    ended = admin.ended(job, number)
    assert ended["result"] == "UNSTABLE", admin.log(job, number)
    assert "refused" in ended["description"]
    assert "0.400" in ended["description"]
    assert admin.left_out(job, number, "Release")
    assert (site.serving("staging"), admin.newest(ops("release"))) == before


def test_training_that_is_aborted_is_trained_by_the_next_build(first, site, admin, ci):
    """The abort reaches the command and ends it; the same commit again is green."""
    site.push("feature/slow", factor_txt="0.92 slow")
    site.git("checkout", "-q", "main")
    job, number = admin.scan(ci, "feature/slow")
    until(lambda: (site.base / "training").exists() and (site.base / "training").read_text(), "training")
    process = Path("/proc", (site.base / "training").read_text().strip())
    assert process.exists()
    admin.stop(job, number)
    ended = admin.ended(job, number)
    assert ended["result"] == "ABORTED", admin.log(job, number)
    until(lambda: not process.exists(), "the command to end", patience=30)
    (site.base / "go").touch()
    again = admin.start(job)
    assert admin.ended(job, again)["result"] == "SUCCESS", admin.log(job, again)


def test_a_release_that_is_aborted_while_it_deploys(first, site, admin, ci, ops):
    """Stopped between the server's change and its record: the next build finishes it, with the same version."""
    before = site.serving("staging")
    stands = site.hang("deploy", "deploy.after-switch")
    site.push(factor_txt="0.94")
    job, number = admin.scan(ci, "main")
    until(stands, "the deployment to stand still")
    release = admin.newest(ops("release"))
    admin.stop(ops("release"), release)
    assert admin.ended(ops("release"), release)["result"] == "ABORTED"
    assert admin.ended(job, number)["result"] == "ABORTED", admin.log(job, number)
    site.mend()

    again = admin.start(job)
    ended = admin.ended(job, again)
    assert ended["result"] == "SUCCESS", admin.log(job, again)
    assert site.serving("staging") == before + 1
    assert admin.stages(job, again)["Train"] == "NOT_EXECUTED"


def test_a_promotion_that_is_aborted_while_it_switches(first, site, admin, approver, ops):
    """The same in production; whoever promotes again finishes what was begun."""
    job = ops("promote")
    waiting = until(lambda: admin.newest(job), "a promotion")
    version = choices(admin.asks(job, waiting))[0]
    stands = site.hang("promote", "deploy.before-switch")
    assert approver.proceed(job, waiting, VERSION=version, REASON="CHG-2").status_code == 200
    until(stands, "the promotion to stand still")
    admin.stop(job, waiting)
    assert admin.ended(job, waiting)["result"] == "ABORTED"
    site.mend()

    number = admin.start(job)
    version = choices(admin.asks(job, number))[0]
    assert approver.proceed(job, number, VERSION=version, REASON="CHG-2").status_code == 200
    ended = admin.ended(job, number)
    assert ended["result"] == "SUCCESS", admin.log(job, number)
    assert site.serving() == int(version.split(" ")[0])


def test_replays_and_restarts_change_nothing(first, site, admin, ci, ops):
    """Replay of main, restart from Evaluate in whatever workspace there is: green, nothing trained, nothing released."""
    job = f"{ci}/main"
    before = site.history(), admin.newest(ops("release"))
    newest = admin.newest(job)
    script = (site.repo / "jenkins" / "double.Jenkinsfile").read_text()
    replayed = admin.replay(job, newest, script)
    assert admin.ended(job, replayed)["result"] == "SUCCESS", admin.log(job, replayed)
    answer = admin.restart(job, newest, "Evaluate")
    assert answer.status_code in {200, 302}, answer.status_code
    restarted = until(lambda: max(0, admin.newest(job) - replayed) and admin.newest(job), "the restart")
    assert admin.ended(job, restarted)["result"] == "SUCCESS", admin.log(job, restarted)
    for number in (replayed, restarted):
        assert admin.stages(job, number)["Train"] == "NOT_EXECUTED"
        assert admin.stages(job, number)["Evaluate"] == "SUCCESS"
    assert (site.history(), admin.newest(ops("release"))) == before


def test_nobody_restarts_a_promotion_behind_its_approval(first, admin, ops):
    number = admin.newest(ops("promote"))
    assert admin.restart(ops("promote"), number, "Promote").status_code == 404


def test_new_data_are_found_locked_and_trained(first, site, admin, folder, ci):
    """`retrain-all` moves the lock and pushes it to main; that push is built, and trains."""
    site.write_data(rows=140)
    job = f"{folder}/ci/retrain-all"
    number = admin.start(job)
    ended = admin.ended(job, number)
    assert ended["result"] == "SUCCESS", admin.log(job, number)
    site.git("checkout", "-q", "main")
    before = site.git("rev-parse", "HEAD")
    site.git("pull", "-q", "origin", "main")
    assert site.git("diff", "--name-only", before, "HEAD") == "mmcicd.lock"
    built, number = admin.scan(ci, "main")
    assert admin.ended(built, number)["result"] == "SUCCESS", admin.log(built, number)
    assert admin.stages(built, number)["Train"] == "SUCCESS"

"""What doctor makes of jobs and of the right to make them."""

from mmcicd_jenkins.checks.folders import Job, jobs, nearest, permissions
from mmcicd_jenkins.ports.doctor import FolderRights

SYNC = "mmcicd-jenkins jobs sync --repo ssh://git@git.example/ml/churn.git"
MINE = FolderRights(exists=True, create=True, read_config=True)
THEIRS = FolderRights(exists=True, create=False, read_config=False)
NOWHERE = FolderRights(exists=False)
ALL = {"": THEIRS, "ml": THEIRS, "ml/ci": THEIRS, "ml/ops": THEIRS}


def missing(*paths, rights):
    return list(jobs([Job(path=path, state="missing") for path in paths], rights, SYNC))


def test_a_job_that_is_missing_where_we_may_not_make_it_is_a_line_to_send():
    (found,) = missing("ml/ci/churn", rights=ALL)
    assert found.severity == "fail"
    assert found.fix == SYNC
    assert found.what == ("ml/ci/churn is missing and you lack Job/Create there. Send this to its owners:")


def test_a_job_that_is_missing_where_we_may_make_it_is_a_command_to_run():
    (found,) = missing("ml/ci/churn", rights={**ALL, "ml/ci": MINE})
    assert (found.what, found.fix) == ("ml/ci/churn is missing", SYNC)


def test_many_are_one_finding_for_each_of_both():
    paths = [f"ml/ops/churn-{kind}" for kind in ("release", "promote", "rollback", "monitor", "watch")]
    mine, theirs = missing("ml/ci/churn", *paths, rights={**ALL, "ml/ci": MINE})
    assert mine.what == "ml/ci/churn is missing"
    assert "churn-release" in theirs.what
    assert "and 2 more are missing" in theirs.what
    assert "you lack Job/Create there" in theirs.what


def test_a_missing_folder_goes_without_saying_and_its_parent_decides():
    rights = {"": MINE, "ml": NOWHERE, "ml/ci": NOWHERE, "ml/ops": NOWHERE}
    listed = [Job(path=p, state="missing", is_folder=True) for p in ("ml", "ml/ci")]
    (found,) = jobs([*listed, Job(path="ml/ci/churn", state="missing")], rights, SYNC)
    assert found.what == "ml/ci/churn is missing"
    assert nearest("ml/ci/churn", rights) == ""
    (found,) = jobs([Job(path="ml/ci/churn", state="missing")], {**rights, "": THEIRS}, SYNC)
    assert "you lack Job/Create in Jenkins itself" in found.what


def test_a_closed_folder_beside_jobs_that_are_there_is_hidden_and_not_missing():
    rights = {**ALL, "ml/ops": NOWHERE}
    there = Job(path="ml/ci/churn", state="same")
    wanted = [
        Job(path="ml/ops", state="missing", is_folder=True),
        Job(path="ml/ops/churn-promote", state="missing"),
    ]
    hidden, good = jobs([there, *wanted], rights, SYNC)
    assert (hidden.severity, good.severity) == ("warn", "ok")
    assert hidden.what == "you may not see ml/ops, so these are not checked: ml/ops/churn-promote"


def test_a_folder_that_who_may_make_it_does_not_see_is_missing():
    rights = {**ALL, "ml": MINE, "ml/ops": NOWHERE}
    found = list(
        jobs(
            [Job(path="ml/ci/churn", state="same"), Job(path="ml/ops/churn-promote", state="missing")],
            rights,
            SYNC,
        )
    )
    assert [f.severity for f in found] == ["fail", "ok"]


def test_where_nothing_is_to_be_seen_it_is_missing():
    rights = {"": THEIRS, "ml": NOWHERE, "ml/ci": NOWHERE, "ml/ops": NOWHERE}
    (found,) = missing("ml/ci/churn", "ml/ops/churn-promote", rights=rights)
    assert found.severity == "fail"


def test_a_right_that_nobody_could_tell_is_not_denied():
    unknown = FolderRights(exists=True, create=None)
    (found,) = missing("ml/ci/churn", rights={**ALL, "ml/ci": unknown})
    assert found.what == "ml/ci/churn is missing"


def test_what_differs_what_stands_in_the_way_and_what_is_left_alone():
    found = list(
        jobs(
            [
                Job(path="ml/ci/churn", state="differs"),
                Job(
                    path="ml/ops/churn-promote",
                    state="refused",
                    why="it is a FreeStyleProject",
                    fix="rename it",
                ),
                Job(path="ml/ops/churn-release", state="same"),
                Job(path="ml", state="same", is_folder=True),
            ],
            ALL,
            SYNC,
        )
    )
    assert [f.severity for f in found] == ["fail", "warn", "ok"]
    assert found[0].fix == "rename it"
    assert "jobs diff" in found[1].fix
    assert found[2].what == "1 job"


def test_rights_are_told_where_there_are_some():
    (found,) = permissions({**ALL, "ml/ci": MINE})
    assert (found.severity, found.what) == ("ok", "you may make jobs in ml/ci")
    assert list(permissions(ALL)) == []


def test_who_makes_jobs_and_cannot_read_them_could_not_compare():
    blind = FolderRights(exists=True, create=True, read_config=False)
    assert [f.severity for f in permissions({"ml/ci": blind})] == ["warn", "ok"]

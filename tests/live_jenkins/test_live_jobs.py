"""`jobs sync` and `lint --server` on a real controller: made once, never again; what is not ours stays; all is valid."""

import json

import pytest
from live_controller import job_path, until
from live_site import NAME

import jenkins

pytestmark = [pytest.mark.real, pytest.mark.live_jenkins]


def test_jobs_are_there_and_a_second_sync_posts_nothing(site, admin, folder):
    """Nine items; the second time Jenkins stores nothing and scans nothing."""
    made = {
        one["fullname"] for one in admin.library.get_all_jobs() if one["fullname"].startswith(f"{folder}/")
    }
    kinds = ("release", "promote", "rollback", "monitor")
    wanted = {f"{folder}/ci/retrain-all", *(f"{folder}/ops/{NAME}-{kind}" for kind in kinds)}
    assert made >= {f"{folder}/ci", f"{folder}/ops", f"{folder}/ci/{NAME}", *wanted}
    scanned = until(lambda: finished(admin, f"{folder}/ci/{NAME}"), "the first scan to end")
    before = {job: admin.library.get_job_config(job) for job in wanted}

    again = site.answer("jobs", "sync")
    assert {one["do"] for one in again["jobs"]} == {"unchanged"}, again
    assert site.cli("jobs", "diff").returncode == 0
    assert {job: admin.library.get_job_config(job) for job in wanted} == before
    assert finished(admin, f"{folder}/ci/{NAME}") == scanned


def finished(admin, project):
    """The log of the newest scan, once it has ended."""
    log = admin.get(f"{job_path(project)}/indexing/consoleText")
    return log if "Finished: " in log else ""


def test_parameters_are_there_before_the_first_build(site, admin, folder):
    """A job whose parameters are declared in its Jenkinsfile has none before its first build."""
    for kind, names in (("promote", ["VERSION", "REASON"]), ("release", ["COMMIT"])):
        found = admin.json(
            job_path(f"{folder}/ops/{NAME}-{kind}"), tree="property[parameterDefinitions[name]]"
        )
        declared = [p["name"] for one in found["property"] for p in one.get("parameterDefinitions", ())]
        assert declared == names


def test_a_job_of_somebody_else_is_left_alone(site, admin, folder):
    """In the place of ours stands one that a person made: sync says so, exits 3 and changes nothing."""
    job = f"{folder}/ops/{NAME}-monitor"
    admin.library.delete_job(job)
    admin.library.create_job(job, jenkins.EMPTY_CONFIG_XML)
    theirs = admin.library.get_job_config(job)
    try:
        refused = site.cli("jobs", "sync")
        assert refused.returncode == 3, refused.stderr
        assert f"{NAME}-monitor" in refused.stdout + refused.stderr
        assert admin.library.get_job_config(job) == theirs
    finally:
        admin.library.delete_job(job)
    assert site.cli("jobs", "sync").returncode == 0
    assert site.cli("jobs", "diff").returncode == 0


def test_an_edit_by_hand_is_seen_and_put_right(site, admin, folder):
    job = f"{folder}/ops/{NAME}-promote"
    xml = admin.library.get_job_config(job)
    admin.library.reconfig_job(job, xml.replace("refs/heads/main", "refs/heads/evil"))
    seen = site.cli("jobs", "diff")
    assert seen.returncode == 3
    assert "evil" in seen.stdout
    assert site.cli("jobs", "sync", "--deep").returncode == 0
    assert "evil" not in admin.library.get_job_config(job)


def test_the_controller_finds_every_generated_file_valid(site):
    """Its own validator, which knows the plugins that are installed."""
    found = site.cli("lint", "--server", "--json")
    assert found.returncode == 0, found.stdout + found.stderr
    assert json.loads(found.stdout)

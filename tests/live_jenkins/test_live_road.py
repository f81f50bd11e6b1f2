"""From a push to production and back, on a real controller: what people see, who may press, what a second press does.

The tests follow one model on its road; each begins where the one before it ended, and the file runs as a whole.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from live_controller import choices, job_path

pytestmark = [pytest.mark.real, pytest.mark.live_jenkins]


def test_a_push_serves_in_staging(first, site, admin, ci, ops):
    """The first build of main trains, is released, serves before production, and says so."""
    job = f"{ci}/main"
    assert first["result"] == "SUCCESS", admin.log(job, 1)
    assert set(admin.stages(job, 1).values()) == {"SUCCESS"}
    assert first["description"].startswith("staging serves 1")
    assert set(admin.stages(ops("release"), 1)) == {
        "Evaluate", "Package", "Verify", "Deploy staging", "Smoke staging", "Propose"
    }  # fmt: skip
    assert site.serving("staging") == 1
    assert site.serving("production") is None


def test_what_a_build_shows(first, admin, ci):
    """One test case per gate, and a report that the controller's content policy lets a browser show whole."""
    found = admin.json(f"{job_path(f'{ci}/main')}/1/testReport", tree="suites[cases[name,status]]")
    cases = {case["name"]: case["status"] for suite in found["suites"] for case in suite["cases"]}
    assert cases == {"accuracy >= 0.5": "PASSED", "accuracy >= champion - 0.1": "SKIPPED"}
    kept = admin.artifacts(f"{ci}/main", 1)
    report = next(path for path in kept if path.endswith("report.html"))
    page = admin.get(f"{job_path(f'{ci}/main')}/1/artifact/{report}")
    assert "0.800" in page
    assert "<script" not in page
    assert " style=" not in page
    assert report.replace(".html", ".css") in kept


def test_the_wrong_user_cannot_approve(first, site, admin, other, ops):
    """Who may see and start the job, but is not asked, is refused by Jenkins and by the command line; it waits on."""
    job = ops("promote")
    question = admin.asks(job, 1)
    assert question["id"] == "Promote"
    version = choices(question)[0]
    assert version.startswith("1 | accuracy 0.800")
    answer = other.proceed(job, 1, VERSION=version, REASON="because I want it")
    assert answer.status_code in {400, 403}, answer.status_code
    assert other.user in answer.headers.get("X-Error", "") or approver_named(answer)
    assert admin.questions(job, 1)[0]["message"] == question["message"]
    assert site.serving() is None


def approver_named(answer):
    return "to submit this" in answer.headers.get("X-Error", answer.text)


def test_who_starts_a_promotion_cannot_approve_it(first, site, admin, approver, ops):
    """Four eyes: the page says so and asks again; refused, the build is aborted and nothing changed."""
    job = ops("promote")
    number = approver.start(job, VERSION="1")
    version = choices(admin.asks(job, number))[0]
    assert approver.proceed(job, number, VERSION=version, REASON="mine").status_code == 200
    again = admin.asks(job, number, until_it_says="another member")
    assert "Nothing changed" in again["message"]
    refused = site.cli(
        "jobs", "run", "promote", "--build", str(number), "--refuse",
        user=approver.user, token=approver.token,
    )  # fmt: skip
    assert refused.returncode == 130, refused.stderr
    ended = admin.ended(job, number)
    assert ended["result"] == "ABORTED"
    assert "nothing was changed" in ended["description"]
    assert site.serving() is None


def test_two_promotions_at_once(first, site, admin, approver, ops):
    """The one that the release proposed and one of a person, answered in the same moment: one change, no failure."""
    job = ops("promote")
    number = admin.start(job, VERSION="1")
    version = choices(admin.asks(job, number))[0]
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda n: approver.proceed(job, n, VERSION=version, REASON="CHG-1"), (1, number)))
    results = {n: admin.ended(job, n) for n in (1, number)}
    assert results[number]["result"] == "SUCCESS", admin.log(job, number)
    assert results[1]["result"] in {"SUCCESS", "NOT_BUILT"}, admin.log(job, 1)
    assert site.serving() == 1
    done = [e for e in site.history() if e["kind"] == "done" and e["detail"]["environment"] == "production"]
    assert len(done) == 1
    assert done[0]["actor"] == approver.user
    assert done[0]["detail"]["reason"] == "CHG-1"


def test_a_version_is_promoted_from_the_terminal_and_rolled_back(first, site, admin, approver, ci, ops):
    """`jobs run` answers; Rollback is one press, the second press does nothing, and all of it stands in the ledger."""
    site.push(factor_txt="0.90")
    job, number = admin.scan(ci, "main")
    ended = admin.ended(job, number)
    assert ended["result"] == "SUCCESS", admin.log(job, number)
    assert site.serving("staging") == 2
    waiting = admin.newest(ops("promote"))
    admin.asks(ops("promote"), waiting)
    promoted = site.cli(
        "jobs", "run", "promote", "--build", str(waiting), "--answer", "2", "--reason", "better",
        user=approver.user, token=approver.token,
    )  # fmt: skip
    assert promoted.returncode == 0, promoted.stderr
    assert site.serving() == 2
    assert f"approved by {approver.user}" in admin.build(ops("promote"), waiting)["description"]

    pressed = approver.start(ops("rollback"), REASON="it is slow")
    ended = admin.ended(ops("rollback"), pressed)
    assert ended["result"] == "SUCCESS", admin.log(ops("rollback"), pressed)
    assert "2 -> 1" in ended["description"]
    assert site.serving() == 1
    events = site.history()
    pressed = approver.start(ops("rollback"))
    ended = admin.ended(ops("rollback"), pressed)
    assert ended["result"] == "SUCCESS", admin.log(ops("rollback"), pressed)
    assert "lready rolled back" in ended["description"]
    assert site.history() == events
    assert site.serving() == 1


@pytest.mark.usefixtures("first", "approver")
def test_a_look_at_production(admin, ops):
    """The monitor, once somebody could promote."""
    number = admin.start(ops("monitor"))
    ended = admin.ended(ops("monitor"), number)
    assert ended["result"] == "SUCCESS", admin.log(ops("monitor"), number)
    assert ended["description"].startswith("Production 1:")

"""A promotion with a canary on a real controller and a real cluster: forward, undecided, taken back, and the way back.

What the pages say is read as a person would. Nothing that a generated pipeline does may need an approval of a script. The
tests follow one model; each begins where the one before it ended, and the file runs as a whole.
"""

import pytest
from cluster import cluster, namespaces, serving  # noqa: F401 - fixtures
from live_cluster import ClusterSite, give_login
from live_controller import choices, until
from live_site import NAME, own_remote, standing

pytestmark = [pytest.mark.real, pytest.mark.live_jenkins]


@pytest.fixture(scope="module")
def places(cluster, serving, namespaces):  # noqa: F811 - fixtures
    return {"cluster": cluster, "serving": serving, "namespace": namespaces()}


@pytest.fixture(scope="module")
def site(admin, agents, tmp_path_factory, places, host, people):
    base = tmp_path_factory.mktemp("canary")
    with admin.own_folder() as folder, own_remote(base, host) as remote:
        give_login(admin, folder, places["cluster"])
        made = ClusterSite(
            base=base, folder=folder, remote=remote, user=admin.user, token=admin.token,
            variables={"KUBECONFIG": places["cluster"].kubeconfig}, **places,
        )  # fmt: skip
        serving = places["serving"]
        values = {"cluster": places["cluster"].server, "registry": serving.root, "image": serving.base}
        with standing(made, admin, url=admin.url, namespace=made.namespace, **values, **people):
            yield made


@pytest.fixture(scope="module")
def promote(site):
    return f"{site.folder}/ops/{NAME}-promote"


@pytest.fixture(scope="module")
def rollback(site):
    return f"{site.folder}/ops/{NAME}-rollback"


@pytest.fixture(scope="module", autouse=True)
def no_approvals(admin):
    """Everything that a pipeline of ours does is allowed in the sandbox."""
    before = admin.script_approvals()
    yield
    assert admin.script_approvals() == before


def released(site, admin, promote, **double):
    """Push a version and have it on staging; the number of the promotion that this proposed."""
    before = admin.newest(promote)
    site.push_double(**double)
    job, number = admin.scan(f"{site.folder}/ci/{NAME}", "main")
    ended = admin.ended(job, number)
    assert ended["result"] == "SUCCESS", admin.log(job, number)
    until(lambda: admin.newest(promote) > before, "a promotion")
    return admin.newest(promote)


def approved(admin, approver, job, number, reason="CHG-1"):
    version = choices(admin.asks(job, number))[0]
    answer = approver.proceed(job, number, VERSION=version, REASON=reason)
    assert answer.status_code == 200, answer.text[:300]
    return int(version.split(" ")[0])


def test_the_first_version_has_no_canary(site, admin, approver, promote):
    job, number = f"{site.folder}/ci/{NAME}/main", 1
    ended = admin.ended(job, number)
    assert ended["result"] == "SUCCESS", admin.log(job, number)
    assert approved(admin, approver, promote, 1) == 1
    ended = admin.ended(promote, 1)
    assert ended["result"] == "SUCCESS", admin.log(promote, 1)
    assert site.copies("stable") == (1, 2)
    assert site.copies("canary") is None


def test_a_good_version_takes_over_by_steps_and_no_request_fails(site, admin, approver, promote):
    number = released(site, admin, promote, note=2)
    with site.traffic() as load:
        assert approved(admin, approver, promote, number) == 2
        ended = admin.ended(promote, number)
        assert ended["result"] == "SUCCESS", admin.log(promote, number)
        load.end()
    assert load.failures == {}
    assert site.copies("stable") == (2, 2)
    assert site.copies("canary") is None
    stages = admin.stages(promote, number)
    assert (stages["Canary"], stages["Promote"], stages["Smoke"]) == ("SUCCESS",) * 3
    log = admin.log(promote, number)
    assert "canary 33.3 %, step 1 of 2: errors 0 % (stable 0 %), p99 " in log
    assert "canary 50 %, step 2 of 2" in log
    assert ended["description"] == f"production 1 -> 2, approved by {approver.user}, CHG-1"


def test_without_traffic_somebody_is_asked_who_may_answer(site, admin, approver, other, promote):
    """It holds neither agent nor lock; taken back it is not revoked, and what is typed is text."""
    number = released(site, admin, promote, note=3)
    assert approved(admin, approver, promote, number) == 3
    question = admin.asks(promote, number, until_it_says="Inconclusive")
    assert "0 of 20 requests" in question["message"]
    assert site.copies("canary") == (3, 1)
    assert f"mmcicd-production-{NAME}" not in admin.locked()
    refused = other.proceed(promote, number, "Canary", DECISION="Take back", COMMENT="I am bob")
    assert refused.status_code in {400, 403}, refused.status_code
    assert admin.questions(promote, number)[0]["id"] == "Canary"

    hostile = "it's night; $(touch pwned) `touch pwned` \" ${env.X}"
    answer = approver.proceed(promote, number, "Canary", DECISION="Take back", COMMENT=hostile)
    assert answer.status_code == 200, answer.text[:300]
    ended = admin.ended(promote, number)
    assert ended["result"] == "UNSTABLE", admin.log(promote, number)
    assert (
        f"the canary of version 3 was taken back, 2 serves on: {approver.user}: {hostile}"
        in ended["description"]
    )
    assert (site.copies("stable"), site.copies("canary")) == ((2, 2), None)
    assert admin.left_out(promote, number, "Promote")


def test_a_question_that_is_stopped_takes_it_back(site, admin, approver, promote):
    number = admin.start(promote, VERSION="3")
    assert approved(admin, approver, promote, number) == 3
    admin.asks(promote, number, until_it_says="Inconclusive")
    admin.stop(promote, number)
    ended = admin.ended(promote, number)
    assert "taken back" in ended["description"], (ended, admin.log(promote, number))
    assert ended["result"] in {"ABORTED", "UNSTABLE"}
    assert (site.copies("stable"), site.copies("canary")) == ((2, 2), None)


def test_more_time_is_waited_for_without_agent_and_lock(site, admin, approver, promote):
    """Replayed with seconds for hours, and traffic comes meanwhile."""
    script = (site.repo / "jenkins" / f"{NAME}-promote.Jenkinsfile").read_text()
    quick = script.replace("toInteger(), unit: 'HOURS'", "toInteger() * 10, unit: 'SECONDS'")
    assert quick != script
    number = admin.replay(promote, admin.newest(promote), quick)
    assert approved(admin, approver, promote, number) == 3
    admin.asks(promote, number, until_it_says="Inconclusive")
    with site.traffic() as load:
        answer = approver.proceed(promote, number, "Canary", DECISION="Extend 1 h", COMMENT="wait for it")
        assert answer.status_code == 200, answer.text[:300]
        said = f"canary of 3: extend 1 h ({approver.user}: wait for it)"
        until(lambda: admin.build(promote, number)["description"] == said, "the description", patience=10)
        assert not admin.locked()
        ended = admin.ended(promote, number)
        assert ended["result"] == "SUCCESS", admin.log(promote, number)
        load.end()
    assert load.failures == {}
    assert (site.copies("stable"), site.copies("canary")) == ((3, 2), None)


def test_the_button_ends_a_canary_and_a_second_press_does_nothing(site, admin, approver, promote, rollback):
    """It waits for no lock, though the canary's stage has it; that build ends without a trace."""
    number = released(site, admin, promote, note=4)
    assert approved(admin, approver, promote, number) == 4
    until(lambda: site.copies("canary"), "copies of the canary")
    assert admin.build(promote, number)["description"] == f"4 for production, approved by {approver.user}"
    pressed = approver.start(rollback, REASON="no canary today")
    ended = admin.ended(rollback, pressed)
    assert ended["result"] == "SUCCESS", admin.log(rollback, pressed)
    assert "4 is revoked" in ended["description"]
    assert (site.copies("stable"), site.copies("canary")) == ((3, 2), None)
    ended = admin.ended(promote, number)
    assert ended["result"] == "NOT_BUILT", admin.log(promote, number)
    assert "rollback to 3" in ended["description"]

    pressed = approver.start(rollback, REASON="again")
    ended = admin.ended(rollback, pressed)
    assert ended["result"] == "SUCCESS", admin.log(rollback, pressed)
    assert "lready rolled back" in ended["description"]
    assert site.copies("stable") == (3, 2)


def test_a_build_that_is_stopped_in_a_hold_says_what_is_left(site, admin, approver, promote, rollback):
    number = released(site, admin, promote, note=5)
    assert approved(admin, approver, promote, number) == 5
    until(lambda: site.copies("canary"), "copies of the canary")
    admin.stop(promote, number)
    ended = admin.ended(promote, number)
    assert ended["result"] == "ABORTED", admin.log(promote, number)
    assert ended["description"].startswith("5 was stopped as a canary; what copies it has in production stay")
    assert site.copies("canary") == (5, 1)
    pressed = approver.start(rollback, REASON="it was stopped")
    assert admin.ended(rollback, pressed)["result"] == "SUCCESS", admin.log(rollback, pressed)
    assert (site.copies("stable"), site.copies("canary")) == ((3, 2), None)


def test_a_look_at_a_cluster(site, admin, rollback):
    """The monitor's page, and its report."""
    job = rollback.replace("rollback", "monitor")
    number = admin.start(job)
    ended = admin.ended(job, number)
    assert ended["result"] == "SUCCESS", admin.log(job, number)
    assert ended["description"].startswith("Production 3:")

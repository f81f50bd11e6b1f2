"""A real controller for the tests of this folder, as the variables say; without them one sentence says what is missing.

What they make has a name of chance, and goes again even when they fail: jobs, builds, servers, what agents installed.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import git_web_server
from live_controller import Controller, until
from live_site import LABELS, NAME, make_site

import jenkins

# Read before the session's fixture takes the machine's settings away.
SETTINGS = {name: value for name, value in os.environ.items() if name.startswith("MMCICD_TEST_JENKINS_")}
HOW = "; CONTRIBUTING.md says how"
PROBE = """\
node('{label}') {{ sh 'id -u > "{seen}"; command -v git; python3 -c "import venv"' }}
"""
PIPELINE = """\
<flow-definition>
  <definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition">
    <script><![CDATA[{script}]]></script>
    <sandbox>true</sandbox>
  </definition>
</flow-definition>
"""


def pytest_collection_modifyitems(config, items):
    """Without a controller one test is left, which says once what is missing."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    if not SETTINGS.get("MMCICD_TEST_JENKINS_URL") and len(ours) > 1:
        items[:] = [item for item in items if item not in ours[1:]]
        config.hook.pytest_deselected(items=ours[1:])


def need(name, why):
    value = SETTINGS.get(name, "")
    if not value:
        pytest.skip(f"no {name}: {why}{HOW}")
    return value


@pytest.fixture(scope="session")
def admin():
    """The account that may create folders."""
    url = need("MMCICD_TEST_JENKINS_URL", "the address of a Jenkins that may be used for tests")
    user = need("MMCICD_TEST_JENKINS_USER", "an account there that may create folders")
    return Controller(url, user, need("MMCICD_TEST_JENKINS_TOKEN", "the API token of that account"))


@pytest.fixture(scope="session")
def approver(admin):
    """Who may promote."""
    name = need("MMCICD_TEST_JENKINS_APPROVER", "a user whom the tests make an approver")
    return Controller(
        admin.url, name, need("MMCICD_TEST_JENKINS_APPROVER_TOKEN", "the API token of that user")
    )


@pytest.fixture(scope="session")
def other(admin):
    """Who may start promotions and approve none."""
    name = need("MMCICD_TEST_JENKINS_OTHER", "a user who may not approve")
    return Controller(admin.url, name, need("MMCICD_TEST_JENKINS_OTHER_TOKEN", "the API token of that user"))


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A folder that the agents see as well."""
    folder = tmp_path_factory.mktemp("live")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def folder(admin):
    """A folder of the controller, of a name that nobody has; gone in the end, with all builds."""
    name = f"mmcicd-live-{secrets.token_hex(4)}"
    yield name
    if admin.library.job_exists(name):
        _end_builds(admin, name)
        admin.library.delete_job(name)


def _end_builds(admin, name):
    """Nothing runs in the folder any more: a build that loses its job would write into nowhere."""

    def nothing_runs():
        found = admin.library.get_running_builds()
        mine = [one for one in found if f"/job/{name}/" in one["url"]]
        waits = [
            one for one in admin.library.get_queue_info() if f"/job/{name}/" in one["task"].get("url", "")
        ]
        for one in waits:
            admin.post("queue/cancelItem", {"id": str(one["id"])})
        for one in mine:
            admin.post(f"job/{one['url'].partition('/job/')[2]}stop")
        return not (mine or waits)

    with contextlib.suppress(AssertionError, jenkins.JenkinsException):
        until(nothing_runs, "builds to end", patience=60)


@pytest.fixture(scope="session")
def agents(admin, base, folder):
    """Each label has an agent, on this machine, of this user: it reads and writes our folder."""
    admin.library.create_job(folder, jenkins.EMPTY_FOLDER_XML)
    for label in LABELS:
        seen = base / f"seen-{label}"
        job = f"{folder}/probe-{label}"
        script = PROBE.format(label=label, seen=seen)
        admin.library.create_job(job, PIPELINE.format(script=script))
        ended = admin.ended(job, admin.start(job))
        log = admin.log(job, ended["number"])
        assert ended["result"] == "SUCCESS", f"an agent with the label {label} needs git and Python:\n{log}"
        assert seen.exists(), (
            f"the agent with the label {label} is not on this machine, or has another /tmp:\n{log}"
        )
        uid = seen.read_text().strip()
        assert uid == str(os.getuid()), f"run the tests as the user of the agents, {uid}"
        admin.library.delete_job(job)


@pytest.fixture(scope="session")
def remote(base):
    """An empty repository behind http: Jenkins refuses remotes that are folders of its own machine."""
    remotes = base / "remotes"
    remotes.mkdir()
    host = SETTINGS.get("MMCICD_TEST_JENKINS_GIT_HOST", "127.0.0.1")
    with git_web_server.serve(remotes, host) as server:
        server.public.add(f"{NAME}.git")
        address = server.add(f"{NAME}.git", "", "")
        head = ["git", "-C", str(remotes / f"{NAME}.git"), "symbolic-ref", "HEAD", "refs/heads/main"]
        subprocess.run(head, check=True)
        yield address


@pytest.fixture(scope="session")
def site(admin, agents, base, folder, remote):
    """The repository, pushed, with its jobs made by `jobs sync`."""
    people = [SETTINGS.get(f"MMCICD_TEST_JENKINS_{role}", "") for role in ("APPROVER", "OTHER")]
    approvers = [people[0] or admin.user]
    made = make_site(
        base, folder=folder, url=admin.url, remote=remote, user=admin.user, token=admin.token,
        approvers=approvers, pressers=[*approvers, *filter(None, people[1:])],
    )  # fmt: skip
    try:
        first = made.cli("jobs", "sync")
        assert first.returncode == 0, first.stderr
        yield made
    finally:
        _end_builds(admin, folder)
        made.stop_servers()
        made.forget_installed()


@pytest.fixture(scope="session")
def ci(folder):
    return f"{folder}/ci/{NAME}"


@pytest.fixture(scope="session")
def ops(folder):
    return lambda kind: f"{folder}/ops/{NAME}-{kind}"


@pytest.fixture(scope="session")
def first(site, admin, ci):
    """The first build of main, which the scan of a new job starts."""
    return admin.ended(f"{ci}/main", 1)


@pytest.fixture(autouse=True)
def mended(request):
    """What a test broke on purpose does not outlive it."""
    yield
    if "site" in request.fixturenames:
        request.getfixturevalue("site").mend()

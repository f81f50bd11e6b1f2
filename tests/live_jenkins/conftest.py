"""A real controller for the tests of this folder, as the variables say; without them one sentence says what is missing.

What they make has a name of chance, and goes again even when they fail: jobs, builds, servers, what agents installed.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from live_controller import Controller
from live_site import LABELS, NAME, Site, own_remote, standing

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
    with admin.own_folder() as name:
        yield name


@pytest.fixture(scope="session")
def agents(admin, base, folder):
    """Each label has an agent, on this machine, of this user: it reads and writes our folder."""
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
def host():
    """This machine as Jenkins sees it."""
    return SETTINGS.get("MMCICD_TEST_JENKINS_GIT_HOST", "127.0.0.1")


@pytest.fixture(scope="session")
def people(admin):
    """Who may promote, and who may see the jobs of ops and start them."""
    found = [SETTINGS.get(f"MMCICD_TEST_JENKINS_{role}", "") for role in ("APPROVER", "OTHER")]
    approvers = [found[0] or admin.user]
    return {"approvers": approvers, "pressers": [*approvers, *filter(None, found[1:])]}


@pytest.fixture(scope="session")
def site(admin, agents, base, folder, host, people):
    """The repository, pushed, with its jobs made by `jobs sync`."""
    with own_remote(base, host) as remote:
        made = Site(base=base, folder=folder, remote=remote, user=admin.user, token=admin.token)
        with standing(made, admin, url=admin.url, **people):
            yield made


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

"""The controller as a test sees it: through python-jenkins alone, not through our own adapters, which are judged here.

Every wait ends: with what was waited for, or with a failure that shows what Jenkins said.
"""

import contextlib
import json
import re
import secrets
import time
from urllib.parse import quote

import requests

import jenkins

# A busy controller and two executors: training, serving and TensorFlow's import on a small machine.
PATIENCE = 240.0
LOOK = 0.5


class Controller:
    """One account on the controller."""

    def __init__(self, url, user, token):
        self.url = url.rstrip("/")
        self.user = user
        self.token = token
        self.library = jenkins.Jenkins(url, user, token, timeout=60)
        self.library.get_whoami()

    def at(self, path):
        return f"{self.url}/{path}"

    def get(self, path, **query):
        request = requests.Request("GET", self.at(path), params=query)
        return self.library.jenkins_open(request)

    def json(self, path, **query):
        return json.loads(self.get(f"{path}/api/json", **query))

    def post(self, path, form=None, headers=None):
        """The answer, whatever its status: a test decides what it means."""
        with requests.Session() as session:
            session.auth = (self.user, self.token)
            return session.post(
                self.at(path), data=form or {}, headers=headers, timeout=60, allow_redirects=False
            )

    # Folders

    @contextlib.contextmanager
    def own_folder(self):
        """The name of an empty folder that nobody else has; gone in the end, with all builds."""
        name = f"mmcicd-live-{secrets.token_hex(4)}"
        self.library.create_job(name, jenkins.EMPTY_FOLDER_XML)
        try:
            yield name
        finally:
            self.end_builds(name)
            self.library.delete_job(name)

    def end_builds(self, folder):
        """Nothing runs in the folder any more: a build that loses its job would write into nowhere."""

        def nothing_runs():
            within = f"/job/{folder}/"
            mine = [one for one in self.library.get_running_builds() if within in one["url"]]
            queue = self.library.get_queue_info()
            waits = [one for one in queue if within in one["task"].get("url", "")]
            for one in waits:
                self.post("queue/cancelItem", {"id": str(one["id"])})
            for one in mine:
                self.post(f"job/{one['url'].partition('/job/')[2]}stop")
            return not (mine or waits)

        with contextlib.suppress(AssertionError, jenkins.JenkinsException):
            until(nothing_runs, "builds to end", patience=60)

    def script_approvals(self):
        """What the page says of scripts that wait for an administrator, without its markup."""
        text = re.sub(
            r"<script.*?</script>|<[^>]*>", " ", self.get("manage/scriptApproval/"), flags=re.DOTALL
        )
        return " ".join(text.split())

    def locked(self):
        """The locks that a build holds."""
        found = self.json("lockable-resources", tree="resources[name,locked]")
        return [one["name"] for one in found["resources"] if one["locked"]]

    # Builds

    def build(self, job, number):
        return self.json(
            f"{job_path(job)}/{number}", tree="number,result,building,inProgress,description,url"
        )

    def newest(self, job):
        """The number of the newest build; 0 for none, or where there is no such job."""
        try:
            found = self.json(job_path(job), tree="lastBuild[number]")
        except jenkins.NotFoundException:
            return 0
        return (found.get("lastBuild") or {}).get("number", 0)

    def log(self, job, number):
        return self.get(f"{job_path(job)}/{number}/consoleText")

    def stages(self, job, number):
        """Name and status of each stage, as the stage view shows them."""
        found = json.loads(self.get(f"{job_path(job)}/{number}/wfapi/describe"))
        return {stage["name"]: stage["status"] for stage in found["stages"]}

    def left_out(self, job, number, stage):
        """Whether a stage was skipped. Where an earlier one was red or yellow the stage view shows it as that one."""
        return f'Stage "{stage}" skipped due to' in self.log(job, number)

    def artifacts(self, job, number):
        found = self.json(f"{job_path(job)}/{number}", tree="artifacts[relativePath]")
        return [one["relativePath"] for one in found["artifacts"]]

    def questions(self, job, number):
        """What the build asks now."""
        try:
            return json.loads(self.get(f"{job_path(job)}/{number}/wfapi/pendingInputActions"))
        except jenkins.NotFoundException:
            return []

    def start(self, job, **parameters):
        """Start a job; returns the number that the build will have."""
        answer = self.post(f"{job_path(job)}/buildWithParameters", parameters or {"none": "1"})
        if answer.status_code == 400 and not parameters:
            answer = self.post(f"{job_path(job)}/build")
        assert answer.status_code == 201, (answer.status_code, answer.text[:300])
        item = int(answer.headers["Location"].rstrip("/").rpartition("/")[2])
        until(lambda: self._number(item), f"{job} to begin")
        return self._number(item)

    def _number(self, item):
        found = self.json(f"queue/item/{item}", tree="executable[number],why")
        return (found.get("executable") or {}).get("number")

    def scan(self, project, branch):
        """Scan the repository as a webhook would make it; the number of the build that this began."""
        job = self.branch(project, branch)
        before = self.newest(job)
        assert self.post(f"{job_path(project)}/build", {"delay": "0"}).status_code in {201, 302}
        return job, until(lambda: self._newer(job, before), f"the scan to build {job}")

    def branch(self, project, branch):
        return f"{project}/{quote(branch, safe='')}"

    def replay(self, job, number, script):
        """Replay a build with a pipeline; the number of the new one."""
        before = self.newest(job)
        answer = self.post(
            f"{job_path(job)}/{number}/replay/run", {"json": json.dumps({"mainScript": script})}
        )
        assert answer.status_code in {200, 302}, answer.status_code
        return until(lambda: self._newer(job, before), f"{job} to be replayed")

    def _newer(self, job, before):
        newest = self.newest(job)
        return newest if newest > before else 0

    def restart(self, job, number, stage):
        """Restart a build from a stage; what Jenkins answers."""
        form = {"stageName": stage, "json": json.dumps({"stageName": stage})}
        return self.post(f"{job_path(job)}/{number}/restart/restart", form)

    def stop(self, job, number):
        assert self.post(f"{job_path(job)}/{number}/stop").status_code in {200, 302}

    def ended(self, job, number):
        """The build when it has ended; `building` alone says so, for a result may be there before."""

        def look():
            with contextlib.suppress(jenkins.NotFoundException):
                found = self.build(job, number)
                if not found["building"] and not found["inProgress"]:
                    return found
            return None

        try:
            return until(look, f"{job} #{number} to end")
        except AssertionError as e:
            with contextlib.suppress(jenkins.JenkinsException):
                e.add_note(self.log(job, number)[-3000:])
            raise

    def asks(self, job, number, until_it_says=""):
        """The question when the build asks one; Jenkins shows it only to who may answer."""

        def look():
            return [one for one in self.questions(job, number) if until_it_says in one["message"]]

        return until(look, f"{job} #{number} to ask {until_it_says}")[0]

    def proceed(self, job, number, question="Promote", **values):
        """Answer as a script with an API token does."""
        given = {"parameter": [{"name": name, "value": value} for name, value in values.items()]}
        return self.post(f"{job_path(job)}/{number}/input/{question}/proceed", {"json": json.dumps(given)})


def choices(question):
    """What a question about a version offers."""
    return next(i for i in question["inputs"] if i["name"] == "VERSION")["definition"]["choices"]


def job_path(job):
    return "/".join(f"job/{quote(part, safe='%')}" for part in job.split("/"))


def until(look, what, patience=PATIENCE):
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(LOOK)
    raise AssertionError(f"waited {patience:.0f} s for {what}")

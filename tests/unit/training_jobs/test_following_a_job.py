"""One training per run, whoever asks and however often: a stand-in for a cluster, killed builds, Jobs that ended before."""

import re
import threading
from urllib.parse import urlsplit

import pytest
from kubernetes_standin import serving
from test_job_documents import RUN, training

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.kubernetes.training import JobTrainings
from mmcicd_jenkins.adapters.kubernetes.tries import Patience
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import InputError, OutsideFailed, Terminated
from mmcicd_jenkins.ports.training import Order
from mmcicd_jenkins.render.rights import trainer
from mmcicd_jenkins.render.training_job import PIECE_BYTES, render_training

NAME = "churn-train-5c9879359b66"


class Killed(BaseException):
    """As `kill -9`: no handler of ours sees it."""


class Mortal:
    """The calls of an `Api`; the `nth` is the last, and was carried out or not."""

    def __init__(self, api, nth, *, done):
        self._api, self._left, self._done = api, nth, done

    def __getattr__(self, name):
        found = getattr(self._api, name)
        if not callable(found):
            return found

        def call(*words, **named):
            self._left -= 1
            if self._left == 0:
                if self._done:
                    found(*words, **named)
                raise Killed
            return found(*words, **named)

        return call


class Place:
    """A stand-in in which a Job that is awake runs one pod, which ends as `ends` says when it was seen often enough."""

    def __init__(self, standin, folder):
        self.standin = standin
        environment = Environment(name="training", kind="kubernetes", cluster=standin.address, namespace="ml")
        self.connection = connect(environment, {"KUBECONFIG": str(standin.kubeconfig(folder))}, "")
        self.told, self.lines = [], []
        self.ends = ("Complete", 0)
        self.log = "2026-01-01T00:00:00.1Z one\n2026-01-01T00:00:00.15Z two\n2026-01-01T00:00:01Z three\n"
        self.looks = 0

    @property
    def api(self):
        return Api(self.connection, "ml", patience=Patience(budget=5, tries=1))

    def order(self, nonce="0a1b2c3d", **changed):
        job, objects = render_training(
            training(settings={"namespace": "ml"}, code=b"x" * (PIECE_BYTES + 1), nonce=nonce)
        )
        return Order(**{"name": NAME, "job": job, "objects": objects, "start_seconds": 5.0, **changed})

    def run(self, order=None, api=None):
        self.looks = 0
        return JobTrainings(api or self.api, self.told.append, {}, poll_seconds=0.001).run(
            order or self.order(), self.line
        )

    def line(self, text):
        self.lines.append(text)

    def move(self):
        """What the cluster does by itself between two looks."""
        job = self.standin.object("Job", NAME)
        if job is None or job["spec"].get("suspend"):
            return
        self.looks += 1
        how, code = self.ends
        is_over = self.looks > 3
        state = {"terminated": {"exitCode": code, "reason": "Error"}} if is_over else {"running": {}}
        self.standin.put(pod(job, state))
        self.standin.logs[f"{NAME}-x"] = self.log
        if is_over:
            condition = {"type": how, "status": "True", "reason": "PodFailurePolicy"}
            self.standin.put({**job, "status": {"conditions": [condition]}})

    @property
    def jobs(self):
        return [key[2] for key in self.standin.objects if key[0] == "jobs"]

    @property
    def pieces(self):
        return sorted(key[2] for key in self.standin.objects if key[0] == "configmaps")


def pod(job, state):
    labels = {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}
    metadata = {"name": f"{NAME}-x", "namespace": "ml", "labels": labels}
    status = {"phase": "Running", "containerStatuses": [{"name": "training", "state": state}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}


@pytest.fixture
def place(tmp_path):
    with serving() as standin:
        found = Place(standin, tmp_path)
        done = threading.Event()

        def live():
            while not done.wait(0.02):
                with standin.lock:
                    found.move()

        thread = threading.Thread(target=live)
        thread.start()
        yield found
        done.set()
        thread.join()


def test_a_training_is_made_woken_followed_and_its_lines_are_told_once(place):
    assert place.run().kind == ""
    assert place.lines == ["one", "two", "three"]
    assert place.jobs == [NAME]
    assert place.pieces == [f"{NAME}-0a1b2c3d-0", f"{NAME}-0a1b2c3d-1"]
    owner = place.standin.object("ConfigMap", place.pieces[0])["metadata"]["ownerReferences"][0]
    assert owner["uid"] == place.standin.object("Job", NAME)["metadata"]["uid"]


def test_what_is_stored_leaves_nothing_behind(place):
    place.run()
    JobTrainings(place.api, place.told.append, {}).forget(NAME)
    assert place.jobs == []


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("nth", range(1, 7))
def test_a_build_that_dies_at_any_call_leaves_what_the_next_goes_on_from(place, nth, done):
    mortal = Mortal(place.api, nth, done=done)
    with pytest.raises(Killed):
        place.run(api=mortal)
    assert place.run(place.order(nonce="ffffffff")).kind == ""
    assert place.jobs == [NAME]
    job = place.standin.object("Job", NAME)
    assert not job["spec"]["suspend"]
    nonce = job["metadata"]["annotations"]["mmcicd.io/code"]
    assert place.pieces == [f"{NAME}-{nonce}-0", f"{NAME}-{nonce}-1"]


def test_one_that_failed_before_is_told_and_started_anew(place):
    place.ends = ("Failed", 8)
    ended = place.run()
    assert (ended.kind, ended.status) == ("command", 8)
    assert ended.last_lines == ("one", "two", "three")
    place.ends = ("Complete", 0)
    assert place.run(place.order(nonce="ffffffff")).kind == ""
    assert any("ended before (PodFailurePolicy)" in each for each in place.told)


def test_a_second_build_joins_and_makes_nothing(place):
    api = place.api
    asleep = place.order()
    api.create({**asleep.job, "spec": {**asleep.job["spec"], "suspend": False}})
    assert place.run(place.order(nonce="ffffffff")).kind == ""
    assert "joins the training that runs already" in place.told[0]
    assert place.pieces == []


def test_a_job_of_somebody_else_is_left_alone(place):
    order = place.order()
    metadata = {**order.job["metadata"], "labels": {"app": "theirs"}}
    place.api.create({**order.job, "metadata": metadata})
    with pytest.raises(InputError) as caught:
        place.run()
    assert "not one of ours" in caught.value.what
    other = {**order.job["metadata"]["annotations"], "mmcicd.io/run": RUN.replace("5", "6")}
    place.standin.put({**order.job, "metadata": {**order.job["metadata"], "annotations": other}})
    with pytest.raises(InputError):
        place.run()


def test_one_that_is_deleted_meanwhile_is_gone(place):
    def removed(_text):
        if live := place.api.get("Job", NAME):
            place.api.delete("Job", NAME, uid=live["metadata"]["uid"])

    place.line = removed
    assert place.run().kind == "gone"


def test_one_that_never_starts_is_ended_and_says_why(place):
    place.move = lambda: None
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "ml"},
        "involvedObject": {"name": NAME},
        "reason": "FailedCreate",
        "message": "exceeded quota: small",
    }
    place.standin.put(event)
    with pytest.raises(OutsideFailed) as caught:
        place.run(place.order(start_seconds=0.3))
    assert "exceeded quota" in caught.value.why
    assert place.jobs == []


@pytest.mark.parametrize("stop", [True, False])
def test_a_build_that_is_told_to_end_ends_the_training_only_when_that_was_asked(place, stop):
    def told(_text):
        raise Terminated("terminated")

    place.line = told
    with pytest.raises(Terminated):
        place.run(place.order(stop_on_abort=stop))
    assert place.jobs == ([] if stop else [NAME])
    assert ("told to end" if stop else f"kubectl delete job {NAME}") in place.told[-1]


def test_a_cluster_that_is_away_for_a_moment_ends_nothing(place):
    place.standin.refuse("GET", "/pods", 503, "away", times=2)
    assert place.run().kind == ""
    assert any("does not answer" in each for each in place.told)


VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}


def used(standin):
    for method, target in standin.requests:
        found = re.fullmatch(r".*/namespaces/ml/([a-z]+)(?:/([^/]+))?(?:/(log))?", urlsplit(target).path)
        plural, name, part = found.groups()
        yield f"{plural}/{part}" if part else plural, VERBS.get(method, "get" if name else "list")


def whole(place, order):
    place.run(order)
    JobTrainings(place.api, place.told.append, {}).forget(NAME)


def test_the_account_of_trainings_is_given_what_is_used_and_no_more(place):
    settings = {"namespace": "ml", "workers": 2}
    job, objects = render_training(training(settings=settings))
    order = Order(name=NAME, job=job, objects=objects, start_seconds=5.0)
    whole(place, order)
    needed = [each for each in trainer(training(settings=settings).settings) if "doctor" not in each.why]
    granted = {(each.resource, verb) for each in needed for verb in each.verbs}
    # Events are asked only while no pod is there, which this one may have been too quick for.
    assert set(used(place.standin)) | {("events", "list")} == granted
    for resource, verb in sorted(granted - {("events", "list")}):
        place.standin.forbidden = {(verb, resource)}
        with pytest.raises(OutsideFailed, match=f"may not {verb}"):
            whole(place, order)
        place.standin.forbidden = set()
        whole(place, order)

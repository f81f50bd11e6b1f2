"""The documents of a training in a cluster, and what its pods mean."""

import json
from base64 import b64decode

import pytest

from mmcicd_jenkins.config.cluster_model import Toleration
from mmcicd_jenkins.config.training_model import TrainingJob
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.trainings import Pod, newest, state_of, why_it_ended
from mmcicd_jenkins.render.pod_security import pod_security
from mmcicd_jenkins.render.training_job import (
    FINAL,
    LARGEST_CODE,
    PIECE_BYTES,
    PORT,
    Training,
    render_training,
)

RUN = "sha256:" + "5c9879359b66" + "0" * 52
MODEL = "m" * 40


def training(*, settings=None, **changed):
    job = TrainingJob(**{"cluster": "https://g.example:6443", "namespace": "t", **(settings or {})})
    values = {
        "model": "churn",
        "settings": job,
        "gpus": 0,
        "timeout_seconds": 3600.0,
        "run_id": RUN,
        "commit": "c" * 40,
        "folder": "",
        "code": b"PACK" * 10,
        "image": "r.example/t@sha256:" + "1" * 64,
        "written": "r.example/t:1",
        "again": False,
        "variables": {},
        "nonce": "0a1b2c3d",
        **changed,
    }
    return Training(**values)


def rendered(**changed):
    return render_training(training(**changed))


def container(job):
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return found


def variables(job):
    return {each["name"]: each["value"] for each in container(job)["env"]}


def test_a_job_is_named_by_its_run_and_born_asleep():
    job, objects = rendered()
    assert job["metadata"]["name"] == "churn-train-5c9879359b66"
    assert job["metadata"]["annotations"]["mmcicd.io/run"] == RUN
    assert job["spec"]["suspend"] is True
    assert [each["kind"] for each in objects] == ["ConfigMap"]
    assert len(rendered(model=MODEL)[0]["metadata"]["name"]) <= 63


def test_no_service_of_a_model_sends_requests_to_a_training():
    job, objects = rendered(settings={"workers": 2})
    for labels in (
        job["spec"]["template"]["metadata"]["labels"],
        *(each["metadata"]["labels"] for each in objects),
    ):
        assert labels["app.kubernetes.io/name"] != "churn"
        assert "mmcicd.io/track" not in labels


def test_the_commit_rides_in_pieces_that_the_pod_joins_in_order():
    code = bytes(range(256)) * (3 * PIECE_BYTES // 256)
    job, objects = rendered(code=code + b"end")
    names = [source["configMap"]["name"] for source in projected(job)]
    assert names == [each["metadata"]["name"] for each in objects]
    pieces = {key: b64decode(text) for each in objects for key, text in each["binaryData"].items()}
    assert b"".join(pieces[key] for key in sorted(pieces)) == code + b"end"
    assert all(len(json.dumps(each)) < 2**20 for each in objects)


def projected(job):
    (found,) = [each for each in job["spec"]["template"]["spec"]["volumes"] if each["name"] == "code"]
    return found["projected"]["sources"]


def test_a_repository_that_is_too_large_is_told_so():
    with pytest.raises(InputError) as caught:
        rendered(code=b"0" * (LARGEST_CODE + 1))
    assert "jenkins.agents.train" in caught.value.fix


def test_hostile_values_are_variables_and_never_part_of_the_shell_line():
    hostile = "$(touch /pwned); `id` \"'\n"
    job, _ = rendered(folder=hostile, variables={"BRANCH_NAME": hostile, "SECRET": "s"})
    plain, _ = rendered()
    assert container(job)["command"] == container(plain)["command"]
    assert variables(job)["BRANCH_NAME"] == variables(job)["MMCICD_FOLDER"] == hostile
    assert "SECRET" not in variables(job)


def test_what_it_asks_for():
    settings = {
        "cpu": 2.5,
        "memory_bytes": 2**30,
        "shared_memory_bytes": 2**20,
        "gpu_resource": "amd.com/gpu",
        "checkpoints": "kept",
        "secrets": ("logins",),
        "pull_secrets": ("pull",),
        "node_selector": {"pool": "gpu"},
        "tolerations": (Toleration(key="gpu", effect="NoSchedule"),),
        "priority_class": "low",
    }
    job, _ = rendered(settings=settings, gpus=2, again=True)
    spec, one = job["spec"]["template"]["spec"], container(job)
    assert one["resources"]["limits"] == {"memory": str(2**30), "amd.com/gpu": "2"}
    assert one["resources"]["requests"] == {"cpu": "2500m", "memory": str(2**30), "amd.com/gpu": "2"}
    assert one["envFrom"] == [{"secretRef": {"name": "logins"}}]
    assert {each["name"]: each["mountPath"] for each in one["volumeMounts"]}["checkpoints"] == "/checkpoints"
    assert variables(job)["MMCICD_CHECKPOINTS"] == "/checkpoints"
    assert variables(job)["MMCICD_AGAIN"] == "1"
    assert spec["nodeSelector"] == {"pool": "gpu"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert spec["priorityClassName"] == "low"
    assert spec["automountServiceAccountToken"] is False


def test_what_would_fail_again_is_not_tried_again():
    job, _ = rendered()
    final, lost = job["spec"]["podFailurePolicy"]["rules"]
    assert final["onExitCodes"]["values"] == list(FINAL)
    assert {8, 137} <= set(FINAL)
    assert not {0, 5, 75, 143} & set(FINAL)
    assert lost["action"] == "Ignore"


@pytest.mark.parametrize(
    "settings", [{}, {"workers": 2, "checkpoints": "kept", "shared_memory_bytes": 2**20}]
)
def test_its_pods_are_restricted(settings):
    job, _ = rendered(settings=settings, gpus=1)
    assert pod_security(job) == ()


def test_workers_are_told_of_each_other():
    job, objects = rendered(settings={"workers": 3})
    (service,) = [each for each in objects if each["kind"] == "Service"]
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    hosts = json.loads(variables(job)["MMCICD_WORKERS"])
    assert hosts == [f"churn-train-5c9879359b66-{n}.{service['metadata']['name']}:{PORT}" for n in range(3)]
    assert service["spec"]["publishNotReadyAddresses"] is True


@pytest.mark.parametrize(
    ("pod", "words", "halted"),
    [
        (None, "waits for its pod", ""),
        (Pod(name="a", refused="0/3 nodes: insufficient gpu"), "waits for a node", "insufficient gpu"),
        (Pod(name="a", waiting="ImagePullBackOff", message="not found"), "waits for its image", "not found"),
        (
            Pod(name="a", waiting="CreateContainerConfigError", message='secret "s"'),
            "cannot be made",
            'secret "s"',
        ),
        (Pod(name="a", waiting="ContainerCreating"), "starts (ContainerCreating)", ""),
        (Pod(name="a", running=True), "runs", ""),
    ],
)
def test_where_it_is(pod, words, halted):
    state = state_of(pod, "")
    assert words in state.words
    assert halted in state.halted
    assert bool(state.halted) == bool(state.fix)
    assert state.started == (words == "runs")


def test_a_quota_that_lets_no_pod_in():
    state = state_of(None, 'pods "x" is forbidden: exceeded quota: small')
    assert "exceeded quota" in state.halted
    assert "quota" in state.fix


@pytest.mark.parametrize(
    ("pod", "reason", "kind", "word"),
    [
        (Pod(name="a", exit_code=8), "PodFailurePolicy", "command", "exited 8"),
        (Pod(name="a", exit_code=137, ended="OOMKilled"), "PodFailurePolicy", "memory", "out of memory"),
        (Pod(name="a"), "DeadlineExceeded", "time", "train.timeout"),
        (Pod(name="a", evicted="node was low on disk"), "BackoffLimitExceeded", "cluster", "low on disk"),
        (None, "", "cluster", "the Job failed"),
    ],
)
def test_why_it_ended(pod, reason, kind, word):
    found = why_it_ended(pod, reason, "")
    assert found[0] == kind
    assert word in found[1]
    assert found[2]


def test_the_newest_pod_speaks():
    old, new = Pod(name="b", made="2026-01-01T00:00:00Z"), Pod(name="a", made="2026-01-02T00:00:00Z")
    assert newest([old, new]) is new
    assert newest([]) is None

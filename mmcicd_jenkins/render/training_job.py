"""A training as a Job of a cluster: its documents. Pure.

The pod is an agent that outlives the build: it unpacks the commit and runs `mmcicd-jenkins stage train`, which fetches the
data, runs the team's command beside itself and stores the model. The law: the shell line is one constant, values come by
variables; the pod has no account; what it runs on is named by digest. Of labels it has none that a Service of a model
selects by.
"""

import json
import math
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.config.training_model import TrainingJob
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.start import USER
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import tracks
from mmcicd_jenkins.render.scheduling import toleration

MANAGED = {**tracks.MANAGED, "app.kubernetes.io/component": "training"}
RUN, CODE = "mmcicd.io/run", "mmcicd.io/code"
CONTAINER = "training"
# Set in the pod, where the training itself is to run.
INSIDE = "MMCICD_TRAINING_JOB"
PORT = 2222
# An object holds one MiB, and base64 takes a third more than the bytes; all of them together stay small for etcd.
PIECE_BYTES = 700 * 1024
LARGEST_CODE = 8 * 2**20
# The exit codes of `errors` after which the same training would fail again, and that of a pod out of memory.
FINAL = (1, 2, 3, 4, 6, 7, 8, 137)
# Beyond the training's own time: pulling the image, fetching the data, storing the model.
_SLACK_SECONDS = 3600
_GRACE_SECONDS = 60
_KEPT_SECONDS = 86_400
_PODS_LOST = 6
# Of the build, what the stage inside must know as well.
PASSED = ("BRANCH_NAME", "CHANGE_ID", "BUILD_URL", "MMCICD_ACTOR", "MMCICD_STORE_REGISTRY")
_WORK, _CODE, _CHECKPOINTS = "/job", "/code", "/checkpoints"
SCRIPT = """\
set -eu
mkdir -p "$HOME" /job/checkout
cd /job/checkout
git init -q --template= .
cat /code/* | git index-pack --stdin >/dev/null
echo "$MMCICD_COMMIT" > .git/shallow
git checkout -q --detach "$MMCICD_COMMIT"
cd "./$MMCICD_FOLDER"
if [ -n "${MMCICD_WORKERS:-}" ]; then
  TF_CONFIG="{\\"cluster\\": {\\"worker\\": $MMCICD_WORKERS}, \\"task\\": {\\"type\\": \\"worker\\", \\"index\\": $JOB_COMPLETION_INDEX}}"
  MMCICD_WORKER=$JOB_COMPLETION_INDEX
  export TF_CONFIG MMCICD_WORKER
fi
if command -v mmcicd-jenkins >/dev/null; then set -- mmcicd-jenkins; else set -- ./mmcicdw; fi
if [ -n "${MMCICD_AGAIN:-}" ]; then exec "$@" stage train --model "$MMCICD_MODEL" --again; fi
exec "$@" stage train --model "$MMCICD_MODEL"
"""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the documents are of. `written` is the image as mmcicd.yaml names it, `image` its name by digest; `folder` is
    where mmcicd.yaml lies in the repository, `code` the packed commit, `nonce` tells two Jobs of one run apart.
    """

    model: str
    settings: TrainingJob
    gpus: int
    timeout_seconds: float
    run_id: str
    commit: str
    folder: str
    code: bytes
    image: str
    written: str
    again: bool
    variables: Mapping[str, str]
    nonce: str

    @property
    def name(self) -> str:
        return f"{self.model}-train-{self.run_id.removeprefix('sha256:')[:12]}"

    @property
    def pieces(self) -> list[bytes]:
        return [self.code[at : at + PIECE_BYTES] for at in range(0, len(self.code), PIECE_BYTES)]

    def piece(self, number: int) -> str:
        return f"{self.name}-{self.nonce}-{number}"


def render_training(training: Training) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
    """The Job, born suspended because what it mounts comes after it, and the objects that belong to it.

    Raises:
        InputError: the repository is too large to ride along.
    """
    if len(training.code) > LARGEST_CODE:
        raise InputError(
            "the files of the repository are too large to be handed to a Job",
            why=f"{len(training.code):,} bytes packed, {LARGEST_CODE:,} can be handed over",
            fix="keep data out of the repository (models.*.data), or train on an agent: jenkins.agents.train",
        )
    objects = [_piece(training, number, piece) for number, piece in enumerate(training.pieces)]
    if training.settings.workers > 1:
        objects.append(_service(training))
    return _job(training), tuple(objects)


def _metadata(training: Training, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": training.settings.namespace,
        "labels": {**MANAGED, tracks.NAME_LABEL: f"{training.model}-training"},
        "annotations": {RUN: training.run_id, CODE: training.nonce},
    }


def _piece(training: Training, number: int, piece: bytes) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(training, training.piece(number)),
        "binaryData": {f"{number:02}": b64encode(piece).decode()},
        "immutable": True,
    }


def _service(training: Training) -> dict[str, Any]:
    """The names of the workers. They look for each other before any of them is ready."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(training, f"{training.name}-{training.nonce}"),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"batch.kubernetes.io/job-name": training.name},
            "ports": [{"name": "workers", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
        },
    }


def _job(training: Training) -> dict[str, Any]:
    settings = training.settings
    workers = settings.workers
    rules = [
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": list(FINAL)},
        },
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(training, training.name),
        "spec": {
            "suspend": True,
            "completions": workers,
            "parallelism": workers,
            "completionMode": "Indexed" if workers > 1 else "NonIndexed",
            "backoffLimit": _PODS_LOST,
            "activeDeadlineSeconds": math.ceil(
                training.timeout_seconds + settings.start_timeout_seconds + _SLACK_SECONDS
            ),
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "podFailurePolicy": {"rules": rules},
            "template": {
                "metadata": {
                    "labels": {**MANAGED, tracks.NAME_LABEL: f"{training.model}-training"},
                    # A node is not emptied under a training to save the price of the node.
                    "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
                },
                "spec": _pod(training),
            },
        },
    }


def _pod(training: Training) -> dict[str, Any]:
    settings = training.settings
    user, group = (int(part) for part in USER.split(":"))
    named = {
        "imagePullSecrets": [{"name": name} for name in settings.pull_secrets],
        "nodeSelector": dict(settings.node_selector),
        "tolerations": [toleration(one) for one in settings.tolerations],
        "priorityClassName": settings.priority_class,
        "subdomain": f"{training.name}-{training.nonce}" if settings.workers > 1 else "",
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": group,
            "fsGroup": group,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **{key: value for key, value in named.items() if value},
        "containers": [_container(training)],
        "volumes": _volumes(training),
    }


def _container(training: Training) -> dict[str, Any]:
    settings = training.settings
    fixed = {"memory": str(settings.memory_bytes)}
    if training.gpus:
        fixed[settings.gpu_resource] = str(training.gpus)
    mounts = [("work", _WORK), ("tmp", "/tmp"), ("code", _CODE)]  # noqa: S108  the container's own
    mounts += [("shared-memory", "/dev/shm")] if settings.shared_memory_bytes else []  # noqa: S108  the kernel's name
    mounts += [("checkpoints", _CHECKPOINTS)] if settings.checkpoints else []
    return {
        "name": CONTAINER,
        "image": training.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", SCRIPT],
        "env": [{"name": name, "value": value} for name, value in sorted(_variables(training).items())],
        **({"envFrom": [{"secretRef": {"name": n}} for n in settings.secrets]} if settings.secrets else {}),
        "resources": {"requests": {"cpu": f"{math.ceil(settings.cpu * 1000)}m", **fixed}, "limits": fixed},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts],
    }


def _variables(training: Training) -> dict[str, str]:
    found = {
        "HOME": f"{_WORK}/home",
        "XDG_CACHE_HOME": f"{_WORK}/cache",
        "PYTHONUNBUFFERED": "1",
        INSIDE: training.name,
        "MMCICD_IN_IMAGE": training.written,
        "MMCICD_MODEL": training.model,
        "MMCICD_COMMIT": training.commit,
        "MMCICD_FOLDER": training.folder,
    }
    found |= {name: training.variables[name] for name in PASSED if training.variables.get(name)}
    found |= {"MMCICD_CHECKPOINTS": _CHECKPOINTS} if training.settings.checkpoints else {}
    found |= {"MMCICD_AGAIN": "1"} if training.again else {}
    if training.settings.workers > 1:
        service = f"{training.name}-{training.nonce}"
        hosts = [f"{training.name}-{n}.{service}:{PORT}" for n in range(training.settings.workers)]
        found["MMCICD_WORKERS"] = json.dumps(hosts)
    return found


def _volumes(training: Training) -> list[dict[str, Any]]:
    settings = training.settings
    sources = [{"configMap": {"name": training.piece(n)}} for n in range(len(training.pieces))]
    found: list[dict[str, Any]] = [
        {"name": "work", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "code", "projected": {"sources": sources}},
    ]
    if settings.shared_memory_bytes:
        limit = {"medium": "Memory", "sizeLimit": str(settings.shared_memory_bytes)}
        found.append({"name": "shared-memory", "emptyDir": limit})
    if settings.checkpoints:
        found.append({"name": "checkpoints", "persistentVolumeClaim": {"claimName": settings.checkpoints}})
    return found

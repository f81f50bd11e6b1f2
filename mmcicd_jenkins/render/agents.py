"""Where a stage runs: an agent with a label, or a pod that is made for it. Pure.

The law: the agent of `train` alone has GPUs; a pod's YAML is dumped by a library and never put together from texts.
"""

from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.config.model import Config, Model, Pod
from mmcicd_jenkins.records import dataclass

DEFAULT_LABEL = "linux"
# The container in which the agent process runs; Kubernetes wants a name.
CONTAINER = "stage"
CHECKPOINTS = "/checkpoints"
# A training that is told to end gets its checkpoint written before the pod is taken away.
GRACE_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Agent:
    """As the templates see it: `label`, or `yaml` of a pod."""

    label: str = ""
    yaml: str = ""
    cloud: str = ""
    container: str = CONTAINER


def agent_of(config: Config, stage: str, model: Model | None = None, *, ops: bool = False) -> Agent:
    """The stage's own agent, else that of deploy for what runs beside it in ops, else the default."""
    agents = config.jenkins.agents if config.jenkins else {}
    default = agents.get("default", DEFAULT_LABEL)
    if stage == "train" and model is not None and model.train.job:
        stage = "default"  # it only waits for a Job, and would hold a GPU meanwhile
    chosen = agents.get(stage, agents.get("deploy", default) if ops else default)
    if isinstance(chosen, str):
        return Agent(label=chosen)
    gpus = model.train.gpus if model is not None and stage == "train" else 0
    return Agent(yaml=pod_yaml(chosen, chosen.gpus or gpus), cloud=chosen.cloud)


def pod_yaml(pod: Pod, gpus: int) -> str:
    """The pod. What it asks for it also gets and no more, so that nobody is pushed out by a neighbour."""
    import yaml

    text: str = yaml.safe_dump(_pod(pod, gpus), sort_keys=False, default_flow_style=False, width=1000)
    return text


def _pod(pod: Pod, gpus: int) -> dict[str, Any]:
    container: dict[str, Any] = {"name": CONTAINER, "image": pod.image}
    resources = _resources(pod, gpus)
    if resources:
        container["resources"] = {"requests": resources, "limits": resources.copy()}
    mounts, volumes = _volumes(pod)
    # A training that names this very image runs where it is.
    container["env"] = [{"name": "MMCICD_IN_IMAGE", "value": pod.image}]
    if pod.checkpoints:
        container["env"].append({"name": "MMCICD_CHECKPOINTS", "value": CHECKPOINTS})
    if mounts:
        container["volumeMounts"] = mounts
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": bool(pod.service_account),
        **({"serviceAccountName": pod.service_account} if pod.service_account else {}),
        **({"nodeSelector": dict(pod.node_selector)} if pod.node_selector else {}),
        **({"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]} if gpus else {}),
        "containers": [container],
        **({"volumes": volumes} if volumes else {}),
    }
    metadata: dict[str, Any] = {
        # A node is not emptied under a training to save the price of the node.
        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        **({"namespace": pod.namespace} if pod.namespace else {}),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _resources(pod: Pod, gpus: int) -> dict[str, Any]:
    return {
        **({"cpu": f"{round(pod.cpu * 1000)}m"} if pod.cpu else {}),
        **({"memory": _size(pod.memory_bytes)} if pod.memory_bytes else {}),
        **({"nvidia.com/gpu": gpus} if gpus else {}),
    }


def _size(count: int) -> str:
    """As people write it, where that is exact."""
    for unit, size in (("Gi", 2**30), ("Mi", 2**20)):
        if count % size == 0:
            return f"{count // size}{unit}"
    return str(count)


def _volumes(pod: Pod) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Mounts and volumes: shared memory for the workers of a data loader, checkpoints that outlive the pod."""
    mounts: list[Mapping[str, Any]] = []
    volumes: list[Mapping[str, Any]] = []
    if pod.shared_memory_bytes:
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})  # noqa: S108  the kernel's name for it
        limit = {"medium": "Memory", "sizeLimit": _size(pod.shared_memory_bytes)}
        volumes.append({"name": "shared-memory", "emptyDir": limit})
    if pod.checkpoints:
        mounts.append({"name": "checkpoints", "mountPath": CHECKPOINTS})
        volumes.append({"name": "checkpoints", "persistentVolumeClaim": {"claimName": pod.checkpoints}})
    return mounts, volumes

"""The keys of `train.job`: training as a Job of a Kubernetes cluster, which outlives the build that waits for it."""

from typing import Annotated

from mmcicd_jenkins.config.schema_cluster import TolerationSection
from mmcicd_jenkins.config.section import (
    Duration,
    Kind,
    Number,
    Section,
    Size,
    Text,
    Texts,
    Truth,
    Whole,
    key,
    required,
)

_TextMap = Annotated[dict[str, Text], Kind("mapping")]


class JobSection(Section):
    """Training as a Job of a Kubernetes cluster, in `train.image`. A build that is lost finds it again."""

    cluster: Text = required(
        "The address of the API server; any other is refused.", "https://k8s-gpu.acme.example:6443"
    )
    namespace: Text = required("The namespace; none that serves.", "ml-training")
    cpu: Number = key(1, "CPU cores.", 8, gt=0, le=1024)
    memory: Size = key("4Gi", "Memory; a training that takes more is ended.", "32Gi")
    shared_memory: Size | None = key(
        None, "Size of /dev/shm, through which workers of a data loader pass batches.", "8Gi"
    )
    gpu_resource: Text = key("nvidia.com/gpu", "What a GPU is called in this cluster.", "amd.com/gpu")
    workers: Whole = key(
        1, "Pods that train together by MultiWorkerMirroredStrategy; each is told of the others in TF_CONFIG.", 4,
        ge=1, le=1024,
    )  # fmt: skip
    checkpoints: Text | None = key(
        None,
        "A PersistentVolumeClaim for checkpoints. Without one a training whose pod is lost begins anew.",
        "training-checkpoints",
    )
    secrets: Texts = key(
        [],
        "Secrets of the namespace whose entries become variables: MMCICD_REGISTRY_USER and _PASSWORD, AWS_ACCESS_KEY_ID...",
        ["training-logins"],
    )
    pull_secrets: Texts = key([], "Secrets to pull the image with.", ["registry-pull"])
    node_selector: _TextMap = key({}, "Labels of the nodes that may run it.", {"pool": "a100"})
    tolerations: Annotated[list[TolerationSection], Kind("list of tolerations")] = key(
        [], "Taints of nodes that it may run on.", [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    )
    priority_class: Text | None = key(None, "Its priority class.", "training")
    start_timeout: Duration = key("1h", "How long it may wait for a node and its image.", "12h")
    stop_on_abort: Truth = key(
        False,
        "End the training when the build is aborted. Default: it goes on, and the next build finds it.",
        True,
    )

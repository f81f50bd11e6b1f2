"""What training in a cluster is, complete. Part of `config.model`, and frozen data like it."""

from collections.abc import Mapping
from dataclasses import field

from mmcicd_jenkins.config.cluster_model import Toleration
from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A Job of a cluster. `secrets` are those whose entries become variables of the training; times in seconds."""

    cluster: str
    namespace: str
    cpu: float = 1.0
    memory_bytes: int = 4 * 2**30
    shared_memory_bytes: int = 0
    gpu_resource: str = "nvidia.com/gpu"
    workers: int = 1
    checkpoints: str = ""
    secrets: tuple[str, ...] = ()
    pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    priority_class: str = ""
    start_timeout_seconds: float = 3600.0
    stop_on_abort: bool = False

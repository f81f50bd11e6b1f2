"""What an environment of kind kubernetes is beside cluster, namespace and replicas: how its copies run, who reaches them.

Part of `config.model`, and frozen data like it. Nothing of one version or one moment is in here.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from mmcicd_jenkins.records import dataclass

# Stands for the model's name in hosts and addresses: one environment serves several models.
_MODEL = re.compile(r"\bMODEL\b")
# Between the last answer of a copy that ends and its kill: what a full node may be late.
SPARE_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Service:
    """How requests come in. A node port of 0 is chosen by the cluster."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    annotations: Mapping[str, str] = field(default_factory=dict)
    rest_node_port: int = 0
    grpc_node_port: int = 0


@dataclass(frozen=True, kw_only=True)
class Ingress:
    """REST by a host name. `class_name` "" = the cluster's default class."""

    host: str
    class_name: str = ""
    tls_secret: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    def host_of(self, model: str) -> str:
        return of_model(self.host, model)


@dataclass(frozen=True, kw_only=True)
class Address:
    """How agents outside the cluster reach the Service; "" = by its own name or address."""

    rest: str = ""
    grpc: str = ""

    def of(self, model: str) -> tuple[str, str]:
        """REST and gRPC address of a model."""
        return of_model(self.rest, model), of_model(self.grpc, model)


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """`seconds` is for effect NoExecute; None = for ever."""

    key: str = ""  # "" = every taint
    operator: Literal["Equal", "Exists"] = "Exists"
    value: str = ""
    effect: str = ""  # "" = every effect
    seconds: int | None = None


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Where copies run, and the times of their lives. All in seconds."""

    pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    priority_class: str = ""
    gpu_resource: str = "nvidia.com/gpu"
    cpu_limit: float = 0.0  # 0 = none
    start_timeout_seconds: float = 300.0
    min_ready_seconds: float = 10.0
    drain_seconds: float = 10.0
    longest_request_seconds: float = 10.0

    @property
    def grace_seconds(self) -> int:
        """From the order to end until the kill. TF Serving ignores SIGTERM, so every copy that ends takes all of it."""
        return math.ceil(self.drain_seconds) + math.ceil(self.longest_request_seconds) + SPARE_SECONDS


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """An nginx before the server of each copy. `image` is named by its digest; the others are names of Secrets."""

    image: str
    tls_secret: str = ""
    users_secret: str = ""
    callers_secret: str = ""
    cpu: float = 0.1
    memory_bytes: int = 128 * 2**20


def of_model(written: str, model: str) -> str:
    """A host or address with the model's name in it."""
    return _MODEL.sub(model, written)


def names_model(written: str) -> bool:
    """Whether it differs by model."""
    return _MODEL.search(written) is not None

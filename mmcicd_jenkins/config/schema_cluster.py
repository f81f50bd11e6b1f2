"""The keys under `environments` that only kind kubernetes has: how copies run, and how they are reached."""

from typing import Annotated, Literal

from mmcicd_jenkins.config.section import (
    Duration,
    Kind,
    Number,
    Section,
    Size,
    Text,
    Texts,
    Whole,
    key,
    required,
)

_TextMap = Annotated[dict[str, Text], Kind("mapping")]


class NodePortsSection(Section):
    """Ports that are the same on every node."""

    rest: Whole | None = key(None, "For REST. Default: chosen by the cluster.", 30501, ge=1, le=65535)
    grpc: Whole | None = key(None, "For gRPC. Default: chosen by the cluster.", 30500, ge=1, le=65535)


class ServiceSection(Section):
    """The Service of each model, named as the model."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = key("ClusterIP", "Its type.", "LoadBalancer")
    annotations: _TextMap = key(
        {}, "Annotations, as load balancers want them.", {"acme.example/internal": "true"}
    )
    node_ports: NodePortsSection = key({}, "Fixed ports of type NodePort and LoadBalancer.", {"rest": 30501})


class IngressSection(Section):
    """REST by a host name."""

    host: Text = required("The host; `MODEL` in it becomes the model's name.", "MODEL.ml.acme.example")
    class_name: Text | None = key(
        None, "The ingress class. Default: the cluster's default class.", "nginx", alias="class"
    )
    tls_secret: Text | None = key(None, "The Secret with its certificate.", "ml-acme-tls")
    annotations: _TextMap = key(
        {}, "Annotations, as its controller wants them.", {"acme.example/limit": "50"}
    )


class AddressSection(Section):
    """How agents outside the cluster reach the Service, for smoke tests and metrics."""

    rest: Text | None = key(
        None,
        "For REST; `MODEL` in it becomes the model's name. Default: the ingress, else the Service's own address.",
        "http://MODEL.ml.acme.example",
    )
    grpc: Text | None = key(
        None,
        "HOST:PORT for gRPC, grpcs://HOST:PORT over TLS. Default: the Service's own address.",
        "MODEL-grpc.ml.acme.example:8500",
    )


class TolerationSection(Section):
    """A taint of nodes that copies may run on."""

    taint: Text | None = key(None, "The taint's key. Default: every taint.", "nvidia.com/gpu", alias="key")
    operator: Literal["Equal", "Exists"] | None = key(
        None, "Default: `Equal` when there is a value, else `Exists`.", "Exists"
    )
    value: Text | None = key(None, "The taint's value.", "a100")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = key(
        None, "Default: every effect.", "NoSchedule"
    )
    seconds: Whole | None = key(
        None, "For NoExecute: how long a copy stays. Default: for ever.", 300, ge=0, le=10**9
    )


class PodsSection(Section):
    """Where copies run, and the times of their lives."""

    pull_secrets: Texts = key([], "Secrets to pull images with.", ["registry-pull"])
    node_selector: _TextMap = key({}, "Labels of the nodes that may run them.", {"pool": "serving"})
    tolerations: Annotated[list[TolerationSection], Kind("list of tolerations")] = key(
        [], "Taints of nodes that they may run on.", [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    )
    priority_class: Text | None = key(None, "Their priority class.", "serving")
    gpu_resource: Text = key("nvidia.com/gpu", "What a GPU is called in this cluster.", "amd.com/gpu")
    cpu_limit: Number | None = key(
        None,
        "At most so many CPU cores. Default: what a node has to spare, because a limit slows single requests down.",
        4,
        gt=0,
        le=1024,
    )
    start_timeout: Duration = key(
        "5m", "How long a copy may take to load its model; then it is started anew.", "15m"
    )
    min_ready: Duration = key("10s", "How long a new copy must answer before an old one goes.", "30s")
    drain: Duration = key(
        "10s", "How long a copy that is to end serves on, until everybody knows that it is to end.", "15s"
    )
    longest_request: Duration = key(
        "10s", "How long a request may take; a copy that ends gets this time for the last ones.", "60s"
    )


class ProxySection(Section):
    """An nginx in each copy that answers for its server: it ends connections gently, ends TLS, asks callers who they are."""

    image: Text = required(
        "The image of an nginx 1.19.10 or newer, by its digest.",
        "registry.acme.example/nginx@sha256:" + "9" * 64,
    )
    tls_secret: Text | None = key(
        None, "The Secret of type kubernetes.io/tls with its certificate. Default: no TLS.", "churn-tls"
    )
    users_secret: Text | None = key(
        None, "A Secret whose key `users` is an htpasswd file; others are refused.", "model-users"
    )
    callers_secret: Text | None = key(
        None,
        "A Secret whose key `ca.crt` signs the certificates of callers; others are refused.",
        "callers-ca",
    )
    cpu: Number = key(0.1, "CPU cores.", 0.5, gt=0, le=64)
    memory: Size = key("128Mi", "Memory.", "256Mi")

"""The part of `config.resolve` for kind kubernetes. No decision but defaults that rest on another key."""

from mmcicd_jenkins.config import cluster_model as made
from mmcicd_jenkins.config import schema_cluster as schema
from mmcicd_jenkins.config import schema_training
from mmcicd_jenkins.config.training_model import TrainingJob

# What pulling an image may take.
_PULL_SECONDS = 300


def pods(written: schema.PodsSection) -> made.Pods:
    return made.Pods(
        pull_secrets=written.pull_secrets,
        node_selector=written.node_selector,
        tolerations=tuple(_toleration(one) for one in written.tolerations),
        priority_class=written.priority_class or "",
        gpu_resource=written.gpu_resource,
        cpu_limit=written.cpu_limit or 0.0,
        start_timeout_seconds=written.start_timeout,
        min_ready_seconds=written.min_ready,
        drain_seconds=written.drain,
        longest_request_seconds=written.longest_request,
    )


def progress_timeout(written: float | None, pods: schema.PodsSection) -> float:
    return written or pods.start_timeout + pods.min_ready + _PULL_SECONDS


def training_job(written: schema_training.JobSection) -> TrainingJob:
    return TrainingJob(
        cluster=written.cluster,
        namespace=written.namespace,
        cpu=written.cpu,
        memory_bytes=written.memory,
        shared_memory_bytes=written.shared_memory or 0,
        gpu_resource=written.gpu_resource,
        workers=written.workers,
        checkpoints=written.checkpoints or "",
        secrets=written.secrets,
        pull_secrets=written.pull_secrets,
        node_selector=written.node_selector,
        tolerations=tuple(_toleration(one) for one in written.tolerations),
        priority_class=written.priority_class or "",
        start_timeout_seconds=written.start_timeout,
        stop_on_abort=written.stop_on_abort,
    )


def _toleration(written: schema.TolerationSection) -> made.Toleration:
    return made.Toleration(
        key=written.taint or "",
        operator=written.operator or ("Equal" if written.value else "Exists"),
        value=written.value or "",
        effect=written.effect or "",
        seconds=written.seconds,
    )


def service(written: schema.ServiceSection) -> made.Service:
    return made.Service(
        type=written.type,
        annotations=written.annotations,
        rest_node_port=written.node_ports.rest or 0,
        grpc_node_port=written.node_ports.grpc or 0,
    )


def ingress(written: schema.IngressSection) -> made.Ingress:
    return made.Ingress(
        host=written.host,
        class_name=written.class_name or "",
        tls_secret=written.tls_secret or "",
        annotations=written.annotations,
    )


def proxy(written: schema.ProxySection) -> made.Proxy:
    return made.Proxy(
        image=written.image,
        tls_secret=written.tls_secret or "",
        users_secret=written.users_secret or "",
        callers_secret=written.callers_secret or "",
        cpu=written.cpu,
        memory_bytes=written.memory,
    )


def address(written: schema.AddressSection, by: schema.IngressSection | None) -> made.Address:
    """An ingress is reached by its host; only what nobody wrote is taken from it."""
    scheme = "https" if by and by.tls_secret else "http"
    return made.Address(
        rest=(written.rest or (f"{scheme}://{by.host}" if by else "")).rstrip("/"), grpc=written.grpc or ""
    )

"""The keys under `environments`: places to serve, how they change, who may change them, how they are watched."""

from typing import Annotated, ClassVar, Literal

from mmcicd_jenkins.config.schema_cluster import (
    AddressSection,
    IngressSection,
    PodsSection,
    ProxySection,
    ServiceSection,
)
from mmcicd_jenkins.config.section import (
    Duration,
    Gates,
    Kind,
    Number,
    Section,
    Share,
    Steps,
    Text,
    Texts,
    Truth,
    Whole,
    key,
    required,
)


class AutoscaleSection(Section):
    """Add copies under load. Kubernetes."""

    max: Whole = required("At most this many copies.", 18, ge=1, le=10_000)
    cpu: Share = key("70%", "The CPU load to hold.", "70%")


class LimitsSection(Section):
    """Looks of one outcome in a row that end a step of a canary."""

    failed: Whole = key(3, "So many that fail a check end the canary.", 1, ge=1)
    inconclusive: Whole = key(
        1, "So many that decide nothing, after the time of a step, ask a person.", 3, ge=1
    )
    error: Whole = key(5, "So many that nobody answered end the canary.", 10, ge=1)


class CanarySection(Section):
    """Canary copies beside the stable ones, growing in steps while both are compared."""

    steps: Steps = required(
        "The share of traffic and for how long.", ["10% for 15m", "50% for 30m"], min_length=1
    )
    checks: Gates = key(
        ["error_rate <= stable + 0.001", "latency_p99 <= stable * 1.2"],
        "Rules on the canary; `stable` is what the stable copies show at the same time.",
        ["error_rate <= stable + 0.001"],
    )
    min_requests: Whole = key(1000, "Requests of each side below which a step does not decide.", 500, ge=1)
    command: Text | None = key(
        None,
        "A check of your own at the end of each step. Exit 0: passed, 4: failed, 6: inconclusive, any other: error.",
        "./ops/check.sh",
    )
    every: Duration = key("30s", "How often a look is taken.", "1m")
    limits: LimitsSection = key({}, "How many looks it takes.", {"failed": 1})


class StrategySection(Section):
    """How a new version takes over. The kind may stand alone."""

    shorthand: ClassVar[str] = "kind"

    kind: Literal["rolling", "canary", "blue-green"] | None = key(
        None, "Default: `canary` when `canary` is there, else `rolling`.", "blue-green"
    )
    canary: CanarySection | None = key(None, "The steps of a canary.", {"steps": ["10% for 15m"]})


class ApprovalSection(Section):
    """Who lets a version in. One or several names may stand alone."""

    shorthand: ClassVar[str] = "by"
    shorthand_list: ClassVar[bool] = True

    by: Texts = key([], "People or groups of Jenkins who may approve.", ["ml-approvers"])
    four_eyes: Truth = key(False, "Who starts a promotion cannot approve it.", True)
    expires: Duration = key("3d", "How long a request for approval waits.", "1d")


class RollbackSection(Section):
    """Who, and what, may take a version back."""

    by: Texts = key([], "People or groups of Jenkins who may roll back.", ["ml-oncall"])
    automatic: Truth = key(True, "Monitoring may roll back, once, for causes that a rollback cures.", False)


class WindowSection(Section):
    """Act when errors use up the budget this many times too fast over both times."""

    rate: Number = required("How many times too fast.", 14.4, gt=0)
    long: Duration = required("The longer time.", "1h")
    short: Duration = required("The shorter time.", "5m")


class SloSection(Section):
    """What the service promises."""

    availability: Share = key("99.9%", "The share of requests answered without an error.", "99.9%")
    latency_p99: Duration | None = key(None, "99 of 100 requests are answered within it.", "80 ms")


class MonitorSection(Section):
    """How a serving model is watched."""

    every: Duration = key("5m", "How often a look is taken.", "5m")
    watch: Duration = key(
        "24h",
        "How long a promoted version is watched: until then it is taken back when its copies die.",
        "24h",
    )
    prometheus: Text | None = key(
        None,
        "The Prometheus to ask; without it the pods themselves are. Kind kubernetes.",
        "https://prometheus.acme.example",
    )
    slo: SloSection = key({}, "What the service promises.", {"availability": "99.9%", "latency_p99": "80 ms"})
    windows: Annotated[list[WindowSection], Kind("list of windows")] = key(
        [{"rate": 14.4, "long": "1h", "short": "5m"}, {"rate": 6, "long": "6h", "short": "30m"}],
        "The pairs of times over which the error budget is looked at.",
        [{"rate": 14.4, "long": "1h", "short": "5m"}],
    )
    min_requests: Whole = key(1000, "Requests in a window below which nothing is done.", 50, ge=1)
    min_errors: Whole = key(10, "Errors in a window below which nothing is done.", 5, ge=1)
    bad_windows: Whole = key(3, "Bad looks in a row before something is done.", 3, ge=1)
    good_windows: Whole = key(6, "Good looks in a row before an alarm ends.", 6, ge=1)
    drift_min_predictions: Whole = key(500, "Predictions below which drift is not judged.", 500, ge=1)
    cooldown: Duration = key("6h", "After an automatic rollback none follows for this long.", "6h")


class EnvironmentSection(Section):
    """A named place to serve."""

    kind: Literal["local", "kubernetes"] = key("local", "`local` is this machine.", "kubernetes")
    folder: Text | None = key(
        None,
        "Where its server keeps its state. Kind local. Jenkins needs an absolute path, as each job has a checkout of "
        "its own. Default: beside the checkout.",
        "/srv/mmcicd/production",
    )
    host: Text = key("127.0.0.1", "The address to listen on. Kind local.", "0.0.0.0")  # noqa: S104 - an example of the docs
    rest_port: Whole | None = key(
        None, "The port for REST. Kind local. Default: 8501 for the last environment, 8601 for the one before it.", 8501,
        ge=1, le=65535,
    )  # fmt: skip
    grpc_port: Whole | None = key(
        None, "The port for gRPC. Kind local. Default: 8500 for the last environment, 8600 for the one before it.", 8500,
        ge=1, le=65535,
    )  # fmt: skip
    cluster: Text | None = key(
        None,
        "The address of the API server; any other is refused. Kind kubernetes.",
        "https://k8s.acme.example:6443",
    )
    namespace: Text | None = key(None, "The namespace. Kind kubernetes.", "ml")
    replicas: Whole = key(1, "Copies that serve. Kind kubernetes.", 3, ge=1, le=10_000)
    autoscale: AutoscaleSection | None = key(
        None, "Add copies under load. Kind kubernetes.", {"max": 18, "cpu": "70%"}
    )
    pods: PodsSection = key(
        {},
        "Where copies run, and the times of their lives. Kind kubernetes.",
        {"node_selector": {"pool": "serving"}},
    )
    service: ServiceSection = key({}, "The Service of each model. Kind kubernetes.", {"type": "LoadBalancer"})
    ingress: IngressSection | None = key(
        None, "REST by a host name. Kind kubernetes.", {"host": "MODEL.ml.acme.example"}
    )
    address: AddressSection = key(
        {},
        "How agents outside the cluster reach it. Kind kubernetes.",
        {"rest": "http://MODEL.ml.acme.example"},
    )
    allow_from: Texts = key(
        [],
        "Who may send requests beside the same namespace: namespaces, and addresses such as 10.0.0.0/8. Kind kubernetes.",
        ["ingress", "monitoring"],
    )
    proxy: ProxySection | None = key(
        None,
        "An nginx in each copy, before its server. Kind kubernetes.",
        {"image": f"registry.acme.example/nginx@sha256:{'9' * 64}", "tls_secret": "churn-tls"},
    )
    progress_timeout: Duration | None = key(
        None,
        "How long a rollout may go without one more copy becoming ready, pulling its image included. Kind kubernetes. "
        "Default: 5m more than `pods.start_timeout` and `pods.min_ready`.",
        "20m",
    )
    strategy: StrategySection = key({}, "How a new version takes over. Kind kubernetes.", "rolling")
    approval: ApprovalSection = key({}, "Who lets a version in.", {"by": ["ml-approvers"]})
    rollback: RollbackSection = key({}, "Who, and what, may take a version back.", {"by": ["ml-oncall"]})
    monitor: MonitorSection = key({}, "How a serving model is watched.", {"every": "5m"})

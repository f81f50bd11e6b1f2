"""What a complete, valid configuration is. Frozen data; `config.load` makes it, everyone else reads it.

Durations are seconds, sizes are bytes, shares are fractions between 0 and 1. Paths are relative to
`Config.root` and use `/`.
"""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Literal

from mmcicd_jenkins.config.cluster_model import Address, Ingress, Pods, Proxy, Service
from mmcicd_jenkins.config.training_model import TrainingJob
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canary_limits import Limits
from mmcicd_jenkins.release.rules import Rule

Problem = Literal["binary", "multiclass", "multilabel", "regression"]


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """One data source. `url` is a path relative to the root, or an fsspec URL (https, s3, gs, ...)."""

    name: str
    url: str
    label: str = ""
    test_size: float = 0.0
    group_by: str = ""
    role: Literal["train", "test"] = "train"
    schema: str = ""


@dataclass(frozen=True, kw_only=True)
class Training:
    command: str
    requirements: str = ""  # "" = run in the environment that is there
    image: str = ""
    params: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0
    gpus: int = 0
    timeout_seconds: float = 24 * 3600.0
    job: TrainingJob | None = None
    # Globs relative to the model's path; () = everything but `config.defaults.DEFAULT_LEFT_OUT`.
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Built in for `problem`, or the team's own `command` that writes metrics.json."""

    problem: Problem | None = None
    command: str = ""
    signature: str = "serving_default"
    output: str = ""  # "" = the only output of the signature
    threshold: float = 0.5
    slices: tuple[str, ...] = ()
    batch_size: int = 1024


@dataclass(frozen=True, kw_only=True)
class Serving:
    cpu: float = 1.0
    memory_bytes: int = 2 * 2**30
    gpus: int = 0
    warmup: bool = True
    # Operations that the model may hold although they are on no list of safe ones.
    allow_ops: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Model:
    name: str
    path: str = "."
    data: tuple[DataSource, ...]
    test: str = ""  # "" = no unit tests
    train: Training
    evaluate: Evaluation
    gates: tuple[Rule, ...] = ()
    min_samples: int = 100
    serving: Serving = field(default_factory=Serving)

    @property
    def columns_to_slice(self) -> tuple[str, ...]:
        """Every column by which a gate or the report slices, in order, once."""
        named = [*self.evaluate.slices, *(column for rule in self.gates for column in rule.columns)]
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True, kw_only=True)
class Approval:
    by: tuple[str, ...] = ()
    four_eyes: bool = False
    expires_seconds: float = 3 * 86400.0


@dataclass(frozen=True, kw_only=True)
class RollbackPolicy:
    by: tuple[str, ...] = ()
    automatic: bool = True


@dataclass(frozen=True, kw_only=True)
class BurnWindow:
    """Act when the error budget burns `rate` times too fast over both windows (SRE workbook, chapter 5)."""

    rate: float
    long_seconds: float
    short_seconds: float


@dataclass(frozen=True, kw_only=True)
class Monitor:
    every_seconds: float = 300.0
    watch_seconds: float = 86400.0
    prometheus: str = ""
    availability: float = 0.999
    latency_p99_seconds: float = 0.0  # 0 = no latency objective
    windows: tuple[BurnWindow, ...] = (
        BurnWindow(rate=14.4, long_seconds=3600.0, short_seconds=300.0),
        BurnWindow(rate=6.0, long_seconds=6 * 3600.0, short_seconds=1800.0),
    )
    min_requests: int = 1000
    min_errors: int = 10
    bad_windows: int = 3
    good_windows: int = 6
    drift_min_predictions: int = 500
    cooldown_seconds: float = 6 * 3600.0


@dataclass(frozen=True, kw_only=True)
class CanaryStep:
    share: float
    hold_seconds: float


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """What follows `kind` belongs to a canary. `command` is a check of the team's own; "" = none."""

    kind: Literal["rolling", "canary", "blue-green"] = "rolling"
    steps: tuple[CanaryStep, ...] = ()
    checks: tuple[Rule, ...] = ()
    min_requests: int = 1000
    command: str = ""
    every_seconds: float = 30.0
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A named place to serve. `folder`, `rest_port`, `grpc_port` and `host` belong to kind `local`; what follows them
    up to `strategy` to kind `kubernetes`.
    """

    name: str
    kind: Literal["local", "kubernetes"] = "local"
    folder: str = ""  # "" = below .mmcicd in the checkout; Jenkins has a checkout per job
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    cluster: str = ""
    namespace: str = ""
    replicas: int = 1
    autoscale_max: int = 0
    autoscale_cpu: float = 0.0
    pods: Pods = field(default_factory=Pods)
    service: Service = field(default_factory=Service)
    ingress: Ingress | None = None
    address: Address = field(default_factory=Address)
    allow_from: tuple[str, ...] = ()
    proxy: Proxy | None = None
    progress_timeout_seconds: float = 610.0
    strategy: Strategy = field(default_factory=Strategy)
    approval: Approval = field(default_factory=Approval)
    rollback: RollbackPolicy = field(default_factory=RollbackPolicy)
    monitor: Monitor = field(default_factory=Monitor)


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """An OCI registry (`registry`), or an OCI image layout directory (`path`, relative to the repository)."""

    path: str
    registry: str = ""
    compression: Literal["none", "gzip"] = "gzip"
    ca: str = ""
    insecure: bool = False
    upload_chunk: int = 0  # bytes; 0 = each blob in one stream


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What `gc` keeps: a count of releases (None: all), the others in seconds."""

    releases: int | None = None
    runs: float = 30 * 86400.0
    branches: float = 7 * 86400.0
    minimum: float = 86400.0


@dataclass(frozen=True, kw_only=True)
class LedgerSettings:
    url: str


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    base: str = ""  # "" = no base: model and version layers only
    gpu_base: str = ""  # "" = `base` for models that serve on GPUs too
    verify_with: tuple[str, ...] = ()  # further bases on which a version is tried, never released
    elsewhere: tuple[str, ...] = ()  # of the file's `verify_with` those that `config.laptop` left out
    platforms: tuple[str, ...] = ()  # () = all that the base has
    user: str = ""  # "" = the base's when it is not root, else image.start.USER
    monitoring: bool = True
    builder: Literal["layers", "docker"] = "layers"
    dockerfile: str = ""  # the next three belong to builder docker; paths are relative to the root
    context: str = "."
    build_args: Mapping[str, str] = field(default_factory=dict)

    def base_for(self, serving: Serving) -> str:
        """The base of a model, as it is written."""
        return (self.gpu_base if serving.gpus else "") or self.base

    def base_key(self, serving: Serving) -> str:
        return "image.gpu_base" if serving.gpus and self.gpu_base else "image.base"


@dataclass(frozen=True, kw_only=True)
class Pod:
    """An agent that is made for one stage in a Kubernetes cluster. Empty texts and zeros are the cluster's defaults.

    `checkpoints` is a volume claim that outlives the pod; `cloud` the name that Jenkins gives the cluster.
    """

    image: str
    gpus: int = 0
    cpu: float = 0.0
    memory_bytes: int = 0
    shared_memory_bytes: int = 0
    node_selector: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""
    namespace: str = ""
    cloud: str = ""
    checkpoints: str = ""


@dataclass(frozen=True, kw_only=True)
class JenkinsSettings:
    """`agents` by stage: a label, or a pod. `timeouts` by stage, in seconds; `main` is the protected branch."""

    url: str = ""
    folder: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    main: str = "main"
    agents: Mapping[str, str | Pod] = field(default_factory=dict)
    timeouts: Mapping[str, float] = field(default_factory=dict)
    branches: Mapping[str, str] = field(default_factory=dict)
    pull_requests: Mapping[str, str] = field(default_factory=dict)
    retrain: str = ""  # Jenkins' cron
    credentials: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    permissions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cli: str = ""  # requirement, wheel path or git address from which mmcicdw installs; "" = this version


@dataclass(frozen=True, kw_only=True)
class Extends:
    """Where the platform file comes from: a git repository, what is followed in it ("" = its HEAD), and the path."""

    url: str
    ref: str = ""
    file: str = "platform.yaml"


@dataclass(frozen=True, kw_only=True)
class Config:
    """All of it. `environments` keep the order of the file: all but the last are deployed to without a
    person, the last is promoted to.
    """

    root: Path
    file: str
    models: Mapping[str, Model]
    environments: Mapping[str, Environment]
    store: StoreSettings
    ledger: LedgerSettings
    image: ImageSettings
    jenkins: JenkinsSettings | None
    hooks: Mapping[str, str] = field(default_factory=dict)
    extends: Extends | None = None
    retention: Retention = field(default_factory=Retention)
    marks: Mapping[str, str] = field(default_factory=dict)  # dotted key -> file:line:column

    @property
    def production(self) -> Environment:
        return list(self.environments.values())[-1]

    @property
    def before_production(self) -> tuple[Environment, ...]:
        return tuple(self.environments.values())[:-1]

    def mark(self, key: str) -> str:
        """`file:line:column` of a dotted key, or of its nearest parent that stands in the file."""
        while key:
            if key in self.marks:
                return self.marks[key]
            key = key.rpartition(".")[0]
        return self.file

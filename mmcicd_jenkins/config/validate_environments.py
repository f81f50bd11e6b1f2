"""Environments: what belongs to which kind, ports that meet, and canary shares that the replicas can give."""

from mmcicd_jenkins.config.defaults import local_ports
from mmcicd_jenkins.config.findings import Findings
from mmcicd_jenkins.config.marks import KeyPath, dotted
from mmcicd_jenkins.config.metrics import LIVE_METRICS, nearest_metric
from mmcicd_jenkins.config.schema import FileSection
from mmcicd_jenkins.config.schema_environments import CanarySection, EnvironmentSection
from mmcicd_jenkins.config.validate_cluster import check_clusters
from mmcicd_jenkins.release.shares import nearest_share

# Keys that only one kind of environment has a use for.
_LOCAL = ("folder", "host", "rest_port", "grpc_port")
_KUBERNETES = (
    "cluster", "namespace", "replicas", "autoscale", "pods", "service", "ingress", "address", "allow_from", "proxy",
    "progress_timeout", "strategy",
)  # fmt: skip
# How far the share that whole copies give may be from the one that was asked for.
_TOLERANCE = 0.2


def check_environments(file: FileSection, findings: Findings) -> None:
    for name, environment in file.environments.items():
        _check_kind(("environments", name), environment, findings)
        canary = environment.strategy.canary
        if canary:
            _check_canary(("environments", name, "strategy"), environment, canary, findings)
        if environment.autoscale and environment.autoscale.max < environment.replicas:
            at = ("environments", name, "autoscale", "max")
            findings.add(
                at, f"less than the {environment.replicas} replicas to start with", "write a larger number"
            )
        windows = environment.monitor.windows
        for index, window in enumerate(windows):
            if window.short >= window.long:
                at_window = ("environments", name, "monitor", "windows", index, "short")
                findings.add(at_window, "the shorter time is not shorter", "write less than `long`")
    check_clusters(file, findings)
    _check_ports(file, findings)
    _check_approval(file, findings)


def _check_kind(at: KeyPath, environment: EnvironmentSection, findings: Findings) -> None:
    local = environment.kind == "local"
    for key in _KUBERNETES if local else _LOCAL:
        if key in environment.written:
            other = "kubernetes" if local else "local"
            fix = f"delete it, or write `kind: {other}`"
            findings.add((*at, key), f"belongs to kind {other}", fix, on="key")
    if not local:
        for key, example in (("cluster", "https://k8s.acme.example:6443"), ("namespace", "ml")):
            if getattr(environment, key) is None:
                fix = f"add it, for example `{key}: {example}`"
                findings.add((*at, key), "is missing; kind kubernetes needs it", fix, on="key")


def _check_canary(
    at: KeyPath, environment: EnvironmentSection, canary: CanarySection, findings: Findings
) -> None:
    if environment.strategy.kind not in (None, "canary"):
        findings.add(
            (*at, "kind"), "`canary` is written below it", "write `kind: canary`, or delete `canary`"
        )
    before = 0.0
    for index, step in enumerate(canary.steps):
        place = (*at, "canary", "steps", index)
        if step.share <= before:
            findings.add(place, "steps must grow", f"write more than {percent(before)}")
        before = step.share
        copies, given = nearest_share(step.share, environment.replicas)
        if abs(given - step.share) > _TOLERANCE * step.share:
            what = f"{environment.replicas} replicas cannot give {percent(step.share)}: "
            what += f"{copies} beside them {'is' if copies == 1 else 'are'} {percent(given)}"
            findings.warn(place, what, f"shares that can be given: {', '.join(shares(environment.replicas))}")
    if not canary.checks and not canary.command:
        fix = "delete `checks` for errors and latency compared with stable, or add a `command` of your own"
        findings.add((*at, "canary", "checks"), "nothing would be checked", fix)
    for index, rule in enumerate(canary.checks):
        place = (*at, "canary", "checks", index)
        if rule.limit.baseline == "champion":
            what = "a canary is compared with what serves beside it"
            fix, span = "write stable instead of champion", findings.span_of(place, "champion")
            findings.add(place, what, fix, span=span)
        if rule.columns:
            findings.add(place, "a canary is not measured by columns", "delete the part after the limit")
        if rule.metric not in LIVE_METRICS:
            fix = nearest_metric(rule.metric, LIVE_METRICS)
            span = findings.span_of(place, rule.metric)
            findings.add(place, f"{rule.metric} is not measured on a canary", fix, span=span)


def shares(replicas: int) -> list[str]:
    """The shares that up to as many canary copies as stable ones can give; the first few."""
    given = [percent(copies / (replicas + copies)) for copies in range(1, replicas + 1)]
    return given if len(given) <= 6 else [*given[:5], "...", given[-1]]


def percent(share: float) -> str:
    return f"{share * 100:.1f}".removesuffix(".0") + "%"


def _check_ports(file: FileSection, findings: Findings) -> None:
    """Ports as they will be, those that nobody wrote included."""
    defaults = local_ports({name: e.kind for name, e in file.environments.items()})
    taken: dict[tuple[str, int], KeyPath] = {}
    for name, environment in file.environments.items():
        if environment.kind != "local":
            continue
        for key, default in zip(("rest_port", "grpc_port"), defaults[name], strict=True):
            at: KeyPath = ("environments", name, key)
            port = getattr(environment, key) or default
            first = taken.setdefault((environment.host, port), at)
            if first != at:
                findings.add(
                    at, f"port {port} is taken by {dotted(first)}", f"write another `{key}`", on="key"
                )


def _check_approval(file: FileSection, findings: Findings) -> None:
    """On a shared Jenkins a promotion that anybody may approve is a hole; on a laptop the person asks himself."""
    if not file.jenkins or not file.environments:
        return
    name, last = list(file.environments.items())[-1]
    at: KeyPath = ("environments", name)
    if not last.approval.by:
        what = "anybody who may start a build may approve a promotion"
        findings.warn(at, what, "add `approval: {by: [GROUP]}`")

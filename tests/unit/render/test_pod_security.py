"""Pod Security Standards, on small pods of our own: which field, what may stand there, and in which kinds of document.

Kubernetes' own examples are in tests/real/test_pod_security_fixtures.py.
"""

import copy
from typing import Any

import pytest

from mmcicd_jenkins.render.pod_security import pod_security

CONTEXT = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "securityContext": CONTEXT}],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    },
}
# Each with the level at which it is wrong: path of keys, value, and the field that must be named.
MISTAKES: list[tuple[str, tuple[Any, ...], Any, str]] = [
    ("baseline", ("hostNetwork",), True, "spec.hostNetwork"),
    ("baseline", ("hostPID",), True, "spec.hostPID"),
    ("baseline", ("volumes", 0, "hostPath"), {"path": "/"}, "spec.volumes[0].hostPath"),
    ("baseline", ("containers", 0, "ports"), [{"hostPort": 80}], "spec.containers[0].ports[0].hostPort"),
    (
        "baseline",
        ("containers", 0, "readinessProbe"),
        {"httpGet": {"host": "10.0.0.1", "port": 1}},
        "spec.containers[0].readinessProbe.httpGet.host",
    ),
    (
        "baseline",
        ("containers", 0, "lifecycle"),
        {"preStop": {"tcpSocket": {"host": "x", "port": 1}}},
        "spec.containers[0].lifecycle.preStop.tcpSocket.host",
    ),
    (
        "baseline",
        ("containers", 0, "securityContext", "privileged"),
        True,
        "spec.containers[0].securityContext.privileged",
    ),
    (
        "baseline",
        ("containers", 0, "securityContext", "capabilities"),
        {"drop": ["ALL"], "add": ["NET_RAW"]},
        "spec.containers[0].securityContext.capabilities.add",
    ),
    (
        "baseline",
        ("containers", 0, "securityContext", "procMount"),
        "Unmasked",
        "spec.containers[0].securityContext.procMount",
    ),
    (
        "baseline",
        ("securityContext", "seccompProfile", "type"),
        "Unconfined",
        "spec.securityContext.seccompProfile.type",
    ),
    (
        "baseline",
        ("securityContext", "appArmorProfile"),
        {"type": "Unconfined"},
        "spec.securityContext.appArmorProfile.type",
    ),
    (
        "baseline",
        ("securityContext", "sysctls"),
        [{"name": "kernel.msgmax", "value": "1"}],
        "spec.securityContext.sysctls[0].name",
    ),
    (
        "baseline",
        ("securityContext", "seLinuxOptions"),
        {"role": "r"},
        "spec.securityContext.seLinuxOptions.role",
    ),
    (
        "restricted",
        ("containers", 0, "securityContext", "allowPrivilegeEscalation"),
        True,
        "spec.containers[0].securityContext.allowPrivilegeEscalation",
    ),
    (
        "restricted",
        ("containers", 0, "securityContext", "capabilities"),
        {"drop": ["NET_RAW"]},
        "spec.containers[0].securityContext.capabilities.drop",
    ),
    ("restricted", ("securityContext", "runAsUser"), 0, "spec.securityContext.runAsUser"),
    ("restricted", ("securityContext", "runAsNonRoot"), False, "spec.securityContext.runAsNonRoot"),
    (
        "restricted",
        ("containers", 0, "securityContext", "runAsNonRoot"),
        False,
        "spec.containers[0].securityContext.runAsNonRoot",
    ),
    ("restricted", ("volumes", 0), {"name": "tmp", "nfs": {"server": "s"}}, "spec.volumes[0].nfs"),
    (
        "restricted",
        ("securityContext", "seccompProfile"),
        None,
        "spec.containers[0].securityContext.seccompProfile.type",
    ),
]


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    pod = copy.deepcopy(POD)
    at = pod["spec"]
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return pod


@pytest.mark.parametrize(("level", "path", "value", "field"), MISTAKES, ids=[m[3] for m in MISTAKES])
def test_a_mistake_is_named_by_its_field(level: str, path: tuple[Any, ...], value: Any, field: str) -> None:
    pod = changed(path, value)

    assert field in [violation.field for violation in pod_security(pod, "restricted")]
    assert bool(pod_security(pod, "baseline")) is (level == "baseline")


def test_the_pod_without_a_mistake_keeps_both_levels() -> None:
    assert pod_security(POD, "baseline") == pod_security(POD, "restricted") == ()


@pytest.mark.parametrize("kind", ["initContainers", "containers", "ephemeralContainers"])
def test_every_kind_of_container_is_looked_at(kind: str) -> None:
    pod = changed((kind,), [{"name": "d"}])

    fields = {violation.field for violation in pod_security(pod, "restricted")}

    assert f"spec.{kind}[0].securityContext.allowPrivilegeEscalation" in fields


def test_a_workload_is_looked_at_by_its_template() -> None:
    template = {"metadata": {}, "spec": {**POD["spec"], "hostNetwork": True}}
    deployment = {"kind": "Deployment", "spec": {"template": template}}
    cron = {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}}

    assert [v.field for v in pod_security(deployment)] == ["spec.template.spec.hostNetwork"]
    assert [v.field for v in pod_security(cron)] == ["spec.jobTemplate.spec.template.spec.hostNetwork"]


def test_a_document_without_pods_has_nothing_to_keep() -> None:
    assert pod_security({"kind": "Service", "spec": {"type": "NodePort"}}) == ()


@pytest.mark.parametrize(
    "spec", [None, [], "x", {"containers": {"a": 1}, "securityContext": "no", "volumes": 3}]
)
def test_a_document_of_the_wrong_shape_is_not_our_error(spec: Any) -> None:
    assert pod_security({"kind": "Pod", "metadata": None, "spec": spec}, "baseline") == ()


def test_a_user_namespace_loosens_nothing() -> None:
    pod = changed(("hostUsers",), False)
    pod["spec"]["securityContext"]["runAsUser"] = 0

    assert pod_security(pod)

"""A team's own template of a cluster's object: what it may change, and what is refused with file and field."""

import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.render.files import OWN_TEMPLATES
from mmcicd_jenkins.render.kubernetes import check_own_templates, render_manifest

OURS = Path(str(resources.files("mmcicd_jenkins.templates"))) / "kubernetes"
IMAGE = f"registry.example/ml/m@sha256:{'a' * 64}"
FILE = """\
models: {m: {train: ./t, evaluate: {command: ./e}, gates: [accuracy >= 0.5]}}
environments:
  live:
    kind: kubernetes
    cluster: https://k:6443
    namespace: ml
    replicas: 2
    autoscale: {max: 4}
"""
Change = Callable[[str, str, str], None]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "mmcicd.yaml").write_text(FILE)
    return load_config(tmp_path, environ={})


@pytest.fixture
def change(config: Config) -> Change:
    """Copy a template of ours and replace one text in the copy."""
    own = config.root / OWN_TEMPLATES / "kubernetes"

    def changed(name: str, old: str, new: str) -> None:
        own.mkdir(parents=True, exist_ok=True)
        text = (OURS / f"{name}.j2").read_text()
        assert old in text
        (own / f"{name}.j2").write_text(text.replace(old, new))

    return changed


def render(config: Config) -> dict:
    documents = render_manifest(config, config.models["m"], config.production, 1, IMAGE)
    return {document["kind"]: document for document in documents}


REFUSED = [
    ("deployment", "name: {{ deployment | yaml }}", "name: mine", "metadata.name"),
    ("deployment", "namespace: {{ namespace | yaml }}", "namespace: other", "metadata.namespace"),
    ("deployment", "labels: {{ deployment_labels | yaml }}", "labels: {a: b}", "metadata.labels.app.kubernetes.io/name"),
    (
        "deployment", "labels: {{ deployment_labels | yaml }}",
        "labels: {{ deployment_labels | yaml }}\n  annotations: {mmcicd.io/epoch: '9'}",
        "metadata.annotations.mmcicd.io/epoch",
    ),
    ("deployment", "matchLabels: {{ deployment_selector | yaml }}\n  strategy", "matchLabels: {a: b}\n  strategy", "spec.selector"),
    ("deployment", "maxUnavailable: 0", "maxUnavailable: 1", "spec.strategy.rollingUpdate.maxUnavailable"),
    ("deployment", "maxSurge: 1", "maxSurge: 0", "spec.strategy.rollingUpdate.maxSurge"),
    ("deployment", "maxSurge: 1", "maxSurge: true", "spec.strategy.rollingUpdate.maxSurge"),
    ("deployment", "type: RollingUpdate", "type: Recreate", "spec.strategy.type"),
    ("deployment", "revisionHistoryLimit: 3", "paused: true", "spec.paused"),
    ("deployment", "revisionHistoryLimit: 3", "replicas: 1", "spec.replicas"),
    ("deployment", "labels: {{ pod_labels | yaml }}", "labels: {a: b}", "spec.template.metadata.labels.app.kubernetes.io/name"),
    ("deployment", "image: {{ image | yaml }}", "image: m:latest", "spec.template.spec.containers[serving].image"),
    ("deployment", "name: serving", "name: server", "spec.template.spec.containers[serving].image"),
    ("deployment", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "spec.template.spec.automountServiceAccountToken"),
    ("deployment", "terminationGracePeriodSeconds: {{ grace_seconds | yaml }}", "terminationGracePeriodSeconds: 5", "spec.template.spec.terminationGracePeriodSeconds"),
    ("deployment", "seconds: {{ stop_seconds | yaml }}", "seconds: 1", "spec.template.spec.containers[serving].lifecycle.preStop.sleep.seconds"),
    ("deployment", "sleep:\n                seconds: {{ stop_seconds | yaml }}", "exec:\n                command: ['true']", "spec.template.spec.containers[serving].lifecycle.preStop.sleep.seconds"),
    ("deployment", "path: {{ answers_path | yaml }}", "path: /healthz", "spec.template.spec.containers[serving].startupProbe.httpGet"),
    ("deployment", "containerPort: {{ rest_port | yaml }}", "containerPort: 80", "spec.template.spec.containers[serving].ports[rest].containerPort"),
    ("deployment", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "spec.template.spec.containers[0].securityContext.allowPrivilegeEscalation"),
    ("deployment", "drop: [ALL]", "drop: []", "spec.template.spec.containers[0].securityContext.capabilities.drop"),
    ("deployment", "runAsUser: {{ user | yaml }}", "runAsUser: 0", "spec.template.spec.securityContext.runAsUser"),
    ("deployment", "enableServiceLinks: false", "hostNetwork: true", "spec.template.spec.hostNetwork"),
    (
        "deployment", "      containers:", "      initContainers: [{name: i, image: 'busybox:1'}]\n      containers:",
        "spec.template.spec.initContainers[0].image",
    ),
    ("service", "selector: {{ service_selector | yaml }}", "selector: {app: other}", "spec.selector"),
    ("service", "type: {{ service_type | yaml }}", "type: ExternalName", "spec.type"),
    ("service", "targetPort: rest", "targetPort: 80", "spec.ports[rest].targetPort"),
    ("disruption-budget", "matchLabels: {{ pod_selector | yaml }}", "matchLabels: {}", "spec.selector"),
    ("autoscaler", "name: {{ deployment | yaml }}", "name: another", "spec.scaleTargetRef"),
    ("autoscaler", "minReplicas: {{ min_replicas | yaml }}", "minReplicas: 1", "spec.minReplicas"),
    ("network-policy", "matchLabels: {{ pod_selector | yaml }}", "matchLabels: {a: b}", "spec.podSelector"),
    ("service", "kind: Service", "kind: ClusterRoleBinding", "kind"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "field"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_safety_rests_on_cannot_be_changed(
    config: Config, change: Change, name: str, old: str, new: str, field: str
) -> None:
    change(name, old, new)

    with pytest.raises(InputError) as refused:
        render(config)

    assert refused.value.where == f"{OWN_TEMPLATES}/kubernetes/{name}.j2"
    told = [
        refused.value.what.partition(": ")[0],
        *(one.partition(": ")[0] for one in refused.value.why.split("; ")),
    ]
    assert field in told
    assert refused.value.fix
    with pytest.raises(InputError):
        check_own_templates(config)


ALLOWED = [
    ("deployment", "revisionHistoryLimit: 3", "revisionHistoryLimit: 5"),
    ("deployment", "maxSurge: 1", "maxSurge: 2"),
    ("deployment", "periodSeconds: 5", "periodSeconds: 3"),
    ("deployment", "terminationGracePeriodSeconds: {{ grace_seconds | yaml }}", "terminationGracePeriodSeconds: 120"),
    ("deployment", "resources: {{ resources | yaml }}", "resources: {requests: {cpu: 3}}"),
    ("deployment", "labels: {{ pod_labels | yaml }}", "labels: {{ pod_labels | yaml }}\n      annotations: {sidecar.example/inject: 'true'}"),
    ("deployment", "imagePullPolicy: IfNotPresent", "imagePullPolicy: IfNotPresent\n          args: [--enable_batching]"),
    (
        "deployment", "      volumes:",
        f"        - {{name: log, image: 'acme/log@sha256:{'b' * 64}', securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}}}\n      volumes:",
    ),
    ("service", "sessionAffinity: None", "sessionAffinity: ClientIP"),
    ("network-policy", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress, Egress]\n  egress: [{to: [{ipBlock: {cidr: 10.0.0.1/32}}]}]"),
    ("autoscaler", "averageUtilization: {{ cpu_percent | yaml }}", "averageUtilization: 40"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new"), ALLOWED, ids=lambda v: str(v)[:40])
def test_how_copies_run_is_the_teams_own(
    config: Config, change: Change, name: str, old: str, new: str
) -> None:
    before = render(config)
    change(name, old, new)

    assert render(config) != before
    check_own_templates(config)


def test_a_copy_that_was_not_changed_changes_nothing(config: Config) -> None:
    before = render(config)
    shutil.copytree(OURS, config.root / OWN_TEMPLATES / "kubernetes")

    assert render(config) == before


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [", "no YAML"),
        ("a: 1\n---\nb: 2\n", "no YAML"),
        ("", "no object"),
        ("- a\n", "no object"),
        ("day: 2026-01-02\n", "cannot be kept"),
        ("number: .nan\n", "cannot be kept"),
        ("kind: !!python/object:os.system x\n", "no YAML"),
        ("{{ secret_of_jenkins | yaml }}", "cannot be rendered"),
        ("{{ namespace }}", "cannot be rendered"),
    ],
)
def test_a_template_that_gives_no_object_is_told_with_its_file(config: Config, text: str, what: str) -> None:
    own = config.root / OWN_TEMPLATES / "kubernetes"
    own.mkdir(parents=True)
    (own / "service.j2").write_text(text)

    with pytest.raises(InputError, match=what) as told:
        render(config)

    assert "kubernetes/service.j2" in told.value.where

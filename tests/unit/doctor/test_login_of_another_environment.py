"""Two environments with an account each, and one login at a time: only its own environment is judged by it."""

from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.ports.doctor import ClusterFacts
from mmcicd_jenkins.stages.doctor import examine
from mmcicd_jenkins.stages.doctor_cluster import Clusters, checks

FILE = """\
models: {churn: {train: ./t, evaluate: {command: ./e}, gates: [accuracy >= 0.5]}}
environments:
  staging: {kind: kubernetes, cluster: 'https://k8s.example:6443', namespace: ml-staging}
  production: {kind: kubernetes, cluster: 'https://k8s.example:6443', namespace: ml}
store: {registry: registry.example/ml}
"""


class Paper:
    """A namespace in which an account may what the test says."""

    def __init__(self, account, may):
        self.account, self.allowed = account, may

    def reach(self):
        return ClusterFacts(version="v1.34.4", account=self.account, ahead_seconds=0.0)

    def may(self, questions):
        return {question: self.allowed(question) for question in questions}

    def rules(self):
        return None

    def namespace(self):
        return None

    def quotas(self):
        return None


def found(folder: Path, account, may):
    (folder / "mmcicd.yaml").write_text(FILE)
    config = load_config(folder, environ={})
    return [
        each
        for each in examine(
            tuple(checks(Clusters(config=config, open=lambda _place, _key: Paper(account, may))))
        )
        if each.severity != "ok" and each.check == "staging"
    ]


@pytest.mark.parametrize("role", ["deployer", "monitor"])
def test_an_account_of_production_is_no_finding_about_staging_but_a_word(tmp_path, role):
    account = f"system:serviceaccount:ml:mmcicd-{role}"
    (told,) = found(tmp_path, account, lambda question: question.namespace == "ml")
    assert told.severity == "warn"
    assert f"the login is ml/mmcicd-{role}, the account of production" in told.what
    # Whoever only looks is never offered the rights of the one who deploys.
    assert f"render rbac --env staging --bind {role}=account:ml/mmcicd-{role}" in told.fix


def test_one_that_is_bound_to_both_is_judged_in_both(tmp_path):
    account = "system:serviceaccount:ml:mmcicd-deployer"
    told = found(tmp_path, account, lambda question: question.verb == "list")[0]
    assert told.severity == "fail"
    assert "--bind deployer=account:ml/mmcicd-deployer" in told.fix


def test_a_login_of_nobodys_making_is_judged_everywhere(tmp_path):
    (told,) = found(tmp_path, "ada@example", lambda question: question.namespace == "ml")
    assert told.severity == "fail"

"""Accounts and Roles as a page that an administrator reads before it is applied: YAML with the reasons as comments. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmcicd_jenkins.config.model import Config, Environment
from mmcicd_jenkins.config.training_model import TrainingJob
from mmcicd_jenkins.ports.rights import Account, Right
from mmcicd_jenkins.render.literals import yaml
from mmcicd_jenkins.render.rbac import ACCOUNTS, Document, Given, account_name, render_rbac, render_trainer
from mmcicd_jenkins.render.rights import own, shared, trainer

_WHAT: Mapping[Account, str] = {
    "deployer": "deploys, promotes and rolls back. Only jobs of the folder ops hold it.",
    "monitor": "looks, and remembers what it saw. A rollback it starts in Jenkins, as a job that holds the deployer.",
    "trainer": "runs trainings. It has no business where models serve.",
}
_PAGE = """\
# What mmcicd-jenkins needs in namespace {namespace} of {cluster} for {name}.
# For an administrator of that namespace to read and to apply, again after each update of mmcicd-jenkins:
#   mmcicd-jenkins render rbac {option} | kubectl apply --filename=-
# The namespace must be there: kubectl create namespace {namespace}
# It makes no ClusterRole and names no secret. Whoever may create workloads can reach every secret and account of the
# namespace all the same, so let nothing else live there, and hold its pods to what ours keep anyway:
#   kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=restricted
"""
_LOGIN = """\
# A token that ends, for the kubeconfig that Jenkins keeps (docs/howto/cluster-accounts.md):
#   kubectl create token {account} --namespace={namespace} --duration=24h
"""


def rbac_page(config: Config, place: Environment, given: Given | None = None) -> str:
    """`render_rbac` with its reasons; `kubectl apply` takes it as it is."""
    head = _head(place.namespace, place.cluster, f"the environment {place.name}", f"--env {place.name}")
    return head + _body(
        render_rbac(config, place, given), place.namespace, _reasons(place, tuple(config.models))
    )


def trainer_page(settings: TrainingJob, given: Given | None = None) -> str:
    """`render_trainer` likewise."""
    name = account_name("trainer")
    reasons = {(name, right.resource): right for right in trainer(settings)}
    head = _head(settings.namespace, settings.cluster, "trainings", "--training")
    return head + _body(render_trainer(settings, given), settings.namespace, reasons)


def _head(namespace: str, cluster: str, name: str, option: str) -> str:
    # What stands in a comment must not end it.
    said = {"namespace": namespace, "cluster": cluster, "name": name, "option": option}
    return _PAGE.format(**{key: " ".join(text.split()) for key, text in said.items()})


def _body(documents: Sequence[Document], namespace: str, reasons: Mapping[tuple[str, str], Right]) -> str:
    return "".join(f"---\n{''.join(_lines(document, namespace, reasons))}" for document in documents)


def _reasons(place: Environment, models: Sequence[str]) -> dict[tuple[str, str], Right]:
    """Role and resource -> why."""
    found: dict[tuple[str, str], Right] = {}
    for account in ACCOUNTS:
        name = account_name(account)
        roles = {name: shared(account, place), **{f"{name}-{model}": own(account, model) for model in models}}
        found |= {(role, right.resource): right for role, listed in roles.items() for right in listed}
    return found


def _lines(document: Document, namespace: str, reasons: Mapping[tuple[str, str], Right]) -> Iterator[str]:
    name = document["metadata"]["name"]
    if document["kind"] == "ServiceAccount":
        account: Account = name.removeprefix("mmcicd-")
        yield f"# The {account} {_WHAT[account]}\n"
        yield _LOGIN.format(account=name, namespace=namespace)
    if document["kind"] == "ConfigMap":
        yield "# Here because a right to create cannot be limited to one name. What it holds is left as it is.\n"
    for key, value in document.items():
        if key == "rules":
            yield "rules:\n"
            for rule in value:
                yield from _rule(rule, reasons[name, rule["resources"][0]])
        else:
            yield f"{key}: {yaml(value)}\n"


def _rule(rule: Mapping[str, Any], right: Right) -> Iterator[str]:
    yield f"  # {right.why}{'; may be left out' if right.optional else ''}\n"
    yield f"  - {yaml(rule)}\n"

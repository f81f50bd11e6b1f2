"""Accounts and Roles as a page that an administrator reads before it is applied: YAML with the reasons as comments. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmcicd_jenkins.config.model import Config, Environment
from mmcicd_jenkins.ports.rights import Account, Right
from mmcicd_jenkins.render.literals import yaml
from mmcicd_jenkins.render.rbac import ACCOUNTS, Document, Given, account_name, render_rbac
from mmcicd_jenkins.render.rights import own, shared

_WHAT: Mapping[Account, str] = {
    "deployer": "deploys, promotes and rolls back. Only jobs of the folder ops hold it.",
    "monitor": "looks, and remembers what it saw. A rollback it starts in Jenkins, as a job that holds the deployer.",
    "trainer": "runs trainings. It has no business where models serve.",
}
_PAGE = """\
# What mmcicd-jenkins needs in namespace {namespace} of {cluster} for the environment {name}.
# For an administrator of that namespace to read and to apply, again after each update of mmcicd-jenkins:
#   mmcicd-jenkins render rbac --env {name} | kubectl apply --filename=-
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
    reasons = _reasons(place, tuple(config.models))
    documents = render_rbac(config, place, given)
    # What stands in a comment must not end it.
    said = {key: " ".join(str(getattr(place, key)).split()) for key in ("namespace", "cluster", "name")}
    head = _PAGE.format(**said)
    return head + "".join(f"---\n{_text(document, place, reasons)}" for document in documents)


def _reasons(place: Environment, models: Sequence[str]) -> dict[tuple[str, str], Right]:
    """Role and resource -> why."""
    found: dict[tuple[str, str], Right] = {}
    for account in ACCOUNTS:
        name = account_name(account)
        roles = {name: shared(account, place), **{f"{name}-{model}": own(account, model) for model in models}}
        found |= {(role, right.resource): right for role, listed in roles.items() for right in listed}
    return found


def _text(document: Document, place: Environment, reasons: Mapping[tuple[str, str], Right]) -> str:
    return "".join(_lines(document, place, reasons))


def _lines(document: Document, place: Environment, reasons: Mapping[tuple[str, str], Right]) -> Iterator[str]:
    name = document["metadata"]["name"]
    if document["kind"] == "ServiceAccount":
        account: Account = name.removeprefix("mmcicd-")
        yield f"# The {account} {_WHAT[account]}\n"
        yield _LOGIN.format(account=name, namespace=place.namespace)
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

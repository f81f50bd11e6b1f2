"""Accounts, Roles and RoleBindings for the administrator of a cluster, from the table in `render.rights`. Pure.

The law: nothing here is ever applied by an account that it makes; no ClusterRole, no wildcard, no secret. Each account
has a Role of its own. What belongs to one model has a Role of its own too, so that several repositories can share a
namespace and each apply theirs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from mmcicd_jenkins.config.model import Config, Environment
from mmcicd_jenkins.config.training_model import TrainingJob
from mmcicd_jenkins.ports.rights import Account, Right
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.tracks import MANAGED, labels_of
from mmcicd_jenkins.render.rights import MEMORY, own, shared, trainer

Document = Mapping[str, Any]
API = "rbac.authorization.k8s.io"
ACCOUNTS: tuple[Account, ...] = ("deployer", "monitor")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whom a Role is given to instead of an account that we make."""

    kind: Literal["user", "group", "account"]
    name: str
    namespace: str = ""

    def to_json(self, namespace: str) -> dict[str, str]:
        if self.kind == "account":
            return {
                "kind": "ServiceAccount",
                "name": self.name,
                "namespace": self.namespace or namespace,
            }
        return {"kind": self.kind.capitalize(), "name": self.name, "apiGroup": API}


Given = Mapping[Account, Subject]


def account_name(account: Account) -> str:
    return f"mmcicd-{account}"


def render_rbac(config: Config, place: Environment, given: Given | None = None) -> tuple[Document, ...]:
    """Everything that an administrator applies for one environment; `given` names who is there already."""
    return tuple(
        document
        for account in ACCOUNTS
        for document in _account(place, account, tuple(config.models), given or {})
    )


def render_trainer(settings: TrainingJob, given: Given | None = None) -> tuple[Document, ...]:
    """The same for the namespace of trainings, which is none that serves."""
    return tuple(_own_account(settings.namespace, "trainer", trainer(settings), given or {}))


def _account(place: Environment, account: Account, models: Sequence[str], given: Given) -> Iterator[Document]:
    yield from _own_account(place.namespace, account, shared(account, place), given)
    name, subject = account_name(account), _subject(account, given)
    for model in models:
        if account == "monitor":
            yield _memory(place, model)
        yield _role(place.namespace, f"{name}-{model}", own(account, model))
        yield _binding(place.namespace, f"{name}-{model}", subject)


def _own_account(
    namespace: str, account: Account, needed: Sequence[Right], given: Given
) -> Iterator[Document]:
    name = account_name(account)
    if account not in given:
        yield {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace, "labels": MANAGED},
            "automountServiceAccountToken": False,
        }
    yield _role(namespace, name, needed)
    yield _binding(namespace, name, _subject(account, given))


def _subject(account: Account, given: Given) -> Subject:
    return given.get(account) or Subject(kind="account", name=account_name(account))


def _memory(place: Environment, model: str) -> Document:
    """Empty: a right to create cannot be limited to a name, so the object is there before whoever writes it."""
    labels = labels_of(model, place.name)
    name = MEMORY.format(model=model)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": place.namespace, "labels": labels},
    }


def _role(namespace: str, name: str, needed: Sequence[Right]) -> Document:
    return {
        "apiVersion": f"{API}/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace, "labels": MANAGED},
        "rules": [_rule(right) for right in needed],
    }


def _rule(right: Right) -> dict[str, list[str]]:
    rule = {"apiGroups": [right.group], "resources": [right.resource], "verbs": list(right.verbs)}
    return {**rule, "resourceNames": list(right.names)} if right.names else rule


def _binding(namespace: str, name: str, subject: Subject) -> Document:
    return {
        "apiVersion": f"{API}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace, "labels": MANAGED},
        "roleRef": {"apiGroup": API, "kind": "Role", "name": name},
        "subjects": [subject.to_json(namespace)],
    }

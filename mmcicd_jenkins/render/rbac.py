"""Accounts, Roles and RoleBindings for the administrator of a cluster, from the table in `render.rights`. Pure.

The law: nothing here is ever applied by an account that it makes; no ClusterRole, no wildcard, no secret. Each account
has a Role of its own. What belongs to one model has a Role of its own too, so that several repositories can share a
namespace and each apply theirs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from mmcicd_jenkins.config.model import Config, Environment
from mmcicd_jenkins.ports.rights import Account, Right
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.rights import MEMORY, memory_right, rights

Document = Mapping[str, Any]
API = "rbac.authorization.k8s.io"
ACCOUNTS: tuple[Account, ...] = ("deployer", "monitor")
MANAGED = {"app.kubernetes.io/managed-by": "mmcicd-jenkins"}


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
    given = given or {}
    return (
        *_account(place, "deployer", rights("deployer", place, ()), given),
        *_monitor(place, tuple(config.models), given),
    )


def _monitor(place: Environment, models: Sequence[str], given: Given) -> Iterator[Document]:
    own = memory_right(models)
    shared = [right for right in rights("monitor", place, models) if right != own]
    yield from _account(place, "monitor", shared, given)
    for model in models:
        name = f"{account_name('monitor')}-{model}"
        yield _memory(place, model)
        yield _role(place.namespace, name, [memory_right([model])])
        yield _binding(place.namespace, name, _subject("monitor", given))


def _memory(place: Environment, model: str) -> Document:
    """Empty: a right to create cannot be limited to a name, so the object is there before whoever writes it."""
    labels = {**MANAGED, "app.kubernetes.io/name": model, "mmcicd.io/environment": place.name}
    name = MEMORY.format(model=model)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": place.namespace, "labels": labels},
    }


def _account(
    place: Environment, account: Account, needed: Sequence[Right], given: Given
) -> Iterator[Document]:
    name = account_name(account)
    if account not in given:
        yield {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": place.namespace, "labels": MANAGED},
            "automountServiceAccountToken": False,
        }
    yield _role(place.namespace, name, needed)
    yield _binding(place.namespace, name, _subject(account, given))


def _subject(account: Account, given: Given) -> Subject:
    return given.get(account) or Subject(kind="account", name=account_name(account))


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

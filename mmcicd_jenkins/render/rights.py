"""Which calls our own code makes in a cluster, by account. The law: the Role is made from this table, `doctor` asks it.

A verb that no adapter uses does not stand here; a verb that one begins to use is added here first. Tests take each
away in turn and see a step fail. What none of the accounts may ever do is in `dangers`.
"""

from collections.abc import Sequence

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.ports.rights import EVERYWHERE, Account, Danger, Question, Right

MEMORY = "{model}-monitor"
# Namespaces that every cluster has; what may be done there may be done in all.
_OTHERS = ("kube-system", "default")


def rights(account: Account, place: Environment, models: Sequence[str]) -> tuple[Right, ...]:
    """What an account needs in the namespace of an environment.

    Raises:
        KeyError: the account has no business there.
    """
    return {"deployer": _deployer, "monitor": _monitor}[account](place, models)


def _deployer(place: Environment, models: Sequence[str]) -> tuple[Right, ...]:
    del models  # names cannot limit a creation, and other repositories may share the namespace
    applied = ("get", "create", "patch")
    found = [
        Right(
            group="apps",
            resource="deployments",
            verbs=("get", "list", "create", "patch", "delete"),
            why="the copies that serve; deletes a canary or preview that was taken back",
        ),
        Right(group="", resource="services", verbs=applied, why="the address of the model"),
        Right(
            group="policy",
            resource="poddisruptionbudgets",
            verbs=applied,
            why="keeps copies while nodes are drained",
        ),
        Right(
            group="networking.k8s.io",
            resource="networkpolicies",
            verbs=applied,
            why="who may reach the copies; they reach nobody",
        ),
    ]
    if place.autoscale_max:
        found.append(
            Right(
                group="autoscaling",
                resource="horizontalpodautoscalers",
                verbs=applied,
                why=f"environments.{place.name}.autoscale",
            )
        )
    return (*found, *_looking(place.namespace))


def _looking(namespace: str) -> tuple[Right, ...]:
    """How a wait for pods sees what they do, and how a failure says why."""
    return (
        Right(group="", resource="pods", verbs=("list",), why="which copies are ready, and why one is not"),
        Right(
            group="",
            resource="pods/log",
            verbs=("get",),
            why="the last lines of a copy that fails",
            optional=True,
        ),
        Right(group="", resource="events", verbs=("list",), why="what the cluster says of it", optional=True),
        Right(
            group="",
            resource="resourcequotas",
            verbs=("list",),
            why="doctor: whether they hold a rollout",
            optional=True,
        ),
        Right(
            group="",
            resource="namespaces",
            verbs=("get",),
            names=(namespace,),
            why="doctor: its pod security",
            optional=True,
        ),
    )


def _monitor(place: Environment, models: Sequence[str]) -> tuple[Right, ...]:
    del place
    return (
        Right(group="apps", resource="deployments", verbs=("get",), why="what serves, and since when"),
        Right(group="", resource="pods", verbs=("list",), why="which copies are ready, and where they are"),
        memory_right(models),
    )


def memory_right(models: Sequence[str]) -> Right:
    return Right(
        group="",
        resource="configmaps",
        verbs=("get", "patch"),
        names=tuple(MEMORY.format(model=model) for model in models),
        why="what it remembers between two looks",
    )


def questions(needed: Sequence[Right], namespace: str) -> tuple[Question, ...]:
    """Each verb on each object by itself."""
    return tuple(
        Question(namespace=namespace, group=right.group, resource=right.resource, verb=verb, name=name)
        for right in needed
        for verb in right.verbs
        for name in right.names or ("",)
    )


def dangers(namespace: str) -> tuple[Danger, ...]:
    """What no account of ours may do: the eleven calls in its own namespace, then everything beyond it."""
    inside = (
        ("", "secrets", "get", "read every password of the namespace"),
        ("", "pods/exec", "create", "run commands in the pods that serve"),
        ("", "pods/portforward", "create", "reach every port of a pod past its network policy"),
        ("", "pods/proxy", "get", "ask pods in the name of the API server"),
        ("", "services/proxy", "get", "ask services in the name of the API server"),
        ("", "serviceaccounts/token", "create", "become every other account of the namespace"),
        ("rbac.authorization.k8s.io", "roles", "create", "write rights, and so widen its own"),
        ("rbac.authorization.k8s.io", "rolebindings", "create", "give rights to anybody"),
        ("", "namespaces", "patch", "take the pod security off the namespace"),
        ("apps", "deployments", "deletecollection", "delete every copy of every model in one call"),
    )
    beyond = (
        ("", "nodes/proxy", "get", "run commands on every node"),
        ("", "secrets", "list", "read every password of the cluster"),
        ("apps", "deployments", "create", "run what it likes in every namespace"),
        ("rbac.authorization.k8s.io", "clusterrolebindings", "create", "take over the cluster"),
        ("", "users", "impersonate", "act as anybody"),
    )
    found = [_danger(namespace, *each) for each in inside]
    found += [_danger(EVERYWHERE, *each) for each in beyond]
    for other in _OTHERS:
        if other != namespace:
            found.append(_danger(other, "apps", "deployments", "patch", f"change what runs in {other}"))
            found.append(_danger(other, "", "pods", "list", f"look into {other}"))
    return tuple(found)


def _danger(namespace: str, group: str, resource: str, verb: str, could: str) -> Danger:
    question = Question(namespace=namespace, group=group, resource=resource, verb=verb)
    return Danger(question=question, could=could)

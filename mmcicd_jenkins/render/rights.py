"""Which calls our own code makes in a cluster, by account. The law: the Role is made from this table, `doctor` asks it.

A verb that no adapter uses does not stand here; a verb that one begins to use is added here first. Tests take each
away in turn and see a step fail. What none of the accounts may ever do is in `dangers`.
"""

from collections.abc import Sequence

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.config.training_model import TrainingJob
from mmcicd_jenkins.ports.rights import EVERYWHERE, Account, Danger, Question, Right

MEMORY = "{model}-monitor"
# Server-side apply makes what is not there by `create`.
_WRITTEN = ("create", "patch")
_BESIDE = ("canary", "preview")
# Namespaces that every cluster has; what may be done there may be done in all.
_OTHERS = ("kube-system", "default")


def rights(account: Account, place: Environment, models: Sequence[str]) -> tuple[Right, ...]:
    """What an account needs in the namespace of an environment.

    Raises:
        KeyError: the account has no business there.
    """
    return (*shared(account, place), *(right for model in models for right in own(account, model)))


def shared(account: Account, place: Environment) -> tuple[Right, ...]:
    """What is the same whatever the models are called: other repositories may share the namespace."""
    return {"deployer": _deployer, "monitor": _monitor}[account](place)


def own(account: Account, model: str) -> tuple[Right, ...]:
    """What is of one model alone."""
    memory = Right(
        group="",
        resource="configmaps",
        verbs=("get", "patch"),
        names=(MEMORY.format(model=model),),
        why="what the monitor remembers between two looks, where it comes as this account",
        optional=account == "deployer",
    )
    if account == "monitor":
        return (memory,)
    beside = Right(
        group="apps",
        resource="deployments",
        verbs=("delete",),
        names=tuple(f"{model}-{track}" for track in _BESIDE),
        why="the copies beside the stable ones go when they are not needed any more; never the stable ones",
    )
    return beside, memory


def _deployer(place: Environment) -> tuple[Right, ...]:
    return (
        Right(
            group="apps",
            resource="deployments",
            verbs=("get", "list", *_WRITTEN),
            why="the copies that serve",
        ),
        _applied("", "services", "the address of the model"),
        _applied("policy", "poddisruptionbudgets", "keeps copies while nodes are drained"),
        _applied("networking.k8s.io", "networkpolicies", "who may reach the copies"),
        _autoscaler(place),
        *_ingress(place),
        *_looking(place.namespace),
    )


def _applied(group: str, resource: str, why: str) -> Right:
    return Right(group=group, resource=resource, verbs=("get", *_WRITTEN), why=why)


def _autoscaler(place: Environment) -> Right:
    return Right(
        group="autoscaling",
        resource="horizontalpodautoscalers",
        verbs=("get", *_WRITTEN) if place.autoscale_max else ("get", "patch"),
        why="counts copies" if place.autoscale_max else "one that was wanted before must not go on counting",
    )


def _ingress(place: Environment) -> tuple[Right, ...]:
    if place.ingress is None:
        return ()
    return (_applied("networking.k8s.io", "ingresses", f"environments.{place.name}.ingress"),)


def _looking(namespace: str) -> tuple[Right, ...]:
    """How a wait for pods sees what they do, how a failure says why, and how doctor sees what is to come."""
    wished = (
        ("pods/log", "get", (), "the last lines of a copy that fails"),
        ("events", "list", (), "what the cluster says of a copy that fails"),
        ("resourcequotas", "list", (), "doctor: whether they hold a rollout"),
        ("namespaces", "get", (namespace,), "doctor: what pods are held to"),
    )
    return (
        Right(group="", resource="pods", verbs=("list",), why="which copies are ready, and why one is not"),
        *(
            Right(group="", resource=resource, verbs=(verb,), names=names, why=why, optional=True)
            for resource, verb, names, why in wished
        ),
    )


def _monitor(_place: Environment) -> tuple[Right, ...]:
    return (
        Right(group="apps", resource="deployments", verbs=("list",), why="what serves, and in what state"),
        Right(group="", resource="services", verbs=("get",), why="which copies requests are led to"),
        Right(group="", resource="pods", verbs=("list",), why="which copies are ready, and where they are"),
    )


def trainer(settings: TrainingJob) -> tuple[Right, ...]:
    """What the account of trainings needs in their namespace."""
    services = Right(group="", resource="services", verbs=("create",), why="how workers find each other")
    return (
        Right(
            group="batch",
            resource="jobs",
            verbs=("get", "create", "patch", "delete"),
            why="a training; it is woken when all that it mounts is there, and removed when its model is stored",
        ),
        Right(group="", resource="configmaps", verbs=("create",), why="the commit that is trained"),
        *((services,) if settings.workers > 1 else ()),
        Right(group="", resource="pods", verbs=("list",), why="where it is, and why it does not start"),
        Right(group="", resource="pods/log", verbs=("get",), why="what it prints, shown in the build"),
        Right(
            group="",
            resource="events",
            verbs=("list",),
            why="why the cluster makes no pod, such as a quota",
            optional=True,
        ),
        *(
            right
            for right in _looking(settings.namespace)
            if right.resource in {"resourcequotas", "namespaces"}
        ),
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

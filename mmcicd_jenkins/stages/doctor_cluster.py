"""What `doctor` asks of the cluster of an environment, as the account that this machine has. Writes nothing."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from mmcicd_jenkins.checks import cluster
from mmcicd_jenkins.checks.cluster import Asked, Pods
from mmcicd_jenkins.checks.finding import Finding, Told
from mmcicd_jenkins.config.model import Config, Environment, Model
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.ports.doctor import ClusterFacts, ClusterLook
from mmcicd_jenkins.ports.rights import Account, Question
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.shares import nearest_share
from mmcicd_jenkins.render.rbac import account_name
from mmcicd_jenkins.render.rights import dangers, questions, rights
from mmcicd_jenkins.stages.doctor import Check


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """`open` gives the way to the cluster of an environment, or raises `InputError` where this machine has none."""

    config: Config
    open: Callable[[Environment], ClusterLook]


def checks(clusters: Clusters) -> Iterator[Check]:
    """One for each environment of kind kubernetes: what it asks first decides whether the rest means anything."""
    for place in clusters.config.environments.values():
        if place.kind == "kubernetes":
            yield Check(
                topic="environments",
                name=place.name,
                look=lambda place=place: _place(clusters, place),  # type: ignore[misc]
                system=f"the cluster of {place.name}",
            )


def _place(clusters: Clusters, place: Environment) -> Iterator[Finding]:
    where = clusters.config.mark(f"environments.{place.name}.cluster")
    try:
        look = clusters.open(place)
    except InputError as e:
        # Credentials of a cluster lie in Jenkins; that this machine has none of them is no mistake.
        what = f"{place.name} is not looked at: {e.what}{f' ({e.why})' if e.why else ''}"
        return iter([Told("environments", place.name).warn(what, e.fix, where=where)])
    return _asked(look, look.reach(), clusters, place, where)


def _asked(
    look: ClusterLook, facts: ClusterFacts, clusters: Clusters, place: Environment, where: str
) -> Iterator[Finding]:
    account = role_of(facts.account, place.namespace)
    needed = rights(account, place, tuple(clusters.config.models))
    page, apply = f"mmcicd-jenkins render rbac --env {place.name}", "| kubectl apply --filename=-"
    asked = Asked(
        name=place.name,
        namespace=place.namespace,
        who=cluster.short(facts.account) or "this account",
        send=f"{page}{cluster.bound(account, facts.account)} {apply}",
        instead=f"{page} {apply}",
        where=where,
    )
    wanted, never = questions(needed, place.namespace), dangers(place.namespace)
    may: Mapping[Question, bool] = look.may([*wanted, *(danger.question for danger in never)])
    return chain(
        cluster.server(asked, facts),
        cluster.enough(asked, needed, {question: may[question] for question in wanted}),
        cluster.no_more(asked, never, may, needed, look.rules()),
        cluster.security(asked, look.namespace()),
        cluster.quotas(
            asked, look.quotas(), [pods_of(model, place) for model in clusters.config.models.values()]
        ),
    )


def role_of(account: str, namespace: str) -> Account:
    """What an account is for: by the name that we give it, and else it deploys."""
    is_monitor = account == f"system:serviceaccount:{namespace}:{account_name('monitor')}"
    return "monitor" if is_monitor else "deployer"


def pods_of(model: Model, place: Environment) -> Pods:
    """The most that a change of version has at once."""
    serving = model.serving
    each = {
        "cpu": serving.cpu,
        "requests.cpu": serving.cpu,
        "memory": float(serving.memory_bytes),
        "requests.memory": float(serving.memory_bytes),
        "limits.memory": float(serving.memory_bytes),
        "limits.cpu": place.pods.cpu_limit,
        f"requests.{place.pods.gpu_resource}": float(serving.gpus),
    }
    return Pods(
        name=model.name,
        key=f"environments.{place.name}.pods.cpu_limit",
        steady=max(place.replicas, place.autoscale_max),
        most=_most_copies(place),
        each=each,
    )


def _most_copies(place: Environment) -> int:
    copies = max(place.replicas, place.autoscale_max)
    if place.strategy.kind == "blue-green":
        return 2 * copies
    if place.strategy.kind == "canary" and place.strategy.steps:
        return copies + max(1, nearest_share(place.strategy.steps[-1].share, place.replicas)[0])
    return copies + 1

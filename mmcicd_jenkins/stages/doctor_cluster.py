"""What `doctor` asks of the cluster of an environment, as the account that this machine has. Writes nothing."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain

from mmcicd_jenkins.checks import cluster
from mmcicd_jenkins.checks.cluster import Asked, Pods
from mmcicd_jenkins.checks.finding import Finding, Told
from mmcicd_jenkins.config.model import Config, Environment, Model
from mmcicd_jenkins.config.training_model import TrainingJob
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.ports.doctor import ClusterFacts, ClusterLook
from mmcicd_jenkins.ports.rights import Account, Question, Right
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.shares import nearest_share
from mmcicd_jenkins.render.rbac import ACCOUNTS, account_name
from mmcicd_jenkins.render.rights import dangers, questions, rights, trainer
from mmcicd_jenkins.stages.doctor import Check


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """`open` gives the way to a namespace of a cluster, or raises `InputError` where this machine has none; its second
    word is the key that names the cluster.
    """

    config: Config
    open: Callable[[Environment, str], ClusterLook]


@dataclass(frozen=True, kw_only=True)
class Site:
    """One namespace: what it is called, the key that names it, what each account needs there, what is to fit."""

    place: Environment
    key: str
    page: str
    role: Callable[[str], Account]
    needed: Callable[[Account], tuple[Right, ...]]
    pods: tuple[Pods, ...]


def checks(clusters: Clusters) -> Iterator[Check]:
    """One for each namespace: what it asks first decides whether the rest means anything."""
    for site in (*_environments(clusters.config), *_trainings(clusters.config)):
        yield Check(
            topic="environments",
            name=site.place.name,
            look=lambda site=site: _look(clusters, site),  # type: ignore[misc]
            system=f"the cluster of {site.place.name}",
        )


def _environments(config: Config) -> Iterator[Site]:
    models = tuple(config.models)
    for place in config.environments.values():
        if place.kind == "kubernetes":
            yield Site(
                place=place,
                key=f"environments.{place.name}.cluster",
                page=f"mmcicd-jenkins render rbac --env {place.name}",
                role=role_of,
                needed=partial(rights, place=place, models=models),
                pods=tuple(pods_of(model, place) for model in config.models.values()),
            )


def _trainings(config: Config) -> Iterator[Site]:
    """One for each namespace in which models train, with all that train there."""
    groups: dict[tuple[str, str], dict[str, TrainingJob]] = {}
    for model in config.models.values():
        if (job := model.train.job) is not None:
            groups.setdefault((job.cluster, job.namespace), {})[model.name] = job
    for (server, namespace), jobs in groups.items():
        widest = max(jobs.values(), key=lambda job: job.workers)
        yield Site(
            place=Environment(name="training", kind="kubernetes", cluster=server, namespace=namespace),
            key=f"models.{next(iter(jobs))}.train.job.cluster",
            page="mmcicd-jenkins render rbac --training",
            role=lambda _account: "trainer",
            needed=lambda _account, job=widest: trainer(job),  # type: ignore[misc]
            pods=tuple(_training_pods(config.models[name], job) for name, job in jobs.items()),
        )


def _training_pods(model: Model, job: TrainingJob) -> Pods:
    each = {
        "cpu": job.cpu,
        "requests.cpu": job.cpu,
        "memory": float(job.memory_bytes),
        "requests.memory": float(job.memory_bytes),
        "limits.memory": float(job.memory_bytes),
        f"requests.{job.gpu_resource}": float(model.train.gpus),
    }
    key = f"models.{model.name}.train.job"
    return Pods(name=f"the training of {model.name}", key=key, steady=0, most=job.workers, each=each)


def _look(clusters: Clusters, site: Site) -> Iterator[Finding]:
    where = clusters.config.mark(site.key)
    try:
        look = clusters.open(site.place, site.key)
    except InputError as e:
        # Credentials of a cluster lie in Jenkins; that this machine has none of them is no mistake.
        what = f"{site.place.name} is not looked at: {e.what}{f' ({e.why})' if e.why else ''}"
        return iter([Told("environments", site.place.name).warn(what, e.fix, where=where)])
    facts = look.reach()
    return _asked(look, facts, site, where, owner=_owner(clusters.config, facts.account, site.place))


def _owner(config: Config, account: str, place: Environment) -> str:
    """The other environment that an account of `render rbac` was made for; "" of any other login."""
    for other in config.environments.values():
        names = [f"system:serviceaccount:{other.namespace}:{account_name(one)}" for one in ACCOUNTS]
        if other.namespace != place.namespace and account in names:
            return other.name
    return ""


def _asked(
    look: ClusterLook, facts: ClusterFacts, site: Site, where: str, *, owner: str
) -> Iterator[Finding]:
    place, account = site.place, site.role(facts.account)
    needed = site.needed(account)
    apply = "| kubectl apply --filename=-"
    asked = Asked(
        name=place.name,
        namespace=place.namespace,
        who=cluster.short(facts.account) or "this account",
        send=f"{site.page}{cluster.bound(account, facts.account, place.namespace)} {apply}",
        instead=f"{site.page} {apply}",
        where=where,
    )
    wanted, never = questions(needed, place.namespace), dangers(place.namespace)
    may: Mapping[Question, bool] = look.may([*wanted, *(danger.question for danger in never)])
    if owner and cluster.is_stranger(needed, place.namespace, may):
        return iter([cluster.elsewhere(asked, owner)])
    return chain(
        cluster.server(asked, facts),
        cluster.enough(asked, needed, {question: may[question] for question in wanted}),
        cluster.no_more(asked, never, may, needed, look.rules()),
        cluster.security(asked, look.namespace()),
        cluster.quotas(asked, look.quotas(), site.pods),
    )


def role_of(account: str) -> Account:
    """What an account is for, in its own namespace or another: by the name that we give it, and else it deploys."""
    kind, _, name = account.rpartition(":")
    is_monitor = kind.startswith("system:serviceaccount:") and name == account_name("monitor")
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

"""A cluster that serves or trains: its version, what our account may do there and what not, whether copies fit. Pure.

The law: too few rights fail, too many warn with what could be done with them.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mmcicd_jenkins.checks.finding import Finding, Told, counted
from mmcicd_jenkins.ports.doctor import ClusterFacts, NamespaceFacts, Quota
from mmcicd_jenkins.ports.rights import Danger, Question, Right
from mmcicd_jenkins.records import dataclass

# `preStop: sleep`, by which a copy answers on while it ends, is on from here.
OLDEST = (1, 30)
RESTRICTED = "restricted"
SKEW_SECONDS = 60.0
_ACCOUNT = "system:serviceaccount:"
# Given to every login of every cluster.
_EVERYBODYS = ("authentication.k8s.io", "authorization.k8s.io", "certificates.k8s.io")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One namespace, for whom it is asked, what to send to its administrator, and what makes an account `instead`.

    `name` is what findings call it: an environment; `where` its place in mmcicd.yaml.
    """

    name: str
    namespace: str
    who: str
    send: str
    instead: str
    where: str = ""

    @property
    def told(self) -> Told:
        return Told("environments", self.name)


@dataclass(frozen=True, kw_only=True)
class Pods:
    """What the pods of one model, or training, ask of a quota: how many at most while it changes, and else; each with
    this. `key` is where a limit of CPU is written.
    """

    name: str
    steady: int
    most: int
    each: Mapping[str, float]
    key: str = ""


def short(account: str) -> str:
    """An account as people call it."""
    return account.removeprefix(_ACCOUNT).replace(":", "/") if account.startswith(_ACCOUNT) else account


def bound(role: str, account: str, namespace: str) -> str:
    """The option of `render rbac` that gives a Role to this account; "" when it is the one that is made there for it."""
    if account.startswith(_ACCOUNT):
        own = account.removeprefix(_ACCOUNT).replace(":", "/")
        return "" if own == f"{namespace}/mmcicd-{role}" else f" --bind {role}=account:{own}"
    return f" --bind '{role}=user:{account}'" if account else ""


def server(asked: Asked, facts: ClusterFacts) -> Iterator[Finding]:
    """The cluster itself and the login."""
    number = _number(facts.version)
    oldest = ".".join(map(str, OLDEST))
    if number and number < OLDEST:
        yield asked.told.fail(
            f"the cluster of {asked.name} is Kubernetes {facts.version}; copies need {oldest} or newer to end without a lost request",
            "update the cluster, or name a newer one",
            where=asked.where,
        )
    who = f", as {short(facts.account)}" if facts.account else ""
    yield asked.told.ok(f"{asked.name} (Kubernetes {facts.version.removeprefix('v')}{who}{_lasts(facts)})")
    if facts.login_seconds == math.inf:
        yield asked.told.warn(
            f"the token for {asked.name} never ends: whoever copies it keeps it",
            f"kubectl create token {short(facts.account).rpartition('/')[2]} --namespace={asked.namespace} --duration=24h",
        )
    ahead = facts.ahead_seconds
    if ahead is not None and abs(ahead) > SKEW_SECONDS:
        yield asked.told.warn(
            f"the clock of {asked.name} is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's",
            "timedatectl set-ntp true, on the one that is wrong",
        )


def _number(version: str) -> tuple[int, ...]:
    parts = version.removeprefix("v").split(".")[:2]
    return tuple(int(part) for part in parts) if len(parts) == 2 and all(map(str.isdecimal, parts)) else ()


def _lasts(facts: ClusterFacts) -> str:
    seconds = facts.login_seconds
    if seconds is None or seconds == math.inf:
        return ""
    for unit, size in (("days", 86400), ("hours", 3600)):
        if seconds >= 2 * size:
            return f", for {seconds / size:.0f} {unit}"
    return f", for {max(seconds, 0) / 60:.0f} minutes"


def is_stranger(needed: Iterable[Right], namespace: str, may: Mapping[Question, bool]) -> bool:
    """Whether an account may nothing of what it must in a namespace."""
    required = [question for right in needed if not right.optional for question in _of(right, may, namespace)]
    return not any(may[question] for question in required)


def elsewhere(asked: Asked, owner: str) -> Finding:
    """The login is the one that was made for the environment `owner`, and has no business in this one."""
    return asked.told.warn(
        f"{asked.name} is not looked at: the login is {asked.who}, the account of {owner}, and may nothing in {asked.namespace}",
        f"KUBECONFIG={asked.name}.kubeconfig mmcicd-jenkins doctor; or, for one login in both: {asked.send}",
        where=asked.where,
    )


def enough(asked: Asked, needed: Iterable[Right], may: Mapping[Question, bool]) -> Iterator[Finding]:
    """Each verb that is missing, by name."""
    listed = list(needed)
    missing = [
        (right, question)
        for right in listed
        for question in _of(right, may, asked.namespace)
        if not may[question]
    ]
    required = [question for right, question in missing if not right.optional]
    if required:
        yield asked.told.fail(
            f"{asked.who} may not {_words(required)} in {asked.namespace}, so {asked.name} cannot be used",
            f"send this to the administrator of {asked.namespace}: {asked.send}",
            where=asked.where,
        )
    wished = [(right, question) for right, question in missing if right.optional]
    if wished and not required:
        whys = dict.fromkeys(right.why for right, _ in wished)
        yield asked.told.warn(
            f"{asked.who} may not {_words([question for _, question in wished])} in {asked.namespace}; not to be "
            f"seen: {'; '.join(whys)}",
            f"if you want it, send this to the administrator of {asked.namespace}: {asked.send}",
        )
    if not required:
        yield asked.told.ok(f"its rights in {asked.namespace}")


def _of(right: Right, may: Mapping[Question, bool], namespace: str) -> Iterator[Question]:
    for question in may:
        asked = (question.namespace, question.group, question.resource)
        same = asked == (namespace, right.group, right.resource)
        if same and question.verb in right.verbs and question.name in (right.names or ("",)):
            yield question


def _words(questions: Sequence[Question]) -> str:
    """`create or patch services; delete deployments.apps`."""
    verbs: dict[str, list[str]] = {}
    for question in questions:
        kind = question.words.removeprefix(question.verb).strip().replace(" --subresource=", "/")
        verbs.setdefault(kind, []).append(question.verb)
    return "; ".join(f"{_either(each)} {kind}" for kind, each in verbs.items())


def _either(verbs: Iterable[str]) -> str:
    *first, last = dict.fromkeys(verbs)
    return f"{', '.join(first)} or {last}" if first else last


def no_more(
    asked: Asked,
    dangers: Iterable[Danger],
    may: Mapping[Question, bool],
    needed: Sequence[Right],
    rules: Sequence[Question] | None,
) -> Iterator[Finding]:
    """What the account could do that nobody needs; `rules` is all that it was given, where the cluster lists it."""
    listed = list(dangers)
    allowed = [danger for danger in listed if may[danger.question]]
    fix = f"let Jenkins log in as an account that may no more: {asked.instead}"
    if listed and len(allowed) == len(listed):
        yield asked.told.warn(f"{asked.who} may do everything in the whole cluster of {asked.name}", fix)
        return
    if allowed:
        could = [f"{danger.could} ({_asked(danger.question, asked)})" for danger in allowed]
        yield asked.told.warn(f"{asked.who} could {', '.join(could)}", fix)
    further = _further(needed, rules or (), allowed)
    if further:
        yield asked.told.warn(
            f"{asked.who} may in {asked.namespace} what nothing here uses: {counted(further, most=8)}", fix
        )
    has_all = all(
        may[question]
        for right in needed
        for question in _of(right, may, asked.namespace)
        if not right.optional
    )
    if has_all and not allowed and not further and rules is not None:
        yield asked.told.ok("no more than these")


def _asked(question: Question, asked: Asked) -> str:
    inside = question.namespace == asked.namespace
    return _words([question]) + ("" if inside else f" in {question.namespace or 'every namespace'}")


def _further(needed: Sequence[Right], rules: Sequence[Question], told: Sequence[Danger]) -> list[str]:
    known = {(danger.question.group, danger.question.resource, danger.question.verb) for danger in told}
    found: dict[str, list[str]] = {}
    for rule in rules:
        is_everybodys = rule.group in _EVERYBODYS and not rule.resource.startswith("certificatesigning")
        if is_everybodys or (rule.group, rule.resource, rule.verb) in known or _is_needed(rule, needed):
            continue
        kind = f"{rule.resource}.{rule.group}" if rule.group else rule.resource
        found.setdefault(kind, []).append(rule.verb)
    return [f"{_either(verbs)} {kind}" for kind, verbs in found.items()]


def _is_needed(rule: Question, needed: Sequence[Right]) -> bool:
    return any(
        (rule.group, rule.resource) == (right.group, right.resource)
        and rule.verb in right.verbs
        and (not right.names or rule.name in right.names)
        for right in needed
    )


def security(asked: Asked, facts: NamespaceFacts | None) -> Iterator[Finding]:
    """The namespace; nothing is told of one that may not be seen."""
    if facts is None:
        return
    if not facts.exists or facts.ending:
        what = "is being deleted" if facts.exists else "is not there"
        yield asked.told.fail(
            f"namespace {asked.namespace} of {asked.name} {what}",
            f"kubectl create namespace {asked.namespace}; then {asked.send}",
            where=asked.where,
        )
    elif facts.enforced != RESTRICTED:
        held = f"only to {facts.enforced}" if facts.enforced else "to nothing"
        yield asked.told.warn(
            f"pods in {asked.namespace} are held {held}; ours keep to {RESTRICTED}, others there may not",
            f"kubectl label namespace {asked.namespace} pod-security.kubernetes.io/enforce={RESTRICTED}",
        )
    else:
        yield asked.told.ok(f"pods held to {RESTRICTED}")


def quotas(asked: Asked, found: Sequence[Quota] | None, pods: Sequence[Pods]) -> Iterator[Finding]:
    """Whether what serves, and one copy more while versions change, fits."""
    for quota in found or ():
        yield from _quota(asked, quota, pods)


def _quota(asked: Asked, quota: Quota, pods: Sequence[Pods]) -> Iterator[Finding]:
    see = f"kubectl describe quota {quota.name} --namespace={asked.namespace}"
    unlimited = [each for each in pods if not each.each.get("limits.cpu")]
    if "limits.cpu" in quota.hard and unlimited:
        yield asked.told.warn(
            f"quota {quota.name} of {asked.namespace} counts limits.cpu, and pods of {counted(e.name for e in unlimited)} "
            "have none: they are refused unless a LimitRange gives them one",
            f"{unlimited[0].key}, or: kubectl describe limitrange --namespace={asked.namespace}",
            where=asked.where,
        )
    short_of = []
    for resource, hard in quota.hard.items():
        # Several models may change at once; that one can is what the first deployment needs.
        growth = max(((each.most - each.steady) * _share(each, resource) for each in pods), default=0.0)
        wanted = growth + sum(each.steady * _share(each, resource) for each in pods)
        if wanted > hard:
            short_of.append(f"{resource} {_plain(resource, wanted)} of {_plain(resource, hard)}")
    if short_of:
        yield asked.told.fail(
            f"quota {quota.name} of {asked.namespace} does not hold {asked.name} while a version changes: "
            f"{', '.join(short_of)} ({', '.join(f'{e.most} pods of {e.name}' for e in pods)})",
            f"have it raised, or ask for fewer or smaller copies: {see}",
            where=asked.where,
        )


def _share(pods: Pods, resource: str) -> float:
    return 1.0 if resource in {"pods", "count/pods"} else pods.each.get(resource, 0.0)


def _plain(resource: str, amount: float) -> str:
    return f"{amount / 2**30:.3g}Gi" if resource.endswith("memory") else f"{amount:g}"

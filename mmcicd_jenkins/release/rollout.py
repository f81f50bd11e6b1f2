"""Judge a rollout by one look at it: it goes on, it is done, or it failed and why. Pure: no clock, no cluster.

Done is what serves, not what is wanted: every copy runs the version, is ready and has been for a while, and no other
takes requests. A copy that will never come is told at once; what may pass by itself (a full cluster, a registry that
does not answer) is told when nothing moved for a while.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from mmcicd_jenkins.records import dataclass

# A full cluster may get a node, a registry may come back: so long is it given when nothing else moves.
PATIENCE_SECONDS = 60.0

_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
_NO_IMAGE = frozenset({"ErrImageNeverPull", "InvalidImageName", "ImageInspectError"})
_CANNOT_START = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_MISSING = ("not found", "manifest unknown", "notfound", "name unknown")
_BARRED = ("unauthorized", "authentication required", "denied", "forbidden", "authorization failed")
_OTHER_BYTES = ("unexpected digest", "unexpected commit digest", "digest mismatch", "failed size validation")
# Killed and started so often without ever being ready: it will not be the next time either.
_RESTARTS = 2
# What a server that does not hear SIGTERM ends with when its node gives it up; out of memory has a name of its own.
_KILLED = "exit status 137"


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One pod. `ready` ones take requests; `leaving` ones were told to end and get no new ones; `current` ones are made
    as the Deployment wants them now.

    `halted` is why its `container` (of several the one in trouble) does not run, `ended` how it ended last, `refused`
    why no node takes it, `evicted` why a node threw it out; "" where nothing of the kind is known.
    """

    name: str
    version: int | None
    current: bool = True
    ready: bool = False
    leaving: bool = False
    gone: bool = False
    halted: str = ""
    message: str = ""
    restarts: int = 0
    ended: str = ""
    refused: str = ""
    evicted: str = ""
    container: str = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    """What a Deployment says of itself. `seen`: its controller has taken up what is wanted; `refused`: why no pod is made."""

    seen: bool
    wanted: int
    total: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look: what the Deployment says, its pods, and for how long nothing has moved."""

    role: str
    group: Group
    copies: tuple[Copy, ...]
    stalled_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`stall_seconds`: so long may nothing move at all; `patience_seconds`: with a trouble that may pass."""

    stall_seconds: float
    patience_seconds: float = PATIENCE_SECONDS


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why a version does not come. `copy` is the pod that shows it; the `logs` of its `container` say more where they do."""

    what: str
    why: str
    fix: str
    copy: str = ""
    container: str = ""
    logs: bool = False
    integrity: bool = False


@dataclass(frozen=True, kw_only=True)
class Judgement:
    state: Literal["going", "done", "failed"]
    line: str
    trouble: Trouble | None = None


def judge(version: int, look: Look, limits: Limits) -> Judgement:
    """What a look at the rollout of `version` means."""
    line = told(version, look)
    if is_done(version, look):
        return Judgement(state="done", line=line)
    trouble = _sure(version, look)
    if trouble is None and look.stalled_seconds >= min(limits.patience_seconds, limits.stall_seconds):
        trouble = _passing(version, look)
    if trouble is None and look.stalled_seconds >= limits.stall_seconds:
        trouble = _stalled(version, look)
    return Judgement(state="failed" if trouble else "going", line=line, trouble=trouble)


def is_done(version: int, look: Look) -> bool:
    """Whether the version serves alone, on as many copies as are wanted."""
    group = look.group
    settled = group.seen and group.wanted == group.total == group.updated == group.available
    mine = sum(copy.ready for copy in _present(look) if copy.version == version)
    others = any(copy.version != version for copy in _present(look))
    return settled and mine >= group.wanted and not others


def told(version: int, look: Look) -> str:
    """`stable 2 of 3 ready on 8 (1 on 7)`."""
    counts = ready_by_version(look.copies)
    line = f"{look.role} {counts.pop(version, 0)} of {look.group.wanted} ready on {version}"
    others = ", ".join(f"{n} on {v or 'an unknown version'}" for v, n in counts.items())
    return f"{line} ({others})" if others else line


def ready_by_version(copies: Iterable[Copy]) -> dict[int | None, int]:
    """How many copies take requests, by version, the highest first."""
    counts: dict[int | None, int] = {}
    for copy in sorted(copies, key=lambda one: one.version or 0, reverse=True):
        if copy.ready and not copy.leaving:
            counts[copy.version] = counts.get(copy.version, 0) + 1
    return counts


def moved(version: int, look: Look) -> tuple[int, ...]:
    """How far it has come; whoever waits keeps the best of each number, and a better one is progress."""
    present = list(_present(look))
    mine = [copy for copy in present if copy.version == version]
    return (
        look.group.updated,
        look.group.available,
        len(mine),
        sum(copy.ready for copy in mine),
        len(mine) - len(present),
    )


def _present(look: Look) -> Iterator[Copy]:
    return (copy for copy in look.copies if not copy.leaving and not copy.gone)


def _sure(version: int, look: Look) -> Trouble | None:
    """What no waiting cures."""
    for copy in look.copies:
        if copy.version != version or copy.leaving or not copy.current:
            continue
        trouble = _evicted(copy) if copy.gone else _of_container(version, copy)
        if trouble is not None:
            return trouble
    if "violates PodSecurity" in look.group.refused:
        return _not_admitted(look.group.refused)
    return None


def _of_container(version: int, copy: Copy) -> Trouble | None:
    if copy.ready:
        return None
    if "OOMKilled" in copy.ended:
        return Trouble(
            what=f"version {version} needs more memory than it may have",
            why=f"{copy.name} was killed when it reached its limit",
            fix="raise serving.memory of the model in mmcicd.yaml",
            copy=copy.name,
        )
    if copy.ended == _KILLED and copy.restarts:
        return Trouble(
            what=f"version {version} did not answer within the time that a start may take",
            why=f"{copy.name} was killed for it and started again {copy.restarts} times",
            fix="see what the server says; environments.*.pods.start_timeout is how long it may load",
            copy=copy.name,
            container=copy.container,
            logs=True,
        )
    if copy.halted == "CrashLoopBackOff" or copy.restarts >= _RESTARTS:
        return Trouble(
            what=f"the server dies whenever it loads version {version}",
            why=f"{copy.name} was started {copy.restarts + 1} times and ended last with {copy.ended or 'no word'}",
            fix="see its last lines; mmcicd-jenkins stage verify shows the same on its own",
            copy=copy.name,
            container=copy.container,
            logs=True,
        )
    if copy.halted in _CANNOT_START:
        return Trouble(
            what=f"a copy of version {version} cannot be started",
            why=f"{copy.name}: {copy.message or copy.halted}",
            fix="correct what it names, in mmcicd.yaml or your own template",
            copy=copy.name,
        )
    if copy.halted in _NO_IMAGE or (copy.halted in _PULLING and _is_final(copy.message)):
        return _no_image(version, copy)
    return None


def _is_final(message: str) -> bool:
    said = message.lower()
    return any(word in said for word in (*_MISSING, *_BARRED, *_OTHER_BYTES))


def _no_image(version: int, copy: Copy) -> Trouble:
    said = copy.message.lower()
    if any(word in said for word in _OTHER_BYTES):
        return Trouble(
            what=f"the image of version {version} is not what its digest says",
            why=f"{copy.name}: {copy.message}",
            fix="mmcicd-jenkins ledger verify --images shows what differs; put the store back from a copy",
            copy=copy.name,
            integrity=True,
        )
    if any(word in said for word in _BARRED):
        what = f"the cluster's nodes may not pull the image of version {version}"
        fix = "environments.*.pods.pull_secrets names the Secret with the registry's login"
    elif any(word in said for word in _MISSING):
        what = f"the registry has no image of version {version}"
        fix = (
            "mmcicd-jenkins stage package puts it there; the cluster must reach the registry by the same name"
        )
    else:
        what = f"the cluster's nodes cannot pull the image of version {version}"
        fix = "the registry must answer the nodes of the cluster, too, and they must trust its certificate"
    return Trouble(what=what, why=f"{copy.name}: {copy.message or copy.halted}", fix=fix, copy=copy.name)


def _evicted(copy: Copy) -> Trouble | None:
    """A node under pressure throws out anybody; a copy that used more than it may is thrown out of every node."""
    if not copy.evicted or "exceed" not in copy.evicted.lower():
        return None
    return _thrown_out(copy)


def _thrown_out(copy: Copy) -> Trouble:
    return Trouble(
        what=f"copies of version {copy.version} are evicted by their node",
        why=f"{copy.name}: {copy.evicted}",
        fix="give the nodes more room, or the copies the memory and disk that they use",
        copy=copy.name,
    )


def _passing(version: int, look: Look) -> Trouble | None:
    """What may pass by itself, and did not."""
    if look.group.refused and not any(copy.leaving for copy in look.copies):
        return _not_admitted(look.group.refused)
    for copy in look.copies:
        if copy.version != version or copy.leaving or not copy.current:
            continue
        if copy.evicted:
            return _thrown_out(copy)
        if copy.halted in _PULLING:
            return _no_image(version, copy)
        if copy.refused:
            return Trouble(
                what=f"no node of the cluster takes a copy of version {version}",
                why=f"{copy.name}: {copy.refused}",
                fix="add nodes, or ask for less: serving.cpu, serving.memory and serving.gpus of the model",
                copy=copy.name,
            )
    return None


def _not_admitted(refused: str) -> Trouble:
    if "exceeded quota" in refused:
        return Trouble(
            what="the namespace's quota leaves no room for another copy",
            why=refused,
            fix="an update needs room for one copy more than serve: raise the quota, or lower environments.*.replicas",
        )
    return Trouble(
        what="the cluster does not admit the copies",
        why=refused,
        fix="change what the rule names, in mmcicd.yaml or your own template",
    )


def _stalled(version: int, look: Look) -> Trouble:
    waiting = next((c for c in _present(look) if c.version == version and not c.ready), None)
    if waiting is None:
        why = "the cluster makes no copy of it; its controllers may not run"
    elif waiting.halted or waiting.message:
        why = f"{waiting.name}: {waiting.message or waiting.halted}"
    else:
        why = f"{waiting.name} runs and does not become ready"
    return Trouble(
        what=f"version {version} was not ready within {look.stalled_seconds:.0f} s",
        why=why,
        fix="see what the server says; environments.*.progress_timeout is how long a copy may take",
        copy=waiting.name if waiting else "",
        container=waiting.container if waiting else "",
        logs=waiting is not None,
    )

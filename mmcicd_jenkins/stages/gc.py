"""`gc`: which of the things in a store nothing needs any more, and taking them out. `plan` is pure.

Nothing is removed that is not known to be ours: by the ledger that names it, or by what it says itself. What
nobody can tell the age of counts as young. An image goes with what is attached to it, and only after the ledger says
that it is given up: see `release.collecting`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports import Clock
from mmcicd_jenkins.ports.ledger import Ledger
from mmcicd_jenkins.ports.upkeep import Held, StoreKeeper, Swept
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.collecting import collect, needed
from mmcicd_jenkins.release.history import Who
from mmcicd_jenkins.stages.gc_facts import Facts
from mmcicd_jenkins.stages.gc_judge import Judge
from mmcicd_jenkins.stages.gc_needs import Doomed, Rules

TRIES = 5


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`collect`: model -> version -> rule, to be written into its ledger first. `kept` counts by kind of thing.

    `foreign` is how many are not ours, or not known to be. `size` is what nothing else in the store needs of the
    doomed; `before` is since when forgotten bytes must have lain untouched.
    """

    collect: Mapping[str, Mapping[int, str]]
    remove: tuple[Doomed, ...]
    kept: Mapping[str, int]
    foreign: int
    size: int
    before: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a plan. `spared`: something needed them meanwhile."""

    removed: tuple[Doomed, ...]
    spared: tuple[Doomed, ...]
    swept: Swept


def plan(facts: Facts, rules: Rules, only: frozenset[str]) -> Plan:
    """What to remove of the models in `only`."""
    judge = Judge(facts, rules, only)
    remove = judge.doomed()
    kept, foreign = judge.counts(remove)
    return Plan(
        collect=judge.to_collect(remove),
        remove=remove,
        kept=kept,
        foreign=foreign,
        size=_freed(facts.held, remove),
        before=facts.now - rules.minimum,
    )


def _freed(held: tuple[Held, ...], remove: tuple[Doomed, ...]) -> int:
    """Bytes that the doomed need and nobody else does, in each place."""
    doomed = {(each.held.place, each.held.digest) for each in remove}
    stays: set[tuple[str, str]] = set()
    goes: dict[tuple[str, str], int] = {}
    for each in held:
        needs = {**each.blobs, each.digest: each.size}
        if (each.place, each.digest) in doomed:
            goes |= {(each.place, digest): size for digest, size in needs.items()}
        else:
            stays |= {(each.place, digest) for digest in needs}
    return sum(size for blob, size in goes.items() if blob not in stays)


def settle(replan: Callable[[], Plan], ledger: Ledger, clock: Clock, actor: str) -> Plan:
    """A plan whose releases are all written down as given up.

    When an environment needs one meanwhile everything is judged again: its run, its data and its evaluation are
    needed with it.

    Raises:
        OutsideFailed: promotions never let us finish; nothing was removed.
    """
    for _ in range(TRIES):
        made = replan()
        if all(_collect(model, versions, ledger, clock, actor) for model, versions in made.collect.items()):
            failpoint("gc.after-record")
            return made
    raise OutsideFailed(
        "environments need other releases each time gc looks",
        fix="run the same command again",
        retryable=True,
    )


def apply(plan: Plan, keeper: StoreKeeper) -> Outcome:
    """Take it out and free the bytes. The same again after a kill ends where this would have."""
    out = {(held.place, held.digest) for held in keeper.remove([each.held for each in plan.remove])}
    failpoint("gc.after-remove")
    swept = keeper.sweep(plan.before)
    removed = tuple(each for each in plan.remove if (each.held.place, each.held.digest) in out)
    return Outcome(
        removed=removed, spared=tuple(each for each in plan.remove if each not in removed), swept=swept
    )


def _collect(model: str, versions: Mapping[int, str], ledger: Ledger, clock: Clock, actor: str) -> bool:
    """Whether all of `versions` are given up afterwards: a promotion that was written before ours keeps its own."""
    who = Who(actor=actor, at=clock.now().isoformat(timespec="seconds"))
    after = ledger.commit(model, lambda snapshot: collect(snapshot, versions, who))
    served = needed(after, (), 0)
    return all(after.is_collected(version) and version not in served for version in versions)


def summary(things: Iterable[Doomed]) -> Iterator[tuple[str, int]]:
    """Counted by kind of thing."""
    counts: dict[str, int] = {}
    for each in things:
        counts[each.what] = counts.get(each.what, 0) + 1
    yield from sorted(counts.items())

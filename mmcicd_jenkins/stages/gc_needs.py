"""What releases need of a store, by the ledger and the rules of `retention`; and how old a thing is. Pure."""

from collections.abc import Mapping
from functools import cached_property

from mmcicd_jenkins.ports.upkeep import Held
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.collecting import needed
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.stages.gc_facts import Facts, seconds_of


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Seconds, and a count of releases (None: all of them). Nothing younger than `minimum` is removed."""

    releases: int | None
    runs: float
    branches: float
    minimum: float


@dataclass(frozen=True, kw_only=True)
class Doomed:
    """What is removed, in words. `version` is that of the release whose image it is or belongs to."""

    held: Held
    what: str
    name: str
    why: str
    model: str
    version: int | None = None


class Needs:
    """The releases that are kept, and what belongs to them and to the others."""

    def __init__(self, facts: Facts, rules: Rules) -> None:
        self.facts = facts
        self.rules = rules

    @cached_property
    def kept_versions(self) -> Mapping[str, Mapping[int, str]]:
        kept = {}
        for name, model in self.facts.models.items():
            wanted = needed(model.snapshot, model.releases, self.rules.releases)
            given_up = {v for v in model.releases if model.snapshot.is_collected(v)}
            served = needed(model.snapshot, (), 0)
            young = {
                version: "it is young"
                for version, release in model.releases.items()
                if not self.is_old(self.rules.minimum, seconds_of(release.created))
            }
            kept[name] = {v: why for v, why in (wanted | young).items() if v not in given_up or v in served}
        return kept

    def releases(self, *, kept: bool) -> list[Release]:
        return [
            release
            for name, model in self.facts.models.items()
            for version, release in model.releases.items()
            if (version in self.kept_versions[name]) == kept
        ]

    def is_old(self, seconds: float, *known: float | None) -> bool:
        """Whether the latest of the known times is longer ago than that; what has none is young."""
        times = [time for time in known if time is not None]
        return bool(times) and self.facts.now - max(times) > max(seconds, self.rules.minimum)

"""Judge each thing in a store: needed, forgotten, or not ours to judge. Pure; the rules are those of `retention`."""

from collections.abc import Iterable

from mmcicd_jenkins.ports.upkeep import Held
from mmcicd_jenkins.stages.data_copies import DATA_KIND
from mmcicd_jenkins.stages.gc_facts import Facts
from mmcicd_jenkins.stages.gc_images import ImagesJudge
from mmcicd_jenkins.stages.gc_needs import Doomed, Needs, Rules
from mmcicd_jenkins.stages.gc_runs import RunsJudge
from mmcicd_jenkins.stages.identity import RUN_KIND
from mmcicd_jenkins.stages.kept_releases import RELEASE_KIND
from mmcicd_jenkins.stages.scoring import EVALUATION_KIND
from mmcicd_jenkins.stages.verify import VERIFIED_KIND

WORDS = {
    RUN_KIND: "run",
    EVALUATION_KIND: "evaluation",
    VERIFIED_KIND: "verification",
    DATA_KIND: "copy of data",
    RELEASE_KIND: "record of a release",
}


class Judge:
    """One judgement of everything. `only` are the models of which something may be removed."""

    def __init__(self, facts: Facts, rules: Rules, only: frozenset[str]) -> None:
        needs = Needs(facts, rules)
        self._facts = facts
        self._only = only
        self._runs = RunsJudge(needs)
        self._images = ImagesJudge(needs)

    def doomed(self) -> tuple[Doomed, ...]:
        runs, images = self._runs, self._images
        found = [*images.images, *images.attachments, *images.verifications]
        found += [*runs.evaluations, *runs.copies, *runs.runs]
        return tuple(each for each in found if each.model in self._only)

    def to_collect(self, doomed: Iterable[Doomed]) -> dict[str, dict[int, str]]:
        """Releases whose image goes: model -> version -> rule."""
        found: dict[str, dict[int, str]] = {}
        for each in doomed:
            if each.what == "image" and each.version is not None:
                found.setdefault(each.model, {})[each.version] = each.why
        return found

    def counts(self, doomed: Iterable[Doomed]) -> tuple[dict[str, int], int]:
        """What stays, by kind of thing; and how many things are not ours."""
        gone = {(each.held.place, each.held.digest) for each in doomed}
        kept: dict[str, int] = {}
        foreign = 0
        for held in self._facts.held:
            if (held.place, held.digest) in gone:
                continue
            what = self._what(held)
            if what:
                kept[what] = kept.get(what, 0) + 1
            else:
                foreign += 1
        return kept, foreign

    def _what(self, held: Held) -> str:
        """What it is, when it is ours; "" when it is not, or nobody can tell."""
        if held.subject:
            return "attachment" if held.subject in {image.digest for image, _, _ in self._images.own} else ""
        if any(held is image for image, _, _ in self._images.own):
            return "image"
        model = held.document.get("model")
        return WORDS.get(held.kind, "") if model is None or model in self._facts.models else ""

"""Judge runs and what was made for them: evaluations and copies of data. Pure.

Evaluations live as long as the model that they judged. An old run stays as long as a later attempt at the same thing
does: attempts are looked for one by one.
"""

from functools import cached_property

from mmcicd_jenkins.ports.upkeep import Held
from mmcicd_jenkins.release.runs import short
from mmcicd_jenkins.stages.data_copies import DATA_KIND
from mmcicd_jenkins.stages.gc_facts import seconds_of
from mmcicd_jenkins.stages.gc_needs import Doomed, Needs
from mmcicd_jenkins.stages.identity import RUN_KIND
from mmcicd_jenkins.stages.scoring import EVALUATION_KIND

BRANCH = "branch-"
SAME_RUN = ("model", "parameters", "seed", "environment")


class RunsJudge:
    """One judgement of all runs of our models. Others may lie in the same registry."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._facts = needs.facts
        self._rules = needs.rules
        self._is_old = needs.is_old

    @cached_property
    def _held_runs(self) -> list[Held]:
        return [
            held
            for held in self._facts.held
            if held.kind == RUN_KIND and held.document.get("model") in self._facts.models
        ]

    @cached_property
    def runs(self) -> list[Doomed]:
        doomed = [each for run in self._held_runs if (each := self._old_run(run)) is not None]
        gone = {id(each.held) for each in doomed}
        stays = [run for run in self._held_runs if id(run) not in gone]
        return [each for each in doomed if not any(_is_attempt_before(each.held, later) for later in stays)]

    def _old_run(self, run: Held) -> Doomed | None:
        model = str(run.document["model"])
        run_id = str(run.document.get("run_id"))
        trained = seconds_of(run.document.get("trained"))
        rule, seconds = ("runs", self._rules.runs)
        if _is_branch(run):
            rule, seconds = ("branches", self._rules.branches)
        if run_id in self._wanted_runs or run is self._newest_run(model):
            return None
        if not self._is_old(seconds, trained, run.touched):
            return None
        why = f"trained {str(run.document.get('trained'))[:10]}, retention.{rule}"
        return Doomed(held=run, what="run", name=short(run_id), why=why, model=model)

    @cached_property
    def _wanted_runs(self) -> set[str]:
        wanted = {release.run_id for release in self._needs.releases(kept=True)}
        for model in self._facts.models.values():
            wanted |= {
                reserved.run_id
                for reserved in model.reserved.values()
                if not self._is_old(self._rules.runs, reserved.at)
            }
        return wanted

    def _newest_run(self, model: str) -> Held | None:
        """So that a checkout at which nothing changed is not trained anew."""
        return max(
            (run for run in self._held_runs if run.document["model"] == model and not _is_branch(run)),
            # Records tell whole seconds, and two small trainings fit into one.
            key=lambda run: (seconds_of(run.document.get("trained")) or 0.0, run.touched or 0.0),
            default=None,
        )

    @cached_property
    def _stays(self) -> set[str]:
        """Digests of models that a kept run or release has; and of runs that are others' to judge."""
        gone = {id(each.held) for each in self.runs}
        runs = [held for held in self._facts.held if held.kind == RUN_KIND and id(held) not in gone]
        digests = {str(run.document.get("model_digest")) for run in runs}
        return digests | {release.model_digest for release in self._needs.releases(kept=True)}

    @cached_property
    def evaluations(self) -> list[Doomed]:
        owners: dict[str, tuple[str, float | None]] = {
            release.model_digest: (release.model, seconds_of(release.created))
            for release in self._needs.releases(kept=False)
        }
        for each in self.runs:
            document = each.held.document
            owners[str(document.get("model_digest"))] = (each.model, seconds_of(document.get("trained")))
        wanted = {release.evaluation for release in self._needs.releases(kept=True)}
        doomed = []
        for held in self._facts.held:
            digest = str(held.document.get("model_digest"))
            if held.kind != EVALUATION_KIND or digest in self._stays or digest not in owners:
                continue
            model, owned = owners[digest]
            made = seconds_of(held.document.get("evaluated"))
            if held.document.get("evaluation") in wanted or not self._is_old(
                self._rules.minimum, made, held.touched, owned
            ):
                continue
            name = short(str(held.document.get("evaluation")))
            why = "the model that it judged is removed"
            doomed.append(Doomed(held=held, what="evaluation", name=name, why=why, model=model))
        return doomed

    @cached_property
    def copies(self) -> list[Doomed]:
        wanted = {*self._facts.locked}
        for release in self._needs.releases(kept=True):
            wanted |= set(release.data.values())
        owners = {
            digest: release.model
            for release in self._needs.releases(kept=False)
            for digest in release.data.values()
        }
        doomed = []
        for held in self._facts.held:
            if held.kind != DATA_KIND:
                continue
            digest, model = str(held.document.get("digest")), str(held.document.get("model"))
            if model not in self._facts.models:
                model = owners.get(digest, "")
            kept = seconds_of(held.document.get("kept"))
            if not model or digest in wanted or not self._is_old(self._rules.runs, kept, held.touched):
                continue
            why = "neither the lock nor a release that is kept names it"
            doomed.append(Doomed(held=held, what="copy of data", name=short(digest), why=why, model=model))
        return doomed


def _is_branch(run: Held) -> bool:
    return bool(run.tags) and all(tag.startswith(BRANCH) for tag in run.tags)


def _is_attempt_before(run: Held, later: Held) -> bool:
    """Whether `later` may be a further attempt at what `run` was. What must be equal is; what is not told may be."""
    if any(run.document.get(key) != later.document.get(key) for key in SAME_RUN):
        return False
    first, second = run.document.get("attempt"), later.document.get("attempt")
    return isinstance(first, int) and isinstance(second, int) and first < second

"""Judge each thing in a store: needed, forgotten, or not ours to judge. Pure; the rules are those of `retention`.

Runs are judged first, because evaluations live as long as the model that they judged; images before what is
attached to them and what was verified of them. An old run stays as long as a later attempt at the same thing does:
attempts are looked for one by one.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property

from mmcicd_jenkins.image.descriptor import CONFIG, INDEX
from mmcicd_jenkins.ports_upkeep import Held
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.collecting import needed
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.runs import short
from mmcicd_jenkins.stages.data_copies import DATA_KIND
from mmcicd_jenkins.stages.gc_facts import Facts, ModelFacts, seconds_of
from mmcicd_jenkins.stages.identity import RUN_KIND
from mmcicd_jenkins.stages.kept_releases import RELEASE_KIND
from mmcicd_jenkins.stages.scoring import EVALUATION_KIND
from mmcicd_jenkins.stages.verify import VERIFIED_KIND

BRANCH = "branch-"
# What says of an image that one of ours made it.
RUN_ID = "io.mmcicd.run-id"
VERIFIED_TAGS = ("verified-", "timed-")
IMAGES = frozenset({CONFIG, INDEX})
SAME_RUN = ("model", "parameters", "seed", "environment")


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


class Judge:
    """One judgement of everything. `only` are the models of which something may be removed."""

    def __init__(self, facts: Facts, rules: Rules, only: frozenset[str]) -> None:
        self._facts = facts
        self._rules = rules
        self._only = only

    def doomed(self) -> tuple[Doomed, ...]:
        found = [*self._images, *self._attachments, *self._verifications]
        found += [*self._evaluations, *self._copies, *self._runs]
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
            return "attachment" if held.subject in {image.digest for image, _, _ in self._own_images} else ""
        if any(held is image for image, _, _ in self._own_images):
            return "image"
        words = {
            RUN_KIND: "run",
            EVALUATION_KIND: "evaluation",
            VERIFIED_KIND: "verification",
            DATA_KIND: "copy of data",
            RELEASE_KIND: "record of a release",
        }
        model = held.document.get("model")
        return words.get(held.kind, "") if model is None or model in self._facts.models else ""

    @cached_property
    def _kept_versions(self) -> Mapping[str, Mapping[int, str]]:
        kept = {}
        for name, model in self._facts.models.items():
            wanted = needed(model.snapshot, model.releases, self._rules.releases)
            given_up = {v for v in model.releases if model.snapshot.is_collected(v)}
            served = needed(model.snapshot, (), 0)
            young = {
                version: "it is young"
                for version, release in model.releases.items()
                if not self._is_old(self._rules.minimum, seconds_of(release.created))
            }
            kept[name] = {v: why for v, why in (wanted | young).items() if v not in given_up or v in served}
        return kept

    def _releases(self, *, kept: bool) -> list[Release]:
        return [
            release
            for name, model in self._facts.models.items()
            for version, release in model.releases.items()
            if (version in self._kept_versions[name]) == kept
        ]

    def _is_old(self, seconds: float, *known: float | None) -> bool:
        """Whether the latest of the known times is longer ago than that; what has none is young."""
        times = [time for time in known if time is not None]
        return bool(times) and self._facts.now - max(times) > max(seconds, self._rules.minimum)

    # Runs

    @cached_property
    def _held_runs(self) -> list[Held]:
        """Runs of our models. Others may lie in the same registry."""
        return [
            held
            for held in self._facts.held
            if held.kind == RUN_KIND and held.document.get("model") in self._facts.models
        ]

    @cached_property
    def _runs(self) -> list[Doomed]:
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
        wanted = {release.run_id for release in self._releases(kept=True)}
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
            key=lambda run: seconds_of(run.document.get("trained")) or 0.0,
            default=None,
        )

    # What belongs to a model's bytes

    @cached_property
    def _stays(self) -> set[str]:
        """Digests of models that a kept run or release has; and of runs that are others' to judge."""
        gone = {id(each.held) for each in self._runs}
        runs = [held for held in self._facts.held if held.kind == RUN_KIND and id(held) not in gone]
        digests = {str(run.document.get("model_digest")) for run in runs}
        return digests | {release.model_digest for release in self._releases(kept=True)}

    @cached_property
    def _evaluations(self) -> list[Doomed]:
        owners: dict[str, tuple[str, float | None]] = {
            release.model_digest: (release.model, seconds_of(release.created))
            for release in self._releases(kept=False)
        }
        for each in self._runs:
            document = each.held.document
            owners[str(document.get("model_digest"))] = (each.model, seconds_of(document.get("trained")))
        wanted = {release.evaluation for release in self._releases(kept=True)}
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
    def _copies(self) -> list[Doomed]:
        wanted = {*self._facts.locked}
        for release in self._releases(kept=True):
            wanted |= set(release.data.values())
        owners = {
            digest: release.model
            for release in self._releases(kept=False)
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

    # Images

    @cached_property
    def _own_images(self) -> list[tuple[Held, ModelFacts, int | None]]:
        """Images of our models, each with its version when a name says one."""
        found = []
        for held in self._facts.held:
            if held.kind not in IMAGES or held.subject:
                continue
            owner = next(filter(None, (self._owner(held, m) for m in self._facts.models.values())), None)
            if owner is not None:
                found.append((held, *owner))
        return found

    def _owner(self, held: Held, model: ModelFacts) -> tuple[ModelFacts, int | None] | None:
        if held.place not in ("", model.name):
            return None
        for version, release in model.releases.items():
            if release.image_digest == held.digest:
                return model, version
        versions = [v for tag in held.tags if (v := _version_of(tag, model.name, held.place)) is not None]
        # Whoever puts an image of another make under our names keeps it.
        if RUN_ID not in held.notes or len(versions) != len(held.tags) or len(versions) != 1:
            return None
        return model, versions[0]

    @cached_property
    def _images(self) -> list[Doomed]:
        doomed = []
        for held, model, version in self._own_images:
            release = model.releases.get(version) if version is not None else None
            if version is None:
                continue
            named = f"{model.name} {version}"
            if release is None:
                reserved = model.reserved.get(version)
                times = (reserved.at if reserved else None, held.touched)
                if not self._is_old(self._rules.runs, *times) or version > model.snapshot.head.versions:
                    continue
                why = "it never became a release, retention.runs"
                doomed.append(Doomed(held=held, what="image", name=named, why=why, model=model.name))
            elif release.image_digest == held.digest and version not in self._kept_versions[model.name]:
                doomed.append(
                    Doomed(
                        held=held,
                        what="image",
                        name=named,
                        why=model.snapshot.head.collected.get(str(version), "") or self._rule(release),
                        model=model.name,
                        version=version,
                    )
                )
        return doomed

    def _rule(self, release: Release) -> str:
        return f"released {release.created[:10]}, retention.releases: {self._rules.releases}"

    @cached_property
    def _attachments(self) -> list[Doomed]:
        images = {(each.held.place, each.held.digest): each for each in self._images}
        doomed = []
        for held in self._facts.held:
            image = images.get((held.place, held.subject))
            if image is not None:
                doomed.append(
                    Doomed(
                        held=held,
                        what="attachment",
                        name=f"{held.kind.rpartition('/')[2]} of {image.name}",
                        why="its image is removed",
                        model=image.model,
                        version=image.version,
                    )
                )
        return doomed

    @cached_property
    def _verifications(self) -> list[Doomed]:
        images = {each.held.digest.removeprefix("sha256:"): each for each in self._images}
        doomed = []
        for held in self._facts.held:
            if held.kind != VERIFIED_KIND or not held.tags:
                continue
            found = [images.get(_after(tag, VERIFIED_TAGS)) for tag in held.tags]
            image = found[0]
            if image is not None and all(each is not None for each in found):
                doomed.append(
                    Doomed(
                        held=held,
                        what="verification",
                        name=f"of {image.name}",
                        why="its image is removed",
                        model=image.model,
                        version=image.version,
                    )
                )
        return doomed


def _is_branch(run: Held) -> bool:
    return bool(run.tags) and all(tag.startswith(BRANCH) for tag in run.tags)


def _is_attempt_before(run: Held, later: Held) -> bool:
    """Whether `later` may be a further attempt at what `run` was. What must be equal is; what is not told may be."""
    if any(run.document.get(key) != later.document.get(key) for key in SAME_RUN):
        return False
    first, second = run.document.get("attempt"), later.document.get("attempt")
    return isinstance(first, int) and isinstance(second, int) and first < second


def _version_of(tag: str, model: str, place: str) -> int | None:
    """The version that a tag of an image says: `churn-1` in a layout, `1` in the model's repository."""
    number = tag if place else tag.removeprefix(f"{model}-")
    named = number.isascii() and number.isdecimal() and not number.startswith("0")
    return int(number) if named and (place or number != tag) else None


def _after(tag: str, beginnings: tuple[str, ...]) -> str:
    return next((tag.removeprefix(b) for b in beginnings if tag.startswith(b)), "")

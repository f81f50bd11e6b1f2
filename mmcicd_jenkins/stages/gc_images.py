"""Judge images, what is attached to them and what was verified of them. Pure."""

from functools import cached_property

from mmcicd_jenkins.image.descriptor import CONFIG, INDEX
from mmcicd_jenkins.image.manifest import RUN_ID
from mmcicd_jenkins.ports.upkeep import Held
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.stages.gc_facts import ModelFacts
from mmcicd_jenkins.stages.gc_needs import Doomed, Needs
from mmcicd_jenkins.stages.verify import LOADED, MEASURED, TIMED
from mmcicd_jenkins.stages.verify_with import JOINED, VERIFIED_KIND

VERIFIED_TAGS = tuple(f"{kind}-" for kind in (LOADED, TIMED, MEASURED, JOINED))
_HEX = 64
IMAGES = frozenset({CONFIG, INDEX})


class ImagesJudge:
    """One judgement of all images of our models."""

    def __init__(self, needs: Needs) -> None:
        self._facts = needs.facts
        self._rules = needs.rules
        self._kept_versions = needs.kept_versions
        self._is_old = needs.is_old

    @cached_property
    def own(self) -> list[tuple[Held, ModelFacts, int | None]]:
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
    def images(self) -> list[Doomed]:
        doomed = []
        for held, model, version in self.own:
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
    def attachments(self) -> list[Doomed]:
        images = {(each.held.place, each.held.digest): each for each in self.images}
        doomed = []
        for held in self._facts.held:
            image = images.get((held.place, held.subject))
            if image is not None:
                doomed.append(
                    Doomed(
                        held=held,
                        what="attachment",
                        name=f"{_said(held)} of {image.name}",
                        why="its image is removed",
                        model=image.model,
                        version=image.version,
                    )
                )
        return doomed

    @cached_property
    def verifications(self) -> list[Doomed]:
        images = {each.held.digest.removeprefix("sha256:"): each for each in self.images}
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


def _said(held: Held) -> str:
    """What an attachment is, in a word: `provenance`, or the kind that others gave it."""
    if held.kind == INDEX:
        return "list of attachments"
    return held.kind.rpartition("/")[2].removeprefix("vnd.in-toto.").removesuffix("+dsse")


def _version_of(tag: str, model: str, place: str) -> int | None:
    """The version that a tag of an image says: `churn-1` in a layout, `1` in the model's repository."""
    number = tag if place else tag.removeprefix(f"{model}-")
    named = number.isascii() and number.isdecimal() and not number.startswith("0")
    return int(number) if named and (place or number != tag) else None


def _after(tag: str, beginnings: tuple[str, ...]) -> str:
    """The hex of the digest that such a tag begins with."""
    return next((tag.removeprefix(b)[:_HEX] for b in beginnings if tag.startswith(b)), "")

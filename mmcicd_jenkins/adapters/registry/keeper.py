"""Tidying the repositories of a registry: `ports.upkeep.StoreKeeper` by its tags and referrers.

A registry deletes a manifest by its digest, and every tag of it with it; what lost all its tags is listed by nobody.
So a manifest goes only when it has the tags that it was planned with, and the pieces of an image go before it: killed
anywhere, the rest can still be found. The bytes are freed by the registry's own collection of garbage.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from mmcicd_jenkins.adapters.held_manifests import held
from mmcicd_jenkins.adapters.registry.client import Repository
from mmcicd_jenkins.errors import IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.artifact import LARGEST_DOCUMENT
from mmcicd_jenkins.image.descriptor import INDEX, Descriptor
from mmcicd_jenkins.image.documents import MANIFESTS
from mmcicd_jenkins.ports.upkeep import Held, Swept

_FREED = (
    "the registry frees the bytes when it next collects its garbage (Docker's: registry garbage-collect CONFIG; "
    "without --delete-untagged, which takes signatures and pieces of images as well)"
)


class RegistryKeeper:
    """`ports.upkeep.StoreKeeper` of some repositories of one registry, by name."""

    def __init__(self, repositories: Mapping[str, Repository]) -> None:
        self._repositories = repositories

    def holdings(self) -> Sequence[Held]:
        return [one for name, repository in self._repositories.items() for one in _list(name, repository)]

    def remove(self, doomed: Sequence[Held]) -> tuple[Held, ...]:
        out: list[Held] = []
        for name, repository in self._repositories.items():
            here = [each for each in doomed if each.place == name]
            if not here:
                continue
            tags = _tagged(repository)
            shared = self._shared(name, repository, here)
            for each in sorted(here, key=lambda one: not one.subject):
                if set(tags.get(each.digest, ())) <= {*each.tags}:
                    _delete(repository, each, shared)
                    out.append(each)
        return tuple(out)

    def sweep(self, before: float) -> Swept:  # noqa: ARG002  the registry decides when
        return Swept(why_not=_FREED)

    def _shared(self, name: str, repository: Repository, doomed: Iterable[Held]) -> set[str]:
        """Manifests that something else in the repository needs: they are not deleted with one of several images."""
        gone = {each.digest for each in doomed}
        if not any(each.children for each in doomed):
            return set()
        stays = [one for one in _list(name, repository) if one.digest not in gone]
        return {digest for one in stays for digest in (one.digest, *one.children)}


def _delete(repository: Repository, each: Held, shared: set[str]) -> None:
    for child in each.children:
        if child not in shared:
            repository.delete(child)
    repository.delete(each.digest)


def _tagged(repository: Repository) -> dict[str, list[str]]:
    """Digest -> its tags now."""
    found: dict[str, list[str]] = {}
    for tag in repository.tags():
        named = repository.manifest(tag)
        if named is not None:
            found.setdefault(named[0].digest, []).append(tag)
    return found


def _list(name: str, repository: Repository) -> Iterator[Held]:
    tags: dict[str, list[str]] = {}
    described: dict[str, Descriptor] = {}
    for tag in repository.tags():
        found = repository.manifest(tag)
        if found is not None:
            described[found[0].digest] = found[0]
            tags.setdefault(found[0].digest, []).append(tag)
    read = partial(_read, repository)
    lists = {f"sha256-{digest.removeprefix('sha256:')}" for digest in described}
    for digest, named in described.items():
        one = held(name, named, tags[digest], read)
        if lists.issuperset(one.tags):
            # The list that stands in for referrers on an old registry: it goes with what it is about.
            subject = f"sha256:{one.tags[0].removeprefix('sha256-')}"
            yield Held(place=name, digest=digest, size=named.size, tags=one.tags, kind=INDEX, subject=subject)
            continue
        yield one
        if (
            one.kind and not one.document and not one.subject
        ):  # asking for all else would double the questions
            yield from _attached(name, repository, digest, read)


def _attached(name: str, repository: Repository, digest: str, read: partial[bytes | None]) -> Iterator[Held]:
    for each in repository.referrers(digest):
        named = repository.manifest(each.digest)
        if named is not None:
            one = held(name, named[0], (), read)
            if one.subject == digest:
                yield one


def _read(repository: Repository, named: Descriptor) -> bytes | None:
    if named.size > LARGEST_DOCUMENT:
        return None
    if named.media_type in MANIFESTS:
        found = repository.manifest(named.digest)
        return found[1] if found else None
    try:
        return b"".join(repository.chunks(named))
    except (IntegrityFailed, OutsideFailed):
        return None

"""Where a project's things lie in a registry, as one side sees it: its own repository, the other side's, the models'.

Blobs belong to a repository, so a digest alone does not say where its bytes are: this remembers where something was
named, and asks else. What is trusted of the other side's tags is given as data. No document is read here.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.artifact import is_digest, malformed
from mmcicd_jenkins.image.container import Sink
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.image.reference import Reference, parse_reference
from mmcicd_jenkins.image.verifying import mismatch, verified
from mmcicd_jenkins.ports.store import BlobSource


class Places:
    """The repositories below `root`, which is a registry's host and maybe a path.

    Args:
        root: `registry.example/ml`, as in the configuration.
        access: how registries are reached.
        shelves: repository -> beginnings of the tags that are taken from it, in the order in which they are searched;
            the first is this side's own, to which alone it writes.
        models: each has a repository for its images.

    Raises:
        InputError: `root` cannot be a registry.
    """

    def __init__(
        self, root: str, access: Access, shelves: Mapping[str, Sequence[str]], models: Sequence[str] = ()
    ) -> None:
        self.root = root.rstrip("/")
        self._access = access
        self._shelves = {name: tuple(prefixes) for name, prefixes in shelves.items()}
        self._models = tuple(models)
        self._opened: dict[str, Repository] = {}
        self._known: dict[str, Repository] = {}
        self._lock = threading.Lock()
        self.own = self.repository(next(iter(shelves)))

    def repository(self, name: str) -> Repository:
        with self._lock:
            if name not in self._opened:
                self._opened[name] = Repository(self.place(name), self._access)
            return self._opened[name]

    def place(self, name: str) -> Reference:
        return parse_reference(f"{self.root}/{name}")

    def taking(self, tag: str) -> Iterator[Repository]:
        """The repositories in which this tag counts, the own first. A digest says itself what it names."""
        for name, prefixes in self._shelves.items():
            if is_digest(tag) or tag.startswith(prefixes):
                yield self.repository(name)

    def remember(self, repository: Repository, named: Iterable[Descriptor]) -> None:
        """These were named by a document of `repository`."""
        for blob in named:
            self._known[blob.digest] = repository

    def locate(self, blob: Descriptor) -> Repository:
        """A repository of ours that holds a blob.

        Raises:
            IntegrityFailed: none does, or it has another size there.
        """
        if not is_digest(blob.digest):
            raise malformed(self.root, f"{blob.digest!r} is no sha256 digest")
        known = self._known.get(blob.digest)
        if known is not None:
            return known
        for name in (*self._shelves, *self._models):
            repository = self.repository(name)
            if self.has(repository, blob):
                self.remember(repository, [blob])
                return repository
        raise self.lost(blob)

    def has(self, repository: Repository, blob: Descriptor) -> bool:
        """Whether a repository holds a blob.

        Raises:
            IntegrityFailed: it has another size there.
        """
        size = repository.blob_size(blob.digest)
        if size not in {None, blob.size}:
            why = f"it has {size} bytes and should have {blob.size}"
            raise mismatch(blob, str(repository.place), why)
        return size is not None

    def bring(self, blob: Descriptor, to: Repository) -> None:
        """Have in `to` a blob that another repository of ours holds: mounted, else copied and checked.

        Raises:
            IntegrityFailed: none holds it.
        """
        if self.has(to, blob):
            return
        if self._known.get(blob.digest) is to:
            self._known.pop(blob.digest, None)
        copy(blob, self.locate(blob), to)

    def lost(self, blob: Descriptor) -> IntegrityFailed:
        return IntegrityFailed(
            f"the store does not hold {blob.digest}",
            where=self.root,
            why="something refers to it, and it was deleted or never stored here",
            fix="copy it back from another store, or make it anew: mmcicd-jenkins run --again",
        )


def copy(blob: Descriptor, source: BlobSource, to: Repository) -> None:
    """Have a blob of `source` in `to`: mounted where both are of one registry, else its bytes are sent and checked.

    Raises:
        IntegrityFailed: `source` gives other bytes; nothing is kept of them.
    """
    if source.place is not None and to.mount(blob.digest, source.place):
        return
    where = str(source.place or "the source of a layer")

    def write(sink: Sink) -> Descriptor:
        for chunk in verified(source.chunks(blob), blob, where):
            sink([chunk])
        return blob

    to.upload(write, blob.size)

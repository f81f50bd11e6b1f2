"""Reading the documents of a layout: artifacts and images, each checked against the digest that names it."""

from mmcicd_jenkins.adapters.layout.files import LayoutFiles
from mmcicd_jenkins.image.artifact import LARGEST_DOCUMENT, malformed, read_artifact, read_manifest
from mmcicd_jenkins.image.descriptor import Artifact, Descriptor
from mmcicd_jenkins.image.documents import read_image
from mmcicd_jenkins.image.verifying import verified


class LayoutDocuments:
    def __init__(self, files: LayoutFiles) -> None:
        self._files = files

    def where(self, named: Descriptor) -> str:
        return str(self._files.blob(named.digest))

    def read(self, blob: Descriptor) -> bytes:
        return b"".join(verified(self._files.chunks(blob), blob, self.where(blob)))

    def check(self, blob: Descriptor, *, deep: bool) -> None:
        """That a blob is there in its size; `deep` reads it.

        Raises:
            IntegrityFailed: it is not.
        """
        if self._files.size(blob.digest) != blob.size:
            raise self._files.lost(blob)
        if deep:
            for _ in verified(self._files.chunks(blob), blob, self.where(blob)):
                pass

    def document(self, named: Descriptor) -> bytes:
        """One that is small enough to be a document.

        Raises:
            IntegrityFailed: it is none, or has other bytes.
        """
        if named.size > LARGEST_DOCUMENT:
            raise malformed(self.where(named), f"it has {named.size} bytes")
        return self.read(named)

    def artifact(self, manifest: Descriptor) -> Artifact:
        where, content = self.where(manifest), self.document(manifest)
        return read_artifact(manifest, content, self.document(read_manifest(content, where)[1]), where)

    def image(self, named: Descriptor) -> Artifact:
        return read_image(named, self.document(named), self.read, self.where(named))

"""The documents of one repository: manifests by tag or digest, tags, and what refers to what. All are checked here.

A registry without the referrers API (before OCI 1.1) gets an index under the tag `sha256-<hex>` instead, as the
specification says; it is read, changed, written and read again, because no registry arbitrates between two writers.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from mmcicd_jenkins.adapters.registry.asks import Answer
from mmcicd_jenkins.adapters.registry.requests import READ, WRITE, Requests, checked_digest, manifest_path
from mmcicd_jenkins.adapters.registry.syntax import next_link
from mmcicd_jenkins.errors import IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.artifact import (
    LARGEST_DOCUMENT,
    is_digest,
    json_bytes,
    json_object,
    malformed,
    read_descriptor,
)
from mmcicd_jenkins.image.descriptor import INDEX, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_ACCEPT = {"Accept": f"{MANIFEST}, {INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"}
# Docker's first format: its digest is of other bytes than those that are sent.
_OLD = "application/vnd.docker.distribution.manifest.v1"
_PAGE = 1000
# A list with more pages goes round in circles.
_MOST_PAGES = 10_000
_INDEX_TRIES = 5


class Documents(Requests):
    """Manifests and indexes."""

    def manifest(self, which: str, most: int = LARGEST_DOCUMENT) -> tuple[Descriptor, bytes] | None:
        """The document that a tag or a digest names, and what it is; None when there is none.

        Raises:
            IntegrityFailed: its bytes are others than its digest says, it is too large or cannot be read.
        """
        answer = self._ask("GET", manifest_path(which), READ, headers=_ACCEPT, expect={200, 404}, most=most)
        if answer.status == 404:
            return None
        where = f"{self.place}{'@' if is_digest(which) else ':'}{which}"
        if len(answer.body) > most:
            raise malformed(where, f"it has more than {most:,} bytes")
        digest = digest_bytes(answer.body)
        named = which if is_digest(which) else answer.headers.get("Docker-Content-Digest", "")
        if is_digest(named) and named != digest:
            raise IntegrityFailed(
                "the registry gives other bytes than it names",
                where=where,
                why=f"their digest is {digest}, and it names {named}",
                fix="find out what changes bytes between the registry and here; what is damaged there must be deleted there "
                "before it can be stored anew",
            )
        media_type = _media_type(answer, where)
        return Descriptor(media_type=media_type, digest=digest, size=len(answer.body)), answer.body

    def put_manifest(self, which: str, content: bytes, media_type: str) -> str:
        """Store a document under a tag or its digest, and read it back by digest, which is returned.

        One that has a subject is found among its referrers afterwards.
        """
        digest = digest_bytes(content)
        answer = self._ask(
            "PUT",
            manifest_path(which),
            WRITE,
            scopes=self._push,
            headers={"Content-Type": media_type},
            body=content,
            expect={200, 201, 202, 204},
            look=lambda: self._look_at(which, digest),
        )
        found = self.manifest(digest)
        if found is None or found[1] != content:
            raise IntegrityFailed(
                "the registry does not give back what it was given", where=f"{self.place}@{digest}"
            )
        document = json_object(content, f"{self.place}@{digest}")
        if document.get("subject") and not answer.headers.get("OCI-Subject"):
            self._add_referrer(document, Descriptor(media_type=media_type, digest=digest, size=len(content)))
        return digest

    def tags(self) -> Iterator[str]:
        """All tags, in the registry's order; none when there is no such repository."""
        for entries in self._pages(f"tags/list?n={_PAGE}", "tags") or ():
            yield from (tag for tag in entries if isinstance(tag, str))

    def referrers(self, digest: str, kind: str = "") -> tuple[Descriptor, ...]:
        """What names `digest` as its subject; `kind` is an artifactType, "" for all."""
        entries = self._referrers_by_api(digest, kind)
        if entries is None:
            entries = self._index_of(digest)
        return tuple(
            read_descriptor(entry, str(self.place))
            for entry in entries
            if not kind or entry.get("artifactType") == kind
        )

    def delete(self, digest: str) -> bool:
        """Remove a document by its digest, and with it every tag of it; False when it is not there."""
        answer = self._ask(
            "DELETE",
            manifest_path(checked_digest(digest)),
            "delete from it",
            scopes=(f"repository:{self.place.name}:delete,pull",),
            expect={200, 202, 204, 404, 405},
        )
        if answer.status == 405:
            raise OutsideFailed(
                "the registry deletes nothing",
                where=str(self.place),
                why="deletion is switched off there",
                fix="allow it (Docker's registry: REGISTRY_STORAGE_DELETE_ENABLED=true)",
            )
        return answer.status != 404

    def _look_at(self, which: str, digest: str) -> Answer | None:
        answer = self._ask("HEAD", manifest_path(which), READ, headers=_ACCEPT, expect={200, 404})
        is_there = answer.status == 200 and answer.headers.get("Docker-Content-Digest") == digest
        return answer if is_there else None

    def _referrers_by_api(self, digest: str, kind: str) -> list[dict[str, Any]] | None:
        """The entries that the registry lists; None when it has no such list."""
        query = f"?artifactType={quote(kind, safe='')}" if kind else ""
        pages = self._pages(f"referrers/{checked_digest(digest)}{query}", "manifests")
        if pages is None:
            return None
        return [entry for page in pages for entry in page if isinstance(entry, dict)]

    def _index_of(self, digest: str) -> list[dict[str, Any]]:
        """The entries of the index that stands in for the list."""
        found = self.manifest(digest.replace(":", "-"))
        entries = json_object(found[1], str(self.place)).get("manifests") if found else None
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []

    def _add_referrer(self, document: Mapping[str, Any], added: Descriptor) -> None:
        subject = read_descriptor(document["subject"], str(self.place)).digest
        if self._referrers_by_api(subject, "") is not None:
            return
        entry = {**added.to_json(), "artifactType": _kind(document)}
        if annotations := document.get("annotations"):
            entry["annotations"] = annotations
        for _ in range(_INDEX_TRIES):
            entries = self._index_of(subject)
            if any(known.get("digest") == added.digest for known in entries):
                return
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*entries, entry]}
            self.put_manifest(subject.replace(":", "-"), json_bytes(index), INDEX)
        raise OutsideFailed(
            "others change the list of what refers to an image all the time",
            where=f"{self.place}:{subject.replace(':', '-')}",
            retryable=True,
        )

    def _pages(self, path: str, key: str) -> Iterator[list[Any]] | None:
        """The lists of all pages; None when there is no first one."""
        url = self._url(path)
        first = self._page(url)
        return None if first.status == 404 else self._pages_from(first, url, key)

    def _pages_from(self, answer: Answer, url: str, key: str) -> Iterator[list[Any]]:
        for _ in range(_MOST_PAGES):
            if answer.status == 404:
                return
            if len(answer.body) > LARGEST_DOCUMENT:
                raise malformed(url, f"it has more than {LARGEST_DOCUMENT:,} bytes")
            entries = json_object(answer.body, url).get(key)
            # Docker's registry writes null for none.
            entries = [] if entries is None else entries
            if not isinstance(entries, list):
                raise malformed(url, f"its {key} are no list")
            yield entries
            following = next_link(answer.headers.get("Link", ""), answer.url)
            if not following or following == url:
                return
            # Whatever host it names: the list goes on where it began.
            parts = urlsplit(following)
            url = urlsplit(url)._replace(path=parts.path, query=parts.query).geturl()
            answer = self._page(url)
        raise malformed(url, "its pages have no end")

    def _page(self, url: str) -> Answer:
        return self._ask("GET", url, READ, expect={200, 404}, most=LARGEST_DOCUMENT)


def _media_type(answer: Answer, where: str) -> str:
    """What a document says of itself, else what the registry says of it."""
    said = json_object(answer.body, where).get("mediaType")
    header = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    media_type = said if isinstance(said, str) and said else header or MANIFEST
    if media_type.startswith(_OLD):
        raise malformed(where, "it is in Docker's first format, which no digest protects")
    return media_type


def _kind(document: Mapping[str, Any]) -> str:
    config = document.get("config")
    said = document.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else "")
    return said if isinstance(said, str) else ""

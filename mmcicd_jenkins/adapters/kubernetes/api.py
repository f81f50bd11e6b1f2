"""The calls that we make in one namespace of one cluster. Documents go in and come out as the API has them.

The law: a write to what exists names the `uid` and the `resourceVersion` that were read; a write whose answer was lost is
resolved by reading back; each call ends by its deadline. What to write and when is decided elsewhere.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes.calls import APPLY, MERGE, document_of
from mmcicd_jenkins.adapters.kubernetes.documents import contains
from mmcicd_jenkins.adapters.kubernetes.errors import Absent, AlreadyExists, Conflict
from mmcicd_jenkins.adapters.kubernetes.kinds import KINDS, Kind, kind_of, name_of, where_is
from mmcicd_jenkins.adapters.kubernetes.ownership import FIELD_MANAGER
from mmcicd_jenkins.adapters.kubernetes.reads import Document, Reads

_MOST_LOOKS = 10


class Api(Reads):
    """One namespace of one cluster; thread-safe. What is asked and how it is made is in `Reads`."""

    def create(self, document: Mapping[str, Any], *, dry_run: bool = False) -> Document:
        """Make what must not be there. No `apply` removes what was created, unless `ownership` folds it in before.

        Raises:
            AlreadyExists: something of this name is there, and it is not what this call made.
        """
        kind, name = kind_of(document), name_of(document)
        doing = self._calls.doing("create", where_is(document), self.namespace)
        tries = self._calls.tries()
        path = kind.path(self.namespace)
        try:
            answer = self._calls.ask(
                "POST", path, _written(dry_run=dry_run), doing, body=document, tries=tries
            )
        except AlreadyExists:
            if tries.doubtful and (live := self._as_written(kind, name, document)):
                return live
            raise
        return document_of(answer, doing)

    def apply(
        self,
        document: Mapping[str, Any],
        *,
        uid: str,
        resource_version: str,
        dry_run: bool = False,
        force: bool = True,
    ) -> Document:
        """Server-side apply to the very object that was read.

        Raises:
            Conflict: it was changed, made anew or removed since.
        """
        kind = kind_of(document)
        metadata = {**document["metadata"], "uid": uid, "resourceVersion": resource_version}
        query = _written(dry_run=dry_run) | {"force": "true" if force else "false"}
        return self._write(kind, {**document, "metadata": metadata}, query, APPLY)

    def patch(
        self, kind: str, name: str, body: Mapping[str, Any], *, uid: str, resource_version: str
    ) -> Document:
        """A JSON merge patch of the very object that was read: None removes, a list replaces.

        Raises:
            Conflict: it was changed, made anew or removed since.
        """
        metadata = {**body.get("metadata", {}), "name": name, "uid": uid, "resourceVersion": resource_version}
        return self._write(KINDS[kind], {**body, "metadata": metadata}, _written(dry_run=False), MERGE)

    def delete(
        self, kind: str, name: str, *, uid: str, resource_version: str = "", propagation: str = "Background"
    ) -> bool:
        """Remove the very object that was read; False when there is none of this name.

        Raises:
            Conflict: it was changed or made anew since.
        """
        preconditions = {"uid": uid} | ({"resourceVersion": resource_version} if resource_version else {})
        body = {"preconditions": preconditions, "propagationPolicy": propagation}
        doing = self._calls.doing("delete", f"{kind}/{name}", self.namespace)
        tries = self._calls.tries()
        try:
            self._calls.ask(
                "DELETE", KINDS[kind].path(self.namespace, name), {}, doing, body=body, tries=tries
            )
        except Absent:
            return tries.doubtful
        return True

    def validate(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Have the cluster check each document, and change nothing: its schema, quotas, what admits.

        Raises:
            InputError: names the document and the field.
            OutsideFailed: a quota, a rule, or a right that is missing.
        """
        for document in documents:
            # Whatever stands, for nothing is written: one call instead of two.
            query = _written(dry_run=True) | {"force": "true"}
            self._write(kind_of(document), document, query, APPLY)

    def preview(self, document: Mapping[str, Any]) -> tuple[Document | None, Document]:
        """What stands (None: nothing), and what would stand if the document were applied; nothing is changed.

        Raises:
            InputError, OutsideFailed: as `validate`.
        """
        for left in reversed(range(_MOST_LOOKS)):
            live = self.get(kind_of(document).name, name_of(document))
            try:
                if live is None:
                    return None, self.create(document, dry_run=True)
                metadata = live["metadata"]
                same = {"uid": metadata["uid"], "resource_version": metadata["resourceVersion"]}
                return live, self.apply(document, **same, dry_run=True)
            except Conflict:
                # A controller writes to it at the same time.
                if not left:
                    raise
        raise AssertionError("the last look raises or answers")

    def _write(self, kind: Kind, document: Mapping[str, Any], query: Mapping[str, str], how: str) -> Document:
        name = name_of(document)
        doing = self._calls.doing("patch", f"{kind.name}/{name}", self.namespace)
        tries = self._calls.tries()
        path = kind.path(self.namespace, name)
        try:
            answer = self._calls.ask("PATCH", path, query, doing, body=document, kind=how, tries=tries)
        except Conflict:
            if tries.doubtful and (live := self._as_written(kind, name, document)):
                return live
            raise
        return document_of(answer, doing)

    def _as_written(self, kind: Kind, name: str, document: Mapping[str, Any]) -> Document | None:
        """The live object when it is what a call wrote whose answer was lost."""
        live = self.get(kind.name, name)
        metadata = {key: value for key, value in document["metadata"].items() if key != "resourceVersion"}
        return live if live is not None and contains(live, {**document, "metadata": metadata}) else None


def _written(*, dry_run: bool) -> dict[str, str]:
    query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
    return query | ({"dryRun": "All"} if dry_run else {})

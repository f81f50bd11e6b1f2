"""The calls that we make in one namespace of one cluster. Documents go in and come out as the API has them.

The law: a write to what exists names the `uid` and the `resourceVersion` that were read; a write whose answer was lost is
resolved by reading back; each call ends by its deadline. What to write and when is decided elsewhere.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes.calls import APPLY, JSON, MERGE, Calls, document_of
from mmcicd_jenkins.adapters.kubernetes.connection import Connection
from mmcicd_jenkins.adapters.kubernetes.documents import contains
from mmcicd_jenkins.adapters.kubernetes.errors import Absent, AlreadyExists, Conflict
from mmcicd_jenkins.adapters.kubernetes.kinds import KINDS, Kind, kind_of, name_of, where_is
from mmcicd_jenkins.adapters.kubernetes.tries import Patience
from mmcicd_jenkins.errors import InputError, OutsideFailed

MANAGER = "mmcicd-jenkins"
# So many pages of a list are a mistake rather than a namespace.
_MOST_PAGES = 200
_LONGEST_LOG = 262_144
_MOST_LOOKS = 10

Document = dict[str, Any]
# Within the class `list` is a method.
Documents = list[Document]


class Api:
    """One namespace of one cluster; thread-safe.

    Args:
        connection: the way there.
        namespace: the only one that is touched.
        warn: gets each of the cluster's warnings once, as those of pod security.
        patience: deadlines, and how often is asked again.
        page: how many objects of a list come at once.
        sleep: waits between two tries.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        *,
        warn: Callable[[str], None] | None = None,
        patience: Patience | None = None,
        page: int = 500,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = connection.server
        self.namespace = namespace
        self._page = page
        self._calls = Calls(connection, patience or Patience(), warn, sleep)

    def get(self, kind: str, name: str) -> Document | None:
        """The object, or None when there is none of this name."""
        where = KINDS[kind].path(self.namespace, name)
        doing = self._calls.doing("get", f"{kind}/{name}", self.namespace)
        try:
            return document_of(self._calls.ask("GET", where, {}, doing), doing)
        except Absent:
            return None

    def list(self, kind: str, selector: Mapping[str, str], *, fields: str = "") -> Documents:
        """All that have these labels; `fields` is a field selector."""
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        query = {"limit": str(self._page), "labelSelector": labels, "fieldSelector": fields}
        query = {key: value for key, value in query.items() if value}
        doing = self._calls.doing("list", KINDS[kind].plural, self.namespace)
        found: Documents = []
        for _ in range(_MOST_PAGES):
            page = document_of(self._calls.ask("GET", KINDS[kind].path(self.namespace), query, doing), doing)
            # Those of a list do not say what they are.
            found += [
                {"apiVersion": KINDS[kind].api, "kind": kind, **item} for item in page.get("items") or []
            ]
            query["continue"] = (page.get("metadata") or {}).get("continue") or ""
            if not query["continue"]:
                return found
        raise OutsideFailed(
            f"there are too many {KINDS[kind].plural}",
            where=doing.where,
            why=f"more than {self._page * _MOST_PAGES}",
        )

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
            answer = self._calls.ask("POST", path, _written(dry_run), doing, body=document, tries=tries)
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
        query = _written(dry_run) | {"force": "true" if force else "false"}
        return self._write(kind, {**document, "metadata": metadata}, query, APPLY)

    def patch(
        self, kind: str, name: str, body: Mapping[str, Any], *, uid: str, resource_version: str
    ) -> Document:
        """A JSON merge patch of the very object that was read: None removes, a list replaces.

        Raises:
            Conflict: it was changed, made anew or removed since.
        """
        metadata = {**body.get("metadata", {}), "name": name, "uid": uid, "resourceVersion": resource_version}
        return self._write(KINDS[kind], {**body, "metadata": metadata}, _written(False), MERGE)

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

    def logs(self, pod: str, *, previous: bool = False, lines: int = 20, container: str = "") -> str:
        """The last lines of a pod; "" when it has none yet or is gone."""
        query = {"tailLines": str(lines), "limitBytes": str(_LONGEST_LOG)}
        query |= {"previous": "true"} if previous else {}
        query |= {"container": container} if container else {}
        doing = self._calls.doing("get the log of", f"Pod/{pod}", self.namespace)
        try:
            answer = self._calls.ask("GET", KINDS["Pod"].path(self.namespace, pod, "log"), query, doing)
        except Absent:
            return ""
        return answer.body.decode("utf-8", "replace")

    def events(self, name: str) -> Documents:
        """What happened to the object of this name, oldest first."""
        found = self.list("Event", {}, fields=f"involvedObject.name={name}")
        return sorted(found, key=lambda one: one.get("lastTimestamp") or one.get("eventTime") or "")

    def may(
        self,
        verb: str,
        group: str,
        resource: str,
        name: str = "",
        subresource: str = "",
        *,
        namespace: str | None = None,
    ) -> bool:
        """Whether this account may do that; in another namespace, or with "" in the whole cluster."""
        asked = {"verb": verb, "group": group, "resource": resource, "name": name, "subresource": subresource}
        asked["namespace"] = self.namespace if namespace is None else namespace
        review = self._review(
            "SelfSubjectAccessReview", {"resourceAttributes": {k: v for k, v in asked.items() if v}}
        )
        return bool(review.get("allowed"))

    def account(self) -> str:
        """Who we are to the cluster; "" where it does not tell."""
        with contextlib.suppress(Absent, InputError):
            user = self._review("SelfSubjectReview", {}, "authentication.k8s.io/v1").get("userInfo")
            return str((user or {}).get("username", ""))
        return ""

    def version(self) -> str:
        """The server's, like `v1.34.4`."""
        doing = self._calls.doing("get", "version")
        return str(document_of(self._calls.ask("GET", "/version", {}, doing), doing).get("gitVersion", ""))

    def validate(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Have the cluster check each document, and change nothing: its schema, quotas, what admits.

        Raises:
            InputError: names the document and the field.
            OutsideFailed: a quota, a rule, or a right that is missing.
        """
        for document in documents:
            for left in reversed(range(_MOST_LOOKS)):
                try:
                    self._check(document)
                    break
                except Conflict:
                    # A controller writes to it at the same time.
                    if not left:
                        raise

    def _check(self, document: Mapping[str, Any]) -> None:
        live = self.get(kind_of(document).name, name_of(document))
        if live is None:
            self.create(document, dry_run=True)
            return
        metadata = live["metadata"]
        self.apply(document, uid=metadata["uid"], resource_version=metadata["resourceVersion"], dry_run=True)

    def _write(self, kind: Kind, document: Mapping[str, Any], query: Mapping[str, str], how: str) -> Document:
        name = document["metadata"]["name"]
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

    def _review(self, kind: str, spec: Mapping[str, Any], api: str = "authorization.k8s.io/v1") -> Document:
        doing = self._calls.doing("create", kind)
        body = {"apiVersion": api, "kind": kind, **({"spec": spec} if spec else {})}
        answer = self._calls.ask("POST", f"/apis/{api}/{kind.lower()}s", {}, doing, body=body, kind=JSON)
        status = document_of(answer, doing).get("status")
        return status if isinstance(status, dict) else {}


def _written(dry_run: bool) -> dict[str, str]:
    query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
    return query | ({"dryRun": "All"} if dry_run else {})

"""What can be asked of one namespace of one cluster: objects, logs, events, rights. Nothing here changes anything."""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes.calls import JSON, Calls, document_of
from mmcicd_jenkins.adapters.kubernetes.connection import Connection
from mmcicd_jenkins.adapters.kubernetes.errors import Absent
from mmcicd_jenkins.adapters.kubernetes.kinds import KINDS
from mmcicd_jenkins.adapters.kubernetes.tries import Patience
from mmcicd_jenkins.errors import InputError, OutsideFailed

# So many pages of a list are a mistake rather than a namespace.
_MOST_PAGES = 200
_LONGEST_PIECE = 4_194_304
_LONGEST_LOG = 262_144

Document = dict[str, Any]
# Within the class `list` is a method.
Documents = list[Document]
Lines = list[str]


class Reads:
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

    def log_since(self, pod: str, container: str, seen: str) -> Lines:
        """Its lines from the second `seen` on ("" is the first), each with the time that the node marks it by."""
        query = {"timestamps": "true", "limitBytes": str(_LONGEST_PIECE), "container": container}
        query |= {"sinceTime": f"{seen.partition('.')[0].rstrip('Z')}Z"} if seen else {}
        doing = self._calls.doing("get the log of", f"Pod/{pod}", self.namespace)
        try:
            answer = self._calls.ask("GET", KINDS["Pod"].path(self.namespace, pod, "log"), query, doing)
        except Absent:
            return []
        return answer.body.decode("utf-8", "replace").splitlines()

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

    def _review(self, kind: str, spec: Mapping[str, Any], api: str = "authorization.k8s.io/v1") -> Document:
        doing = self._calls.doing("create", kind)
        body = {"apiVersion": api, "kind": kind, **({"spec": spec} if spec else {})}
        answer = self._calls.ask("POST", f"/apis/{api}/{kind.lower()}s", {}, doing, body=body, kind=JSON)
        status = document_of(answer, doing).get("status")
        return status if isinstance(status, dict) else {}

"""`ports.doctor.ClusterLook`: what a cluster says of itself, of one namespace and of the account that asks.

Reviews and lists alone; nothing is written, not even as a dry run.
"""

import contextlib
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.calls import Calls, document_of
from mmcicd_jenkins.adapters.kubernetes.connection import Connection
from mmcicd_jenkins.adapters.kubernetes.errors import Absent
from mmcicd_jenkins.adapters.kubernetes.tries import Patience
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.ports.doctor import ClusterFacts, NamespaceFacts, Quota
from mmcicd_jenkins.ports.rights import Question

_REVIEWS = "authorization.k8s.io/v1"
_SECURITY = "pod-security.kubernetes.io/enforce"
# Some fifty short questions: connections are kept, so more of them at once gain nothing.
_AT_ONCE = 4
_FACTORS = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
} | {f"{letter}i": 2.0 ** (10 * power) for power, letter in enumerate("KMGTPE", 1)}


class Look:
    """One namespace, asked by one login."""

    def __init__(self, connection: Connection, namespace: str, patience: Patience) -> None:
        self._connection = connection
        self._namespace = namespace
        self._calls = Calls(connection, patience)
        self._api = Api(connection, namespace, patience=patience)

    def reach(self) -> ClusterFacts:
        """As the port says."""
        doing = self._calls.doing("get", "version")
        answer = self._calls.ask("GET", "/version", {}, doing)
        version = str(document_of(answer, doing).get("gitVersion", ""))
        ahead = _ahead(answer.headers)
        # Version is told to everybody: only a review shows whether the login is known.
        account = self._api.account()
        self._api.may("list", "", "pods")
        credentials = self._connection.login.credentials()
        return ClusterFacts(
            version=version,
            account=account,
            ahead_seconds=ahead,
            login_seconds=seconds_left(credentials.authorization),
        )

    def may(self, questions: Iterable[Question]) -> Mapping[Question, bool]:
        """As the port says."""
        listed = list(questions)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(listed, pool.map(self._may, listed), strict=True))

    def _may(self, asked: Question) -> bool:
        resource, _, part = asked.resource.partition("/")
        return self._api.may(asked.verb, asked.group, resource, asked.name, part, namespace=asked.namespace)

    def rules(self) -> tuple[Question, ...] | None:
        """As the port says."""
        doing = self._calls.doing("create", "SelfSubjectRulesReview")
        body = {
            "apiVersion": _REVIEWS,
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": self._namespace},
        }
        answer = self._calls.ask("POST", f"/apis/{_REVIEWS}/selfsubjectrulesreviews", {}, doing, body=body)
        status = document_of(answer, doing).get("status") or {}
        if status.get("incomplete"):
            return None
        return tuple(
            dict.fromkeys(
                question for rule in status.get("resourceRules") or () for question in self._calls_of(rule)
            )
        )

    def _calls_of(self, rule: Mapping[str, Any]) -> Iterator[Question]:
        for group in rule.get("apiGroups") or ("",):
            for resource in rule.get("resources") or ():
                for verb in rule.get("verbs") or ():
                    for name in rule.get("resourceNames") or ("",):
                        yield Question(
                            namespace=self._namespace, group=group, resource=resource, verb=verb, name=name
                        )

    def namespace(self) -> NamespaceFacts | None:
        """As the port says."""
        if not self._api.may("get", "", "namespaces", self._namespace):
            return None
        found = self._api.get("Namespace", self._namespace)
        if found is None:
            return NamespaceFacts(exists=False)
        metadata = found["metadata"]
        return NamespaceFacts(
            exists=True,
            enforced=(metadata.get("labels") or {}).get(_SECURITY, ""),
            ending="deletionTimestamp" in metadata,
        )

    def quotas(self) -> tuple[Quota, ...] | None:
        """As the port says."""
        if not self._api.may("list", "", "resourcequotas"):
            return None
        doing = self._calls.doing("list", "resourcequotas", self._namespace)
        path = f"/api/v1/namespaces/{self._namespace}/resourcequotas"
        try:
            items = document_of(self._calls.ask("GET", path, {}, doing), doing).get("items") or []
        except Absent:
            return ()
        return tuple(_quota(item) for item in items if _counts_all(item))


def _counts_all(item: Mapping[str, Any]) -> bool:
    spec = item.get("spec") or {}
    return not spec.get("scopes") and not spec.get("scopeSelector")


def _quota(item: Mapping[str, Any]) -> Quota:
    status = item.get("status") or {}
    return Quota(
        name=item["metadata"]["name"],
        hard=_amounts(status.get("hard") or (item.get("spec") or {}).get("hard") or {}),
        used=_amounts(status.get("used") or {}),
    )


def _amounts(written: Mapping[str, str]) -> dict[str, float]:
    return {name: amount(text) for name, text in written.items()}


def amount(text: str) -> float:
    """A quantity as Kubernetes writes it: `500m`, `8Gi`, `1e3`.

    Raises:
        InputError: it is none.
    """
    suffix = next((each for each in sorted(_FACTORS, key=len, reverse=True) if text.endswith(each)), "")
    try:
        return float(text.removesuffix(suffix)) * _FACTORS.get(suffix, 1.0)
    except ValueError:
        raise InputError("the cluster names an amount that is none", why=repr(text[:40])) from None


def _ahead(headers: Mapping[str, str]) -> float | None:
    """How far the server's clock is before ours, to the second in which it answered."""
    with contextlib.suppress(TypeError, ValueError):
        return parsedate_to_datetime(headers["date"]).timestamp() - time.time() if "date" in headers else None
    return None


def seconds_left(authorization: str) -> float | None:
    """Of a bearer token that says when it ends; what is signed in it is the server's to check."""
    parts = authorization.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return None
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        ends = claims.get("exp")
        return float(ends) - time.time() if ends is not None else float("inf")
    return None

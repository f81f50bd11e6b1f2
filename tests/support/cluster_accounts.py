"""Accounts of a real cluster as `render rbac` makes them, their tokens, and requests with nothing of ours in between.

It knows nothing of pytest.
"""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster_tool import Cluster

from mmcicd_jenkins.ports.rights import Question

_METHODS = {"get": "GET", "list": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE"}
_VERSIONS = {"apps": "v1", "batch": "v1", "rbac.authorization.k8s.io": "v1"}
_WIDE = {"nodes", "namespaces", "clusterrolebindings"}


@dataclass
class Accounts:
    """The accounts of one namespace."""

    cluster: Cluster
    namespace: str

    @cached_property
    def _cluster(self) -> dict[str, Any]:
        words = ("config", "view", "--raw", "--minify", "--output=json")
        found: dict[str, Any] = json.loads(self.cluster(*words))["clusters"][0]["cluster"]
        return found

    @property
    def server(self) -> str:
        return str(self._cluster["server"])

    def token(self, account: str) -> str:
        return self.cluster(
            "create", "token", account, f"--namespace={self.namespace}", "--duration=1h"
        ).strip()

    def kubeconfig(self, account: str, folder: Path) -> Path:
        path = folder / f"{account}.kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": self._cluster}],
            "users": [{"name": "it", "user": {"token": self.token(account)}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }
        path.write_text(json.dumps(document))
        return path

    def status(self, asked: Question, token: str) -> int:
        """What the API server answers to the request itself, as `curl` would see it."""
        if asked.verb == "impersonate":
            return self._asked("GET", "/api/v1/namespaces", token, {"Impersonate-User": "anybody"})
        if asked.verb == "deletecollection":
            return self._asked("DELETE", self._path(asked, ""), token)
        named = asked.verb in {"get", "patch", "delete"} or "/" in asked.resource
        return self._asked(_METHODS[asked.verb], self._path(asked, "it" if named else ""), token)

    def _path(self, asked: Question, name: str) -> str:
        kind, _, part = asked.resource.partition("/")
        group = f"/apis/{asked.group}/{_VERSIONS[asked.group]}" if asked.group else "/api/v1"
        if kind == "namespaces":
            return f"{group}/namespaces/{asked.namespace}"
        everywhere = asked.verb == "list" and not asked.namespace
        place = "" if kind in _WIDE or everywhere else f"/namespaces/{asked.namespace or 'kube-public'}"
        return "/".join(filter(None, [f"{group}{place}/{kind}", name, part]))

    def _asked(self, method: str, path: str, token: str, headers: Mapping[str, str] | None = None) -> int:
        parts = urlsplit(self.server)
        trust = ssl.create_default_context(
            cadata=base64.b64decode(self._cluster["certificate-authority-data"]).decode()
        )
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=trust, timeout=20)
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent = {"Authorization": f"Bearer {token}", "Content-Type": kind, **(headers or {})}
        try:
            connection.request(method, path, body=None if method == "GET" else "{}", headers=sent)
            return connection.getresponse().status
        finally:
            connection.close()

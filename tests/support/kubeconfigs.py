"""kubeconfig files for tests: one context, its cluster and its user, with what a test wants in them."""

import json
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import Connection, connect
from mmcicd_jenkins.adapters.kubernetes.tries import Patience
from mmcicd_jenkins.config.model import Environment

# Quick, and in proportion as the usual one: silence ends a request, the budget ends the call.
QUICK = Patience(budget=5.0, tries=6, pause=0.01, longest=0.05, connect=0.3, stall=0.3)
MARK = "mmcicd.yaml:7:14"


def written(
    path: Path, server: str, user: dict[str, Any] | None = None, name: str = "one", **cluster: Any
) -> Path:
    """A kubeconfig at `path`; keys of `cluster` are written with `_` for `-`."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {
                "name": name,
                "cluster": {"server": server, **{k.replace("_", "-"): v for k, v in cluster.items()}},
            }
        ],
        "users": [{"name": name, "user": {"token": "standin-token"} if user is None else user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.write_text(json.dumps(document))
    return path


def place(server: str) -> Environment:
    return Environment(name="production", kind="kubernetes", cluster=server, namespace="ml")


def connected(path: Path, server: str, **variables: str) -> Connection:
    return connect(place(server), {"KUBECONFIG": str(path), **variables}, MARK)


def api_of(path: Path, server: str, patience: Patience = QUICK, **variables: str) -> Api:
    return Api(connected(path, server, **variables), "ml", patience=patience)

"""What a team's own script does with the typed client of the `kubernetes` package: DOCUMENTS NAMESPACE.

Each document is applied, and nothing else: not checked before, not fenced, not awaited. The documents are ready.
"""

import json
import sys
from pathlib import Path

from kubernetes import client, config

CALLS = {
    "Deployment": ("AppsV1Api", "patch_namespaced_deployment"),
    "NetworkPolicy": ("NetworkingV1Api", "patch_namespaced_network_policy"),
    "PodDisruptionBudget": ("PolicyV1Api", "patch_namespaced_pod_disruption_budget"),
    "Service": ("CoreV1Api", "patch_namespaced_service"),
}


def main(path: str, namespace: str) -> None:
    config.load_kube_config()
    for document in json.loads(Path(path).read_text()):
        api, call = CALLS[document["kind"]]
        getattr(getattr(client, api)(), call)(
            document["metadata"]["name"],
            namespace,
            document,
            field_manager="script",
            force=True,
            _content_type="application/apply-patch+yaml",
        )


if __name__ == "__main__":
    main(*sys.argv[1:])

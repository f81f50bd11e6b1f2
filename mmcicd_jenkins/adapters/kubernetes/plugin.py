"""The process that speaks with a login plugin: the only file that imports the `kubernetes` library.

Run by `plugin_login` as a module of its own. The request is in an environment variable that is taken away before the
plugin starts; the answer, or why there is none, goes to the pipe whose number is the argument.
"""

import json
import os
import sys
from typing import Any


def main() -> int:
    request = json.loads(os.environ.pop("MMCICD_PLUGIN_REQUEST"))
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as pipe:
        # The plugin must not hold the pipe open when it leaves something running.
        os.set_inheritable(pipe.fileno(), False)
        try:
            answer = _of_plugin(request) if "exec" in request else _of_provider(request)
        except Exception as e:  # noqa: BLE001 - the library and its plugins raise whatever they like
            pipe.write(f"{type(e).__name__}: {e}")
            return 1
        json.dump(answer, pipe)
    return 0


def _of_plugin(request: dict[str, Any]) -> dict[str, str]:
    from kubernetes.config.exec_provider import ExecProvider
    from kubernetes.config.kube_config import ConfigNode

    status = ExecProvider(
        ConfigNode("exec", request["exec"]), request["folder"], ConfigNode("cluster", request["cluster"])
    ).run()
    names = {
        "token": "token",
        "certificate": "clientCertificateData",
        "key": "clientKeyData",
        "until": "expirationTimestamp",
    }
    return {ours: str(status.get(theirs) or "") for ours, theirs in names.items()}


def _of_provider(request: dict[str, Any]) -> dict[str, str]:
    from kubernetes.client import Configuration
    from kubernetes.config import load_kube_config

    settings = Configuration()
    # A provider may give a new refresh token with each answer; unless it is kept, the next command has none.
    load_kube_config(request["kubeconfig"], request["context"], settings, persist_config=True)
    token = settings.api_key.get("BearerToken") or settings.api_key.get("authorization") or ""
    return {"token": token.removeprefix("Bearer ")}


if __name__ == "__main__":
    sys.exit(main())

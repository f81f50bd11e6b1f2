"""The nginx in front of a server, in the pod of each copy: what it is told, and what the pod has besides for it.

Its configuration rides in an annotation of the pod and is read from there as a file, so that it belongs to a version as
the image does, and no right on a further kind of object is needed. Pure but for templates.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcicd_jenkins.config.cluster_model import Pods, Proxy
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.image.start import GRPC_PORT, REST_PORT
from mmcicd_jenkins.render.engine import render

REST_LISTEN, GRPC_LISTEN, METRICS_LISTEN = 9501, 9500, 9502
TEMPLATE, CONTAINER_TEMPLATE = "kubernetes/proxy.j2", "kubernetes/proxy-container.j2"
ANNOTATION = "mmcicd.io/proxy"


def listens() -> tuple[int, ...]:
    """The ports that are open when there is a proxy; those of the server are then for its own pod alone."""
    return REST_LISTEN, GRPC_LISTEN, METRICS_LISTEN


def metrics_port(place: Environment) -> int:
    """Where a copy gives its metrics."""
    return METRICS_LISTEN if place.proxy else REST_PORT


def proxy_annotations(proxy: Proxy, pods: Pods, own: Path | None) -> dict[str, str]:
    """What nginx reads.

    A connection is renewed in half of the time for which a copy drains: the other half is for clients that have not
    heard of its end yet, and for those that ask seldom.
    """
    values = {
        "renewed": f"{max(1, math.floor(pods.drain_seconds / 2))}s",
        "longest": f"{math.ceil(pods.longest_request_seconds)}s",
        "rest_port": str(REST_PORT),
        "grpc_port": str(GRPC_PORT),
        "rest_listen": str(REST_LISTEN),
        "grpc_listen": str(GRPC_LISTEN),
        "metrics_listen": str(METRICS_LISTEN),
        "tls": bool(proxy.tls_secret),
        "over_tls": " ssl" if proxy.tls_secret else "",
        "users": bool(proxy.users_secret),
        "callers": bool(proxy.callers_secret),
    }
    return {ANNOTATION: render(TEMPLATE, "plain", values, own)}


def container_values(proxy: Proxy, pods: Pods) -> dict[str, Any]:
    """What the template of its container may name."""
    memory = f"{math.ceil(proxy.memory_bytes / 2**20)}Mi"
    return {
        "proxy_image": proxy.image,
        "rest_listen": REST_LISTEN,
        "grpc_listen": GRPC_LISTEN,
        "metrics_listen": METRICS_LISTEN,
        "proxy_resources": {
            "requests": {"cpu": f"{math.ceil(proxy.cpu * 1000)}m", "memory": memory},
            "limits": {"memory": memory},
        },
        "stop_seconds": stop_seconds(pods),
        "proxy_mounts": [
            {"name": "proxy-tmp", "mountPath": "/tmp"},  # noqa: S108 - a folder of the container's own
            {"name": "proxy", "mountPath": "/etc/proxy", "readOnly": True},
            *(
                {"name": name, "mountPath": f"/etc/{name}", "readOnly": True}
                for name, secret in _secrets(proxy).items()
                if secret
            ),
        ],
    }


def stop_seconds(pods: Pods) -> int:
    """How long all of a copy with a proxy goes on when it is to end: nothing in it may end before the last answer."""
    return math.ceil(pods.drain_seconds) + math.ceil(pods.longest_request_seconds)


def proxy_volumes(proxy: Proxy) -> list[Mapping[str, Any]]:
    field = {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{ANNOTATION}']"}
    told = {"defaultMode": 0o644, "items": [{"path": "nginx.conf", "fieldRef": field}]}
    return [
        {"name": "proxy-tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "proxy", "downwardAPI": told},
        *(
            {"name": name, "secret": {"secretName": secret, "defaultMode": 0o644}}
            for name, secret in _secrets(proxy).items()
            if secret
        ),
    ]


def _secrets(proxy: Proxy) -> dict[str, str]:
    return {
        "proxy-tls": proxy.tls_secret,
        "proxy-users": proxy.users_secret,
        "proxy-callers": proxy.callers_secret,
    }

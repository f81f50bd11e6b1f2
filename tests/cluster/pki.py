"""Certificates and kubeconfigs of one node, made once for each life of the cluster and thrown away with it."""

import base64
import json
import os
from pathlib import Path

from host import run
from place import API, API_SERVICE, KUBECONFIG, NAME, NODE_IP, STATE

FOLDER = STATE / "pki"
_DAYS = "3650"
_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
# file -> (subject, other names). Groups and names are those that Kubernetes gives rights to.
_SUBJECTS = {
    "apiserver": (
        "/CN=kube-apiserver",
        [f"IP:{ip}" for ip in ("127.0.0.1", NODE_IP, API_SERVICE)] + [f"DNS:{name}" for name in _NAMES],
    ),
    "etcd": ("/CN=etcd", ["IP:127.0.0.1"]),
    "kubelet": (f"/O=system:nodes/CN=system:node:{NAME}", [f"DNS:{NAME}", f"IP:{NODE_IP}"]),
    "admin": ("/O=system:masters/CN=admin", []),
    "kube-controller-manager": ("/CN=system:kube-controller-manager", []),
    "kube-scheduler": ("/CN=system:kube-scheduler", []),
    "kube-proxy": ("/CN=system:kube-proxy", []),
}
_AUTHORITY = (
    *("-addext", "basicConstraints=critical,CA:TRUE"),
    *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    *("-addext", "subjectKeyIdentifier=hash"),
)
_LEAF = (
    *("-addext", "basicConstraints=critical,CA:FALSE"),
    *("-addext", "keyUsage=critical,digitalSignature"),
    *("-addext", "extendedKeyUsage=serverAuth,clientAuth"),
    # Python is stricter than Go and wants it.
    *("-addext", "authorityKeyIdentifier=keyid"),
)
_CONFIGURATION = "[req]\ndistinguished_name = dn\n[dn]\n"


def make() -> None:
    """All of it, or what is missing: the authority is the last to get its name, and without it all is made anew."""
    if (FOLDER / "ca.crt").exists():
        return
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    (FOLDER / "openssl.cnf").write_text(_CONFIGURATION)
    half = FOLDER / "ca.half"
    _certificate("/CN=" + NAME, FOLDER / "ca.key", half, *_AUTHORITY)
    for name, (subject, others) in _SUBJECTS.items():
        extra = ["-addext", f"subjectAltName={','.join(others)}"] if others else []
        _certificate(
            subject,
            FOLDER / f"{name}.key",
            FOLDER / f"{name}.crt",
            "-CA",
            str(half),
            "-CAkey",
            str(FOLDER / "ca.key"),
            *_LEAF,
            *extra,
        )
        if name not in {"apiserver", "etcd"}:
            _kubeconfig(name, half)
    run("openssl", "genrsa", "-out", str(FOLDER / "accounts.key"), "2048")
    run(
        "openssl", "rsa", "-in", str(FOLDER / "accounts.key"), "-pubout", "-out", str(FOLDER / "accounts.pub")
    )
    half.rename(FOLDER / "ca.crt")


def _certificate(subject: str, key: Path, certificate: Path, *more: str) -> None:
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", _DAYS]
    files = ["-config", str(FOLDER / "openssl.cnf"), "-keyout", str(key), "-out", str(certificate)]
    run("openssl", "req", "-x509", *curve, "-subj", subject, *files, *more)


def kubeconfig(name: str) -> Path:
    return KUBECONFIG if name == "admin" else FOLDER / f"{name}.kubeconfig"


def _kubeconfig(name: str, authority: Path) -> None:
    def embedded(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    user = {
        "client-certificate-data": embedded(FOLDER / f"{name}.crt"),
        "client-key-data": embedded(FOLDER / f"{name}.key"),
    }
    cluster = {"server": API, "certificate-authority-data": embedded(authority)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": name}}],
        "current-context": NAME,
    }
    with open(kubeconfig(name), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        json.dump(content, file)

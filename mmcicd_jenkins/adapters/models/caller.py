"""Who asks a model server that lets in known callers alone: an authority to check it by, a password, a certificate.

All of it comes from the environment, as every credential does. A password goes over TLS or nowhere.
"""

import base64
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:
    import urllib3

# How an address of gRPC says that it is spoken over TLS.
OVER_TLS = "grpcs://"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Paths of files, and a login; "" for what there is not."""

    authority: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    certificate: str = ""
    key: str = ""

    def pool(self, seconds: float) -> "urllib3.PoolManager":
        import urllib3

        files = {"ca_certs": self.authority, "cert_file": self.certificate, "key_file": self.key}
        given: dict[str, Any] = {name: file for name, file in files.items() if file}
        return urllib3.PoolManager(timeout=urllib3.Timeout(total=seconds), retries=False, **given)

    def headers(self, url: str) -> dict[str, str]:
        """What is sent with a request to an address by REST or gRPC."""
        if not self.password or not url.startswith(("https://", OVER_TLS)):
            return {}
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"authorization": f"Basic {login}"}

    def channel(self, address: str, options: list[tuple[str, Any]]) -> Any:
        import grpc

        if not address.startswith(OVER_TLS):
            return grpc.insecure_channel(address, options=options)
        files = (_read(self.authority), _read(self.key), _read(self.certificate))
        credentials = grpc.ssl_channel_credentials(*files)
        return grpc.secure_channel(address.removeprefix(OVER_TLS), credentials, options=options)


def caller_from(variables: Mapping[str, str]) -> Caller:
    """The caller that the environment says."""
    names = {
        "authority": "MMCICD_SERVING_CA",
        "user": "MMCICD_SERVING_USER",
        "password": "MMCICD_SERVING_PASSWORD",
        "certificate": "MMCICD_SERVING_CERT_FILE",
        "key": "MMCICD_SERVING_KEY_FILE",
    }
    return Caller(**{part: variables.get(name, "") for part, name in names.items()})


def _read(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as e:
        raise InputError(f"{path} cannot be read", why=e.strerror or "") from e

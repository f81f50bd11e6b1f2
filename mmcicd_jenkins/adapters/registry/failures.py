"""What urllib3, the standard library and OpenSSL raise, as ours. Imported late, for it imports urllib3."""

import http.client
import socket
import ssl

from urllib3 import exceptions as failures

from mmcicd_jenkins.adapters.registry.errors import Doing, Trouble, broken_off, unreachable
from mmcicd_jenkins.errors import InputError, MmcicdError

# All that a request can end with.
FAILURES = (failures.HTTPError, http.client.HTTPException, OSError, ValueError)
# What OpenSSL says when the other side answered in something else than TLS, by the names of its versions.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_TLS_FIX = "store.ca: the PEM file of the authority that signed it (Docker's lie in /etc/docker/certs.d); or SSL_CERT_FILE"


def translated(error: Exception, doing: Doing) -> Trouble | MmcicdError:
    """A failure of the network or of a library: `Trouble` where another try may do."""
    cause = _innermost(error)
    if isinstance(error, failures.ProxyError) or "Tunnel connection failed" in str(cause):
        return _proxy_failed(cause, doing)
    if isinstance(cause, ssl.SSLError) and (told := _tls_failed(cause, doing)):
        return told
    if isinstance(cause, socket.gaierror):
        why = f"its name is not known: {cause.strerror}"
        fix = "check the name, and HTTPS_PROXY if one is needed"
        trouble = unreachable(doing, why, fix=fix, passes=cause.errno != socket.EAI_NONAME)
        return trouble if trouble.error.retryable else trouble.error
    if isinstance(error, failures.ConnectTimeoutError | failures.NewConnectionError):
        return unreachable(doing, _words(cause), fix=f"curl -sI https://{doing.registry}/v2/")
    if isinstance(cause, ValueError):
        return InputError("this is no address of a registry", where=doing.where, why=type(cause).__name__)
    return broken_off(doing, _words(cause))


def is_no_tls(error: BaseException | None) -> bool:
    """Whether the other side answered a TLS greeting in another language."""
    cause = _innermost(error) if error else None
    if isinstance(cause, ssl.SSLError):
        return isinstance(cause, ssl.SSLEOFError) or any(mark in str(cause).upper() for mark in _NO_TLS)
    return isinstance(cause, ConnectionResetError)


def _tls_failed(cause: ssl.SSLError, doing: Doing) -> MmcicdError | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = f"its certificate is not trusted: {cause.verify_message}"
        return unreachable(doing, why, fix=_TLS_FIX, passes=False).error
    if any(mark in str(cause).upper() for mark in _NO_TLS):
        fix = "store.insecure: true, if this registry is to be spoken to without TLS"
        return unreachable(doing, "it does not speak TLS", fix=fix, passes=False).error
    return None


def _proxy_failed(cause: BaseException, doing: Doing) -> Trouble | MmcicdError:
    said = str(cause).rpartition("Tunnel connection failed: ")[2] if "Tunnel" in str(cause) else _words(cause)
    if said.startswith("407"):
        fix = "put its login into the address: HTTPS_PROXY=http://USER:PASSWORD@proxy.example:3128"
        return unreachable(doing, f"the proxy wants a login: {said}", fix=fix, passes=False).error
    return unreachable(doing, f"the proxy before it: {said}", fix="check HTTPS_PROXY and NO_PROXY")


def _innermost(error: BaseException) -> BaseException:
    """The failure below those that only pass it on."""
    inner = error
    for _ in range(8):
        below = (getattr(inner, "reason", None), getattr(inner, "original_error", None), inner.__cause__)
        found = next((item for item in (*below, *inner.args) if isinstance(item, BaseException)), None)
        if found is None:
            break
        inner = found
    return inner


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError | failures.TimeoutError):
        return "nothing came in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error.args[-1]) if error.args else ""
    # What stands before the last colon there are objects and pools.
    told = text.rpartition(": ")[2] if "object at 0x" in text or "Connection(host=" in text else text
    return told or type(error).__name__

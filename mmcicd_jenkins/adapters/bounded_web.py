"""One GET whose answer is bounded in size and time, whatever the other side does: hangs, drips, or never ends.

No redirect is followed, so that a login goes nowhere else. Certificates are checked against what this machine trusts;
`SSL_CERT_FILE` names another authority, as for every program that uses OpenSSL.
"""

import time
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from mmcicd_jenkins.adapters.proxies import Proxies, proxy_login, without_login
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:  # it comes with the first request
    import urllib3

_PIECE = 65_536
_CONNECT_SECONDS = 5.0


class NoAnswerError(Exception):
    """Nothing usable came; `why` says so in words. `may_pass`: it may come another time."""

    def __init__(self, why: str, *, may_pass: bool = True) -> None:
        super().__init__(why)
        self.why = why
        self.may_pass = may_pass


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Seconds from the first byte sent to the last one read, and the largest body."""

    seconds: float
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Got:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def get(url: str, bounds: Bounds, headers: Mapping[str, str], proxies: Proxies | None = None) -> Got:
    """The answer, of whatever status.

    Raises:
        NoAnswerError: none came whole within the bounds.
    """
    if not url.startswith(("http://", "https://")):
        raise NoAnswerError("this is no address of the web", may_pass=False)
    import urllib3

    end = time.monotonic() + bounds.seconds
    proxy = proxies.to(url) if proxies else ""
    timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, bounds.seconds), read=bounds.seconds)
    pool: urllib3.PoolManager = (
        urllib3.ProxyManager(without_login(proxy), proxy_headers=proxy_login(proxy))
        if proxy
        else urllib3.PoolManager()
    )
    try:
        with pool:
            response = pool.request(
                "GET",
                url,
                headers={**headers, "Accept-Encoding": "identity"},
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                body = _read(response, bounds, end)
            finally:
                response.close()
            return Got(status=response.status, body=body, headers=dict(response.headers))
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as e:
        raise _told(e) from e


def _read(response: "urllib3.BaseHTTPResponse", bounds: Bounds, end: float) -> bytes:
    """Piece by piece as they come: an answer that drips would reset a timeout for ever."""
    pieces: list[bytes] = []
    size = 0
    while piece := response.read1(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > bounds.bytes:
            raise NoAnswerError(f"its answer is larger than {bounds.bytes:,} bytes", may_pass=False)
        if time.monotonic() > end:
            raise NoAnswerError(f"its answer was not whole after {bounds.seconds:g} s")
    return b"".join(pieces)


def _told(error: Exception) -> NoAnswerError:
    import ssl

    import urllib3

    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else None
    cause = reason or error
    if isinstance(cause, urllib3.exceptions.ProxyError):
        return NoAnswerError(f"the proxy before it: {type(cause.original_error).__name__}")
    # Both are timeouts of connecting to that library, so they come before those.
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return NoAnswerError("its name is not known")
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return NoAnswerError("nobody listens there")
    timeouts = urllib3.exceptions.ConnectTimeoutError | urllib3.exceptions.ReadTimeoutError | TimeoutError
    if isinstance(cause, timeouts):
        return NoAnswerError("nothing came in time")
    inner = cause.args[0] if cause.args else None
    if isinstance(inner, ssl.SSLCertVerificationError):
        return NoAnswerError(f"its certificate is not trusted: {inner.verify_message}", may_pass=False)
    if isinstance(cause, urllib3.exceptions.LocationValueError | ValueError):
        return NoAnswerError("this is no address", may_pass=False)
    return NoAnswerError(f"the connection broke: {type(cause).__name__}")

"""`ports_doctor.WebLook`: the door of a registry, and whether a data source is there. Reads no content."""

import re
from collections.abc import Mapping

from mmcicd_jenkins.adapters.credentials import login
from mmcicd_jenkins.adapters.source_files import Source
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.ports_doctor import Registry

_LOCAL = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")


class Web:
    """Services, asked for at most `seconds` between two bytes."""

    def __init__(self, variables: Mapping[str, str], seconds: float) -> None:
        self._variables = variables
        self._seconds = seconds

    def registry(self, host: str) -> Registry:
        """As Docker does, a registry of this machine is asked without TLS."""
        import requests

        url = f"{'http' if _LOCAL.fullmatch(host) else 'https'}://{host}/v2/"
        try:
            # Without a login: its kind is what the answer tells.
            answer = requests.get(
                url, timeout=self._seconds, allow_redirects=False, auth=lambda request: request
            )
        except requests.RequestException as e:
            kind = "its certificate is not trusted" if isinstance(e, requests.exceptions.SSLError) else ""
            raise OutsideFailed(
                "the registry cannot be reached",
                where=url,
                why=kind or _cause(e),
                fix=f"curl -sI {url}; a proxy or an authority of your own: HTTPS_PROXY, REQUESTS_CA_BUNDLE",
                retryable=not kind,
            ) from e
        scheme = answer.headers.get("WWW-Authenticate", "").split(maxsplit=1)
        return Registry(status=answer.status_code, auth=scheme[0].lower() if scheme else "")

    def source(self, url: str) -> int:
        _, files = Source(url, login=login("data", self._variables)).files()
        return len(files)


def _cause(error: Exception) -> str:
    """The last words of the innermost sentence; what is around them names pools and objects."""
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "reason", inner)).rpartition(": ")[2]

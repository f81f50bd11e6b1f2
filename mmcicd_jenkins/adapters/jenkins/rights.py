"""`ports.doctor.JenkinsRights`: what the account may do on a controller, and how careful the controller is.

The law: only GET, so a right is read off an answer to a question that changes nothing: whether a name for a new job
is good, whether a configuration may be read.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from mmcicd_jenkins.adapters.jenkins.names import job_path
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.ports.doctor import FolderRights, SecurityFacts, Served

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.jenkins.server import Server

# Every Jenkins makes this file when it first starts.
_SERVED = "userContent/readme.txt"
_NO_SCRIPTS, _NO_SIGNATURES = "No pending script approvals", "No pending signature approvals"
_PROPERTY = re.compile(r"DSL\.UNSAFE_GROOVY_INTERPOLATION</td>(?P<value>.*?)</td>", re.DOTALL | re.IGNORECASE)
_MARKUP = re.compile(r"(?s)<svg.*?</svg>|<[^>]*>")
# notifyCommit starts builds of the repository that it is told; nobody has this one.
_NOBODYS = "https://mmcicd-doctor.invalid/none.git"


class Rights:
    """What may be done on the controller behind `server`."""

    def __init__(self, server: "Server") -> None:
        self._server = server

    def folder(self, path: str) -> FolderRights:
        place = job_path(path)
        if path and self._status(f"{place}api/json", {"tree": "name"}) != 200:
            return FolderRights(exists=False)
        return FolderRights(
            exists=True,
            create=_may(self._status(f"{place}checkJobName", {"value": "mmcicd-doctor"})),
            read_config=_may(self._status(f"{place}config.xml")) if path else None,
        )

    def credentials(self, folder: str) -> tuple[str, ...] | None:
        store = "folder" if folder else "system"
        answer = self._server.knock(f"{job_path(folder)}credentials/store/{store}/api/json", {"depth": "2"})
        if answer.status_code == 404 and folder and self._has_credentials(folder) is False:
            return ()
        if answer.status_code != 200:
            return None
        domains: dict[str, Any] = self._server.json_of(answer).get("domains", {})
        return tuple(str(c["id"]) for domain in domains.values() for c in domain.get("credentials", ()))

    def _has_credentials(self, folder: str) -> bool | None:
        """False where there is no folder, so nothing can be in it; None where it cannot be seen."""
        return False if not self.folder(folder).exists and self.folder("").create else None

    def served(self) -> Served | None:
        answer = self._server.knock(_SERVED)
        if 300 <= answer.status_code < 400:
            elsewhere = urlsplit(urljoin(answer.url, answer.headers.get("Location", ""))).netloc
            return Served(policy="", own_domain=True) if elsewhere != urlsplit(answer.url).netloc else None
        if answer.status_code != 200:
            return None
        return Served(policy=answer.headers.get("Content-Security-Policy", ""))

    def security(self) -> SecurityFacts:
        approvals = self._server.knock("scriptApproval/")
        pending = None
        if approvals.status_code == 200:
            pending = not (_NO_SCRIPTS in approvals.text and _NO_SIGNATURES in approvals.text)
        properties = self._server.knock("systemInfo")
        interpolation = _interpolation(properties.text) if properties.status_code == 200 else None
        return SecurityFacts(pending_approvals=pending, interpolation=interpolation)

    def listens(self, hook: str) -> int:
        query = {"url": _NOBODYS} if hook.endswith("notifyCommit") else {}
        return self._server.knock(hook, query, anonymous=True).status_code

    def _status(self, path: str, query: Mapping[str, str] | None = None) -> int:
        return self._server.knock(path, query).status_code


def _may(status: int) -> bool | None:
    """200 is yes, 403 no; anything else says nothing about rights."""
    if status in {502, 503, 504}:
        raise OutsideFailed(
            f"Jenkins does not answer ({status})", fix="try again in a minute", retryable=True
        )
    return {200: True, 403: False}.get(status)


def _interpolation(page: str) -> str:
    found = _PROPERTY.search(page)
    if not found:
        return "warn"
    words = _MARKUP.sub(" ", found["value"]).lower().split()
    return next((word for word in ("fail", "ignore") if word in words), "warn")

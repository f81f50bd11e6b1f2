"""`ports.jenkins.JenkinsItems` and `JenkinsFacts`: folders and jobs of a controller.

The law: one request answers for a whole folder; nothing is deleted, moved or posted but what is told.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mmcicd_jenkins.adapters.jenkins.errors import NotThere
from mmcicd_jenkins.adapters.jenkins.names import job_path, split
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.ports.jenkins import Listed

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.jenkins.server import Server


class Items:
    """Items of the controller behind `server`."""

    def __init__(self, server: "Server") -> None:
        self._server = server

    def children(self, folder: str) -> tuple[Listed, ...] | None:
        try:
            found = self._server.ask_json(job_path(folder), tree="jobs[name,description]")
        except NotThere:
            return None
        return tuple(
            Listed(
                name=job["name"],
                java_class=job.get("_class", ""),
                description=job.get("description") or "",
            )
            for job in found.get("jobs", ())
        )

    def config(self, path: str) -> str | None:
        try:
            answer = self._server.ask(f"{job_path(path)}config.xml")
        except NotThere:
            return None
        return answer.content.decode("utf-8", "replace")

    def create(self, path: str, xml: str) -> bool:
        folder, name = split(path)
        try:
            self._server.send_xml(f"{job_path(folder)}createItem", xml, name=name)
        except InputError as e:
            if "already exists" in e.why:
                return False
            raise
        return True

    def update(self, path: str, xml: str) -> None:
        self._server.send_xml(f"{job_path(path)}config.xml", xml)

    def delete(self, path: str) -> None:
        try:
            self._server.send(f"{job_path(path)}doDelete")
        except NotThere:
            return  # somebody else was faster


class Facts:
    """What the controller says of itself."""

    def __init__(self, server: "Server") -> None:
        self._server = server

    def account(self) -> str:
        try:
            found = self._server.ask_json("me/", tree="id")
        except OutsideFailed:
            if self._server.has_account:
                raise
            return ""  # nobody in particular has no page
        return str(found.get("id", ""))

    def plugins(self) -> Mapping[str, str] | None:
        try:
            found = self._server.ask_json("pluginManager/", tree="plugins[shortName,version,active]")
        except (OutsideFailed, NotThere) as e:
            if e.retryable:
                raise
            return None
        return {p["shortName"]: p["version"] for p in found.get("plugins", ()) if p.get("active")}

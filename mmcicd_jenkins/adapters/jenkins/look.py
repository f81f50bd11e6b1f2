"""`ports.doctor.JenkinsLook`: the version, plugins, agents and clouds of a controller, as far as the account may see.

The law: only GET; what the account may not see is None or `present`, never an error.
"""

import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from mmcicd_jenkins.adapters.jenkins.errors import NotThere
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.ports.doctor import ControllerFacts, LabelFacts, Node, PluginFacts

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.jenkins.server import Server

_NODE = "displayName,offline,offlineCauseReason,numExecutors,assignedLabels[name],_class"
_CLOUD = re.compile(r'href="[^"]*?/cloud/([^/"]+)/"')
AT_ONCE = 4


class Look:
    """The controller behind `server`."""

    def __init__(self, server: "Server") -> None:
        self._server = server

    def controller(self) -> ControllerFacts:
        before = time.time()
        try:
            answer = self._server.ask("api/json", tree="url,quietingDown")
        except NotThere as e:
            fix = "jenkins.url must be the address of its start page, with its path"
            raise InputError("there is no Jenkins at this address", where=e.where, why=e.why, fix=fix) from e
        except OutsideFailed as e:
            raise e if self._server.has_account or e.retryable else _no_token(e) from e
        between = (before + time.time()) / 2
        told = self._server.json_of(answer)
        who = self._server.ask_json("whoAmI/")
        return ControllerFacts(
            version=answer.headers.get("X-Jenkins", ""),
            account="" if who.get("anonymous") else str(who.get("name", "")),
            url=str(told.get("url") or ""),
            ahead_seconds=_ahead(answer.headers.get("Date", ""), between),
            quieting_down=bool(told.get("quietingDown")),
        )

    def plugins(self, ids: Iterable[str]) -> Mapping[str, PluginFacts]:
        listed = list(ids)
        try:
            tree = "plugins[shortName,version,active,enabled]"
            found = self._server.ask_json("pluginManager/", tree=tree)
        except (OutsideFailed, NotThere) as e:
            if e.retryable or not self._tells_of_files():
                raise
            with ThreadPoolExecutor(AT_ONCE) as pool:
                return dict(zip(listed, pool.map(self._plugin_by_its_files, listed), strict=True))
        known = {plugin["shortName"]: _plugin(plugin) for plugin in found.get("plugins", ())}
        return {plugin: known.get(plugin, PluginFacts(state="missing")) for plugin in listed}

    def _tells_of_files(self) -> bool:
        """Whether a plugin that nobody has is told apart from those that are there."""
        return self._server.knock("plugin/mmcicd-nobody-has-this/").status_code == 404

    def _plugin_by_its_files(self, plugin: str) -> PluginFacts:
        """Jenkins serves the files of each plugin that runs below its own address, to whoever may look at all."""
        status = self._server.knock(f"plugin/{quote(plugin, safe='')}/").status_code
        return PluginFacts(state="missing" if status == 404 else "present")

    def nodes(self) -> tuple[Node, ...]:
        found = self._server.ask_json("computer/", tree=f"computer[{_NODE}]")
        return tuple(_node(computer) for computer in found.get("computer", ()))

    def label(self, expression: str) -> LabelFacts:
        tree = "nodes[nodeName],clouds[*]"
        found = self._server.ask_json(f"label/{quote(expression, safe='')}/", tree=tree)
        names = {node.get("nodeName", "") for node in found.get("nodes", ())}
        nodes = [
            node for node in self.nodes() if node.name in names or ("" in names and "built-in" in node.labels)
        ]
        clouds = [str(cloud.get("name") or "a cloud") for cloud in found.get("clouds", ())]
        return LabelFacts(nodes=tuple(nodes), clouds=tuple(clouds))

    def clouds(self) -> tuple[str, ...] | None:
        answer = self._server.knock("manage/cloud/")
        if answer.status_code != 200:
            return None
        return tuple(dict.fromkeys(unquote(name) for name in _CLOUD.findall(answer.text)))


def _no_token(error: OutsideFailed) -> InputError:
    return InputError(
        "no token was given, and Jenkins tells nobody in particular anything",
        where=error.where,
        fix="make one on your Jenkins page under Security, then: "
        "export MMCICD_JENKINS_USER=YOU MMCICD_JENKINS_TOKEN=IT",
    )


def _ahead(date: str, here: float) -> float | None:
    """Seconds by which the header is later than our clock; the header has whole seconds."""
    try:
        return parsedate_to_datetime(date).timestamp() + 0.5 - here
    except (TypeError, ValueError):
        return None


def _plugin(found: Mapping[str, Any]) -> PluginFacts:
    version = str(found.get("version", ""))
    if found.get("active"):
        return PluginFacts(state="active", version=version)
    return PluginFacts(state="failed" if found.get("enabled") else "disabled", version=version)


def _node(computer: Mapping[str, Any]) -> Node:
    return Node(
        name=str(computer.get("displayName", "")),
        labels=tuple(str(label.get("name", "")) for label in computer.get("assignedLabels", ())),
        online=not computer.get("offline"),
        executors=int(computer.get("numExecutors") or 0),
        why=str(computer.get("offlineCauseReason") or "").strip(),
    )

"""What a controller says of itself: plugins, agents, clouds, credentials, how it serves files. Tests set it."""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from jenkins_standin.items import Tree

# What services call after a push, by the plugin that brings it; it answers without a login.
HOOKS = {
    "git/notifyCommit": "git",
    "github-webhook": "github",
    "gitlab-webhook/post": "gitlab-branch-source",
    "bitbucket-scmsource-hook/notify": "cloudbees-bitbucket-branch-source",
}
POLICY = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"
_PLUGIN = re.compile(r"plugin/([^/]+)")
_LABEL = re.compile(r"label/([^/]+)/api/json")


@dataclass
class Answer:
    status: int
    body: bytes = b""
    kind: str = "text/html;charset=utf-8"
    headers: dict = field(default_factory=dict)


@dataclass
class Agent:
    name: str
    labels: tuple = ()
    offline: bool = False
    why: str = ""
    executors: int = 1


class State:
    """`disabled` and `failed` plugins are there and not active; `stores` are ids by folder ("" = system)."""

    def __init__(self, items: Tree, readers: set[str]) -> None:
        self._items = items
        self._readers = readers
        self.url: str | None = None  # what it believes; None: where it is
        self.disabled: set[str] = set()
        self.failed: set[str] = set()
        self.agents = [Agent("Built-In Node", ("built-in", "linux"), executors=2)]
        self.clouds: list[str] = []
        self.label_clouds: dict[str, list[str]] = {}
        self.stores: dict[str, list[str]] = {}
        self.policy: str | None = POLICY  # None: the file is not there
        self.resources = ""  # the domain from which files of users are served
        self.pending = False
        self.interpolation = ""
        self.quieting = False
        self.hook_status: int | None = None

    def answer(self, rest: str, query: dict, here: str, user: str) -> Answer | None:
        page = rest.strip("/")
        if page == "api/json" and "jobs" not in query.get("tree", "jobs"):
            return self._json(
                {"url": self.url if self.url is not None else here, "quietingDown": self.quieting}
            )
        if page == "whoAmI/api/json":
            return self._json({"name": user or "anonymous", "anonymous": not user})
        if page == "computer/api/json":
            return self._json({"computer": [self._computer(agent) for agent in self.agents]})
        if page == "userContent/readme.txt":
            return self._served()
        if page in HOOKS:
            return self._hook(page)
        if found := _PLUGIN.fullmatch(page):
            known = self._items.plugins - self.disabled - self.failed
            return Answer(400 if found[1] in known else 404)
        if found := _LABEL.fullmatch(rest):
            return self._label(unquote(found[1]))
        return self._of_administrators(page, user)

    def _of_administrators(self, page: str, user: str) -> Answer | None:
        pages = {
            "pluginManager/api/json": self._plugins,
            "manage/cloud": lambda: Answer(
                200, "".join(f'<a href="/manage/cloud/{c}/">' for c in self.clouds).encode()
            ),
            "scriptApproval": self._approvals,
            "systemInfo": self._properties,
            "credentials/store/system/api/json": lambda: self.credentials("", user),
        }
        if page not in pages:
            return None
        return Answer(403) if user in self._readers else pages[page]()

    def credentials(self, folder: str, user: str) -> Answer:
        if user in self._readers:
            return Answer(404)
        ids = [{"id": name, "typeName": "Secret text"} for name in self.stores.get(folder, ())]
        return self._json({"domains": {"_": {"credentials": ids}}})

    def _plugins(self) -> Answer:
        known = sorted(self._items.plugins | self.disabled | self.failed)
        return self._json(
            {
                "plugins": [
                    {
                        "shortName": name,
                        "longName": name,
                        "version": "1.0",
                        "active": name not in self.disabled | self.failed,
                        "enabled": name not in self.disabled,
                    }
                    for name in known
                ]
            }
        )

    def _computer(self, agent: Agent) -> dict:
        return {
            "displayName": agent.name,
            "assignedLabels": [{"name": name} for name in (*agent.labels, agent.name)],
            "offline": agent.offline,
            "offlineCauseReason": agent.why,
            "numExecutors": agent.executors,
        }

    def _label(self, label: str) -> Answer:
        nodes = [agent for agent in self.agents if label in agent.labels]
        names = [{"nodeName": "" if agent.name == "Built-In Node" else agent.name} for agent in nodes]
        clouds = [{"name": name} for name in self.label_clouds.get(label, ())]
        return self._json({"nodes": names, "clouds": clouds})

    def _served(self) -> Answer:
        if self.resources:
            return Answer(302, headers={"Location": f"{self.resources}static-files/abc/readme.txt"})
        if self.policy is None:
            return Answer(404)
        headers = {"Content-Security-Policy": self.policy} if self.policy else {}
        return Answer(200, b"Files here are served", "text/plain", headers)

    def _hook(self, page: str) -> Answer:
        if HOOKS[page] not in self._items.plugins:
            return Answer(403)
        usual = 401 if page == "git/notifyCommit" else 405
        return Answer(self.hook_status or usual)

    def _approvals(self) -> Answer:
        waiting = "Approve / Deny Groovy script" if self.pending else "No pending script approvals."
        return Answer(200, f"<p>{waiting}</p><p>No pending signature approvals.</p>".encode())

    def _properties(self) -> Answer:
        name = "org.jenkinsci.plugins.workflow.cps.DSL.UNSAFE_GROOVY_INTERPOLATION"
        row = f"<tr><td>{name}</td><td><button>Hidden</button><span><svg><path d='fail'/></svg> {self.interpolation}</span></td></tr>"
        return Answer(
            200,
            f"<table>{row if self.interpolation else ''}<tr><td>os.arch</td><td>fail</td></tr></table>".encode(),
        )

    def _json(self, document: object) -> Answer:
        return Answer(200, json.dumps(document).encode(), "application/json;charset=utf-8")

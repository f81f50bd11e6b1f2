"""Folders and jobs as Jenkins keeps them: what it adds to posted XML, what it silently forgets, what it refuses."""

import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

FOLDER = "com.cloudbees.hudson.plugins.folder.Folder"
MULTIBRANCH = "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject"
PIPELINE = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
FREESTYLE = "hudson.model.FreeStyleProject"
ROOTS = {FOLDER: FOLDER, MULTIBRANCH: MULTIBRANCH, "flow-definition": PIPELINE, "project": FREESTYLE}
PLUGINS = {
    "com.cloudbees.hudson.plugins.folder.properties.AuthorizationMatrixProperty": "matrix-auth",
    "org.jenkinsci.plugins.matrixauth.": "matrix-auth",
    "com.cloudbees.hudson.plugins.folder.": "cloudbees-folder",
    "com.cloudbees.jenkins.plugins.bitbucket.": "cloudbees-bitbucket-branch-source",
    "com.cloudbees.plugins.credentials.": "credentials",
    "hudson.plugins.git.": "git",
    "io.jenkins.plugins.gitlabbranchsource.": "gitlab-branch-source",
    "jenkins.branch.": "branch-api",
    "jenkins.plugins.git.": "git",
    "org.jenkinsci.plugins.githubScmTraitNotificationContext.": "github-scm-trait-notification-context",
    "org.jenkinsci.plugins.github_branch_source.": "github-branch-source",
    "org.jenkinsci.plugins.workflow.cps.": "workflow-cps",
    "org.jenkinsci.plugins.workflow.job.": "workflow-job",
    "org.jenkinsci.plugins.workflow.multibranch.": "workflow-multibranch",
    "org.example.": "nobody-has-this",
}
INSTALLED = set(PLUGINS.values()) - {"nobody-has-this"}
# Elements that Jenkins writes although nobody posted them.
DEFAULTS = {
    FOLDER: "<folderViews class='com.cloudbees.hudson.plugins.folder.views.DefaultFolderViewHolder'>"
    "<tabBar class='hudson.views.DefaultViewsTabBar'/></folderViews><healthMetrics/>"
    "<icon class='com.cloudbees.hudson.plugins.folder.icons.StockFolderIcon'/>",
    "flow-definition": "<keepDependencies>false</keepDependencies><triggers/><disabled>false</disabled>",
    "hudson.plugins.git.GitSCM": "<doGenerateSubmoduleConfigurations>false</doGenerateSubmoduleConfigurations>"
    "<submoduleCfg class='empty-list'/><extensions/>",
}


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str = "", *, error: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error = error


@dataclass
class Stored:
    """One item. `scans` counts the branch scans that its creation and its POSTs cause."""

    name: str
    kind: str
    tree: ET.Element
    children: dict[str, "Stored"] = field(default_factory=dict)
    scans: int = 0
    builds: dict = field(default_factory=dict)
    script: object = None
    numbers: object = field(default_factory=lambda: itertools.count(1))

    @property
    def description(self) -> str:
        return self.tree.findtext("description") or ""

    @property
    def parameters(self) -> list[str] | None:
        """The names of its parameters; None: it has none."""
        found = self.tree.findall(
            "properties/hudson.model.ParametersDefinitionProperty/parameterDefinitions/*"
        )
        return [p.findtext("name", "") for p in found] or None

    def xml(self) -> bytes:
        body = ET.tostring(self.tree, encoding="unicode")
        return ("<?xml version='1.1' encoding='UTF-8'?>\n" + body).encode()


class Tree:
    """All items below the top."""

    def __init__(self, plugins: set[str] | None = None) -> None:
        self.plugins = set(INSTALLED if plugins is None else plugins)
        self.children: dict[str, Stored] = {}
        self.top = Stored("", "hudson.model.Hudson", ET.Element("hudson"), self.children)

    def find(self, parts: list[str]) -> Stored:
        here = self.top
        for part in parts:
            if part not in here.children:
                raise Refused(404)
            here = here.children[part]
        return here

    def create(self, folder: Stored, name: str, xml: bytes) -> Stored:
        if folder.kind not in {FOLDER, "hudson.model.Hudson"}:
            raise Refused(404)
        if not name or re.search(r"[/\\?*%!@#$^&|<>\[\]:;]", name):
            raise Refused(400, error=f" {name}  is an unsafe name")
        if name in folder.children:
            raise Refused(400, error=f"A job already exists with the name  {name} ")
        tree = self._stored(xml)
        made = Stored(name, ROOTS[tree.tag], tree, scans=1 if ROOTS[tree.tag] == MULTIBRANCH else 0)
        folder.children[name] = made
        return made

    def update(self, item: Stored, xml: bytes) -> None:
        tree = self._stored(xml)
        if ROOTS[tree.tag] != item.kind:
            raise Refused(500, f"Expecting class {item.kind} but got {ROOTS[tree.tag]} instead")
        item.tree = tree
        if item.kind == MULTIBRANCH:
            item.scans += 1

    def _stored(self, xml: bytes) -> ET.Element:
        try:
            tree = ET.fromstring(re.sub(rb"\A\s*<\?xml[^>]*\?>", b"", xml))  # noqa: S314  from a test
        except ET.ParseError as e:
            raise Refused(500, f"javax.xml.transform.TransformerException: {e}") from e
        if tree.tag not in ROOTS:
            raise Refused(500, f"com.thoughtworks.xstream.mapper.CannotResolveClassException: {tree.tag}")
        self._keep(tree)
        return tree

    def _plugin(self, name: str) -> str:
        real = name.replace("_-", "$").replace("__", "_")
        return next((plugin for prefix, plugin in PLUGINS.items() if real.startswith(prefix)), "")

    def _keep(self, element: ET.Element) -> None:
        """Forget what no plugin knows, say which plugin wrote the rest, add what Jenkins always writes."""
        for child in list(element):
            plugin = self._plugin(child.get("class", child.tag)) or self._plugin(child.tag)
            if plugin and plugin not in self.plugins:
                element.remove(child)
            else:
                self._keep(child)
        plugin = self._plugin(element.get("class", element.tag))
        if plugin:
            element.set("plugin", f"{plugin}@1.0")
        for key in (element.tag, element.get("class")):
            for extra in ET.fromstring(f"<x>{DEFAULTS.get(key, '')}</x>"):  # noqa: S314  our own
                if element.find(extra.tag) is None:
                    element.append(extra)
        if len(element):
            element.text = "\n  " + (element.text or "").strip()
            for child in element:
                child.tail = "\n  "

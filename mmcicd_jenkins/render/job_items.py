"""Every item that a repository wants on Jenkins, as XML with our mark: folders, multibranch projects, pipelines. Pure.

The law: what we do not decide is not written (views, icons, build history, a job that somebody disabled), so that
Jenkins or a person decides it and `job_merge` can keep it. `<root>/ci` holds nothing that a branch may not have.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from typing import Literal

from mmcicd_jenkins.config.model import Config, Model
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.jenkinsfile import FOLDER
from mmcicd_jenkins.render.job_sources import Source, branch_source, checkout, plugin_of, source_of
from mmcicd_jenkins.render.job_xml import class_of, leaf, marked, node, written
from mmcicd_jenkins.render.jobs import OpsJob, folder_of, ops_jobs, retrain_all, settings_of

ItemKind = Literal["folder", "multibranch", "pipeline"]
# What Jenkins calls an item of each kind in its JSON.
CLASSES: dict[ItemKind, str] = {
    "folder": "com.cloudbees.hudson.plugins.folder.Folder",
    "multibranch": "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject",
    "pipeline": "org.jenkinsci.plugins.workflow.job.WorkflowJob",
}
PERMISSIONS_TAG = "com.cloudbees.hudson.plugins.folder.properties.AuthorizationMatrixProperty"
PARAMETERS_TAG = "hudson.model.ParametersDefinitionProperty"
TRIGGERS_TAG = "org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty"

_MULTIBRANCH = CLASSES["multibranch"]
_COMPUTED = "com.cloudbees.hudson.plugins.folder.computed"
_ITEM = "hudson.model.Item"
_WATCH = (f"{_ITEM}.Read",)
_PRESS = (f"{_ITEM}.Build", f"{_ITEM}.Read")
_WORK = (*_PRESS, f"{_ITEM}.Cancel")
_ALL = tuple(
    f"{_ITEM}.{name}"
    for name in (
        "Build",
        "Cancel",
        "Configure",
        "Create",
        "Delete",
        "Discover",
        "ExtendedRead",
        "Read",
        "Workspace",
    )
)
# Where the folder is closed, `doctor` would not see which credentials it holds; their values are shown to nobody.
_ALL_OF_OPS = (*_ALL, "com.cloudbees.plugins.credentials.CredentialsProvider.View")
# A safety net under webhooks: a push is found within this time even if its notice was lost.
_SCAN_CRON, _SCAN_MILLISECONDS = "H H/4 * * *", "86400000"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item to be there. `shared` is true of what other repositories use too and may only be created."""

    path: str
    kind: ItemKind
    tree: ET.Element
    digest: str
    shared: bool = False

    @property
    def xml(self) -> str:
        return written(self.tree)


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may do what. `configure` are the accounts that synchronise; () leaves all permissions as they are.

    `ci` may read and build there and look at ops; who may press in ops stands in the environments.
    """

    configure: tuple[str, ...] = ()
    ci: tuple[str, ...] = ()


def access_of(config: Config, account: str) -> Access:
    """Who may do what, as `jenkins.permissions` says; who synchronises may configure unless it names others."""
    named = settings_of(config).permissions
    return Access(
        configure=tuple(named.get("sync", ())) or ((account,) if account else ()),
        ci=tuple(named.get("ci", ())),
    )


def desired_items(config: Config, *, access: Access | None = None, model: str = "") -> tuple[Item, ...]:
    """All items of a repository, parents first; with `model` only its own and the folders above them.

    Raises:
        InputError: no section jenkins, no source, two jobs of one name, or a value that XML cannot hold.
    """
    settings = settings_of(config)
    where = config.mark("jenkins.source")
    source, trusted = source_of(settings, where), source_of(settings, where, "ops")
    ci, ops = folder_of(settings, "ci"), folder_of(settings, "ops")
    made = [*_folders(config, access or Access(), source)]
    for entry in config.models.values():
        if model in {"", entry.name}:
            made.append(_multibranch(config, entry, f"{ci}/{entry.name}", source))
            made += [_pipeline(ops, job, trusted, settings.main) for job in ops_jobs(config, entry)]
    if not model:
        made.append(_pipeline(ci, retrain_all(config), source, settings.main))
    _refuse_shared_paths(made, config)
    return tuple(made)


def plugins_of_jobs(config: Config) -> Mapping[str, str]:
    """Every plugin that the XML of the jobs needs -> one class that it brings."""
    needed: dict[str, str] = {}
    for item in desired_items(config, access=Access(configure=("anybody",), ci=("anybody",))):
        for element in item.tree.iter():
            for java_class in (class_of(element.tag), element.get("class", "")):
                plugin = plugin_of(java_class)
                if plugin:
                    needed.setdefault(plugin, java_class)
    return needed


def _refuse_shared_paths(items: list[Item], config: Config) -> None:
    seen: set[str] = set()
    for item in items:
        if item.path in seen:
            raise InputError(
                f"two jobs would be called {item.path}",
                where=config.mark("models"),
                fix="rename the model: names that end like a job of ours, or retrain-all, are taken",
            )
        seen.add(item.path)


def _item(
    path: str, kind: ItemKind, tree: ET.Element, about: str, source: Source, *, shared: bool = False
) -> Item:
    mark = marked(tree, f"{about} Made from mmcicd.yaml of {source.name}; change it there.", source.identity)
    return Item(path=path, kind=kind, tree=tree, digest=mark.digest, shared=shared)


def _folders(config: Config, access: Access, source: Source) -> Iterator[Item]:
    settings = settings_of(config)
    parts = folder_of(settings).split("/") if folder_of(settings) else []
    for depth in range(1, len(parts) + 1):
        tree = node(CLASSES["folder"])
        yield _item("/".join(parts[:depth]), "folder", tree, "Models.", source, shared=True)
    place = config.production
    people = (
        ("ci", "Builds of every branch. Its credentials are what a branch may have.", _ci_rights(access)),
        (
            "ops",
            f"Releases and what serves in {place.name}. Only those named there may press.",
            _ops_rights(config, access),
        ),
    )
    for zone, about, rights in people:
        tree = node(CLASSES["folder"])
        if rights:
            tree.append(node("properties", _permissions(rights, closed=zone == "ops")))
        yield _item(folder_of(settings, "ci" if zone == "ci" else "ops"), "folder", tree, about, source)


def _ci_rights(access: Access) -> dict[str, tuple[str, ...]]:
    if not access.ci or not access.configure:
        return {}
    return _rights((access.ci, _WORK), (access.configure, _ALL))


def _ops_rights(config: Config, access: Access) -> dict[str, tuple[str, ...]]:
    """Nobody here may configure, and so nobody may replay, but the accounts that synchronise."""
    if not access.configure:
        return {}
    pressing = tuple(
        dict.fromkeys(
            name
            for place in config.environments.values()
            for name in (*place.approval.by, *place.rollback.by)
        )
    )
    return _rights((access.ci, _WATCH), (pressing, _PRESS), (access.configure, _ALL_OF_OPS))


def _rights(*groups: tuple[tuple[str, ...], tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Permission -> who has it."""
    found: dict[str, dict[str, None]] = {}
    for names, permissions in groups:
        for permission in permissions:
            found.setdefault(permission, {}).update(dict.fromkeys(names))
    return {permission: tuple(sorted(names)) for permission, names in sorted(found.items())}


def _permissions(rights: dict[str, tuple[str, ...]], *, closed: bool) -> ET.Element:
    """The folder's own matrix. `closed`: what is granted above does not count here, administrators excepted."""
    strategy = "NonInheritingStrategy" if closed else "InheritParentStrategy"
    made = node(
        PERMISSIONS_TAG,
        node("inheritanceStrategy", of=f"org.jenkinsci.plugins.matrixauth.inheritance.{strategy}"),
    )
    made.extend(leaf("permission", f"{right}:{name}") for right, names in rights.items() for name in names)
    return made


def _multibranch(config: Config, model: Model, path: str, source: Source) -> Item:
    context = f"jenkins/{model.name}" if len(config.models) > 1 else ""
    keep = f"{_COMPUTED}.DefaultOrphanedItemStrategy"
    tree = node(
        _MULTIBRANCH,
        node(
            "orphanedItemStrategy",
            leaf("pruneDeadBranches", True),
            leaf("daysToKeep", "14"),
            leaf("numToKeep", "20"),
            leaf("abortBuilds", True),
            of=keep,
        ),
        node(
            "triggers",
            # Jenkins reads both: the constructor that would derive one from the other does not run.
            node(
                f"{_COMPUTED}.PeriodicFolderTrigger",
                leaf("spec", _SCAN_CRON),
                leaf("interval", _SCAN_MILLISECONDS),
            ),
        ),
        node(
            "sources",
            node(
                "data",
                node("jenkins.branch.BranchSource", branch_source(source, path, context), _durability()),
            ),
            of="jenkins.branch.MultiBranchProject$BranchSourceList",
        ),
        node(
            "factory",
            leaf("scriptPath", f"{FOLDER}/{model.name}.Jenkinsfile"),
            of="org.jenkinsci.plugins.workflow.multibranch.WorkflowBranchProjectFactory",
        ),
    )
    return _item(path, "multibranch", tree, f"{model.name}: one job per branch and pull request.", source)


def _durability() -> ET.Element:
    """A training of hours must survive the controller; what that costs is nothing beside it."""
    hint = node(
        "org.jenkinsci.plugins.workflow.multibranch.DurabilityHintBranchProperty",
        leaf("hint", "MAX_SURVIVABILITY"),
    )
    properties = node(
        "properties",
        node("a", hint, of="jenkins.branch.BranchProperty-array"),
        of="java.util.Arrays$ArrayList",
    )
    return node("strategy", properties, of="jenkins.branch.DefaultBranchPropertyStrategy")


def _pipeline(folder: str, job: OpsJob, source: Source, main: str) -> Item:
    properties = node("properties")
    if job.parameters:
        definitions = [
            node(
                "hudson.model.StringParameterDefinition",
                leaf("name", parameter.name),
                leaf("description", parameter.description),
                leaf("defaultValue", parameter.default),
                leaf("trim", True),
            )
            for parameter in job.parameters
        ]
        properties.append(node(PARAMETERS_TAG, node("parameterDefinitions", *definitions)))
    if job.cron:
        timer = node("hudson.triggers.TimerTrigger", leaf("spec", job.cron))
        properties.append(node(TRIGGERS_TAG, node("triggers", timer)))
    tree = node("flow-definition", properties, _definition(job, source, main))
    return _item(f"{folder}/{job.name}", "pipeline", tree, job.description, source)


def _definition(job: OpsJob, source: Source, main: str) -> ET.Element:
    flow = "org.jenkinsci.plugins.workflow.cps"
    if job.definition == "inline":
        return node(
            "definition", leaf("script", job.text), leaf("sandbox", True), of=f"{flow}.CpsFlowDefinition"
        )
    return node(
        "definition",
        checkout(source, main),
        leaf("scriptPath", job.script_path),
        leaf("lightweight", True),
        of=f"{flow}.CpsScmFlowDefinition",
    )

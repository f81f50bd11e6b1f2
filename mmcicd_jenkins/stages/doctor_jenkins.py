"""What `doctor` asks a controller, check by check, through ports alone. Writes nothing, starts nothing."""

import dataclasses
from collections.abc import Iterator
from itertools import chain

from mmcicd_jenkins.checks import agents, controller, credentials, folders, git
from mmcicd_jenkins.checks.finding import Finding
from mmcicd_jenkins.config.credential_uses import SHARED_WITH_OPS
from mmcicd_jenkins.config.model import Config, JenkinsSettings
from mmcicd_jenkins.ports.doctor import FolderRights, JenkinsLook, JenkinsRights
from mmcicd_jenkins.ports.jenkins import JenkinsItems
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.agents import DEFAULT_LABEL
from mmcicd_jenkins.render.job_items import Item, desired_items
from mmcicd_jenkins.render.job_plan import Action
from mmcicd_jenkins.render.job_sources import Source, source_of
from mmcicd_jenkins.render.jobs import folder_of, settings_of
from mmcicd_jenkins.render.plugins import plugins_of
from mmcicd_jenkins.stages.doctor import Check
from mmcicd_jenkins.stages.jobs_sync import glance

# What a service calls after a push, by kind of source.
HOOKS = {
    "git": "git/notifyCommit",
    "github": "github-webhook/",
    "gitlab": "gitlab-webhook/post",
    "bitbucket": "bitbucket-scmsource-hook/notify",
}
_STATES: dict[str, folders.JobState] = {
    "create": "missing",
    "update": "differs",
    "describe": "differs",
    "refuse": "refused",
    "keep": "same",
    "unchanged": "same",
}


@dataclass(frozen=True, kw_only=True)
class Jenkins:
    """The ports that the checks below use, and the configuration that they hold it against."""

    config: Config
    look: JenkinsLook
    rights: JenkinsRights
    items: JenkinsItems
    model: str = ""

    @property
    def settings(self) -> JenkinsSettings:
        return settings_of(self.config)

    @property
    def source(self) -> Source:
        return source_of(self.settings, self.config.mark("jenkins.source"))


def checks(jenkins: Jenkins) -> tuple[Check, ...]:
    """Every question to the controller."""
    looks = {
        "controller": _controller,
        "plugins": _plugins,
        "permissions": _permissions,
        "jobs": _jobs,
        "agents": _agents,
        "pods": _pods,
        "credentials": _credentials,
        "reports": lambda j: controller.reports(j.rights.served()),
        "webhook": _hook,
        "security": lambda j: controller.security(j.rights.security()),
    }
    made = [
        Check(
            topic="jenkins",
            name=name,
            look=lambda ask=ask: ask(jenkins),  # type: ignore[misc]
            rests_on="" if name == "controller" else "controller",
        )
        for name, ask in looks.items()
    ]
    return tuple(made)


def _controller(jenkins: Jenkins) -> Iterator[Finding]:
    facts = jenkins.look.controller()
    return chain(
        controller.version(facts),
        controller.address(facts, jenkins.settings.url, jenkins.config.mark("jenkins.url")),
        controller.clock(facts),
    )


def _plugins(jenkins: Jenkins) -> Iterator[Finding]:
    needed = plugins_of(jenkins.config)
    return controller.plugins(needed, jenkins.look.plugins(controller.asked(needed)))


def _rights(jenkins: Jenkins) -> dict[str, FolderRights]:
    return {folder: jenkins.rights.folder(folder) for folder in ("", *_folders(jenkins.settings))}


def _folders(settings: JenkinsSettings) -> tuple[str, ...]:
    """Every folder from the root down, ci and ops last."""
    return (*_above(settings), folder_of(settings, "ci"), folder_of(settings, "ops"))


def _above(settings: JenkinsSettings) -> tuple[str, ...]:
    parts = [part for part in folder_of(settings).split("/") if part]
    return tuple("/".join(parts[: n + 1]) for n in range(len(parts)))


def _permissions(jenkins: Jenkins) -> Iterator[Finding]:
    return folders.permissions(_rights(jenkins))


def _jobs(jenkins: Jenkins) -> Iterator[Finding]:
    sync = f"mmcicd-jenkins jobs sync --repo {jenkins.source.remote}"
    actions = glance(jenkins.items, _desired(jenkins), jenkins.source.identity)
    return folders.jobs([_job(action) for action in actions], _rights(jenkins), sync)


def _desired(jenkins: Jenkins) -> list[Item]:
    """Of folders only that they are there: who may do what in them depends on the account that synchronises."""
    items = desired_items(jenkins.config, model=jenkins.model)
    return [dataclasses.replace(item, shared=True) if item.kind == "folder" else item for item in items]


def _job(action: Action) -> folders.Job:
    is_folder = action.item is not None and action.item.kind == "folder"
    return folders.Job(
        path=action.path,
        state=_STATES[action.do],
        is_folder=is_folder,
        why=action.reason,
        fix=action.fix,
    )


def _labels(settings: JenkinsSettings) -> dict[str, str]:
    """Label -> the key that names it."""
    named = {"default": DEFAULT_LABEL, **settings.agents}
    labels: dict[str, str] = {}
    for stage, label in named.items():
        if isinstance(label, str):
            labels.setdefault(label, f"jenkins.agents.{stage}")
    return labels


def _agents(jenkins: Jenkins) -> Iterator[Finding]:
    where = {label: jenkins.config.mark(key) for label, key in _labels(jenkins.settings).items()}
    found = {label: jenkins.look.label(label) for label in where}
    return agents.labels(found, jenkins.look.nodes(), where)


def _pods(jenkins: Jenkins) -> Iterator[Finding]:
    wanted = {
        pod.cloud: jenkins.config.mark(f"jenkins.agents.{stage}")
        for stage, pod in jenkins.settings.agents.items()
        if not isinstance(pod, str)
    }
    return agents.pods(wanted, jenkins.look.clouds() if wanted else ())


def _credentials(jenkins: Jenkins) -> Iterator[Finding]:
    settings = jenkins.settings
    if not any(settings.credentials.values()):
        return iter(())
    zones = credentials.Zones(
        url=settings.url,
        ci=folder_of(settings, "ci"),
        ops=folder_of(settings, "ops"),
        above=("", *_above(settings)),
    )
    where = {
        f"{zone}.{use}": jenkins.config.mark(f"jenkins.credentials.{zone}.{use}")
        for zone, uses in settings.credentials.items()
        for use in uses
    }
    stores = {folder: jenkins.rights.credentials(folder) for folder in credentials.stores_of(zones)}
    return credentials.ids(settings.credentials, stores, zones, frozenset(SHARED_WITH_OPS), where)


def _hook(jenkins: Jenkins) -> Iterator[Finding]:
    source = jenkins.source
    path = HOOKS[source.host]
    status = jenkins.rights.listens(path)
    return git.hook(source.host, status, f"{jenkins.settings.url.rstrip('/')}/{path}", source.remote)

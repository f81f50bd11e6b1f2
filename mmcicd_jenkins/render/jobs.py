"""Which jobs a repository has on Jenkins: names, parameters, clock, and where each job's pipeline comes from. Pure.

The law: parameters and cron of ops jobs live here and in no Jenkinsfile, or a job would not have them before its
first build. Rollback is inline, so it needs no git on the worst day; the others are read from protected main.
"""

from typing import Literal

from mmcicd_jenkins.config.model import Config, JenkinsSettings, Model
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.jenkinsfile import FOLDER, render_rollback

OpsKind = Literal["release", "promote", "rollback", "monitor"]
OPS_KINDS: tuple[OpsKind, ...] = ("release", "promote", "rollback", "monitor")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A text parameter of a job; its value reaches the pipeline as an environment variable of that name."""

    name: str
    description: str
    default: str = ""


@dataclass(frozen=True, kw_only=True)
class OpsJob:
    """One pipeline job. With `definition` scm, `script_path` on main counts; with inline, `text`."""

    name: str
    description: str
    parameters: tuple[Parameter, ...] = ()
    cron: str = ""
    definition: Literal["scm", "inline"] = "scm"
    script_path: str = ""
    text: str = ""


def ops_jobs(config: Config, model: Model) -> tuple[OpsJob, ...]:
    """The jobs of a model in the folder ops: release, promote, rollback, monitor.

    Raises:
        InputError: a Jenkinsfile cannot be rendered from this configuration.
    """
    return tuple(_ops_job(config, model, kind) for kind in OPS_KINDS)


def retrain_all(config: Config) -> OpsJob:
    """The one job in the folder ci that moves the data lock of all models; the push that it makes builds."""
    return OpsJob(
        name="retrain-all",
        description="Looks for new data, moves the lock, and lets the push build what changed.",
        cron=config.jenkins.retrain if config.jenkins else "",
        script_path=f"{FOLDER}/retrain-all.Jenkinsfile",
    )


def _ops_job(config: Config, model: Model, kind: OpsKind) -> OpsJob:
    place = config.production.name
    path = f"{FOLDER}/{model.name}-{kind}.Jenkinsfile"
    about = {
        "release": f"Evaluates a commit of {model.name} again, packages, verifies and deploys it before {place}.",
        "promote": f"Puts a version of {model.name} into {place}, with approval.",
        "rollback": f"Puts the last healthy release of {model.name} back into {place} at once. "
        "No gate, no approval; git, registry and Prometheus may be down.",
        "monitor": f"Watches {model.name} in {place}.",
    }
    inline = kind == "rollback"
    return OpsJob(
        name=f"{model.name}-{kind}",
        description=about[kind],
        parameters=_PARAMETERS[kind],
        cron=cron_of(config.production.monitor.every_seconds) if kind == "monitor" else "",
        definition="inline" if inline else "scm",
        script_path="" if inline else path,
        text=render_rollback(config, model) if inline else "",
    )


_PARAMETERS: dict[OpsKind, tuple[Parameter, ...]] = {
    "release": (
        Parameter(name="COMMIT", description="A commit on main. Empty: the newest, whatever it changed."),
    ),
    "promote": (
        Parameter(name="VERSION", description="Empty: the newest that serves before production."),
        Parameter(name="REASON", description="Stands in the audit record; can also be given on approval."),
    ),
    "rollback": (
        Parameter(name="VERSION", description="Empty: the last healthy release."),
        Parameter(name="REASON", description="Optional. Stands in the audit record."),
    ),
    "monitor": (),
}


def cron_of(seconds: float) -> str:
    """How Jenkins is told to run about every `seconds`: cron divides hours and days evenly or not at all.

    `H` lets Jenkins spread jobs over the minute or hour.
    """
    minutes = max(1, round(seconds / 60))
    if minutes == 1:
        return "* * * * *"
    if minutes <= 30:
        return f"H/{_divisor(minutes, 60)} * * * *"
    hours = max(1, round(minutes / 60))
    if hours == 1:
        return "H * * * *"
    return "H H * * *" if hours >= 24 else f"H H/{_divisor(hours, 24)} * * *"


def _divisor(wanted: int, whole: int) -> int:
    """The largest divisor of `whole` that is not above `wanted`: rather too often than too rarely."""
    return next(n for n in range(min(wanted, whole), 0, -1) if whole % n == 0)


def settings_of(config: Config) -> JenkinsSettings:
    """The section `jenkins`.

    Raises:
        InputError: the file has none.
    """
    if config.jenkins is None:
        raise InputError(
            "there is no section jenkins, so there are no jobs",
            where=config.file,
            fix="jenkins: {url: https://jenkins.example, folder: ml, source: {git: URL}}",
        )
    return config.jenkins


def folder_of(settings: JenkinsSettings, zone: Literal["ci", "ops"] | None = None) -> str:
    """The full name of a zone's folder, or of the folder above both ("" is the top of Jenkins)."""
    root = "/".join(part for part in settings.folder.split("/") if part)
    return root if zone is None else f"{root}/{zone}".lstrip("/")

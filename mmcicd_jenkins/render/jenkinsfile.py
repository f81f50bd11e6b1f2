"""From a configuration to Jenkinsfiles: which stages, on which agents, by which commands. Pure but for templates.

The law: a stage is one `sh` of one single-quoted literal; what a person types reaches it by the environment
alone; nothing a user wrote stands in a comment; no date and no version, so that only a change of the
configuration or of a template changes a file.
"""

from collections.abc import Mapping
from pathlib import Path

from mmcicd_jenkins.config.model import Config, JenkinsSettings, Model
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.engine import render
from mmcicd_jenkins.render.literals import shell

FOLDER = "jenkins"
# Where a team's own copies of templates are, relative to the root.
OWN_TEMPLATES = "jenkins/templates"
TEMPLATES = tuple(
    f"jenkinsfile/{name}.j2" for name in ("ci", "monitor", "parts", "promote", "release", "rollback")
)

REPORTS = ".mmcicd/runs"
GATES = f"{REPORTS}/*/gates.xml"
# What people read; predictions lie beside it and are large.
PAGES = f"{REPORTS}/*/report.*,{REPORTS}/*/report/*,{GATES}"
DEFAULT_LABEL = "linux"
_CI = ("prepare", "test", "data", "train", "evaluate")
# What a pull request from a fork may not do: it would run a stranger's code with data, credentials or GPUs.
_TRUSTED = ("data", "train", "evaluate")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage as the templates see it. `when` is Groovy of ours, never a user's.

    `reports` is the folder that the stage fills; it is emptied before, because a workspace may be used again.
    """

    title: str
    label: str
    script: str
    when: str = ""
    reports: str = ""
    gates: str = GATES
    pages: str = PAGES
    lock: str = ""
    is_hook: bool = False


def render_jenkinsfiles(config: Config, model: str | None = None) -> Mapping[str, str]:
    """The Jenkinsfiles of every model, or of one: path relative to the root -> text.

    Without a section `jenkins` these are the CI files alone; with it also those of the ops folder.

    Raises:
        InputError: two models would share a file, nobody may approve, or a team's own template is wrong.
    """
    own = config.root / OWN_TEMPLATES
    texts: dict[str, str] = {}
    for entry in config.models.values():
        if model not in {None, entry.name}:
            continue
        for path, text in _of_model(config, entry, own if own.is_dir() else None).items():
            if path in texts:
                raise InputError(
                    f"two models would share {path}",
                    where=config.mark(f"models.{entry.name}"),
                    fix="rename the model whose name ends in -release, -promote, -rollback or -monitor",
                )
            texts[path] = text
    return texts


def _of_model(config: Config, model: Model, own: Path | None) -> dict[str, str]:
    def text(name: str, **values: object) -> str:
        return render(f"jenkinsfile/{name}.j2", "groovy", values, own)

    path = f"{FOLDER}/{model.name}"
    stages = _ci_stages(config, model)
    if config.jenkins is None:
        return {f"{path}.Jenkinsfile": text("ci", stages=stages, release_job="")}
    approval = config.production.approval
    before, after = _promote_stages(config, model)
    return {
        f"{path}.Jenkinsfile": text("ci", stages=stages, release_job=_release_job(config.jenkins, model)),
        f"{path}-release.Jenkinsfile": text("release", stages=_release_stages(config, model)),
        f"{path}-promote.Jenkinsfile": text(
            "promote",
            before=before,
            after=after,
            approvers=_approvers(config),
            four_eyes=approval.four_eyes,
            expires_minutes=max(1, round(approval.expires_seconds / 60)),
            message=f"{model.name} to {config.production.name}",
        ),
        f"{path}-rollback.Jenkinsfile": text("rollback", stages=_rollback_stages(config, model)),
        f"{path}-monitor.Jenkinsfile": text("monitor", stages=_monitor_stages(config, model)),
    }


def _release_job(jenkins: JenkinsSettings, model: Model) -> str:
    folder = jenkins.folder.strip("/")
    return f"/{folder}/ops/{model.name}-release" if folder else f"/ops/{model.name}-release"


def _approvers(config: Config) -> str:
    """Who may answer, as Jenkins wants it. An empty list would mean everybody."""
    approvers = config.production.approval.by
    where = config.mark(f"environments.{config.production.name}.approval.by")
    if not approvers:
        raise InputError(
            f"nobody is named who may promote to {config.production.name}",
            where=where,
            why="Jenkins would let everybody who can build approve",
            fix=f"environments: {{{config.production.name}: {{approval: {{by: [a-group]}}}}}}",
        )
    wrong = next((name for name in approvers if "," in name or name != name.strip()), None)
    if wrong is not None:
        raise InputError(
            f"{wrong!r} cannot be an approver",
            where=where,
            why="Jenkins reads a comma as the end of a name",
            fix="write each user or group as an entry of its own",
        )
    return ",".join(approvers)


def _ci_stages(config: Config, model: Model) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    for name in _CI:
        if name == "test" and not model.test:
            continue
        stage = Stage(
            title=name.capitalize(),
            label=_label(config, name),
            script=_command(name, model),
            when=_when(config) if name in _TRUSTED else "",
            reports=REPORTS if name == "evaluate" else "",
        )
        stages += _with_hooks(config, name, stage)
    return tuple(stages)


def _when(config: Config) -> str:
    settings = config.jenkins.pull_requests if config.jenkins else {}
    if settings.get("train") == "none":
        return "not { changeRequest() }"
    return "expression { env.CHANGE_FORK == null }"


def _release_stages(config: Config, model: Model) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    # The hooks of evaluate have run in CI; here our side only repeats the numbers.
    stages.append(_ops(config, "evaluate", model))
    for name in ("package", "verify"):
        stages += _with_hooks(config, name, _ops(config, name, model))
    for place in config.before_production:
        lock = f"mmcicd-{place.name}-{model.name}"
        stages += _with_hooks(config, "deploy", _ops(config, "deploy", model, place.name, lock=lock))
        stages += _with_hooks(config, "smoke", _ops(config, "smoke", model, place.name))
    stages += _with_hooks(config, "propose", _ops(config, "propose", model))
    return tuple(stages)


def _promote_stages(config: Config, model: Model) -> tuple[tuple[Stage, ...], tuple[Stage, ...]]:
    """What is before the approval, and what is after it."""
    place = config.production.name
    plan = Stage(
        title="Plan",
        label=_label(config, "promote", ops=True),
        script=_command("promote", model, place, ("version", "VERSION")) + " --dry-run",
    )
    promote = Stage(
        title="Promote",
        label=_label(config, "promote", ops=True),
        script=_command(
            "promote", model, place, ("version", "APPROVED_VERSION"), ("reason", "APPROVED_REASON")
        ),
        lock=f"mmcicd-{place}-{model.name}",
    )
    hooked = _with_hooks(config, "promote", promote)
    first = hooked.index(promote)
    smoke = _with_hooks(config, "smoke", _ops(config, "smoke", model, place))
    return (plan, *hooked[:first]), (*hooked[first:], *smoke)


def _rollback_stages(config: Config, model: Model) -> tuple[Stage, ...]:
    stage = Stage(
        title="Rollback",
        label=_label(config, "rollback", ops=True),
        script=_command(
            "rollback", model, config.production.name, ("version", "VERSION"), ("reason", "REASON")
        ),
    )
    return tuple(_with_hooks(config, "rollback", stage))


def _monitor_stages(config: Config, model: Model) -> tuple[Stage, ...]:
    return tuple(_with_hooks(config, "monitor", _ops(config, "monitor", model, config.production.name)))


def _ops(config: Config, name: str, model: Model, place: str = "", *, lock: str = "") -> Stage:
    title = f"{name.capitalize()} {place}" if place and place != config.production.name else name.capitalize()
    return Stage(
        title=title, label=_label(config, name, ops=True), script=_command(name, model, place), lock=lock
    )


def _with_hooks(config: Config, name: str, stage: Stage) -> list[Stage]:
    """The stage between the hooks that the team hung on it; each is a stage of its own with the same rights."""
    stages = [stage]
    for key, at in ((f"before_{name}", 0), (f"after_{name}", len(stages))):
        if key in config.hooks:
            title = key.replace("_", " ").capitalize() + stage.title[len(name) :].lower()
            hook = Stage(
                title=title, label=stage.label, script=config.hooks[key], when=stage.when, is_hook=True
            )
            stages.insert(at if at == 0 else len(stages), hook)
    return stages


def _label(config: Config, stage: str, *, ops: bool = False) -> str:
    """The stage's own label, else that of deploy for what runs beside it in ops, else the default."""
    agents = config.jenkins.agents if config.jenkins else {}
    default = agents.get("default", DEFAULT_LABEL)
    return agents.get(stage, agents.get("deploy", default) if ops else default)


def _command(stage: str, model: Model, place: str = "", *options: tuple[str, str]) -> str:
    """The shell line of a stage. `options` are taken from environment variables, left out when these are empty."""
    words: list[str] = ["./mmcicdw", "stage", stage, f"--model={model.name}"]
    if place:
        words.append(f"--env={place}")
    line = str(shell(words))
    return line + "".join(f' ${{{variable}:+--{option}="${variable}"}}' for option, variable in options)

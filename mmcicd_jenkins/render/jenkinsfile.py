"""From a configuration to Jenkinsfiles: which pipelines there are and which stages they have. Pure but for templates.

The law: nothing a user wrote stands in a comment; no date and no version, so that only a change of the
configuration or of a template changes a file. Parameters and schedules are in the jobs, never here.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mmcicd_jenkins.config.model import Config, JenkinsSettings, Model
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.render.agents import agent_of
from mmcicd_jenkins.render.canary_stages import EXTENSIONS, canary_stages, choices
from mmcicd_jenkins.render.coordinates import coordinates
from mmcicd_jenkins.render.credentials import bindings, looks_apart
from mmcicd_jenkins.render.engine import render
from mmcicd_jenkins.render.files import OWN_TEMPLATES
from mmcicd_jenkins.render.literals import groovy
from mmcicd_jenkins.render.pipeline_stages import (
    SAID,
    SUMMARY,
    Flag,
    Options,
    Stage,
    Stages,
    lock_of,
    minutes,
    shell_line,
    timeout_of,
)
from mmcicd_jenkins.render.plugins import plugins_in

FOLDER = "jenkins"
TEMPLATES = tuple(
    f"jenkinsfile/{name}.j2"
    for name in (
        "ci", "release", "promote", "rollback", "monitor", "retrain-all",
        "head", "stage", "agent", "command", "credentials", "kept", "asked", "approve", "proposed",
        "undecided",
    )
)  # fmt: skip
RETRAIN_ALL = "retrain-all"
# The public keys that the ledger's signatures are checked with; they ride along where there is no checkout.
KEYS_FILE = "mmcicd.keys"

REPORTS = ".mmcicd/runs"
GATES = f"{REPORTS}/*/gates.xml"
# What people read; predictions lie beside it and are large.
PAGES = f"{REPORTS}/*/report.*,{REPORTS}/*/report/*,{GATES}"
# All that a training said; errors show its end and name it, and nobody is let onto the agent to read it.
LOG = f"{REPORTS}/*/train.log"
# What the server of a verify said, and the build of a team's own Dockerfile.
SERVER_LOG = f"{REPORTS}/*/serving.log"
# With one for each further serving version.
SERVER_LOGS = f"{REPORTS}/*/serving*.log"
BUILD_LOG = f"{REPORTS}/*/build.log"
TESTS = ".mmcicd/tests/*.xml"
# What a monitor saw: errors and latency beside what was promised.
WATCHED = f"{SUMMARY}/report.*,{SUMMARY}/report/*"

# What a pull request from a fork may not do: it would run a stranger's code with data, credentials or GPUs.
NO_FORKS = "expression { env.CHANGE_FORK == null }"
_TO_TRAIN = Flag(variable="MMCICD_TRAIN", file=f"{SUMMARY}/trained.txt")
_TO_RELEASE = Flag(variable="MMCICD_RELEASE", file=f"{SUMMARY}/released.txt")
_TO_CHANGE = Flag(variable="MMCICD_CHANGE", file=f"{SUMMARY}/kept.txt")
_TO_LEAVE = Flag(variable="MMCICD_LEAVE", file=f"{SUMMARY}/act.txt")


def _unless(flag: Flag) -> str:
    """A condition of ours. After a restart from a later stage the variable is not there, and the stage runs."""
    return f"expression {{ env.{flag.variable} != 'no' }}"


def render_jenkinsfiles(config: Config, model: str | None = None) -> Mapping[str, str]:
    """The Jenkinsfiles of every model, or of one: path relative to the root -> text.

    Without a section `jenkins` these are the CI files alone; with it also those of the ops folder and, for all
    models together, the one that retrains them.

    Raises:
        InputError: two models would share a file, nobody may approve, or a team's own template is wrong.
    """
    pages = _Pages(config)
    texts: dict[str, str] = {}
    for entry in config.models.values():
        if model not in {None, entry.name}:
            continue
        for path, text in pages.of(entry).items():
            _refuse_shared(path, texts, config, entry)
            texts[path] = text
    if config.jenkins is not None and model is None:
        path = f"{FOLDER}/{RETRAIN_ALL}.Jenkinsfile"
        _refuse_shared(path, texts, config, config.models.get(RETRAIN_ALL))
        texts[path] = pages.retrain_all()
    return texts


def render_rollback(config: Config, model: Model) -> str:
    """The rollback pipeline alone, which its job carries in itself.

    Raises:
        InputError: a hook stands before it, or a team's own template is wrong.
    """
    return _Pages(config).rollback(model)


def _refuse_shared(path: str, texts: Mapping[str, str], config: Config, model: Model | None) -> None:
    if path in texts:
        name = model.name if model else RETRAIN_ALL
        raise InputError(
            f"two pipelines would share {path}",
            where=config.mark(f"models.{name}"),
            fix="rename the model that is called retrain-all or whose name ends in -release, -promote, -rollback "
            "or -monitor",
        )


class _Pages:
    """The files of one configuration. `about` of each stands at its top; it holds no word of a user."""

    def __init__(self, config: Config) -> None:
        own = config.root / OWN_TEMPLATES
        self._config = config
        self._own = own if own.is_dir() else None

    def of(self, model: Model) -> dict[str, str]:
        path = f"{FOLDER}/{model.name}"
        if self._config.jenkins is None:
            return {f"{path}.Jenkinsfile": self._ci(model, None)}
        return {
            f"{path}.Jenkinsfile": self._ci(model, self._config.jenkins),
            f"{path}-release.Jenkinsfile": self._release(model, self._config.jenkins),
            f"{path}-promote.Jenkinsfile": self._promote(model),
            f"{path}-rollback.Jenkinsfile": self.rollback(model),
            f"{path}-monitor.Jenkinsfile": self._monitor(model),
        }

    def _text(self, name: str, **values: object) -> str:
        body = render(f"jenkinsfile/{name}.j2", "groovy", {"said": SAID, **values}, self._own)
        told = {"pipeline": name, "plugins": plugins_in(body)}
        return render("jenkinsfile/head.j2", "groovy", told, self._own) + body

    def _ci(self, model: Model, jenkins: JenkinsSettings | None) -> str:
        return self._text(
            "ci",
            stages=ci_stages(self._config, model),
            main=jenkins.main if jenkins else JenkinsSettings().main,
            release_job=ops_job(jenkins, model, "release") if jenkins else "",
            release_when=_unless(_TO_RELEASE),
        )

    def _release(self, model: Model, jenkins: JenkinsSettings) -> str:
        return self._text(
            "release",
            stages=release_stages(self._config, model),
            promote_job=ops_job(jenkins, model, "promote"),
            promote_file=f"{SUMMARY}/promote.txt",
        )

    def _promote(self, model: Model) -> str:
        place = self._config.production
        before, after = promote_stages(self._config, model)
        return self._text(
            "promote",
            before=before,
            canary=canary_stages(self._config, model),
            decisions="\n".join(choices()),
            question_minutes=minutes(place.approval.expires_seconds) + 60 * (max(EXTENSIONS) + 1),
            after=after,
            choices_file=f"{SUMMARY}/choices.txt",
            message_file=f"{SUMMARY}/message.txt",
            approvers=_approvers(self._config),
            four_eyes=place.approval.four_eyes,
            another=f"You started this promotion; another member of {', '.join(place.approval.by)} must approve. "
            "Nothing changed.",
            expires_minutes=minutes(place.approval.expires_seconds),
            expired=f"not approved within {_span(place.approval.expires_seconds)}; nothing was changed",
            approved=f" for {place.name}, approved by ",
            silence=f". Without an answer within {_span(place.approval.expires_seconds)} it is taken back.",
            waits=f"{place.name} waits for {', '.join(place.approval.by)}",
        )

    def rollback(self, model: Model) -> str:
        config = self._config
        if "before_rollback" in config.hooks:
            raise InputError(
                "nothing of a team's may stand before a rollback",
                where=config.mark("hooks.before_rollback"),
                why="when it fails or hangs, so does the way back",
                fix="after_rollback, which begins when the rollback is done",
            )
        stages = Stages(config, model, "ops")
        stage = rollback_stage(config, model)
        files = {"mmcicd.yaml": coordinates(config, model, config.production), **_keys(config.root)}
        return self._text(
            "rollback",
            stage=stage,
            after=stages.hook("after_rollback", stage, config.production),
            files=list(files.items()),
        )

    def _monitor(self, model: Model) -> str:
        return self._text("monitor", stages=monitor_stages(self._config, model))

    def retrain_all(self) -> str:
        config = self._config
        main = config.jenkins.main if config.jenkins else ""
        stages = [
            Stage(
                name="retrain",
                title=f"Retrain {model.name}",
                agent=agent_of(config, "data"),
                script=shell_line(["./mmcicdw", "data", "update", f"--model={model.name}", f"--push={main}"]),
                minutes=minutes(timeout_of(config, model, "retrain")),
                bindings=bindings(config, "ci", "retrain", model=model.name),
                goes_on=True,
            )
            for model in config.models.values()
            if model.data
        ]
        return self._text("retrain-all", stages=stages)


def _keys(root: Path) -> dict[str, str]:
    path = root / KEYS_FILE
    return {KEYS_FILE: path.read_text(encoding="utf-8")} if path.is_file() else {}


def ops_job(jenkins: JenkinsSettings, model: Model, name: str) -> str:
    """The full name of a job of the model in the folder ops."""
    folder = jenkins.folder.strip("/")
    return f"{'/' + folder if folder else ''}/ops/{model.name}-{name}"


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


def _span(seconds: float) -> str:
    """`3d`, `12h`, `90m`: as people write it in the file."""
    whole = round(seconds / 60)
    for unit, size in (("d", 1440), ("h", 60)):
        if whole % size == 0 and whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}m"


def ci_stages(config: Config, model: Model) -> tuple[Stage, ...]:
    stages = Stages(config, model, "ci")
    trusted = _who_trains(config)
    made = stages.hooked(stages.of("prepare"))
    if model.test:
        made += stages.hooked(stages.of("test", more=Options(junit=TESTS)))
    made += stages.hooked(stages.of("data", more=Options(when=trusted, flags=(_TO_TRAIN,))))
    to_train = (*trusted, _unless(_TO_TRAIN))
    made += stages.hooked(stages.of("train", more=Options(when=to_train, artifacts=LOG)))
    made += stages.hooked(stages.of("evaluate", more=_reported(when=trusted, flags=(_TO_RELEASE,))))
    return tuple(made)


def _reported(
    when: tuple[str, ...] = (), flags: tuple[Flag, ...] = (), given: tuple[tuple[str, str], ...] = ()
) -> Options:
    """What an evaluation leaves for people: one test case per gate, and the report."""
    return Options(when=when, flags=flags, given=given, emptied=REPORTS, junit=GATES, artifacts=PAGES)


def _who_trains(config: Config) -> tuple[str, ...]:
    """Conditions of the stages that cost: which branches and pull requests pass them."""
    pulls = (config.jenkins.pull_requests if config.jenkins else {}).get("train")
    branches = (config.jenkins.branches if config.jenkins else {}).get("train")
    conditions = ["not { changeRequest() }"] if pulls == "none" else [NO_FORKS]
    if config.jenkins and branches == "main":
        main = groovy(config.jenkins.main)
        conditions.append(f"expression {{ env.CHANGE_ID != null || env.BRANCH_NAME == {main} }}")
    return tuple(conditions)


def release_stages(config: Config, model: Model) -> tuple[Stage, ...]:
    stages = Stages(config, model, "ops")
    commit = (("commit", "COMMIT"),)
    # The hooks of evaluate have run in CI; here our side only repeats the numbers.
    made = [stages.of("evaluate", more=_reported(given=commit))]
    for name, kept in (
        ("package", BUILD_LOG if config.image.builder == "docker" else ""),
        ("verify", SERVER_LOGS if config.image.verify_with else SERVER_LOG),
    ):
        made += stages.hooked(stages.of(name, more=Options(given=commit, artifacts=kept)))
    for place in config.before_production:
        deploy = Options(given=commit, lock=lock_of(place.name, model))
        made += stages.hooked(stages.of("deploy", place, deploy), place)
        made += stages.hooked(stages.of("smoke", place, Options(given=commit)), place)
    made += stages.hooked(stages.of("propose", more=Options(given=commit)))
    return tuple(made)


def promote_stages(config: Config, model: Model) -> tuple[tuple[Stage, ...], tuple[Stage, ...]]:
    """What is before the approval, and what is after it."""
    place = config.production
    stages = Stages(config, model, "ops")
    ask = Options(
        title="Plan", counts_as="plan", words=("--ask",), given=(("version", "VERSION"),), artifacts=f"{SUMMARY}/**"
    )  # fmt: skip
    asked = "expression { env.MMCICD_CHOICES != null }"
    decide = Options(
        when=("expression { env.MMCICD_CHOICE != null }",),
        lock=lock_of(place.name, model),
        flags=(_TO_CHANGE,),
        given=(("choice", "MMCICD_CHOICE"), ("reason", "MMCICD_REASON")),
    )
    promote = stages.of("promote", place, decide)
    changed = Options(when=("expression { env.MMCICD_CHANGE == 'yes' }",))
    smoke = stages.hooked(stages.of("smoke", place, changed), place)
    waiting = stages.of("promote", place, Options(when=(asked,), title="Promote"))
    done = stages.of("promote", place, changed)
    return (
        (stages.of("promote", place, ask), *stages.hook("before_promote", waiting, place)),
        (promote, *stages.hook("after_promote", done, place), *smoke),
    )


def monitor_stages(config: Config, model: Model) -> tuple[Stage, ...]:
    """One look; where whoever looks may not deploy, a second stage does what was decided, and decides it again first."""
    place = config.production
    stages = Stages(config, model, "ops")
    seen = Options(words=("--quiet",), artifacts=WATCHED)
    if not looks_apart(config, place.name):
        return tuple(stages.hooked(stages.of("monitor", place, seen), place))
    look = replace(seen, words=("--quiet", "--look-only"), flags=(_TO_LEAVE,))
    to_act = (f"expression {{ env.{_TO_LEAVE.variable} == 'no' }}",)
    act = replace(seen, title="Roll back", when=to_act, counts_as="act")
    return (*stages.hooked(stages.of("monitor", place, look), place), stages.of("monitor", place, act))


def rollback_stage(config: Config, model: Model) -> Stage:
    """One command, with the CLI that the agent carries: no checkout, no download, no lock."""
    words = ["stage", "rollback", f"--model={model.name}", f"--env={config.production.name}", "--or-offline"]
    given = (("version", "VERSION"), ("reason", "REASON"))
    line = shell_line(["mmcicd-jenkins", *words], given)
    return Stage(
        name="rollback",
        title="Rollback",
        agent=agent_of(config, "rollback", model, ops=True),
        # Where the wrapper keeps what it installed, the newest first; asked after PATH. An old one may not know the way.
        script='PATH="$PATH$(ls -td "${MMCICD_CLI_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/mmcicd/cli}"/*/ready '
        '2>/dev/null | sed "s/^/:/; s/ready$/bin/" | tr -d "\\n")"; ' + line,
        minutes=minutes(timeout_of(config, model, "rollback")),
        bindings=bindings(config, "ops", "rollback", config.production.name, model=model.name),
    )

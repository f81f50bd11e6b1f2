"""The stages of generated pipelines as the templates see them: command, agent, credentials, limits. Pure.

The law: a stage is one `sh` of one single-quoted literal; what a person types reaches it by the environment
alone; a stage is given the credentials that its command uses and no others.
"""

from collections.abc import Sequence
from dataclasses import field

from mmcicd_jenkins.config.credential_uses import Zone
from mmcicd_jenkins.config.model import Config, Environment, Model
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.agents import Agent, agent_of
from mmcicd_jenkins.render.credentials import Binding, bindings
from mmcicd_jenkins.render.literals import shell

# Where a command leaves what Jenkins shows; below the folder that git ignores.
SUMMARY = ".mmcicd/jenkins"
SAID = f"{SUMMARY}/said.txt"
MINUTE = 60.0
HOUR = 3600.0
# Fetching data and storing a model are not training, and a queue for GPUs is long.
AROUND_TRAINING = 2 * HOUR
_TIMEOUTS = {
    "prepare": 30 * MINUTE, "test": 90 * MINUTE, "data": 2 * HOUR, "evaluate": 2 * HOUR, "package": HOUR, "verify": HOUR,
    "deploy": HOUR, "smoke": 30 * MINUTE, "propose": 15 * MINUTE, "plan": 30 * MINUTE, "canary": HOUR, "promote": HOUR,
    "rollback": 30 * MINUTE, "monitor": 30 * MINUTE, "act": 30 * MINUTE, "retrain": 4 * HOUR,
}  # fmt: skip
# An outside system that failed may answer a moment later. Never for the team's own commands, and never for what
# changes an environment: those are decided anew by whoever starts them again.
_TRIED_AGAIN = frozenset({"prepare", "data", "evaluate", "package", "verify", "smoke", "propose"})


@dataclass(frozen=True, kw_only=True)
class Flag:
    """`variable` becomes `no` when the command left `file`, else `yes`: what a later stage asks before it begins."""

    variable: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage. `when` is Groovy of ours, never a user's.

    `emptied` is a folder that the stage fills anew, because a workspace may be used again. `variables` are for
    hooks, which serve several models. `goes_on`: when it fails, the stages after it are tried all the same. `undecided` is
    the variable that gets the words of a verdict that a person must give; "" where such a verdict ends the build. `stopped` is
    said, after the version, when somebody stops it; "" where nothing is left behind.
    """

    name: str
    title: str
    agent: Agent
    script: str
    minutes: int
    when: tuple[str, ...] = ()
    lock: str = ""
    bindings: tuple[Binding, ...] = ()
    flags: tuple[Flag, ...] = ()
    undecided: str = ""
    stopped: str = ""
    emptied: str = ""
    junit: str = ""
    artifacts: str = ""
    is_hook: bool = False
    goes_on: bool = False
    variables: tuple[tuple[str, str], ...] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a stage has beside its command."""

    title: str = ""
    when: tuple[str, ...] = ()
    lock: str = ""
    flags: tuple[Flag, ...] = ()
    undecided: str = ""
    stopped: str = ""
    emptied: str = ""
    junit: str = ""
    artifacts: str = ""
    words: tuple[str, ...] = ()
    # (option, environment variable): left out of the command when the variable is empty.
    given: tuple[tuple[str, str], ...] = ()
    # The stage by whose time limit and credentials it goes, when that is another one: a plan is no promotion yet.
    counts_as: str = ""


class Stages:
    """Makes the stages of one model in one folder."""

    def __init__(self, config: Config, model: Model, zone: Zone) -> None:
        self._config = config
        self._model = model
        self._zone = zone

    def of(self, name: str, place: Environment | None = None, more: Options | None = None) -> Stage:
        """The stage `name`, about `place` where it is about an environment."""
        more = more or Options()
        place_name = place.name if place else ""
        return Stage(
            name=name,
            title=more.title or _title(name, place, self._config),
            agent=agent_of(self._config, name, self._model, ops=self._zone == "ops"),
            script=self._command(name, place_name, more),
            minutes=minutes(timeout_of(self._config, self._model, more.counts_as or name)),
            when=more.when,
            lock=more.lock,
            bindings=bindings(
                self._config, self._zone, more.counts_as or name, place_name, model=self._model.name
            ),
            flags=more.flags,
            undecided=more.undecided,
            stopped=more.stopped,
            emptied=more.emptied,
            junit=more.junit,
            artifacts=more.artifacts,
        )

    def hooked(self, stage: Stage, place: Environment | None = None) -> list[Stage]:
        """The stage between the hooks that the team hung on it; each is a stage of its own."""
        before = self.hook(f"before_{stage.name}", stage, place)
        return [*before, stage, *self.hook(f"after_{stage.name}", stage, place)]

    def hook(self, key: str, stage: Stage, place: Environment | None = None) -> list[Stage]:
        """The hook `key`, if there is one, with the agent and conditions of `stage`, and what it may use of its credentials."""
        command = self._config.hooks.get(key)
        if command is None:
            return []
        where = stage.title[len(stage.name) :].lower() if stage.title.lower().startswith(stage.name) else ""
        environment = (("MMCICD_ENVIRONMENT", place.name),) if place else ()
        return [
            Stage(
                name=key,
                title=key.replace("_", " ").capitalize() + where,
                agent=stage.agent,
                script=command,
                minutes=stage.minutes,
                when=stage.when,
                bindings=tuple(b for b in stage.bindings if not b.is_ours),
                is_hook=True,
                variables=(("MMCICD_MODEL", self._model.name), *environment),
            )
        ]

    def _command(self, name: str, place: str, more: Options) -> str:
        """`--commit` is how the trusted side takes a commit: it is checked to be on main before it is used."""
        words = ["./mmcicdw", "stage", name, f"--model={self._model.name}"]
        words += [f"--env={place}"] if place else []
        words += ["--attempts=3"] if name in _TRIED_AGAIN else []
        words += more.words
        return shell_line(words, more.given)


def shell_line(words: Sequence[str], given: Sequence[tuple[str, str]] = ()) -> str:
    """A command that leaves its words for Jenkins in an empty folder: what a former build left must not speak."""
    line = f"rm -rf {SUMMARY}; {shell([*words, f'--summary={SUMMARY}'])}"
    return line + "".join(f' ${{{variable}:+--{option}="${variable}"}}' for option, variable in given)


def _title(name: str, place: Environment | None, config: Config) -> str:
    if place is not None and place.name != config.production.name:
        return f"{name.capitalize()} {place.name}"
    return name.capitalize()


def timeout_of(config: Config, model: Model | None, name: str) -> float:
    """Seconds after which Jenkins ends a stage; the time in a queue for an agent or a lock counts.

    Training has its own limit, which ends it in order; Jenkins only comes after it. A canary takes the time of its steps.
    """
    settings = config.jenkins.timeouts if config.jenkins else {}
    if name in settings:
        return settings[name]
    if name == "train" and model is not None:
        return model.train.timeout_seconds + AROUND_TRAINING
    places = {"canary": (config.production,), "deploy": config.before_production}.get(name, ())
    holds = max((_holds(place) for place in places), default=0.0)
    return _TIMEOUTS[name] + holds


def _holds(place: Environment) -> float:
    return sum(step.hold_seconds for step in place.strategy.steps)


def lock_of(place: str, model: Model) -> str:
    """The resource that orders changes of one model in one environment."""
    return f"mmcicd-{place}-{model.name}"


def minutes(seconds: float) -> int:
    return max(1, round(seconds / MINUTE))

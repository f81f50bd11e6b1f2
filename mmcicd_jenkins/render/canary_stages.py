"""The stages of a promotion in which a version is tried beside what serves. Pure.

A canary that does not decide is a question, asked without agent and without lock. Whatever ends the question but
`Extend` takes the canary back: silence, a stopped build, a restart of Jenkins that lost it.
"""

from mmcicd_jenkins.config.model import Config, Model
from mmcicd_jenkins.render.pipeline_stages import Options, Stage, Stages, lock_of

UNDECIDED = "MMCICD_UNDECIDED"
ANSWER = "MMCICD_ANSWER"
EXTENSIONS = (1, 4, 12)  # hours
TAKE_BACK = "Take back"


def canary_stages(config: Config, model: Model) -> tuple[Stage, ...]:
    """The canary and what goes on after an answer; () where production has none."""
    place = config.production
    if place.kind == "local" or place.strategy.kind != "canary":
        return ()
    stages = Stages(config, model, "ops")
    given = (("choice", "MMCICD_CHOICE"), ("reason", "MMCICD_REASON"))
    first = Options(
        when=("expression { env.MMCICD_CHOICE != null }",),
        lock=lock_of(place.name, model),
        undecided=UNDECIDED,
        stopped=f" was stopped as a canary; what copies it has in {place.name} stay until somebody promotes again or rolls back",
        given=given,
    )
    answered = Options(
        title="Canary again",
        when=(f"expression {{ env.{ANSWER} != null }}",),
        lock=lock_of(place.name, model),
        given=(*given, ("answer", ANSWER)),
    )
    canary = stages.of("canary", place, first)
    before, after = (stages.hook(f"{when}_canary", canary, place) for when in ("before", "after"))
    return (*before, canary, stages.of("canary", place, answered), *after)


def choices() -> tuple[str, ...]:
    """What may be answered. The first is what a form shows first."""
    return (*(f"Extend {hours} h" for hours in EXTENSIONS), TAKE_BACK)

"""What to say to a question of a build on Jenkins: a value for each of its fields, or no.

The law: nothing is guessed. A choice must be one of the choices, a reason must be given, and every field gets a
value, because Jenkins makes null of those that are left out.
"""

from collections.abc import Mapping

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.ports.jenkins import JenkinsInputs, PendingInput, Question
from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to say when a build asks: a value for its choice, a reason, or no."""

    value: str = ""
    reason: str = ""
    refuse: bool = False


def give(
    inputs: JenkinsInputs, job: str, number: int, pending: PendingInput, answer: Answer
) -> Mapping[str, str]:
    """Answer a question; gives the values that were sent, none for no.

    Raises:
        InputError: the answer does not fit, or is not taken from this account; the question stands.
    """
    if answer.refuse:
        inputs.abort(job, number, pending.id)
        return {}
    values = values_for(pending, answer)
    inputs.proceed(job, number, pending.id, values)
    return values


def values_for(pending: PendingInput, answer: Answer) -> dict[str, str]:
    """A value for every question: Jenkins fills in no default, an unanswered one would be null.

    Raises:
        InputError: a choice or a reason is missing.
    """
    if not pending.known:
        return {"VERSION": answer.value, "REASON": answer.reason}
    return {question.name: _value(question, answer) for question in pending.questions}


def _value(question: Question, answer: Answer) -> str:
    if question.choices:
        return _choice(question, answer.value)
    if question.name == "REASON":
        if not (answer.reason or question.default):
            raise InputError("a reason is required", fix="--reason 'why'; it stands in the audit record")
        return answer.reason or question.default
    if question.name == "COMMENT":
        return answer.reason or question.default
    if question.name == "VERSION":
        return answer.value or question.default
    return question.default


def _choice(question: Question, value: str) -> str:
    """The choice that is `value`, or begins with it as its first word: `8` of `8 | recall 0.831`."""
    fitting = [c for c in question.choices if c == value] or [
        c for c in question.choices if value and c.split(" ", maxsplit=1)[0] == value
    ]
    if len(fitting) == 1:
        return fitting[0]
    raise InputError(
        f"{value!r} is none of the choices" if value else f"which {question.name}?",
        why="the choices are: " + "; ".join(question.choices),
        fix="--answer " + _shortest(question.choices),
    )


def _shortest(choices: tuple[str, ...]) -> str:
    """How the first one may be named: by its first word where no other begins so."""
    words = [choice.split(" ", maxsplit=1)[0] for choice in choices]
    return words[0] if words.count(words[0]) == 1 else f"'{choices[0]}'"

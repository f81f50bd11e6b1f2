"""Run checks at the same time, each with an end, so that one system that hangs hides no other.

The law: a check that fails to look is a finding, as is one that did not come back in time; nothing is raised.
"""

import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from mmcicd_jenkins.checks.finding import TITLES, Finding, Told, Topic, joined
from mmcicd_jenkins.errors import MmcicdError, OutsideFailed
from mmcicd_jenkins.records import dataclass

# Beyond this a person thinks that it hangs; a controller that answers later than that is a finding.
SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Check:
    """One independent look. `system` is who is asked, for the sentence that it did not answer.

    `rests_on` names the check without which this one means nothing: what is no Jenkins has no plugins.
    """

    topic: Topic
    name: str
    look: Callable[[], Iterable[Finding]]
    system: str = ""
    rests_on: str = ""


def examine(checks: Sequence[Check], seconds: float = SECONDS) -> tuple[Finding, ...]:
    """Every finding, in the order of the checks.

    A thread that hangs is left behind: it is a daemon and ends with the process.
    """
    answers: queue.SimpleQueue[tuple[int, tuple[Finding, ...]]] = queue.SimpleQueue()
    for number, check in enumerate(checks):
        threading.Thread(target=_answer, args=(answers, number, check), daemon=True).start()
    found: dict[int, tuple[Finding, ...]] = {}
    end = time.monotonic() + seconds
    while len(found) < len(checks):
        try:
            number, findings = answers.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        found[number] = findings
    told = [found.get(number, _late(check, seconds)) for number, check in enumerate(checks)]
    blind = {finding.check: finding for findings in told for finding in findings if finding.blind}
    return joined(
        finding
        for check, findings in zip(checks, told, strict=True)
        for finding in _on_firm_ground(check, findings, blind)
    )


def _on_firm_ground(
    check: Check, findings: tuple[Finding, ...], blind: Mapping[str, Finding]
) -> tuple[Finding, ...]:
    ground = blind.get(check.rests_on)
    return findings if ground is None else (dataclasses.replace(ground, check=check.name),)


def _answer(answers: "queue.SimpleQueue[tuple[int, tuple[Finding, ...]]]", number: int, check: Check) -> None:
    try:
        answers.put((number, tuple(check.look())))
    except MmcicdError as e:
        answers.put((number, (Told(check.topic, check.name).error(e),)))
    except Exception as e:  # noqa: BLE001  a mistake of ours in one check must not hide what the others found
        what = f"{check.name} is not checked: a bug of mmcicd-jenkins, {type(e).__name__}: {e}"
        answers.put((number, (Told(check.topic, check.name).fail(what, "send us this line", code=1),)))


def _late(check: Check, seconds: float) -> tuple[Finding, ...]:
    system = check.system or TITLES[check.topic]
    return (
        Told(check.topic, check.name).fail(
            f"{system} gave no answer within {seconds:.0f} s",
            "try again; mmcicd-jenkins doctor --within 120 waits longer",
            code=OutsideFailed.exit_code,
        ),
    )

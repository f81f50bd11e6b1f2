"""The controller's own opinion of a Jenkinsfile: its validator, which knows the plugins that are installed.

It answers 200 whatever it thinks; what it thinks stands in the body. It never runs anything.
"""

import re
from collections.abc import Mapping, Sequence

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.records import dataclass

PATH = "pipeline-model-converter/validate"
_GOOD = "successfully validated"
_BAD = "Errors encountered validating"
_NO_PIPELINE = "did not contain the 'pipeline' step"
_ERROR = re.compile(
    r"WorkflowScript: ?\d+: (?P<what>.*?) ?@ line (?P<line>\d+), column (?P<column>\d+)", re.DOTALL
)
# One of its messages repeats the whole file.
_LONGEST = 300


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """One thing that the controller does not accept."""

    line: int
    column: int
    what: str


class Validator:
    """Asks one controller. python-jenkins is imported when it is made."""

    def __init__(self, url: str, variables: Mapping[str, str]) -> None:
        from mmcicd_jenkins.adapters.jenkins.account import account_of
        from mmcicd_jenkins.adapters.jenkins.server import Server

        self._server = Server(account_of(url, variables))

    def opinions(self, text: str) -> Sequence[Opinion]:
        """What the controller refuses in a Jenkinsfile; nothing when it accepts it, or when it is scripted.

        Raises:
            MmcicdError: no answer, or one that is none of a validator.
        """
        return read_answer(self._server.send(PATH, {"jenkinsfile": text}).text)


def read_answer(body: str) -> Sequence[Opinion]:
    """The opinions in an answer.

    Raises:
        OutsideFailed: this does not come from the validator.
    """
    if _GOOD in body or _NO_PIPELINE in body:
        return []
    found = [
        Opinion(line=int(m["line"]), column=int(m["column"]), what=_short(m["what"]))
        for m in _ERROR.finditer(body)
    ]
    if found:
        return found
    if _BAD in body:
        return [Opinion(line=1, column=1, what=_short(body.partition(_BAD)[2].partition(":")[2]))]
    raise OutsideFailed(
        "the validator of Jenkins gave no answer that can be read",
        where=PATH,
        why=_short(body),
        fix="is the plugin pipeline-model-definition installed?",
    )


def _short(text: str) -> str:
    told = " ".join(text.split())
    return told if len(told) <= _LONGEST else told[:_LONGEST] + "..."

"""One finding, and what all of them together mean for the exit code. Pure."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Literal

from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed
from mmcicd_jenkins.records import dataclass

Severity = Literal["ok", "warn", "fail"]
Topic = Literal["jenkins", "git", "store", "environments", "machine", "models"]
TITLES: Mapping[Topic, str] = {
    "jenkins": "Jenkins",
    "git": "git",
    "store": "store",
    "environments": "environments",
    "machine": "this machine",
    "models": "models",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of what, and a remedy. Of an `ok`, `what` is the words that stand in a list of what is right.

    Args:
        check: the look that it comes from, for programs.
        where: `file:line:column` or an address, where that helps.
        code: the exit code that it asks for when it is a failure: 3, 5, or 1 for a mistake of ours.
        blind: the check could not look, so what rests on it means nothing.
        title: stands for the topic's name in the list of what is right: `Jenkins 2.568.2`.
    """

    topic: Topic
    check: str
    severity: Severity
    what: str
    fix: str = ""
    where: str = ""
    code: int = InputError.exit_code
    blind: bool = False
    title: str = ""

    def to_json(self) -> dict[str, object]:
        return {
            "topic": self.topic,
            "check": self.check,
            "severity": self.severity,
            "what": self.what,
            "fix": self.fix,
            "where": self.where,
        }


class Told:
    """Makes the findings of one check."""

    def __init__(self, topic: Topic, check: str) -> None:
        self._topic = topic
        self._check = check

    def ok(self, what: str, *, title: str = "") -> Finding:
        return Finding(topic=self._topic, check=self._check, severity="ok", what=what, title=title)

    def warn(self, what: str, fix: str, *, where: str = "") -> Finding:
        return Finding(topic=self._topic, check=self._check, severity="warn", what=what, fix=fix, where=where)

    def fail(self, what: str, fix: str, *, where: str = "", code: int = InputError.exit_code) -> Finding:
        return Finding(
            topic=self._topic,
            check=self._check,
            severity="fail",
            what=what,
            fix=fix,
            where=where,
            code=code,
        )

    def error(self, error: MmcicdError) -> Finding:
        """A check that could not look."""
        what = f"{error.what}: {error.why}" if error.why else error.what
        code = error.exit_code if error.exit_code in {InputError.exit_code, OutsideFailed.exit_code} else 5
        return dataclasses.replace(self.fail(what, error.fix, where=error.where, code=code), blind=True)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 when nothing failed; else 1 for a mistake of ours, 3 when something must be corrected, 5 when only outside
    systems failed: then the same command may do better later.
    """
    codes = {finding.code for finding in findings if finding.severity == "fail"}
    return next((code for code in (1, InputError.exit_code) if code in codes), max(codes, default=0))


def joined(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """One finding instead of many for a system that gave the same bad answer to several checks."""
    listed = list(findings)
    same: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in listed:
        if finding.severity == "fail":
            same.setdefault((finding.topic, finding.what, finding.fix), []).append(finding)
    kept = []
    for finding in listed:
        group = same.get((finding.topic, finding.what, finding.fix), [finding])
        if group[0] is not finding:
            continue
        others = [other.check for other in group[1:]]
        kept.append(_for_all(finding, others) if others else finding)
    return tuple(kept)


def _for_all(first: Finding, others: list[str]) -> Finding:
    checks = ", ".join(dict.fromkeys([first.check, *others]))
    return dataclasses.replace(first, what=f"{first.what}; so not checked: {checks}")


def counted(names: Iterable[str], most: int = 3) -> str:
    """`a, b, c and 4 more`."""
    listed = list(names)
    if len(listed) <= most + 1:
        return ", ".join(listed)
    return f"{', '.join(listed[:most])} and {len(listed) - most} more"

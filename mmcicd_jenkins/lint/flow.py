"""Whose words a value carries: our own, a number that Jenkins makes, unknown ones, or those of whoever pushes.

One look over the whole file, names alone, no order: a name that is set twice carries the worst of both.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum

from mmcicd_jenkins.lint.pipeline import File
from mmcicd_jenkins.lint.tree import (
    Block,
    Call,
    Constant,
    Declaration,
    GString,
    Name,
    Node,
    Operation,
    Property,
    path_of,
    text_of,
    walk,
)


class Origin(IntEnum):
    """The larger, the worse."""

    FILE = 0
    JENKINS = 1
    UNKNOWN = 2
    PERSON = 3


# Made by Jenkins from numbers, hashes and names that only administrators choose.
_MADE = {"BUILD_NUMBER", "BUILD_ID", "EXECUTOR_NUMBER", "NODE_NAME", "STAGE_NAME", "GIT_COMMIT", "GIT_PREVIOUS_COMMIT", "WORKSPACE",
         "WORKSPACE_TMP", "CHANGE_ID", "CI", "JENKINS_URL", "JENKINS_HOME", "NODE_LABELS"}  # fmt: skip
_MADE_PATHS = {"currentBuild.number", "currentBuild.result", "currentBuild.currentResult", "currentBuild.startTimeInMillis",
               "currentBuild.duration", "scm.GIT_COMMIT"}  # fmt: skip
# A branch, a title, a name of an author are chosen by whoever opens a pull request; a job's name holds the branch.
CHOSEN = {"BRANCH_NAME", "TAG_NAME", "GIT_BRANCH", "GIT_LOCAL_BRANCH", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME",
          "GIT_COMMITTER_EMAIL", "JOB_NAME", "JOB_BASE_NAME", "BUILD_TAG", "CHANGE_TITLE", "CHANGE_BRANCH", "CHANGE_TARGET",
          "CHANGE_AUTHOR", "CHANGE_AUTHOR_DISPLAY_NAME", "CHANGE_AUTHOR_EMAIL", "CHANGE_FORK", "CHANGE_URL"}  # fmt: skip
_CHOSEN_PREFIXES = (
    "CHANGE_",
    "ghprb",
    "gitlabBranch",
    "gitlabSource",
    "gitlabTarget",
    "gitlabMergeRequest",
    "gitlabUser",
)
_SAME = {"trim", "toString", "toLowerCase", "toUpperCase", "stripIndent", "stripMargin", "replace", "replaceAll", "take", "drop", "split",
         "tokenize", "join", "collect", "capitalize"}  # fmt: skip


_LONGEST = 30


class Flow:
    """Answers `origin` for the expressions of one file."""

    def __init__(self, file: File) -> None:
        self._values = _assigned(file)
        self._known: dict[str, Origin] = {}
        self._depth = 0

    def origin(self, node: Node) -> Origin:
        """The worst that the value of an expression may carry."""
        worst = Origin.FILE
        waiting: list[Node] = [node]
        while waiting and worst < Origin.PERSON:
            one = waiting.pop()
            if isinstance(one, Name | Property) or path_of(one):
                worst = max(worst, self._of_path(path_of(one), one))
            elif isinstance(one, Call):
                worst = max(worst, self._of_call(one))
                if one.name in _SAME and one.target is not None:
                    waiting.append(one.target)
            elif isinstance(one, Operation) and one.operator == "?:" and len(one.operands) == 3:
                waiting.extend(one.operands[1:])
            elif not isinstance(one, Constant | Block):
                waiting.extend(one.children())
        return worst

    def is_joined(self, node: Node) -> bool:
        """Whether a text is put together here, or where its name was set."""
        if isinstance(node, GString) or (isinstance(node, Operation) and node.operator == "+"):
            return True
        values = self._values.get(path_of(node), ()) if path_of(node) else ()
        return any(isinstance(value, GString | Operation) for value in values)

    def _of_path(self, path: str, node: Node) -> Origin:
        if not path:
            return Origin.UNKNOWN if not isinstance(node, Property) else self.origin(node.target)
        if path in self._known:
            return self._known[path]
        self._known[path] = Origin.FILE  # a name set from itself adds nothing
        self._depth += 1
        # A row of names set from each other, longer than anybody writes: nobody knows whose words these are.
        found = self._look(path) if self._depth < _LONGEST else Origin.UNKNOWN
        self._depth -= 1
        self._known[path] = found
        return found

    def _look(self, path: str) -> Origin:
        if path.startswith("params."):
            return Origin.PERSON
        bare = path.removeprefix("env.")
        values = [*self._values.get(path, ()), *(self._values.get(bare, ()) if bare != path else ())]
        if values:
            return max(self.origin(value) for value in values)
        if bare in _MADE or path in _MADE_PATHS:
            return Origin.JENKINS
        if bare in CHOSEN or bare.startswith(_CHOSEN_PREFIXES):
            return Origin.PERSON
        first, _, rest = path.partition(".")
        if rest and first in self._values:
            return max(Origin.UNKNOWN, self._of_path(first, Name(start=0, end=0, id=first)))
        return Origin.UNKNOWN

    def _of_call(self, call: Call) -> Origin:
        if call.name == "input" and call.target is None:
            return Origin.PERSON
        if call.name in _SAME:
            return Origin.FILE
        path = path_of(call.target)
        if path == "params" or (path == "env" and text_of(call.value("key")) in CHOSEN):
            return Origin.PERSON
        return max(
            [
                Origin.UNKNOWN,
                *(self.origin(a.value) for a in call.arguments if not isinstance(a.value, Block)),
            ]
        )


def _assigned(file: File) -> Mapping[str, Sequence[Node]]:
    """Name or `env.NAME` -> the values that it is given anywhere."""
    found: dict[str, list[Node]] = {}
    for node in walk(file.tree):
        if isinstance(node, Declaration) and node.value is not None:
            for name in node.names:
                found.setdefault(name, []).append(node.value)
        elif isinstance(node, Operation) and node.operator in {"=", "+="} and len(node.operands) == 2:
            target = path_of(node.operands[0])
            if target:
                found.setdefault(target, []).append(node.operands[1])
    return found

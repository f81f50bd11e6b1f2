"""On which side a stage runs, and under which names it keeps runs and evaluations.

A branch is written by whoever can push one. What it trains is kept apart and never becomes a version; what CI
evaluated is never taken over by the side that releases, which evaluates again.
"""

from collections.abc import Mapping
from typing import Literal

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.descriptor import Artifact
from mmcicd_jenkins.ports.store import Store

# `trusted`: the jobs in ops, or a laptop with a store of its own.
Zone = Literal["branch", "main", "trusted"]

_RUNS: Mapping[Zone, tuple[str, ...]] = {
    "branch": ("run-", "branch-run-"),
    "main": ("run-",),
    "trusted": ("run-",),
}
_EVALUATIONS: Mapping[Zone, tuple[str, ...]] = {
    "branch": ("evaluation-", "branch-evaluation-"),
    "main": ("evaluation-", "ci-evaluation-"),
    "trusted": ("evaluation-",),
}


# A registry keeps what CI wrote apart from what ops and laptops wrote, since a credential writes whole repositories:
# repository -> beginnings of the tags that count there, the own one first. Dots, because no model's name has one.
# Of CI's the trusted side takes runs, whose bytes it evaluates again, and copies of data, which have to fit the lock.
CI_SHELF, OPS_SHELF = "mmcicd.ci", "mmcicd.ops"
_EVERY = ("",)
_OF_CI: Mapping[str, tuple[str, ...]] = {CI_SHELF: _EVERY, OPS_SHELF: _EVERY}
SHELVES: Mapping[Zone, Mapping[str, tuple[str, ...]]] = {
    "branch": _OF_CI,
    "main": _OF_CI,
    "trusted": {OPS_SHELF: _EVERY, CI_SHELF: ("run-", "data-")},
}


def zone_of(variables: Mapping[str, str], main: str) -> Zone:
    """By what Jenkins says of a build of a multibranch project; its other jobs and a laptop say nothing."""
    branch = variables.get("BRANCH_NAME", "")
    if variables.get("CHANGE_ID") or (branch and branch != main):
        return "branch"
    return "main" if branch else "trusted"


def run_tags(run: str, zone: Zone) -> tuple[str, ...]:
    """The names under which a run is looked for; the last is the one it is kept under."""
    return _tags(_RUNS[zone], run)


def evaluation_tags(evaluation: str, zone: Zone) -> tuple[str, ...]:
    """As `run_tags`."""
    return _tags(_EVALUATIONS[zone], evaluation)


def _tags(prefixes: tuple[str, ...], digest: str) -> tuple[str, ...]:
    return tuple(prefix + digest.removeprefix("sha256:") for prefix in prefixes)


def first_kept(
    tags: tuple[str, ...], store: Store, *, kind: str, named: tuple[str, str], what: str, fix: str
) -> Artifact | None:
    """What the first of `tags` that is there names; `named` is the field, and the value that says what it must be.

    Raises:
        IntegrityFailed: a tag can be moved by hand; only what says itself that it is this one counts.
    """
    field, value = named
    for tag in tags:
        stored = store.find(tag)
        if stored is None:
            continue
        if stored.kind != kind or stored.document.get(field) != value:
            raise IntegrityFailed(
                f"the store has another document under the name of {what}",
                where=tag,
                why=f"{stored.digest} is a {stored.kind} of {stored.document.get(field)}",
                fix=fix,
            )
        return stored
    return None

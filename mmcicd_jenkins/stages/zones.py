"""On which side a stage runs, and under which names it keeps runs and evaluations. Pure.

A branch is written by whoever can push one. What it trains is kept apart and never becomes a version; what CI
evaluated is never taken over by the side that releases, which evaluates again.
"""

from collections.abc import Mapping
from typing import Literal

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

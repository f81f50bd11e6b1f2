"""One file per stage: `look` collects facts, `plan` decides (pure), `apply` acts through ports.

A Plan is a frozen, JSON-serialisable value: `--dry-run` prints it, and there is no second path. The order of
`STAGES` is the pipeline's.
"""

import importlib
from typing import Any, Protocol, cast

from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.stages.context import Job, Outcome, Ports

STAGES = (
    "prepare",
    "test",
    "data",
    "train",
    "evaluate",
    "package",
    "verify",
    "deploy",
    "smoke",
    "propose",
    "canary",
    "promote",
    "rollback",
    "monitor",
)
# What `run` goes through by itself; the others are buttons and a clock.
ROAD = STAGES[: STAGES.index("canary")]


class Stage(Protocol):
    """What the file of a stage provides."""

    def look(self, job: Job, ports: Ports) -> Any: ...

    def plan(self, job: Job, facts: Any) -> Any: ...

    def apply(self, plan: Any, job: Job, ports: Ports) -> Outcome: ...


def load_stage(name: str) -> Stage:
    """The stage `name` of `STAGES`; its file is imported now, not before."""
    return cast("Stage", importlib.import_module(f"mmcicd_jenkins.stages.{name}"))


def run_stage(name: str, job: Job, ports: Ports) -> Outcome:
    """Look, plan and apply one stage."""
    stage = load_stage(name)
    return stage.apply(stage.plan(job, stage.look(job, ports)), job, ports)


def plan_stage(name: str, job: Job, ports: Ports) -> dict[str, Any]:
    """The plan of one stage as a document; nothing is changed."""
    stage = load_stage(name)
    return {"stage": name, "plan": to_document(stage.plan(job, stage.look(job, ports)))}

"""From git push to a TensorFlow model in production: the names that a program may use.

Everything in `__all__` keeps its meaning; everything else is an implementation detail. A name is resolved when
it is first used, so `import mmcicd_jenkins` costs nothing. Train scripts use `mmcicd_jenkins.training`.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmcicd_jenkins.config.load import load_config
    from mmcicd_jenkins.config.model import Config
    from mmcicd_jenkins.errors import MmcicdError
    from mmcicd_jenkins.release.verdicts import Verdict
    from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles
    from mmcicd_jenkins.stages import plan_stage, run_stage
    from mmcicd_jenkins.stages.context import Outcome
    from mmcicd_jenkins.wiring import Bench, open_bench

__all__ = [
    "Bench",
    "Config",
    "MmcicdError",
    "Outcome",
    "Verdict",
    "load_config",
    "open_bench",
    "plan_stage",
    "render_jenkinsfiles",
    "run_stage",
]

# Where each public name lives.
_HOMES = {
    "Bench": "mmcicd_jenkins.wiring",
    "Config": "mmcicd_jenkins.config.model",
    "MmcicdError": "mmcicd_jenkins.errors",
    "Outcome": "mmcicd_jenkins.stages.context",
    "Verdict": "mmcicd_jenkins.release.verdicts",
    "load_config": "mmcicd_jenkins.config.load",
    "open_bench": "mmcicd_jenkins.wiring",
    "plan_stage": "mmcicd_jenkins.stages",
    "render_jenkinsfiles": "mmcicd_jenkins.render.jenkinsfile",
    "run_stage": "mmcicd_jenkins.stages",
}


if not TYPE_CHECKING:  # a type checker that saw this would take any misspelt name for one of ours

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

"""Scores a SavedModel with the model's own Python and hands the scores to whoever measures them: `ports.Evaluator`.

The model runs in a program of its own (`scorer.py`) that sees the features, never the label, and an environment
of named variables only: an evaluation may run where credentials are, and the model's packages need none of them.
What measures (`reports.measuring.measure`) is given by `wiring`, because rooms of one floor do not know each other.

Exit codes: table, config and model that do not fit each other (columns, signature, output, classes, scores that
are no probabilities) are an `InputError` (3); a model that does not load, fails on a row, crashes or is killed is the
team's own program failing, `CommandFailed` (8).
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcicd_jenkins.errors import CommandFailed, InputError, MmcicdError, OutsideFailed
from mmcicd_jenkins.ports import Commands, Finished, PythonEnvironment, Scored, ScoreRequest
from mmcicd_jenkins.release.measures import Measures

Scores = NDArray[np.float32]
Measured = tuple[Measures, Mapping[str, object], Mapping[str, object]]
Measure = Callable[[ScoreRequest, Scores], Measured]

SCORER = Path(__file__).parent / "scoring" / "scorer.py"
TIMEOUT_SECONDS = 24 * 3600.0

_KEPT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES", "XLA_FLAGS", "TF_CPP_MIN_LOG_LEVEL", "TF_FORCE_GPU_ALLOW_GROWTH", "OMP_NUM_THREADS",
)  # fmt: skip
# A constant: everything that varies is a variable, so that no name can become shell.
_COMMAND = (
    "exec env -i "
    + " ".join(f'${{{name}+{name}="${name}"}}' for name in _KEPT)
    + ' "$MMCICD_SCORER_PYTHON" -B "$MMCICD_SCORER" "$MMCICD_SCORER_REQUEST"'
)


class TensorflowEvaluator:
    """`ports.Evaluator` for SavedModels and tables.

    Args:
        commands: runs the scorer, ends it with us and keeps its log.
        measure: turns scores and the table's labels into measures, a report document and a drift reference.
    """

    def __init__(self, commands: Commands, measure: Measure) -> None:
        self._commands = commands
        self._measure = measure

    def score(self, request: ScoreRequest, environment: PythonEnvironment, directory: Path) -> Scored:
        """See `ports.Evaluator.score`. Leaves `predictions.f32` (rows x columns, little-endian float32) there.

        Raises:
            InputError: table, config and model do not fit.
            CommandFailed: the model does not load, fails or was killed.
        """
        directory.mkdir(parents=True, exist_ok=True)
        found = self._run(request, environment, directory)
        rows, columns = found["rows"], max(1, found["columns"])
        path = directory / "predictions.f32"
        scores: Scores = (
            np.memmap(path, "<f4", "r", shape=(rows, columns)) if rows else np.zeros((0, columns), np.float32)
        )
        measures, report, reference = self._measure(request, scores)
        named = {"output": found["output"], **reference} if reference else {}
        fed = {"signature": found["signature"], "output": found["output"], "inputs": found["inputs"]}
        return Scored(measures=measures, report={**report, **fed}, golden=found["golden"], reference=named)

    def _run(self, request: ScoreRequest, environment: PythonEnvironment, directory: Path) -> dict[str, Any]:
        result = directory / "scored.json"
        result.unlink(missing_ok=True)
        asked = directory / "scorer-request.json"
        asked.write_text(json.dumps(_request(request, directory, result)), encoding="utf-8")
        log = directory / "scorer.log"
        variables = {
            **environment.variables,
            "MMCICD_SCORER_PYTHON": environment.python,
            "MMCICD_SCORER": str(SCORER),
            "MMCICD_SCORER_REQUEST": str(asked.absolute()),
        }
        finished = self._commands.run(
            _COMMAND, directory=directory, variables=variables, log=log, timeout_seconds=TIMEOUT_SECONDS
        )
        if finished.status or not result.is_file():
            raise _crashed(finished, request, environment, log)
        document = json.loads(result.read_text(encoding="utf-8"))
        if "error" in document:
            raise _refused(document["error"])
        return dict(document["result"])


def _request(request: ScoreRequest, directory: Path, result: Path) -> dict[str, object]:
    return {
        "model": str(request.model.absolute()),
        "table": str(request.table.absolute()),
        "columns": list(request.columns),
        "signature": request.signature,
        "output": request.output,
        "batch_size": request.batch_size,
        "predictions": str((directory / "predictions.f32").absolute()),
        "result": str(result.absolute()),
    }


def _refused(error: Mapping[str, str]) -> MmcicdError:
    where, why, fix = error["where"], error["why"], error["fix"]
    if error["kind"] == "model":
        return CommandFailed(error["what"], status=1, where=where, why=why, fix=fix)
    return InputError(error["what"], where=where, why=why, fix=fix)


def _crashed(
    finished: Finished, request: ScoreRequest, environment: PythonEnvironment, log: Path
) -> MmcicdError:
    status, lines = finished.status, finished.last_lines
    if status in (126, 127):
        why = lines[-1] if lines else f"status {status}"
        return OutsideFailed("the model's Python cannot be started", where=environment.python, why=why)
    # A shell reports a killed child as 128 + signal.
    killed = -status if status < 0 else status - 128 if status > 128 else 0
    if killed == 9:
        why = "it was killed, most often because memory ran out"
        fix = f"lower evaluate.batch_size (now {request.batch_size}), or give the agent more memory"
    elif killed:
        why, fix = (
            f"signal {killed} ended it",
            "see the log; it happens inside TensorFlow or one of its libraries",
        )
    else:
        why, fix = (lines[-1] if lines else f"status {status}"), "see the log"
        if why.startswith("ModuleNotFoundError"):
            fix = "add the package to the model's requirements"
    return CommandFailed(
        "scoring the model crashed", status=status, last_lines=lines, where=str(log), why=why, fix=fix
    )

"""Ten million predictions through the metrics against scikit-learn: accuracy, precision, recall, F1 and ROC AUC.

Each contender is a process of its own that reads the same two files; the clock runs inside it, after its imports, over
reading and computing. Ours streams the files in pieces and computes PR AUC, log loss, Brier score and calibration
too, as an evaluation does. The area must lie within its stated bound of scikit-learn's.
"""

import importlib.metadata
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import harness

_ROWS, _SMOKE_ROWS = 10_000_000, 1_200_000
_GOAL = 20.0
_PIECE = 2**16  # rows; their arrays fit a processor's cache


def make_predictions(folder: Path, rows: int) -> None:
    """A third positive, scores that overlap."""
    import numpy as np

    random = np.random.default_rng(0)
    labels = random.random(rows) < 0.3
    scores = np.clip(random.normal(0.4 + 0.2 * labels, 0.2), 0, 1)
    labels.astype("u1").tofile(folder / "labels.u1")
    scores.astype("<f4").tofile(folder / "scores.f4")


def ours(folder: Path) -> dict[str, float]:
    import numpy as np

    from mmcicd_jenkins.reports.metrics import BinaryTally

    begin = time.perf_counter()
    tally = BinaryTally()
    with (folder / "labels.u1").open("rb") as labels, (folder / "scores.f4").open("rb") as scores:
        while len(piece := np.fromfile(labels, "u1", _PIECE)):
            tally.add(piece, np.fromfile(scores, "<f4", _PIECE))
    found = tally.measures()
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "bound": found["roc_auc"].bound} | {
        name: measure.value for name, measure in found.items() if measure.value is not None
    }


def peer(folder: Path) -> dict[str, float]:
    import numpy as np
    from sklearn import metrics

    begin = time.perf_counter()
    labels, scores = np.fromfile(folder / "labels.u1", "u1"), np.fromfile(folder / "scores.f4", "<f4")
    predicted = scores >= 0.5
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(labels, predicted, average="binary")
    found = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "roc_auc": metrics.roc_auc_score(labels, scores),
    }
    return {"seconds": time.perf_counter() - begin} | {name: float(value) for name, value in found.items()}


def measured(work: str, folder: Path, samples: harness.Samples) -> dict[str, float]:
    """Run one contender; the answer it left."""
    answer = folder / f"{work}.json"
    _, cpu, peak = harness.measure(
        [sys.executable, "-m", "benchmarks.metrics", work, str(folder), str(answer)]
    )
    found: dict[str, float] = json.loads(answer.read_text())
    samples.seconds.append(found["seconds"])
    samples.cpu_seconds.append(cpu)
    samples.peak_rss_mb.append(peak)
    return found


def agree(mine: dict[str, float], theirs: dict[str, float]) -> None:
    """Raises SystemExit when a number differs by more than its bound."""
    for name in ("accuracy", "precision", "recall", "f1", "roc_auc"):
        allowed = mine["bound"] if name == "roc_auc" else 1e-9
        if abs(mine[name] - theirs[name]) > allowed:
            raise SystemExit(f"{name}: {mine[name]} and {theirs[name]} differ by more than {allowed}")


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] in {"ours", "peer"}:
        found = (ours if sys.argv[1] == "ours" else peer)(Path(sys.argv[2]))
        Path(sys.argv[3]).write_text(json.dumps(found))
        return
    options = harness.options(__doc__ or "")
    rows = _SMOKE_ROWS if options.smoke else _ROWS
    runs = options.runs or (1 if options.smoke else 5)
    mine, theirs = harness.Samples(), harness.Samples()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        harness.measure([sys.executable, "-c", _MAKE, str(folder), str(rows)])
        for _ in range(runs):
            our_numbers, their_numbers = measured("ours", folder, mine), measured("peer", folder, theirs)
            agree(our_numbers, their_numbers)
    faster = round(1 / harness.ratio_of(mine, theirs), 1)
    harness.tell(
        {
            "name": "metrics",
            "what": "accuracy, precision, recall, F1 and ROC AUC of binary predictions",
            "size": f"{rows:,} rows",
            "runs": runs,
            "ours": mine.to_json(_contender("mmcicd-jenkins", harness.our_version())),
            "peer": theirs.to_json(_contender("scikit-learn", importlib.metadata.version("scikit-learn"))),
            "ratio": faster,
            "goal": f"scikit-learn's time at least {_GOAL:g} times ours, the area within its bound",
            "met": faster >= _GOAL,
            "area_difference": abs(our_numbers["roc_auc"] - their_numbers["roc_auc"]),
            "area_bound": our_numbers["bound"],
        },
        options.json,
    )


# In a process of its own, so that the parent stays small; see `harness`.
_MAKE = "import sys, pathlib; from benchmarks import metrics as m; m.make_predictions(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"


def _contender(name: str, version: str) -> harness.Contender:
    return harness.Contender(name=name, version=version, command=lambda _: ())


if __name__ == "__main__":
    main()

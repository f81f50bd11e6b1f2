"""A three-step pipeline whose commands do next to nothing: what the tool itself costs, against `dvc repro`.

Both have a git repository with one table, and three steps that a change of one file makes run again. Ours runs the
unit tests, the training and the evaluation, and does what it does for every run: the commit is checked, the data are
divided, the model becomes layers in the store, the gates are judged and a report is written. DVC hashes and caches
what its three stages wrote.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import harness
from benchmarks.peers import peer

_GOAL = 1 / 3
_PEER = "dvc==3.67.1"
_MODEL = Path(__file__).parents[1] / "tests" / "system" / "fixtures" / "double"

_CONFIG = """\
models:
  idle:
    data:
      numbers: {url: numbers.csv, label: y, test_size: 0.3}
    test: "true"
    train: {command: cp -R model/. "$MMCICD_MODEL_DIR"/, inputs: [knob.txt]}
    evaluate: {command: cp metrics.json "$MMCICD_EVALUATION_DIR"/}
    gates: [accuracy >= 0.5]
    min_samples: 1
"""

_DVC = """\
stages:
  test: {cmd: cp knob.txt tested.txt, deps: [knob.txt], outs: [tested.txt]}
  train: {cmd: cp -R model trained, deps: [tested.txt, numbers.csv], outs: [trained]}
  evaluate: {cmd: cp metrics.json judged.json, deps: [trained], outs: [judged.json]}
"""


def make_repository(folder: Path) -> Path:
    shutil.copytree(_MODEL, folder / "model")
    (folder / "numbers.csv").write_text("x,y\n" + "".join(f"{n},{n}\n" for n in range(100)))
    (folder / "metrics.json").write_text('{"metrics": {"accuracy": 0.9}, "samples": 30}')
    (folder / "knob.txt").write_text("0")
    (folder / ".gitignore").write_text(".mmcicd/\n/tested.txt\n/trained\n/judged.json\n")
    (folder / "mmcicd.yaml").write_text(_CONFIG)
    (folder / "dvc.yaml").write_text(_DVC)
    git(folder, "init", "-q")
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@example.invalid"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def turn_knob(folder: Path, run: int) -> None:
    (folder / "knob.txt").write_text(str(run))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", f"knob {run}")


def in_folder(folder: Path, command: Sequence[str]) -> list[str]:
    """`command` with `folder` as its working folder."""
    return ["env", "-C", str(folder), *command]


def main() -> None:
    chosen = harness.options(__doc__ or "")
    dvc = str(peer(_PEER) / "dvc")
    os.environ["DVC_NO_ANALYTICS"] = "1"
    ours_program = str(Path(sys.executable).with_name("mmcicd-jenkins"))
    with tempfile.TemporaryDirectory() as top:
        os.environ["XDG_CACHE_HOME"] = str(Path(top) / "cache")
        folders = [make_repository(Path(top) / name) for name in ("ours", "theirs")]
        subprocess.run([dvc, "init", "-q"], cwd=folders[1], check=True, capture_output=True)
        for folder in folders:
            turn_knob(folder, -1)
        subprocess.run([ours_program, "data", "update"], cwd=folders[0], check=True, capture_output=True)
        for folder in folders:
            turn_knob(folder, 0)
        contenders = [
            harness.Contender(
                name="run --until evaluate",
                version=harness.our_version(),
                command=lambda _: in_folder(folders[0], [ours_program, "run", "--until", "evaluate"]),
                clean=lambda run: turn_knob(folders[0], run + 1),
            ),
            harness.Contender(
                name="dvc repro",
                version=_PEER.split("==")[1],
                command=lambda _: in_folder(folders[1], [dvc, "repro", "-q"]),
                clean=lambda run: turn_knob(folders[1], run + 1),
            ),
        ]
        ours, theirs = harness.alternate(contenders, chosen.runs or (1 if chosen.smoke else 7))
    ratio = harness.ratio_of(ours, theirs)
    harness.tell(
        {
            "name": "no_op_pipeline",
            "what": "three steps that do nothing, all of them stale",
            "size": "3 steps",
            "runs": len(ours.seconds),
            "ours": ours.to_json(contenders[0]),
            "peer": theirs.to_json(contenders[1]),
            "ratio": ratio,
            "cpu_ratio": harness.cpu_ratio_of(ours, theirs),
            "goal": "at least 3 times faster",
            "met": ratio <= _GOAL,
        },
        chosen.json,
    )


if __name__ == "__main__":
    main()

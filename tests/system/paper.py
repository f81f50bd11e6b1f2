"""A repository made of paper: a shell trainer, a shell evaluation, a tiny SavedModel, and a target that is a file.

The trainer is real (it is a command like any other), the store, the ledger and git are real. `FileTarget` stands in
for a server; the same contract (tests/contract/target_contract.py) holds for it and for the real one.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from mmcicd_jenkins.adapters.embedded_trial import EmbeddedTrial
from mmcicd_jenkins.adapters.local.counters import ServerCounters
from mmcicd_jenkins.errors import OutsideFailed, Superseded
from mmcicd_jenkins.ports import Endpoint, Observed

HERE = Path(__file__).parent
MODEL = HERE / "fixtures" / "double"

CONFIG = """\
models:
  double:
    data:
      numbers:
        url: data/numbers.csv
        label: y
        test_size: 0.3
    train:
      command: ./train.sh
      params: {factor: 2}
      inputs: [train.sh, factor.txt]
    evaluate: {command: ./evaluate.sh}
    gates:
      - accuracy >= 0.5
      - accuracy >= champion - 0.1
    min_samples: 10
"""

TRAIN = """\
#!/bin/sh
set -eu
echo "training $MMCICD_RUN_ID"
date +%N >> "$MMCICD_CHECKPOINT_DIR/tries"
cp -R "$MODEL_FIXTURE"/. "$MMCICD_MODEL_DIR"/
cp factor.txt "$MMCICD_MODEL_DIR"/assets_factor.txt
echo '{"epoch": 1, "val_accuracy": 0.9}' > "$MMCICD_METRICS"
"""

EVALUATE = """\
#!/bin/sh
set -eu
test -f "$MMCICD_MODEL_DIR/saved_model.pb"
test -f "$MMCICD_DATA_DIR/numbers/test.csv"
printf '{"metrics": {"accuracy": %s}, "samples": 30}' "$(cat "$MMCICD_MODEL_DIR/assets_factor.txt")" \\
  > "$MMCICD_EVALUATION_DIR/metrics.json"
"""

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.invalid",
    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.invalid",
}  # fmt: skip


def git(root, *arguments):
    done = subprocess.run(
        ["git", *arguments],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **IDENTITY},
    )
    return done.stdout


def commit(root, message="a change", **files):
    for name, text in files.items():
        (root / name.replace("__", "/").replace("_txt", ".txt")).write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-qm", message)


def make_repository(root):
    """The repository, locked and committed."""
    (root / "data").mkdir(parents=True)
    rows = "".join(f"{x},{2 * x}\n" for x in range(100))
    (root / "data" / "numbers.csv").write_text("x,y\n" + rows)
    (root / "mmcicd.yaml").write_text(CONFIG)
    (root / "factor.txt").write_text("0.80")
    (root / ".gitignore").write_text(".mmcicd/\n")
    for name, text in (("train.sh", TRAIN), ("evaluate.sh", EVALUATE)):
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    git(root, "init", "-q", "-b", "main")
    return root


class FileTarget:
    """`ports.Target` whose server is a JSON file: model -> version, epoch."""

    def __init__(self, path, store):
        self.path = Path(path)
        self.store = store

    def _read(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def _write(self, model, version, epoch):
        state = self._read()
        if state.get(model, {}).get("epoch", 0) > epoch:
            raise Superseded(f"a newer decision about {model} stands")
        state[model] = {"version": version, "epoch": epoch}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".part")
        temporary.write_text(json.dumps(state))
        temporary.replace(self.path)

    def observe(self, model):
        state = self._read().get(model, {"version": None, "epoch": 0})
        found = "AVAILABLE" if state["version"] else "END"
        return Observed(version=state["version"], state=found, epoch=state["epoch"])

    def switch(self, order):
        unpacked = self.path.parent / f"check-{os.getpid()}"
        unpacked.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.store.extract(order.layers, unpacked)
            if not (unpacked / "saved_model.pb").read_bytes().startswith(b"\x08\x01"):
                raise OutsideFailed(f"version {order.version} does not load")
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
        self._write(order.model, order.version, order.epoch)

    def withdraw(self, model, epoch):
        self._write(model, None, epoch)

    def endpoint(self, model):  # noqa: ARG002  one address for all
        return Endpoint(rest="http://127.0.0.1:9", grpc="127.0.0.1:9")

    def stop(self):
        return False


class Replaced:
    """The ports of a bench with some of them replaced."""

    def __init__(self, ports, **instead):
        self._ports = ports
        self.__dict__.update(instead)

    def __getattr__(self, name):
        return getattr(self._ports, name)


def on_paper(bench, **instead):
    """The real ports of a bench, but for the server and what else is given."""

    def target(place):
        return FileTarget(bench.serving(place.name) / "target.json", bench.store)

    client, clock = (instead.get(name, getattr(bench.ports, name)) for name in ("client", "clock"))
    instead.setdefault("counters", lambda place: ServerCounters(client, lambda: target(place), clock))
    return Replaced(
        bench.ports,
        target=target,
        throwaway=lambda folder, runnable: EmbeddedTrial(  # noqa: ARG005 - the port names it
            FileTarget(folder / "target.json", bench.store), folder, "paper"
        ),
        **instead,
    )


def hang(base, name, environment, command):
    """Start `command` and return when it stands still at the failpoint `name`."""
    seen = base / f"seen-{name}"
    process = subprocess.Popen(
        command,
        cwd=base / "repo",
        env={
            **environment,
            "MMCICD_TESTING": "1",
            "MMCICD_FAILPOINTS": f"{name}=hang",
            "MMCICD_FAILPOINTS_SEEN": str(seen),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not (seen.exists() and name in seen.read_text().split()):
        time.sleep(0.02)
    return process

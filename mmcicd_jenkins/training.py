"""Helpers for train scripts: the training contract as a few functions. Never required.

A script may use the variables itself (`MMCICD_MODEL_DIR`, `MMCICD_DATA_DIR`, `MMCICD_PARAMS`,
`MMCICD_CHECKPOINT_DIR`, `MMCICD_METRICS`, `MMCICD_SEED`); with these functions it also runs by hand, without
the pipeline. This one file imports nothing but the standard library, and Keras when a callback is made: where
installing `mmcicd-jenkins` in the model's environment is too much, copy the file beside the script.

    from mmcicd_jenkins import training

    training.seed()
    rows = training.data_dir("customers") / "train.csv"
    epochs = training.params(epochs=20)["epochs"]
    model.fit(x, y, epochs=epochs, callbacks=training.keras_callbacks())
    model.export(training.model_dir())
"""

import contextlib
import json
import math
import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

# Where things go when the script runs by hand: ignored by git, and nobody takes them for a run's.
BY_HAND = Path(".mmcicd") / "by-hand"


def model_dir() -> Path:
    """Where the SavedModel goes: `model.export(training.model_dir())`.

    >>> model_dir().name
    'model'
    """
    return _place("MMCICD_MODEL_DIR", "model")


def checkpoint_dir() -> Path:
    """A folder that outlives a killed training; resume from what is there."""
    place = _place("MMCICD_CHECKPOINT_DIR", "checkpoints")
    place.mkdir(parents=True, exist_ok=True)
    return place


def data_dir(source: str = "") -> Path:
    """The folder of one data source, or the one that holds them all.

    By hand it is the newest data that `mmcicd-jenkins stage data` prepared here.

    Raises:
        FileNotFoundError: there are none; says what to type.
    """
    given = os.environ.get("MMCICD_DATA_DIR")
    place = Path(given) if given else _newest_data()
    if source and not (place / source).is_dir():
        have = ", ".join(sorted(p.name for p in place.iterdir() if p.is_dir())) or "none"
        raise FileNotFoundError(f"there is no data source {source!r}; there is {have}")
    return place / source if source else place


def params(**defaults: Any) -> dict[str, Any]:
    """The parameters of mmcicd.yaml over `defaults`; by hand the defaults alone.

    >>> params(epochs=3, learning_rate=0.1)["epochs"]
    3
    """
    given = os.environ.get("MMCICD_PARAMS")
    return {**defaults, **(json.loads(Path(given).read_text(encoding="utf-8")) if given else {})}


def seed() -> int:
    """Seed Python, and NumPy, TensorFlow and Keras where they are imported already; returns the seed.

    >>> seed()
    0
    """
    value = int(os.environ.get("MMCICD_SEED", "0"))
    random.seed(value)
    # NumPy takes 32 bits; a seed is any whole number.
    narrow = value % 2**32
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(narrow)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(narrow)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(narrow)
    return value


def log_metrics(step: int, values: Mapping[str, float], *, name: str = "epoch") -> None:
    """Add one line to the learning curves: `{"epoch": 1, "loss": 0.3, "val_auc": 0.9}`.

    A number that is not finite becomes null: a curve has a gap there, and JSON has no NaN.

    >>> log_metrics(1, {"loss": 0.25})
    """
    place = os.environ.get("MMCICD_METRICS")
    if not place:
        return
    finite = {key: _finite(value) for key, value in values.items()}
    with Path(place).open("a", encoding="utf-8") as file:
        # One write per line: a killed training leaves whole lines.
        file.write(json.dumps({name: step, **finite}) + "\n")


@contextlib.contextmanager
def stop_signal() -> Iterator["Stop"]:
    """For loops of one's own: `stop.asked` turns true on SIGTERM, so that a checkpoint can be written first.

    with training.stop_signal() as stop:
        for step in range(start, steps):
            train(step)
            if stop.asked:
                save(step)
                stop.now()
    """
    stop = Stop()
    before = signal.signal(signal.SIGTERM, stop.ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


class Stop:
    """Whether SIGTERM came."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, _number: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
        self.asked = True

    def now(self) -> None:
        """End as SIGTERM ends a process: the run is not finished and must not look so."""
        sys.exit(128 + signal.SIGTERM)


def keras_callbacks(phase: str = "fit") -> list[Any]:
    """Callbacks for `model.fit`: resume after a killed training, learning curves, stop at once on SIGTERM.

    State and curves are written after each epoch; the model must be built before `fit`. A script that fits
    twice names each: `keras_callbacks("pretrain")`, `keras_callbacks("tune")`; a phase that had ended is not
    trained again.

    Raises:
        ValueError: the same phase twice in one script, which would skip the second.
    """
    import keras

    if phase in _phases:
        raise ValueError(
            f"keras_callbacks({phase!r}) was asked for before; name each fit: keras_callbacks('tune')"
        )
    _phases.add(phase)
    state = _State(checkpoint_dir() / f"keras-{phase}")
    stop = Stop()
    before: list[Any] = []

    class Contract(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002  Keras' signature
            before.append(signal.signal(signal.SIGTERM, stop.ask))
            epochs = state.restore(self.model)
            if epochs:
                # What keras.callbacks.BackupAndRestore sets to begin at a later epoch.
                self.model._initial_epoch = epochs  # noqa: SLF001

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  Keras' signature
            if stop.asked:  # the last whole epoch is on disk; what this one did is done again
                stop.now()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            values = {key: float(value) for key, value in (logs or {}).items()}
            log_metrics(epoch + 1, values)
            state.save(self.model, epoch + 1, values)
            if stop.asked:
                stop.now()

        def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002  Keras' signature
            self.model._initial_epoch = None  # noqa: SLF001  a later fit of this model begins at its own
            signal.signal(signal.SIGTERM, before.pop())

    return [Contract()]


_phases: set[str] = set()


class _State:
    """Weights, optimizer, epochs and curve of one phase, in a folder that is replaced whole."""

    def __init__(self, root: Path) -> None:
        self.current = root
        self.next = root.with_name(root.name + ".next")
        self.last = root.with_name(root.name + ".last")
        self.curve: list[dict[str, float | None]] = []

    def save(self, model: Any, epochs: int, values: Mapping[str, float]) -> None:
        self.curve.append({key: _finite(value) for key, value in values.items()})
        shutil.rmtree(self.next, ignore_errors=True)
        self.next.mkdir(parents=True)
        model.save_weights(self.next / "model.weights.h5")
        state = {"epochs": epochs, "curve": self.curve}
        (self.next / "state.json").write_text(json.dumps(state), encoding="utf-8")
        # A folder cannot be replaced in one step: the old one steps aside, and restore looks there too.
        shutil.rmtree(self.last, ignore_errors=True)
        if self.current.exists():
            self.current.rename(self.last)
        self.next.rename(self.current)

    def restore(self, model: Any) -> int:
        """Load the newest whole state and tell its curve again; the epochs it has seen, 0 when there is none."""
        for place in (self.current, self.last):
            try:
                state = json.loads((place / "state.json").read_text(encoding="utf-8"))
                epochs, curve = int(state["epochs"]), list(state["curve"])
                if model.optimizer is not None and not model.optimizer.built:
                    model.optimizer.build(model.trainable_variables)  # else its state is not loaded
                model.load_weights(place / "model.weights.h5")
            except (OSError, ValueError, KeyError, TypeError):
                continue  # absent, cut off, or of another model: the older one, else from the beginning
            self.curve = curve
            for number, values in enumerate(curve, epochs - len(curve) + 1):
                log_metrics(
                    number, {key: math.nan if value is None else value for key, value in values.items()}
                )
            return epochs
        return 0


def _finite(value: float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _place(variable: str, name: str) -> Path:
    given = os.environ.get(variable)
    return Path(given) if given else BY_HAND / name


def _newest_data() -> Path:
    folders = [p for p in Path(".mmcicd", "data").glob("*/train") if (p.parent / "complete.json").is_file()]
    if not folders:
        raise FileNotFoundError("there are no prepared data here; run: mmcicd-jenkins stage data")
    return max(folders, key=lambda p: p.stat().st_mtime)

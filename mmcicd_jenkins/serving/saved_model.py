"""One SavedModel in memory: TensorFlow lives here and in the modules of the wire. Loaded as TF Serving loads it.

A session over the serving graph, fed and fetched by tensor names: the same code path, and so the same answers and
error texts, as TF Serving's. Closing it gives its memory back.
"""

import dataclasses
import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.serving.status import Code, Refused, code_of, invalid, shown

Array = npt.NDArray[Any]

DEFAULT_SIGNATURE = "serving_default"
INIT_SIGNATURE = "__saved_model_init_op"
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
# TF Serving's WarmupConsts::kMaxNumRecords.
MAX_WARMUP = 1000


class LoadFailed(Exception):
    """The directory holds no SavedModel that can serve; the text is for people."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A signature of the model: dtype by input name, tensor by input and output name."""

    name: str
    method: str
    dtypes: Mapping[str, str]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclasses.dataclass(kw_only=True)
class LoadedModel:
    """A session, its signatures and the definition they came from."""

    session: Any
    signatures: Mapping[str, Signature]
    definition: Any  # tensorflow.MetaGraphDef.signature_def
    on_run: Callable[[str, float], None]
    _callables: dict[tuple[str, tuple[str, ...]], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def signature(self, name: str) -> Signature | None:
        return self.signatures.get(name or DEFAULT_SIGNATURE)

    def run(
        self, signature: Signature, feeds: Mapping[str, Array], outputs: Sequence[str], api: str = "Predict"
    ) -> dict[str, Array]:
        """Raises `Refused` with TensorFlow's own code and message."""
        call = self._callable(signature, tuple(feeds), tuple(outputs))
        started = time.perf_counter()
        try:
            answers = call(*feeds.values())
        except tf.errors.OpError as e:
            raise Refused(code_of(e.error_code), shown(e.message, 2048)) from None
        except (TypeError, ValueError) as e:
            raise invalid(shown(str(e), 2048)) from None
        except RuntimeError as e:
            raise Refused(Code.UNAVAILABLE, shown(str(e))) from None
        self.on_run(api, time.perf_counter() - started)
        return {name: np.asarray(answer) for name, answer in zip(outputs, answers, strict=True)}

    def prime(self) -> None:
        """Run each signature once on zeros, so that the first request does not pay for optimizing the graph.

        What the model thinks of zeros does not matter: a refusal comes after the graph is ready.
        """
        for signature in self.signatures.values():
            feeds = {name: self._zeros(tensor) for name, tensor in signature.inputs.items()}
            with suppress(tf.errors.OpError, TypeError, ValueError, RuntimeError):
                self._callable(signature, tuple(feeds), tuple(signature.outputs))(*feeds.values())

    def _zeros(self, tensor_name: str) -> Array:
        tensor = self.session.graph.get_tensor_by_name(tensor_name)
        shape = [size or 1 for size in tensor.shape.as_list()] if tensor.shape.rank is not None else []
        if tensor.dtype == tf.string:
            return np.full(shape, b"", dtype=object)
        return np.zeros(shape, dtype=tensor.dtype.as_numpy_dtype)

    def _callable(self, signature: Signature, feeds: tuple[str, ...], outputs: tuple[str, ...]) -> Any:
        key = (signature.name, (*feeds, "->", *outputs))
        with self._lock:
            if key not in self._callables:
                tensor = self.session.graph.get_tensor_by_name
                self._callables[key] = self.session.make_callable(
                    [tensor(signature.outputs[name]) for name in outputs],
                    feed_list=[tensor(signature.inputs[name]) for name in feeds],
                )
            return self._callables[key]

    def close(self) -> None:
        with self._lock:
            self._callables.clear()
        self.session.close()


def load_model(directory: Path, on_run: Callable[[str, float], None]) -> LoadedModel:
    """Load the `serve` graph of a SavedModel.

    Raises:
        LoadFailed: there is none, or TensorFlow refuses it.
    """
    if not any((directory / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise LoadFailed(f"{directory} holds no saved_model.pb")
    graph = tf.Graph()
    # Several servers may share one GPU: take its memory as needed, not all at once.
    options = tf.compat.v1.GPUOptions(allow_growth=True)
    session = tf.compat.v1.Session(graph=graph, config=tf.compat.v1.ConfigProto(gpu_options=options))
    try:
        with graph.as_default():
            meta = tf.compat.v1.saved_model.loader.load(session, [tf.saved_model.SERVING], str(directory))
    except Exception as e:
        session.close()
        raise LoadFailed(shown(" ".join(str(e).split()), 1000)) from e
    return LoadedModel(
        session=session,
        signatures=_signatures(meta),
        definition=meta.signature_def,
        on_run=on_run,
    )


def prepare() -> None:
    """Load and run a trivial model, alone.

    TensorFlow imports parts of itself at first use; models that load in several threads must not meet there.
    """
    v1 = tf.compat.v1
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "model")
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None])
            v1.saved_model.simple_save(session, place, inputs={"x": x}, outputs={"y": x + 1.0})
        loaded = load_model(Path(place), lambda _, __: None)
        loaded.prime()
        loaded.close()


def _signatures(meta: Any) -> dict[str, Signature]:
    found = {}
    for name, definition in meta.signature_def.items():
        if name == INIT_SIGNATURE:
            continue
        found[name] = Signature(
            name=name,
            method=definition.method_name,
            dtypes={key: tf.as_dtype(info.dtype).name for key, info in sorted(definition.inputs.items())},
            inputs={key: info.name for key, info in definition.inputs.items()},
            outputs={key: info.name for key, info in sorted(definition.outputs.items())},
        )
    return found


def warmup_records(directory: Path) -> list[bytes]:
    """The serialized PredictionLogs of a version, none when it brings none.

    Raises:
        LoadFailed: the file is damaged or holds too many.
    """
    path = directory / WARMUP
    if not path.is_file():
        return []
    try:
        records = list(itertools.islice(tf.compat.v1.io.tf_record_iterator(str(path)), MAX_WARMUP + 1))
    except tf.errors.OpError as e:
        raise LoadFailed(f"{WARMUP} cannot be read: {shown(e.message)}") from e
    if len(records) > MAX_WARMUP:
        raise LoadFailed(f"{WARMUP} holds more than {MAX_WARMUP} requests")
    return records

"""What can be asked of a model, free of any wire: predict, classify, regress. Both protocols end here."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.serving.metrics import Metrics
from mmcicd_jenkins.serving.models import Models
from mmcicd_jenkins.serving.reference import count_into_bins
from mmcicd_jenkins.serving.saved_model import DEFAULT_SIGNATURE, Signature
from mmcicd_jenkins.serving.status import Code, Refused, invalid
from mmcicd_jenkins.serving.versions import Servable

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which servable a request names."""

    model: str
    version: int | None = None
    label: str | None = None


@dataclasses.dataclass(kw_only=True)
class Asked:
    """A request being answered: the servable that it holds."""

    servable: Servable
    metrics: Metrics
    counted: list[tuple[Servable, Array]] = field(default_factory=list)


class Inference:
    """Answers requests and records how each ended."""

    def __init__(self, models: Models, metrics: Metrics) -> None:
        self.models = models
        self.metrics = metrics

    @contextmanager
    def request(self, wanted: Wanted, api: str, entrypoint: str) -> Iterator[Asked]:
        """Hold what `wanted` names while the block answers; count the request, whatever its end."""
        started = perf_counter()
        code, version = Code.OK, ""
        try:
            with self.models.hold(wanted.model, wanted.version, wanted.label) as servable:
                version = str(servable.version)
                asked = Asked(servable=servable, metrics=self.metrics)
                yield asked
                for held, output in asked.counted:
                    self._count(held, output)
        except Refused as e:
            code = e.code
            e.version = version
            raise
        except BaseException:
            code = Code.INTERNAL
            raise
        finally:
            self.metrics.record_request(
                model=wanted.model if self.models.knows(wanted.model) else "",
                version=version,
                api=api,
                entrypoint=entrypoint,
                status=code.name,
                outcome=code.outcome,
                seconds=perf_counter() - started,
            )

    def _count(self, servable: Servable, output: Array) -> None:
        if servable.reference is not None:
            counts, unusable = count_into_bins(servable.reference, output)
            self.metrics.record_predictions(servable.model, str(servable.version), counts, unusable)


def predict(
    asked: Asked, signature_name: str, feeds: Mapping[str, Array], outputs: Sequence[str] = ()
) -> dict[str, Array]:
    """Run a signature; `outputs` selects some of its outputs, all by default."""
    signature = _predict_signature(asked.servable, signature_name)
    _check_inputs(signature, feeds)
    for place, name in enumerate(outputs):
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set"
                f" {{{','.join(signature.outputs)}}}."
            )
        if name in outputs[:place]:
            raise invalid(f"duplicate output tensor alias: {name}")
    answers = asked.servable.loaded.run(signature, feeds, list(outputs) or list(signature.outputs))
    if signature.name == DEFAULT_SIGNATURE:
        _note(asked, answers)
    return answers


def _predict_signature(servable: Servable, name: str) -> Signature:
    signature = servable.loaded.signature(name)
    if signature is None:
        raise Refused(
            Code.FAILED_PRECONDITION, f'Serving signature key "{name or DEFAULT_SIGNATURE}" not found.'
        )
    return signature


def _check_inputs(signature: Signature, feeds: Mapping[str, Array]) -> None:
    given, wanted = set(feeds), set(signature.inputs)
    if given != wanted:
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(wanted)}"
            f" len({{{','.join(sorted(given))}}}) != len({{{','.join(sorted(wanted))}}})."
            f" Sent extra: {{{','.join(sorted(given - wanted))}}}."
            f" Missing but required: {{{','.join(sorted(wanted - given))}}}."
        )
    for name, array in feeds.items():
        found = "string" if array.dtype == object else array.dtype.name
        if found != signature.dtypes[name]:
            raise invalid(f"Expects {name} to be {signature.dtypes[name]} but {found} is provided")


def _note(asked: Asked, answers: Mapping[str, Array]) -> None:
    """Remember the output that the reference speaks of; it is counted once the request has succeeded."""
    reference = asked.servable.reference
    if reference is None:
        return
    output = answers.get(reference.output or min(answers))
    if output is not None and output.dtype != object:
        asked.counted.append((asked.servable, output))


def classify(asked: Asked, signature_name: str, examples: Sequence[bytes]) -> list[list[tuple[str, float]]]:
    """Labels with scores for each serialized tf.Example."""
    signature = _example_signature(asked.servable, signature_name, "classification")
    outputs = [name for name in ("classes", "scores") if name in signature.outputs]
    if not outputs:
        raise invalid(
            'Expected classification signature outputs to contain at least one of "classes" or "scores".'
        )
    answers = _run_examples(asked, signature, outputs, examples, "Classify")
    for name, array in answers.items():
        if array.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}")
        if array.shape[0] != len(examples):
            raise invalid(f"Expected {name} output batch size of {len(examples)}. Got: {array.shape[0]}")
    widths = {array.shape[1] for array in answers.values()}
    if len(widths) != 1:
        raise invalid("Tensors class and score should match in dim_size(1).")
    labels, scores = answers.get("classes"), answers.get("scores")
    return [
        [
            (_text(labels[row, column]) if labels is not None else "", _score(scores, row, column))
            for column in range(next(iter(widths)))
        ]
        for row in range(len(examples))
    ]


def _text(label: Any) -> str:
    return label.decode("utf-8", errors="replace") if isinstance(label, bytes) else str(label)


def _score(scores: Array | None, row: int, column: int) -> float:
    return float(scores[row, column]) if scores is not None else 0.0


def regress(asked: Asked, signature_name: str, examples: Sequence[bytes]) -> list[float]:
    """One value for each serialized tf.Example."""
    signature = _example_signature(asked.servable, signature_name, "regression")
    if "outputs" not in signature.outputs:
        raise invalid("No regression outputs found in SignatureDef")
    output = _run_examples(asked, signature, ["outputs"], examples, "Regress")["outputs"]
    if output.ndim not in (1, 2) or output.size != len(examples):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got"
            f" {list(output.shape)}"
        )
    return [float(value) for value in output.astype(np.float32).ravel()]


def _example_signature(servable: Servable, name: str, kind: str) -> Signature:
    signature = servable.loaded.signature(name)
    if signature is None:
        raise invalid(f"No signature was found with the name: {name or DEFAULT_SIGNATURE}")
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if "inputs" not in signature.inputs:
        raise invalid(f"No {kind} inputs found in SignatureDef")
    return signature


def _run_examples(
    asked: Asked, signature: Signature, outputs: Sequence[str], examples: Sequence[bytes], api: str
) -> dict[str, Array]:
    if not examples:
        raise invalid("Input is empty.")
    batch = np.empty(len(examples), dtype=object)
    batch[:] = list(examples)
    asked.metrics.record_examples(asked.servable.model, len(examples))
    return asked.servable.loaded.run(signature, {"inputs": batch}, outputs, api)

"""Loading a version the way requests will find it: the SavedModel, then its own warm-up requests."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from mmcicd_jenkins.serving.grpc_api import Answers
from mmcicd_jenkins.serving.inference import Asked
from mmcicd_jenkins.serving.metrics import Metrics
from mmcicd_jenkins.serving.saved_model import LoadedModel, LoadFailed, load_model, warmup_records
from mmcicd_jenkins.serving.status import Refused, shown
from mmcicd_jenkins.serving.versions import Loader, Servable


def make_loader(metrics: Metrics) -> Loader:
    def load(model: str, version: int, directory: Path) -> LoadedModel:
        loaded = load_model(directory, lambda api, seconds: metrics.record_runtime(model, api, seconds))
        try:
            _warm_up(model, version, directory, loaded, metrics)
        except LoadFailed:
            loaded.close()
            raise
        except Exception as e:
            loaded.close()
            raise LoadFailed(f"{type(e).__name__}: {shown(str(e), 1000)}") from e
        return loaded

    return load


def _warm_up(model: str, version: int, directory: Path, loaded: LoadedModel, metrics: Metrics) -> None:
    records = warmup_records(directory)
    if not records:
        loaded.prime()
    servable = Servable(model=model, version=version, directory=str(directory), loaded=loaded, reference=None)
    for place, record in enumerate(records):
        started = perf_counter()
        status = "OK"
        try:
            _replay(record, Asked(servable=servable, metrics=Metrics()))
        except Refused as e:
            status = e.code.name
            raise LoadFailed(f"warm-up request {place} failed: {shown(e.message, 1000)}") from e
        except DecodeError as e:
            status = "INVALID_ARGUMENT"
            raise LoadFailed(f"warm-up request {place} is no PredictionLog") from e
        finally:
            metrics.record_warmup(model, status, perf_counter() - started)


def _replay(record: bytes, asked: Asked) -> None:
    log = prediction_log_pb2.PredictionLog.FromString(record)
    answers = Answers()
    kinds: dict[str, Callable[[Asked, Any], Any]] = {
        "predict_log": answers.predict,
        "classify_log": answers.classify,
        "regress_log": answers.regress,
        "multi_inference_log": answers.multi_inference,
    }
    kind = log.WhichOneof("log_type")
    if kind not in kinds:
        raise LoadFailed(f"a warm-up request is of kind {kind}, which cannot be replayed")
    kinds[kind](asked, getattr(log, kind).request)

"""The gRPC side: PredictionService, ModelService and grpc.health, on the stock messages of tensorflow-serving-api."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from mmcicd_jenkins.serving import health, inference
from mmcicd_jenkins.serving.inference import Asked, Inference, Wanted
from mmcicd_jenkins.serving.saved_model import DEFAULT_SIGNATURE
from mmcicd_jenkins.serving.status import Code, Refused, invalid, shown
from mmcicd_jenkins.serving.wire_messages import array_from, metadata_response, proto_from, status_response

THREADS = 16
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

Reload = Callable[[Any], None]


def wanted_by(spec: Any) -> Wanted:
    """Raises `Refused` when the specification names no model."""
    if not spec.name:
        raise invalid("Missing ModelSpec")
    which = spec.WhichOneof("version_choice")
    return Wanted(
        model=spec.name,
        version=spec.version.value if which == "version" else None,
        label=spec.version_label if which == "version_label" else None,
    )


def examples_of(request_input: Any) -> list[bytes]:
    """Serialized examples of an Input; a context is merged into each."""
    kind = request_input.WhichOneof("kind")
    if kind == "example_list":
        return [example.SerializeToString() for example in request_input.example_list.examples]
    if kind == "example_list_with_context":
        context = request_input.example_list_with_context.context.SerializeToString()
        examples = request_input.example_list_with_context.examples
        return [context + example.SerializeToString() for example in examples]
    raise invalid("Input is empty.")


class Answers:
    """Requests to responses, without a connection: gRPC and warm-up both come here."""

    def predict(self, asked: Asked, request: Any) -> Any:
        feeds = {name: array_from(name, proto) for name, proto in request.inputs.items()}
        signature = request.model_spec.signature_name
        outputs = inference.predict(asked, signature, feeds, list(request.output_filter))
        response = predict_pb2.PredictResponse()
        self._fill_spec(response.model_spec, asked, signature)
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(proto_from(array))
        return response

    def classify(self, asked: Asked, request: Any) -> Any:
        signature = request.model_spec.signature_name
        response = classification_pb2.ClassificationResponse()
        results = inference.classify(asked, signature, examples_of(request.input))
        self._fill_classes(response.result, results)
        self._fill_spec(response.model_spec, asked, signature)
        return response

    def regress(self, asked: Asked, request: Any) -> Any:
        signature = request.model_spec.signature_name
        response = regression_pb2.RegressionResponse()
        for value in inference.regress(asked, signature, examples_of(request.input)):
            response.result.regressions.add(value=value)
        self._fill_spec(response.model_spec, asked, signature)
        return response

    def multi_inference(self, asked: Asked, request: Any) -> Any:
        response = inference_pb2.MultiInferenceResponse()
        examples = examples_of(request.input)
        for task in request.tasks:
            result = response.results.add()
            signature = task.model_spec.signature_name
            if task.method_name == CLASSIFY:
                results = inference.classify(asked, signature, examples)
                self._fill_classes(result.classification_result, results)
            elif task.method_name == REGRESS:
                for value in inference.regress(asked, signature, examples):
                    result.regression_result.regressions.add(value=value)
            else:
                raise Refused(
                    Code.UNIMPLEMENTED, f"Unsupported signature method_name: {shown(task.method_name)}"
                )
            self._fill_spec(result.model_spec, asked, signature)
        return response

    def _fill_classes(self, target: Any, results: list[list[tuple[str, float]]]) -> None:
        for row in results:
            line = target.classifications.add()
            for label, score in row:
                line.classes.add(label=label, score=score)

    def _fill_spec(self, spec: Any, asked: Asked, signature: str) -> None:
        spec.name = asked.servable.model
        spec.version.value = asked.servable.version
        spec.signature_name = signature or DEFAULT_SIGNATURE


def multi_inference_spec(request: Any) -> Any:
    """The model that all tasks share.

    Raises:
        Refused: no task, several models, or a signature asked twice.
    """
    if not request.tasks:
        raise invalid("Inference request does not have any tasks")
    if len({task.model_spec.name for task in request.tasks}) != 1:
        raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
    signatures = [task.model_spec.signature_name for task in request.tasks]
    if len(set(signatures)) != len(signatures):
        raise invalid("Duplicate evaluation of signature")
    return request.tasks[0].model_spec


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]  # untyped stubs
    """tensorflow.serving.PredictionService."""

    def __init__(self, requests: Inference, log: Callable[[str], None]) -> None:
        self._requests = requests
        self._log = log
        self._answers = Answers()

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's method names
        return self._ask("Predict", request.model_spec, self._answers.predict, request, context)

    def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._ask("Classify", request.model_spec, self._answers.classify, request, context)

    def Regress(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._ask("Regress", request.model_spec, self._answers.regress, request, context)

    def MultiInference(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _answering(context, self._log):
            spec = multi_inference_spec(request)
        return self._ask("MultiInference", spec, self._answers.multi_inference, request, context)

    def _ask(
        self, api: str, spec: Any, answer: Callable[[Asked, Any], Any], request: Any, context: Any
    ) -> Any:
        with _answering(context, self._log), self._requests.request(wanted_by(spec), api, "GRPC") as asked:
            return answer(asked, request)

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _answering(context, self._log):
            if list(request.metadata_field) != ["signature_def"]:
                raise invalid("Metadata field must be exactly signature_def")
            wanted = wanted_by(request.model_spec)
            with self._requests.models.hold(wanted.model, wanted.version, wanted.label) as servable:
                spec, signatures = metadata_response(wanted.model, servable)
            response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec)
            response.metadata["signature_def"].Pack(signatures)
            return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]  # untyped stubs
    """tensorflow.serving.ModelService."""

    def __init__(self, requests: Inference, reload: Reload, log: Callable[[str], None]) -> None:
        self._requests = requests
        self._reload = reload
        self._log = log

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _answering(context, self._log):
            wanted = wanted_by(request.model_spec)
            return status_response(wanted.model, self._requests.models.state(wanted.model), wanted.version)

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        response = model_management_pb2.ReloadConfigResponse()
        try:
            self._reload(request.config)
        except Refused as e:
            # TF Serving answers OK and says in the response what went wrong.
            response.status.error_code = e.code.number
            response.status.error_message = e.message
        return response


@contextmanager
def _answering(context: Any, log: Callable[[str], None]) -> Iterator[None]:
    """Turn a refusal, or a fault of ours, into a gRPC status."""
    code, message = Code.OK, ""
    try:
        yield
    except Refused as e:
        code, message = e.code, e.message
    except Exception as e:  # noqa: BLE001 - a client never sees a traceback; the log says what it was
        log(f"gRPC: {type(e).__name__}: {e}")
        code, message = Code.INTERNAL, "The server failed to answer; its log says why"
    if code is not Code.OK:
        context.abort(getattr(grpc.StatusCode, code.name), message)


def make_server(requests: Inference, reload: Reload, max_bytes: int, log: Callable[[str], None]) -> Any:
    """A gRPC server with every service, no port yet."""
    server = grpc.server(
        ThreadPoolExecutor(THREADS, thread_name_prefix="grpc"),
        options=[
            ("grpc.max_receive_message_length", max_bytes),
            ("grpc.max_send_message_length", -1),
            # Without this a second server on the same port would share it without a word.
            ("grpc.so_reuseport", 0),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(requests, log), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(requests, reload, log), server)
    server.add_generic_rpc_handlers((health.handler(requests.models),))
    return server


def bind(server: Any, host: str, port: int) -> int:
    """The port that was bound; 0 when it could not be."""
    try:
        return int(server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
    except RuntimeError:
        return 0

"""The stock stubs of tensorflow-serving-api, as any client of TF Serving uses them."""

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)


class StockStubs:
    def __init__(self, target):
        self.channel = grpc.insecure_channel(target, options=[("grpc.max_send_message_length", -1)])
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, model, feeds):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        for name, array in feeds.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        return request

    def arrays(self, response):
        return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}

    def _input(self, request, examples):
        for example in examples:
            made = request.input.example_list.examples.add()
            for name, value in example.items():
                made.features.feature[name].float_list.value.append(value)
        return request

    def classify(self, model, examples):
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name = model
        return self._input(request, examples)

    def regress(self, model, examples):
        request = regression_pb2.RegressionRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = "value"
        return self._input(request, examples)

    def multi(self, model, examples):
        request = inference_pb2.MultiInferenceRequest()
        for signature, method in (("serving_default", "classify"), ("value", "regress")):
            task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
            task.model_spec.name = model
            task.model_spec.signature_name = signature
        return self._input(request, examples)

    def metadata(self, model):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = model
        response = self.prediction.GetModelMetadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return signatures.signature_def

    def status(self, model):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        return self.models.GetModelStatus(request)

"""grpc.health.v1 `Check`, the probe of Kubernetes and load balancers.

The two messages are a string and an enum, so their bytes are written here instead of one more dependency.
The empty service name asks for the server as a whole; a model's name asks whether any version of it answers.
"""

from typing import Any

import grpc
from google.protobuf import wrappers_pb2

from mmcicd_jenkins.serving.models import Models

SERVING, NOT_SERVING = 1, 2
# The services themselves are always up once the port listens.
SERVICES = ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")


def handler(models: Models) -> Any:
    """HealthCheckRequest and StringValue are both `string = 1`, HealthCheckResponse and UInt32Value `varint = 1`."""

    def check(request: Any, context: Any) -> Any:
        if request.value in SERVICES:
            return wrappers_pb2.UInt32Value(value=SERVING)
        state = models.states().get(request.value)
        if state is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        answers = state is not None and bool(state.serving)
        return wrappers_pb2.UInt32Value(value=SERVING if answers else NOT_SERVING)

    method = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=wrappers_pb2.StringValue.FromString,
        response_serializer=wrappers_pb2.UInt32Value.SerializeToString,
    )
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method})

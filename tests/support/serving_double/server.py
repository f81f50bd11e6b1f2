"""A model server as small as can be, with TF Serving's paths, for images of tests: it multiplies.

It serves the newest number in MODEL_BASE_PATH/MODEL_NAME and does what the model's own `double.json` says:
`factor`, `factor_grpc`, `load_seconds`, and `fault`, one of `exit`, `error`, `never`, `memory`, `memory-later`.
The variable DOUBLE, JSON as well, makes another serving version of it that knows better.
"""

import json
import os
import sys
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np

from mmcicd_jenkins.adapters.models import tf_wire

NAME = os.environ["MODEL_NAME"]
FOLDER = Path(os.environ.get("MODEL_BASE_PATH", "/models")) / NAME
VERSION = max((int(path.name) for path in FOLDER.iterdir() if path.name.isdigit()), default=0)
MODEL = json.loads((FOLDER / str(VERSION) / "double.json").read_text())
MODEL |= json.loads(os.environ.get("DOUBLE", "{}"))
FAULT = MODEL.get("fault", "")
STARTED = time.monotonic()
KEPT = []


def eat(size):
    """Memory that is really used."""
    KEPT.append(np.ones(size, dtype=np.uint8))


def state():
    if FAULT == "error":
        return {"state": "END", "status": {"error_code": "INTERNAL", "error_message": "the graph is broken"}}
    loading = FAULT == "never" or time.monotonic() - STARTED < MODEL.get("load_seconds", 0)
    return {
        "state": "LOADING" if loading else "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }


class Rest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path not in (f"/v1/models/{NAME}", f"/v1/models/{NAME}/versions/{VERSION}"):
            self.answer(404, {"error": f"Could not find {self.path}"})
            return
        self.answer(200, {"model_version_status": [{"version": str(VERSION), **state()}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if FAULT == "memory-later":
            eat(2**30)
        rows = [float(np.float32(row) * np.float32(MODEL["factor"])) for row in body["instances"]]
        self.answer(200, {"predictions": rows})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Predict(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method != tf_wire.PREDICT:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self.predict,
            request_deserializer=tf_wire.PredictRequest.FromString,
            response_serializer=tf_wire.PredictResponse.SerializeToString,
        )

    @staticmethod
    def predict(request, _context):
        feeds = tf_wire.outputs_of(type("Inputs", (), {"outputs": request.inputs}))
        (array,) = feeds.values()
        factor = np.float32(MODEL.get("factor_grpc", MODEL["factor"]))
        filled = tf_wire.predict_request(NAME, "", {request.output_filter[0]: array * factor})
        response = tf_wire.PredictResponse()
        response.outputs.extend(filled.inputs)
        return response


def main():
    print(f"serving {NAME} {VERSION} as {os.getuid()}:{os.getgid()} {sys.argv[1:]}", flush=True)
    if FAULT == "exit":
        sys.exit("the model cannot be served: it is a teapot")
    if FAULT == "memory":
        eat(2**33)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Predict(),))
    server.add_insecure_port("0.0.0.0:8500")
    server.start()
    ThreadingHTTPServer(("0.0.0.0", 8501), Rest).serve_forever()  # noqa: S104  inside a container


main()

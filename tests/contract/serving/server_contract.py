"""What a server of TF Serving's surface must do, by REST and by the stock gRPC stubs.

A subclass gives `address` with `rest` and `grpc`. The server must serve the models that `serving_models.py` writes:
`scaled` with versions 1 and 2 and the labels stable=1 and canary=2, `two`, `text`, `odd`, `strict`, `classes` and
`examples`, and answer Prometheus metrics. Only what TF Serving itself does stands here; what is ours has other files.
"""

import json
import math
import subprocess

import grpc
import numpy as np
import pytest

PREDICT = "/v1/models/scaled:predict"


class ServerContract:
    # Paths

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/models/scaled/versions/2:predict",
            "/v1/models/scaled/labels/canary:predict",
            "/V1/MODELS/scaled/VERSIONS/2:PREDICT",
            "/v1/models/%73caled/labels/%63anary:predict",
            "/v1/models/scaled:predict",
        ],
    )
    def test_every_spelling_of_a_path_reaches_version_2(self, ask, path):
        assert ask("POST", path, {"instances": [[1.0, 2.0]]}).json == {"predictions": [[2.0, 4.0]]}

    def test_version_1_answers_beside_it(self, ask):
        for place in ("versions/1", "labels/stable"):
            answer = ask("POST", f"/v1/models/scaled/{place}:predict", {"inputs": [[1.0, 2.0]]})
            assert answer.json == {"outputs": [[1.0, 2.0]]}

    @pytest.mark.parametrize(
        ("verb", "path", "status", "error"),
        [
            ("GET", "/v1/models", 400, "Missing model name in request."),
            ("GET", "/v1/models/nope", 404, "Could not find any versions of model nope"),
            ("GET", "/v1/models/scaled/versions/9", 404, "Could not find version 9 of model scaled"),
            ("POST", "/v1/models/nope:predict", 404, "Servable not found for request: Latest(nope)"),
            (
                "POST",
                "/v1/models/scaled/versions/9:predict",
                404,
                "Servable not found for request: Specific(scaled, 9)",
            ),
            ("POST", "/v1/models/scaled/labels/x:predict", 400, "Unrecognized servable version label: x"),
            ("GET", "/v1/models/scaled:predict", 400, "Malformed request: GET /v1/models/scaled:predict"),
            ("POST", "/v1/models/scaled", 400, "Malformed request: POST /v1/models/scaled"),
            (
                "POST",
                "/v1/models/scaled:predict/x",
                400,
                "Malformed request: POST /v1/models/scaled:predict/x",
            ),
            ("PUT", "/v1/models/scaled", 400, "Malformed request: PUT /v1/models/scaled"),
            ("GET", "/v1/elsewhere", 400, "Malformed request: GET /v1/elsewhere"),
            (
                "POST",
                f"/v1/models/scaled/versions/{2**63}:predict",
                400,
                f"Failed to convert version: {2**63} to numeric.",
            ),
        ],
    )
    def test_a_wrong_path_says_what_is_wrong(self, ask, verb, path, status, error):
        answer = ask(verb, path, b"{}" if verb == "POST" else None)
        assert (answer.status, answer.error) == (status, error)

    def test_outside_v1_is_not_found(self, ask):
        assert ask("GET", "/").status == 404
        assert ask("GET", "/v2/models/scaled").status == 404

    # Status and metadata

    def test_status_names_each_version_with_its_state(self, ask):
        answer = ask("GET", "/v1/models/scaled")
        assert answer.status == 200
        lines = answer.json["model_version_status"]
        assert sorted(line["version"] for line in lines) == ["1", "2"]
        assert {line["state"] for line in lines} == {"AVAILABLE"}
        assert lines[0]["status"] == {"error_code": "OK", "error_message": ""}
        assert len(ask("GET", "/v1/models/scaled/versions/1").json["model_version_status"]) == 1

    def test_metadata_describes_the_signature(self, ask):
        document = ask("GET", "/v1/models/two/metadata").json
        assert document["model_spec"] == {"name": "two", "signature_name": "", "version": "1"}
        signature = document["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert signature["method_name"] == "tensorflow/serving/predict"
        assert signature["inputs"]["point"]["dtype"] == "DT_DOUBLE"
        assert [dim["size"] for dim in signature["inputs"]["point"]["tensor_shape"]["dim"]] == ["-1", "2"]
        assert signature["inputs"]["count"]["tensor_shape"]["unknown_rank"] is False

    # Predict

    def test_rows_with_several_inputs_and_outputs_are_named(self, ask):
        rows = [{"count": 3, "point": [1.0, 2.5]}, {"count": -1, "point": [0, 0]}]
        answer = ask("POST", "/v1/models/two:predict", {"instances": rows})
        assert answer.json == {"predictions": [{"count": 3, "sum": 6.5}, {"count": -1, "sum": -1.0}]}

    def test_columns_with_several_inputs_and_outputs_are_named(self, ask):
        columns = {"count": [3, -1], "point": [[1.0, 2.5], [0, 0]]}
        answer = ask(
            "POST", "/v1/models/two:predict", {"signature_name": "serving_default", "inputs": columns}
        )
        assert answer.json == {"outputs": {"count": [3, -1], "sum": [6.5, -1.0]}}

    def test_text_and_bytes(self, ask):
        rows = ["grün", {"b64": "/wA="}, {"b64": "/wA"}]
        answer = ask("POST", "/v1/models/text:predict", {"instances": rows})
        assert [row["raw_bytes"] for row in answer.json["predictions"]] == [
            {"b64": "Z3LDvG4="},
            {"b64": "/wA="},
            {"b64": "/wA="},
        ]
        assert answer.json["predictions"][0]["long"] is True

    def test_numbers_are_written_as_short_as_they_read_back(self, ask):
        text = ask("POST", PREDICT, {"instances": [[0.05, 1e9], [1 / 6, 3.5e-12]]}).text
        assert "[0.1, 2e+09]" in text
        assert f"[{np.float32(1 / 3):.9g}, 7e-12]" in text

    def test_numbers_that_are_none_stand_bare(self, ask):
        answer = ask("POST", "/v1/models/odd:predict", {"instances": [[0.0], [-1.0], [1.0]]})
        assert "-Infinity" in answer.text
        values = [row[0] for row in json.loads(answer.text)["predictions"]]
        assert math.isinf(values[0])
        assert math.isnan(values[1])
        assert values[2] == 0.0
        assert "[0.0]" in answer.text

    def test_nan_and_infinity_may_be_sent(self, ask):
        answer = ask("POST", PREDICT, b'{"instances": [[NaN, -Infinity]]}')
        assert answer.status == 200
        assert "NaN, -Infinity" in answer.text

    @pytest.mark.parametrize(
        ("body", "part"),
        [
            (b"", "The document is empty"),
            (b"[1]", "Is not object"),
            (b"{", "JSON Parse error"),
            (b'{"instances": [[1, 2]], "inputs": [[1, 2]]}', "expecting only one of"),
            (b"{}", "Missing 'inputs' or 'instances' key"),
            (b'{"instances": 3}', "Expecting 'instances' to be an list/array"),
            (b'{"instances": []}', "No values in 'instances' array"),
            (b'{"instances": [["a", "b"]]}', "is not of expected type: float"),
            (b'{"instances": [[1, 2], [3]]}', "Failed to process element: 1 of 'instances' list"),
            (b'{"instances": [{"z": [1, 2]}]}', "does not have named input: z"),
            (b'{"inputs": {"z": [[1, 2]]}}', "Missing named input: x in 'inputs' object."),
            (b'{"signature_name": 3, "instances": [[1, 2]]}', "'signature_name' key must be a string value"),
            (b'{"signature_name": "no", "instances": [[1, 2]]}', '"no" not found in signature def'),
        ],
    )
    def test_a_wrong_body_says_what_is_wrong(self, ask, body, part):
        answer = ask("POST", PREDICT, body)
        assert answer.status == 400
        assert part in answer.error

    def test_a_model_that_refuses_its_input_says_why(self, ask):
        answer = ask("POST", "/v1/models/strict:predict", {"instances": [[-1.0]]})
        assert answer.status == 400
        assert "below zero" in answer.error

    def test_a_plain_list_cannot_feed_two_inputs(self, ask):
        answer = ask("POST", "/v1/models/two:predict", {"instances": [1]})
        assert "expecting list of objects" in answer.error

    # Classify and regress

    def test_classify_gives_labels_with_scores(self, ask):
        answer = ask("POST", "/v1/models/examples:classify", {"examples": [{"x": 0.25}, {"x": [1.0]}]})
        assert answer.json == {"results": [[["yes", 0.25], ["no", 0.75]], [["yes", 1.0], ["no", 0.0]]]}

    def test_regress_takes_what_examples_share_from_the_context(self, ask):
        body = {"signature_name": "value", "context": {"x": 0.5}, "examples": [{}, {"x": 2.0}]}
        assert ask("POST", "/v1/models/examples:regress", body).json == {"results": [1.0, 4.0]}

    @pytest.mark.parametrize(
        "body", [{}, {"examples": 1}, {"examples": []}, {"examples": [1]}, {"examples": [{"x": None}]}]
    )
    def test_wrong_examples_are_refused(self, ask, body):
        assert ask("POST", "/v1/models/examples:classify", body).status == 400

    def test_classify_needs_a_signature_for_it(self, ask):
        answer = ask("POST", "/v1/models/two:classify", {"examples": [{"x": 1.0}]})
        assert (answer.status, answer.error) == (400, "Expected one input Tensor.")

    # curl

    def test_curl_with_a_zipped_body(self, address, tmp_path):
        subprocess.run(["gzip", "-k", "body"], cwd=_with_body(tmp_path), check=True)
        url = address.rest + PREDICT
        command = [
            "curl",
            "-sS",
            "-H",
            "Content-Encoding: gzip",
            "--data-binary",
            f"@{tmp_path}/body.gz",
            url,
        ]
        assert json.loads(subprocess.check_output(command)) == {"predictions": [[2.0, 4.0]]}

    # Metrics

    def test_metrics_have_tf_servings_names(self, ask):
        ask("POST", PREDICT, {"instances": [[1, 2]]})
        text = ask("GET", "/monitoring/prometheus/metrics").text
        assert "# TYPE :tensorflow:serving:request_count counter" in text
        assert ':tensorflow:serving:request_count{model_name="scaled",status="OK"} ' in text
        prefix = ':tensorflow:serving:request_latency_bucket{model_name="scaled",API="predict",entrypoint="REST",le='
        bounds = [
            line.removeprefix(prefix).split('"')[1] for line in text.splitlines() if line.startswith(prefix)
        ]
        assert bounds[:3] == ["10", "18", "32.4"]
        assert bounds[-1] == "+Inf"

    # gRPC, with the stock stubs

    def test_grpc_predict(self, stubs):
        request = stubs.predict("scaled", {"x": np.array([[1, 2]], np.float32)})
        response = stubs.prediction.Predict(request)
        assert stubs.arrays(response)["y"].tolist() == [[2.0, 4.0]]
        assert (response.model_spec.name, response.model_spec.version.value) == ("scaled", 2)
        assert response.model_spec.signature_name == "serving_default"

    def test_grpc_by_version_label_and_filter(self, stubs):
        request = stubs.predict("scaled", {"x": np.array([[1, 2]], np.float32)})
        request.model_spec.version_label = "stable"
        assert stubs.prediction.Predict(request).model_spec.version.value == 1
        request = stubs.predict("two", {"count": np.array([1]), "point": np.zeros((1, 2))})
        request.output_filter.append("sum")
        assert set(stubs.prediction.Predict(request).outputs) == {"sum"}

    def test_grpc_text(self, stubs):
        response = stubs.prediction.Predict(
            stubs.predict("text", {"text": np.array([b"\xff\x00", b"ab"], object)})
        )
        assert stubs.arrays(response)["raw_bytes"].tolist() == [b"\xff\x00", b"ab"]

    @pytest.mark.parametrize(
        ("model", "feeds", "code"),
        [
            ("nope", {}, grpc.StatusCode.NOT_FOUND),
            ("scaled", {}, grpc.StatusCode.INVALID_ARGUMENT),
            ("scaled", {"x": np.zeros((1, 2), np.int64)}, grpc.StatusCode.INVALID_ARGUMENT),
            ("strict", {"x": np.array([[-1]], np.float32)}, grpc.StatusCode.INVALID_ARGUMENT),
        ],
    )
    def test_grpc_refusals_have_codes(self, stubs, model, feeds, code):
        with pytest.raises(grpc.RpcError) as refused:
            stubs.prediction.Predict(stubs.predict(model, feeds))
        assert refused.value.code() is code

    def test_grpc_classify_regress_and_both_at_once(self, stubs):
        classified = stubs.prediction.Classify(stubs.classify("examples", [{"x": 0.25}]))
        assert classified.result.classifications[0].classes[0].label == "yes"
        regressed = stubs.prediction.Regress(stubs.regress("examples", [{"x": 0.25}]))
        assert regressed.result.regressions[0].value == 0.5
        both = stubs.prediction.MultiInference(stubs.multi("examples", [{"x": 0.25}]))
        assert both.results[0].classification_result.classifications[0].classes[1].score == 0.75
        assert both.results[1].regression_result.regressions[0].value == 0.5

    def test_grpc_metadata_and_status(self, stubs):
        signatures = stubs.metadata("two")
        assert set(signatures["serving_default"].inputs) == {"count", "point"}
        assert {(v.version, v.state) for v in stubs.status("scaled").model_version_status} == {
            (1, 30),
            (2, 30),
        }
        with pytest.raises(grpc.RpcError) as refused:
            stubs.status("nope")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def _with_body(folder):
    (folder / "body").write_text('{"instances": [[1, 2]]}')
    return folder

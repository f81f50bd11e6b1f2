"""Small SavedModels for the tests of serving, written by one TensorFlow process: `python serving_models.py DIR`.

Each is a few kilobytes. `double` and its higher versions differ in one factor, so that an answer tells its version.
"""

import shutil
import sys
from pathlib import Path


def build(root: Path) -> None:
    import numpy as np
    import tensorflow as tf

    def save(name, functions, module=None):
        tf.saved_model.save(module or tf.Module(), str(root / name), signatures=functions)

    def scaled(factor):
        module = tf.Module()
        module.factor = tf.Variable(float(factor))

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def call(x):
            return {"y": x * module.factor}

        module.call = call
        return module, {"serving_default": call}

    for version in (1, 2, 3):
        module, functions = scaled(version)
        save(f"scaled/{version}", functions, module)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int64, name="count"),
            tf.TensorSpec([None, 2], tf.float64, name="point"),
        ]
    )
    def two_inputs(count, point):
        return {"sum": tf.cast(count, tf.float64) + tf.reduce_sum(point, axis=1), "count": count}

    save("two", {"serving_default": two_inputs})

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def text(text):
        return {"upper": tf.strings.upper(text), "raw_bytes": text, "long": tf.strings.length(text) > 3}

    save("text", {"serving_default": text})

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def odd(x):
        return {"y": tf.math.log(x)}

    save("odd", {"serving_default": odd})

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def strict(x):
        with tf.control_dependencies([tf.debugging.assert_non_negative(x, message="below zero")]):
            return {"y": tf.identity(x)}

    save("strict", {"serving_default": strict})

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def classes(x):
        return {"probabilities": tf.nn.softmax(x)}

    save("classes", {"serving_default": classes})

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def slow(x):
        """A tenth of a second or more, so that a test can act in the middle of a request."""
        steps = tf.while_loop(
            lambda i, _: i < 200, lambda i, m: (i + 1, m @ m / 300.0), [0, tf.ones([300, 300])]
        )
        return {"y": x + 0.0 * steps[1][0, 0]}

    save("slow", {"serving_default": slow})
    _save_examples(tf, root)
    _save_warmups(tf, np, root)
    corrupt = root / "corrupt"
    corrupt.mkdir()
    (corrupt / "saved_model.pb").write_bytes(b"\x0a\xffnot a model")


def _save_examples(tf, root: Path) -> None:
    """Classify and regress signatures, which TF2 no longer writes by itself."""
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        serialized = v1.placeholder(tf.string, [None], name="examples")
        x = tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        scores = tf.concat([x, 1.0 - x], axis=1)
        labels = tf.tile(tf.constant([["yes", "no"]]), [tf.shape(x)[0], 1])
        inputs = v1.saved_model.build_tensor_info(serialized)
        info = v1.saved_model.build_tensor_info
        definition = v1.saved_model.build_signature_def
        builder = v1.saved_model.Builder(str(root / "examples"))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": definition(
                    {"inputs": inputs},
                    {"classes": info(labels), "scores": info(scores)},
                    "tensorflow/serving/classify",
                ),
                "value": definition(
                    {"inputs": inputs}, {"outputs": info(x * 2.0)}, "tensorflow/serving/regress"
                ),
            },
        )
        builder.save()


def _save_warmups(tf, np, root: Path) -> None:
    """`warm` warms up, `warm-wrong` cannot, `slow-load` takes seconds to."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    for name, of, feeds, count in (
        ("warm", "scaled/1", {"x": [[1.0, 1.0]]}, 3),
        ("warm-wrong", "scaled/1", {"x": [[1.0, 1.0]], "unknown": [1.0]}, 1),
        ("slow-load", "slow", {"x": [[1.0]]}, 15),
    ):
        shutil.copytree(root / of, root / name)
        request = predict_pb2.PredictRequest()
        for key, value in feeds.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(np.array(value, np.float32)))
        log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
        extra = root / name / "assets.extra"
        extra.mkdir()
        with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
            for _ in range(count):
                writer.write(log.SerializeToString())


if __name__ == "__main__":
    build(Path(sys.argv[1]))

"""Run as a script: make models in the formats that people bring, with a real TensorFlow. Argument: a folder."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
root = Path(sys.argv[1])


def linear(session, name: str):
    """y = 2 x1 + 3 x2 + 1, with variables, a dropout switch, an assertion and a summary beside the answer."""
    x = v1.placeholder(tf.float32, [None, 2], name="features")
    keep = v1.placeholder_with_default(1.0, [], name="keep")
    weights = v1.get_variable("weights", initializer=[[2.0], [3.0]])
    bias = v1.get_variable("bias", initializer=[1.0])
    answer = tf.add(tf.matmul(x * keep, weights), bias, name=name)
    v1.Assert(tf.reduce_all(tf.math.is_finite(x)), ["infinite"])
    session.run(v1.global_variables_initializer())
    return answer


with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
    linear(session, "head/score")
    v1.train.Saver().save(session, str(root / "ckpt" / "model"), global_step=7)
    definition = graph.as_graph_def()
    (root / "loose.pb").write_bytes(definition.SerializeToString())
    tf.io.write_graph(definition, str(root), "graph.pbtxt", as_text=True)
    frozen = v1.graph_util.convert_variables_to_constants(session, definition, ["head/score"])
    (root / "frozen.pb").write_bytes(frozen.SerializeToString())

with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
    x = v1.placeholder(tf.int64, [None], name="a-b.c")
    tf.add(x, 1, name="one")
    tf.multiply(x, 2, name="two")
    (root / "two-ends.pb").write_bytes(graph.as_graph_def().SerializeToString())

model = tf.keras.Sequential([tf.keras.Input((2,), name="features"), tf.keras.layers.Dense(1, name="score")])
model.set_weights([np.array([[2.0], [3.0]]), np.array([1.0])])
model.save(root / "model.keras")
model.save_weights(root / "model.weights.h5")
tf.train.Checkpoint(model=model).write(str(root / "tf2" / "weights"))
model.export(root / "exported", verbose=False)

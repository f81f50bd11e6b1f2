"""Models as TensorFlow and Keras export them, and what their own parser says is in them: `real_models.py DIR`.

Writes one folder for each model, and `operations.json`: for each the operations by TensorFlow's parser, and under
"registered" those that this TensorFlow knows.
"""

import json
import sys
from pathlib import Path


def build(root: Path) -> None:
    import keras
    import numpy as np
    import tensorflow as tf

    words = root / "words.txt"
    words.write_text("red\ngreen\nblue\n")

    def export(name, *layers, dtype="float32", shape=(4,)):
        inputs = value = keras.Input(shape, dtype=dtype)
        for layer in layers:
            value = layer(value)
        keras.Model(inputs, value).export(str(root / name), verbose=False)

    export(
        "dense", keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.2), keras.layers.Dense(1, "sigmoid")
    )
    convolutions = [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.MaxPooling2D()]
    export("image", keras.layers.Rescaling(1 / 255), *convolutions, keras.layers.Flatten(), shape=(16, 16, 3))
    export("resized", keras.layers.Resizing(8, 8), keras.layers.CenterCrop(4, 4), shape=(16, 16, 3))
    export("recurrent", keras.layers.LSTM(3), shape=(5, 4))
    export(
        "words",
        keras.layers.StringLookup(vocabulary=["a", "b"]),
        keras.layers.Embedding(5, 2),
        dtype="string",
    )
    export(
        "words_file",
        keras.layers.StringLookup(vocabulary=str(words)),
        keras.layers.Embedding(5, 2),
        dtype="string",
    )
    export("numbers", keras.layers.IntegerLookup(vocabulary=[3, 5], output_mode="multi_hot"), dtype="int64")
    text = keras.layers.TextVectorization(output_sequence_length=4)
    text.adapt(["hello world", "foo bar"])
    export("text", text, keras.layers.Embedding(9, 2), dtype="string", shape=(1,))
    export("hashed", keras.layers.Hashing(10), dtype="string")
    export("bins", keras.layers.Discretization(bin_boundaries=[0.0, 1.0]))
    scale = keras.layers.Normalization()
    scale.adapt(np.ones([3, 4]))
    export("scaled", scale, keras.layers.Dense(1))
    _modules(tf, root, words)
    _tensorflow_1(tf, root)
    _write_truth(root)


def _modules(tf, root, words):
    def save(name, function, *specs, **parts):
        module = tf.Module()
        for key, part in parts.items():
            setattr(module, key, part)
        module.f = tf.function(function, input_signature=list(specs))
        tf.saved_model.save(module, str(root / name), signatures=module.f)

    text = tf.TensorSpec([None], tf.string)
    one = tf.TensorSpec([], tf.string)
    number = tf.TensorSpec([None], tf.float32)
    lines = tf.lookup.TextFileIndex
    by_line = tf.lookup.TextFileInitializer(
        str(words), tf.string, lines.WHOLE_LINE, tf.int64, lines.LINE_NUMBER
    )
    table = tf.lookup.StaticVocabularyTable(by_line, 2)
    save("table", lambda x: {"y": table.lookup(x)}, text, t=table)
    split = tf.strings.split
    save("ragged", lambda x: {"y": split(x).row_lengths(), "z": split(x).to_tensor()}, text)
    decoded = {"fn": tf.image.decode_jpeg, "fn_output_signature": tf.uint8}
    save("jpeg", lambda x: {"y": tf.map_fn(elems=x, **decoded)}, text)
    feature = {"a": tf.io.FixedLenFeature([2], tf.float32), "b": tf.io.VarLenFeature(tf.string)}
    save("examples", lambda x: {"y": tf.io.parse_example(x, feature)["a"]}, text)
    step = tf.Variable(1.0)
    loop = {"cond": lambda i: i < 3.0, "body": lambda i: i + step}
    save("loop", lambda x: {"y": tf.while_loop(loop_vars=[x[0]], **loop)[0]}, number, v=step)
    sliced = tf.data.Dataset.from_tensor_slices
    save("dataset", lambda x: {"y": sliced(x).map(lambda v: v * 2.0).reduce(0.0, tf.add)}, number)
    # What must be refused.
    read = tf.io.read_file
    save("reads", lambda x: {"y": read(x)}, one)
    save("hidden", lambda x: {"y": tf.cond(x[0] > 0, lambda: read("/etc/passwd"), lambda: "")}, number)
    save("python", lambda x: {"y": tf.numpy_function(lambda v: v, [x], tf.float32)}, number)
    save("mapped", lambda x: {"y": tf.map_fn(read, x)}, text)
    save("prints", lambda x: {"y": (tf.print(x), x)[1]}, number)
    save("records", lambda x: {"y": tf.data.TFRecordDataset(x).reduce("", tf.add)}, text)


def _tensorflow_1(tf, root):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
        y = tf.multiply(x, tf.compat.v1.get_variable("v", [2], use_resource=False), name="y")
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(root / "tf1"), {"x": x}, {"y": y})


def _write_truth(root):
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    found = {}
    for path in sorted(root.glob("*/saved_model.pb")):
        parsed = saved_model_pb2.SavedModel.FromString(path.read_bytes())
        graphs = [g.graph_def for g in parsed.meta_graphs]
        names = {n.op for g in graphs for n in g.node}
        names |= {n.op for g in graphs for f in g.library.function for n in f.node_def}
        found[path.parent.name] = sorted(names)
    registered = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    found["registered"] = sorted(op.name for op in registered.op)
    (root / "operations.json").write_text(json.dumps(found))


if __name__ == "__main__":
    build(Path(sys.argv[1]))

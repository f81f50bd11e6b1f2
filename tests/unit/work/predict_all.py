"""Run as a script: load each SavedModel named, predict [[1, 2]], print the answers."""

import sys

import tensorflow as tf

for path in sys.argv[1:]:
    function = tf.saved_model.load(path).signatures["serving_default"]
    (name,) = function.structured_input_signature[1]
    (answer,) = function(**{name: tf.constant([[1.0, 2.0]])}).values()
    print(float(answer[0][0]))

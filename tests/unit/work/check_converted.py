"""Run as a script, so that TensorFlow is imported once for all: arguments are a request and where to answer.

`load`: SavedModels to load and ask for [[1, 2]]. `convert`: [function, source, target, inputs, outputs] each.
"""

import json
import sys
from pathlib import Path

import tensorflow as tf

from mmcicd_jenkins.adapters.models import convert_script

request = json.loads(Path(sys.argv[1]).read_text())
told = []
for name, source, target, *named in request["convert"]:
    try:
        getattr(convert_script, name)(tf, Path(source), Path(target), *named)
        told.append({})
    except convert_script.ConvertError as e:
        told.append(e.answer)
answers = []
for path in request["load"]:
    function = tf.saved_model.load(path).signatures["serving_default"]
    (name,) = function.structured_input_signature[1]
    (answer,) = function(**{name: tf.constant([[1.0, 2.0]])}).values()
    answers.append(float(answer[0][0]))
Path(sys.argv[2]).write_text(json.dumps({"answers": answers, "told": told}))

"""Run as a script: a Keras training with the helpers, that kills itself after the epoch named by KILL_AFTER."""

import json
import os
import signal
from pathlib import Path

import keras
import numpy as np

from mmcicd_jenkins import training

training.seed()
epochs = training.params(epochs=1)["epochs"]
x = np.linspace(-1, 1, 64, dtype="float32").reshape(-1, 1)


def fit(*callbacks):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    history = model.fit(
        x, 3 * x + 1, epochs=epochs, batch_size=8, verbose=0, shuffle=False, callbacks=list(callbacks)
    )
    return model, history.history["loss"]


class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002  Keras' signature
        if epoch == int(os.environ.get("KILL_AFTER", "-1")):
            os.kill(os.getpid(), signal.Signals[os.environ["KILL_WITH"]])


model, _ = fit(*training.keras_callbacks(), Kill())
try:
    training.keras_callbacks()
except ValueError:
    model.export(training.model_dir(), verbose=False)
Path("undisturbed.json").write_text(json.dumps(fit()[1]))

"""Run as a program: store the model in folder argv[2] as run and image in the layout argv[1], then unpack it to argv[3]."""

import json
import os
import signal
import sys
from pathlib import Path

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.image.manifest import BaseImage, Origin, join
from mmcicd_jenkins.image.version_layer import version_layer


def signal_in_the_middle(done, total):
    name = os.environ.pop("SIGNAL_WHILE_READING", "") if done > total // 2 else ""
    if name:
        os.kill(os.getpid(), signal.Signals[name])


def main():
    store, model, out = map(Path, sys.argv[1:])
    layout = OciLayoutStore(store)
    layers = layout.put_model(model, signal_in_the_middle)
    blobs = [layer.blob for layer in layers.layers]
    layout.put_artifact(
        "run-1", "application/vnd.mmcicd.run.v1", {"n": 1}, layers=blobs, files={"f": b"text"}
    )
    blob, layer = version_layer("churn", 1)
    origin = Origin(model="churn", version=1, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9)
    image = join(BaseImage(), layers, layer, origin)
    layout.put_image("churn", 1, image, [blob])
    if not out.exists():
        layout.extract(blobs, out)
    return image.digest


if __name__ == "__main__":
    try:
        print(main())
    except MmcicdError as e:
        print(json.dumps(e.to_json()))
        sys.exit(e.exit_code)

"""The edits of the tour: what its commits change in the generated repository, and what its client sends."""

import json
import socket
from pathlib import Path

from mmcicd_jenkins.errors import MmcicdError

# A scanner with 8 bits per pixel beside one with 4: its pictures are 15.9 times brighter than the test data.
EIGHT_BIT = 255 / 16

ENVIRONMENTS = """
# The tour's own ports, and a monitor that is in a hurry.
environments:
  staging:
    rest_port: {0}
    grpc_port: {1}
  production:
    rest_port: {2}
    grpc_port: {3}
    monitor:
      every: 2s
      slo: {{availability: 99%}}
      windows: [{{rate: 10, long: 30s, short: 5s}}]
      min_requests: 100
      min_errors: 10
"""

CLIP = "pixels = tf.clip_by_value(pixels, 0.0, WHITE)"
ASSERT = 'tf.debugging.assert_less_equal(pixels, WHITE, message="a pixel is brighter than white")'


def own_ports(repository: Path) -> None:
    """Environments on free ports, so that the tour meets nobody."""
    config = repository / "mmcicd.yaml"
    config.write_text(config.read_text() + ENVIRONMENTS.format(*free_ports(4)))


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if old not in text:
        raise MmcicdError(f"the tour no longer fits the example: {path.name} lacks {old!r}")
    path.write_text(text.replace(old, new))


def worse(repository: Path) -> None:
    _replace(repository / "mmcicd.yaml", "learning_rate: 0.003", "learning_rate: 0.00003")


def better(repository: Path) -> None:
    _replace(repository / "mmcicd.yaml", "learning_rate: 0.00003", "learning_rate: 0.003")
    _replace(repository / "mmcicd.yaml", "epochs: 5", "epochs: 8")
    _replace(repository / "mmcicd.yaml", "filters: 16", "filters: 24")


def strict(repository: Path) -> None:
    """Refuse what the examples' test split does not have; the unit test that knew better goes with it."""
    _replace(repository / "train.py", CLIP, ASSERT)
    tests = repository / "tests" / "test_train.py"
    text = tests.read_text()
    begin = text.index("def test_pixels_outside_the_range")
    end = text.index("\ndef ", begin + 1)
    tests.write_text(text[:begin] + text[end + 1 :])


def requests(golden: Path) -> dict[str, object]:
    """What the client sends: the golden pictures, and as many from the brighter scanner."""
    instances = json.loads(golden.read_text())["instances"]
    return {"instances": [*instances, *(_brighter(one) for one in instances)]}


def _brighter(instance: object) -> object:
    if isinstance(instance, list):
        return [_brighter(one) for one in instance]
    if isinstance(instance, dict):
        return {name: _brighter(one) for name, one in instance.items()}
    return float(str(instance)) * EIGHT_BIT

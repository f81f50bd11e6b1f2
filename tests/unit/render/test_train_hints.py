"""What `generate` tells a person to change in a train script, in the script's own language and with real names."""

from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.render.scaffold import what_train_should_do

CONFIG = """\
models:
  power:
    data:
      meters: %s
    train: %s
    evaluate: {command: "true"}
    gates: [rmse <= 3]
"""


@pytest.mark.parametrize(
    ("source", "command", "read", "write"),
    [
        ("{url: m.csv, label: kw, test_size: 0.2}", "python train.py",
         'os.environ["MMCICD_DATA_DIR"] + "/meters/train.csv"', 'model.export(os.environ["MMCICD_MODEL_DIR"])'),
        ("{url: m.csv, label: kw, test_size: 0.2}", "./train.sh",
         "$MMCICD_DATA_DIR/meters/train.csv", "a SavedModel to $MMCICD_MODEL_DIR, with saved_model.pb directly in it"),
        ("{url: 'https://x.example/m.parquet', label: kw, test_size: 0.2}", "./t.py",
         'os.environ["MMCICD_DATA_DIR"] + "/meters/train.parquet"', 'model.export(os.environ["MMCICD_MODEL_DIR"])'),
        ("{url: m.csv.gz, label: kw, test_size: 0.2}", "./t", "$MMCICD_DATA_DIR/meters/train.csv", ""),
        ("m.csv", "./t", "$MMCICD_DATA_DIR/meters/m.csv", ""),
        ("s3://bucket/pictures/", "./t", "$MMCICD_DATA_DIR/meters/", ""),
    ],
)  # fmt: skip
def test_lines(tmp_path: Path, source: str, command: str, read: str, write: str) -> None:
    (tmp_path / "mmcicd.yaml").write_text(CONFIG % (source, command))
    for name in ("train.py", "train.sh", "t.py", "t"):
        (tmp_path / name).write_text("")
    model = load_config(tmp_path, environ={}).models["power"]
    first, last = what_train_should_do(model)
    assert first == ("read", read)
    assert write in last[1]

"""Small SavedModels and tables, and the scorer run over all of them in one TensorFlow process: `scored_models.py DIR`.

Each case is a request file that the scorer answers with a result file beside it, as `adapters.evaluator` asks.
"""

import csv
import gzip
import json
import sys
from pathlib import Path

ROWS = [(0.5, 2.0, -1.0, "red"), (1.5, -3.0, 0.25, "blue"), (2.5, 0.0, 4.0, "red")]
NAMES = ("a", "b", "c", "colour")


def build(root: Path) -> None:
    import tensorflow as tf

    def save(name, *specs, **functions):
        module = tf.Module()
        module.w = tf.Variable(1.0)
        signatures = {
            key: tf.function(made(module), input_signature=list(specs)) for key, made in functions.items()
        }
        tf.saved_model.save(module, str(root / name), signatures=signatures)

    def spec(name, *shape, dtype=tf.float32):
        return tf.TensorSpec([None, *shape], dtype, name=name)

    def total(module):
        return lambda x: {
            "score": tf.sigmoid(module.w * tf.reduce_sum(tf.reshape(x, [tf.shape(x)[0], -1]), axis=1))
        }

    def named(module):
        return lambda a, b, colour: {
            "score": tf.sigmoid(module.w * (a[:, 0] - b)),
            "is_red": tf.cast(tf.equal(colour, "red"), tf.float32),
        }

    save("one", spec("x", 3), serving_default=total)
    save("image", spec("x", 3, 1), serving_default=total)
    save("wide", spec("x", 5), serving_default=total)
    save(
        "whole",
        spec("x", 3, dtype=tf.int32),
        serving_default=lambda m: lambda x: {"s": tf.cast(x, tf.float32) * m.w},
    )
    save(
        "named", spec("a", 1), spec("b"), spec("colour", dtype=tf.string), serving_default=named, other=named
    )
    pair = lambda m: lambda left, right: {"sum": m.w * (tf.reduce_sum(left, 1) + tf.reduce_sum(right, 1))}  # noqa: E731
    save("pair", spec("left", 2), spec("right", 1), serving_default=pair)
    save("cube", spec("x", 3), serving_default=lambda m: lambda x: {"cube": m.w * x[:, :, None]})
    save("text", spec("x", 3), serving_default=lambda m: lambda x: {"word": tf.as_string(m.w * x[:, 0])})
    save("fixed", spec("a"), serving_default=lambda m: lambda a: {"y": a * m.w})
    fragile = lambda m: lambda x: {"y": tf.debugging.check_numerics(m.w / x[:, 1], "division")}  # noqa: E731
    save("fragile", spec("x", 3), serving_default=fragile)
    (root / "broken").mkdir()
    (root / "broken" / "saved_model.pb").write_bytes(b"not a model")


def write_tables(root: Path) -> None:
    def table(name, head, rows, **options):
        with (root / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, **options).writerows([head, *rows])

    table("good.csv", (*NAMES, "y"), [(*row, i % 2) for i, row in enumerate(ROWS)])
    table("good.tsv", (*NAMES, "y"), [(*row, i % 2) for i, row in enumerate(ROWS)], delimiter="\t")
    table("many.csv", NAMES, [(i / 100, (i * 7) % 13, -i / 50, "red") for i in range(1000)])
    table("holes.csv", NAMES, [(1, "", 2, "red"), (1, "NA", 2, "")])
    table("word.csv", NAMES, [ROWS[0], (1, "seven", 2, "red")])
    table("whole.csv", NAMES, [(1, "2.0", 3, "red")])
    table("half.csv", NAMES, [(1, "2.5", 3, "red")])
    table("short.csv", NAMES, [ROWS[0], (1, 2)])
    table("pair.csv", ("left_0", "left_1", "right"), [(1, 2, 3), (4, 5, 6)])
    table("empty.csv", NAMES, [])
    table("quotes.csv", NAMES, [ROWS[0]])
    with (root / "quotes.csv").open("a") as file:
        file.write('1,2,"3,red\n')
    rows = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    text = "\n".join(map(json.dumps, rows))
    (root / "good.jsonl").write_text(text)
    (root / "good.ndjson.gz").write_bytes(gzip.compress(text.encode()))
    (root / "good.csv.gz").write_bytes(gzip.compress((root / "good.csv").read_bytes()))
    (root / "lacking.jsonl").write_text('{"a": 1, "b": 2}\n{"a": 1, "b": 2, "c": true}\n')
    (root / "list.jsonl").write_text('{"a": 1, "b": 2, "c": 3}\n[1, 2, 3]\n')
    (root / "bytes.csv").write_bytes(b"a,b,c,colour\n1,2,3,\xff\n")


def cases() -> dict[str, dict[str, object]]:
    abc, everything = ["a", "b", "c"], list(NAMES)
    return {
        "one": {"model": "one", "columns": abc},
        "one-reordered": {"model": "one", "columns": ["c", "a", "b"]},
        "tsv": {"model": "one", "table": "good.tsv", "columns": abc},
        "jsonl": {"model": "one", "table": "good.jsonl", "columns": abc},
        "ndjson": {"model": "one", "table": "good.ndjson.gz", "columns": abc},
        "gzip": {"model": "one", "table": "good.csv.gz", "columns": abc},
        "named-jsonl": {"model": "named", "table": "good.jsonl", "columns": everything, "output": "score"},
        "lacking": {"model": "one", "table": "lacking.jsonl", "columns": abc},
        "bad-list": {"model": "one", "table": "list.jsonl", "columns": abc},
        "image": {"model": "image", "columns": abc},
        "many": {"model": "one", "table": "many.csv", "columns": abc},
        "many-again": {"model": "one", "table": "many.csv", "columns": abc, "batch_size": 1000},
        "named": {"model": "named", "columns": everything, "output": "score"},
        "named-text": {"model": "named", "columns": everything, "output": "is_red", "signature": "other"},
        "pair": {"model": "pair", "table": "pair.csv", "columns": ["left_0", "left_1", "right"]},
        "holes": {"model": "one", "table": "holes.csv", "columns": abc},
        "whole": {"model": "whole", "table": "whole.csv", "columns": abc},
        "empty": {"model": "one", "table": "empty.csv", "columns": abc},
        "bad-width": {"model": "wide", "columns": abc},
        "bad-names": {"model": "named", "columns": ["a", "c"], "output": "score"},
        "bad-text-in-matrix": {"model": "one", "columns": everything},
        "bad-columns": {"model": "one", "columns": [*abc, "income"]},
        "bad-signature": {"model": "one", "columns": abc, "signature": "classify"},
        "bad-output": {"model": "one", "columns": abc, "output": "probability"},
        "two-outputs": {"model": "named", "columns": everything},
        "bad-cube": {"model": "cube", "columns": abc},
        "bad-text-output": {"model": "text", "columns": abc},
        "bad-word": {"model": "one", "table": "word.csv", "columns": abc},
        "bad-half": {"model": "whole", "table": "half.csv", "columns": abc},
        "bad-short": {"model": "one", "table": "short.csv", "columns": abc},
        "bad-quotes": {"model": "one", "table": "quotes.csv", "columns": abc},
        "bad-bytes": {"model": "one", "table": "bytes.csv", "columns": abc},
        "bad-model": {"model": "broken", "columns": abc},
        "no-model": {"model": "nowhere", "columns": abc},
        "fragile": {"model": "fragile", "columns": abc},
    }


def main(root: Path) -> None:
    build(root)
    write_tables(root)
    scoring = Path(__file__).parents[3] / "mmcicd_jenkins" / "adapters" / "scoring"
    sys.path.insert(0, str(scoring))
    import scorer

    for name, case in cases().items():
        request = {
            "signature": "serving_default",
            "output": "",
            "batch_size": 2,
            **case,
            "model": str(root / str(case["model"])),
            "table": str(root / str(case.get("table", "good.csv"))),
            "predictions": str(root / f"{name}.f32"),
            "result": str(root / f"{name}.result.json"),
        }
        asked = root / f"{name}.request.json"
        asked.write_text(json.dumps(request))
        sys.argv = ["scorer.py", str(asked)]
        assert scorer.main() == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))

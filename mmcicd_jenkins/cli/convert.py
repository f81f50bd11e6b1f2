"""`convert`: a frozen graph, a checkpoint or a Keras file becomes a SavedModel that TF Serving loads."""

from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option
from mmcicd_jenkins.errors import UsageError


@click.command(
    epilog='Example: mmcicd-jenkins convert frozen.pb "$MMCICD_MODEL_DIR" --input images=x --output scores=softmax',
    help="Convert SOURCE (a TensorFlow 1 frozen graph, a checkpoint, a .keras or HDF5 file) to a SavedModel in the "
    "folder TARGET, with the signature serving_default. Inputs and outputs of a graph are found when they are "
    "unmistakable, else named.",
)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=TENSOR", help="An input of the graph; may be repeated."
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="NAME=TENSOR",
    help="An output of the graph; may be repeated.",
)
@click.option(
    "--python", metavar="PATH", default="", help="The Python that has TensorFlow (default: it is looked for)."
)
@json_option
def command(
    source: Path, target: Path, inputs: tuple[str, ...], outputs: tuple[str, ...], python: str, as_json: bool
) -> int:
    from mmcicd_jenkins.adapters.commands import ShellCommands
    from mmcicd_jenkins.adapters.models.convert import Converter

    signatures = Converter(ShellCommands(), python).convert(
        source, target, inputs=_named(inputs), outputs=_named(outputs)
    )
    if as_json:
        report.emit({"target": str(target), "signatures": signatures})
        return 0
    for name, signature in signatures.items():
        report.out(f"{target}: signature {name}")
        for kind in ("inputs", "outputs"):
            for tensor, described in signature[kind].items():
                report.out(f"  {kind[:-1]:6}  {tensor}: {described['dtype']} {_shape(described['shape'])}")
    return 0


def _named(options: tuple[str, ...]) -> dict[str, str]:
    named = {}
    for option in options:
        name, _, tensor = option.partition("=")
        if not name or (not tensor and "=" in option):
            raise UsageError(f"{option!r} names no tensor", fix="write NAME=TENSOR, for example images=x:0")
        # The tensor's own name will do when no other is given.
        named[name if tensor else name.partition(":")[0].replace("/", "_")] = tensor or name
    return named


def _shape(shape: object) -> str:
    if not isinstance(shape, list):
        return "any shape"
    return "[" + ", ".join("any" if size == -1 else str(size) for size in shape) + "]"

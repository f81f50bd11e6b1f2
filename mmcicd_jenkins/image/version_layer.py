"""The tiny layers that make model layers version N of a model under a name, as TF Serving expects it.

`/models/<name>/<version>` is a link to where the model's files lie, so the same model layers serve under any
name and version. The warm-up requests are a layer of their own with a file of the model, so that whoever unpacks the
model unpacks them with it. Pure.
"""

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image import tar
from mmcicd_jenkins.image.descriptor import Layer
from mmcicd_jenkins.image.layer import layer_of_bytes
from mmcicd_jenkins.image.tree import why_not_a_path

# tensorflow/serving reads PredictionLog records from here before a version counts as loaded.
WARMUP = "assets.extra/tf_serving_warmup_requests"

# TF Serving gives metrics only when a file says so; the path is its own default.
_MONITORING = b"""prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""


def version_layer(
    model: str, version: int, *, monitoring: bool = True, compression: str = "gzip"
) -> tuple[bytes, Layer]:
    """The blob and the layer that say: these files are `version` of `model`.

    Args:
        model: one path part, without `/`.
        version: a positive integer.
        monitoring: add the file by which TF Serving gives metrics.
        compression: as for the model's layers.

    Raises:
        InputError: name or version cannot be a folder that TF Serving reads.
    """
    if why_not_a_path(model) or "/" in model or version < 1:
        raise InputError(f"{model!r} version {version} cannot be a folder of TF Serving")
    # Relative, so that it also holds where the image is unpacked or mounted below another root.
    link = tar.link_header(f"{tar.MODELS}/{model}/{version}", f"../../{tar.MODEL_ROOT}")
    files = {tar.MONITORING: _MONITORING} if monitoring else {}
    folders = {f"{tar.MODELS}/{model}", *(path.rpartition("/")[0] for path in files)}
    return layer_of_bytes(_folders(folders) + link + _files(files), compression)


def warmup_layer(records: bytes, *, compression: str = "gzip") -> tuple[bytes, Layer]:
    """The blob and the layer with the warm-up requests of a model that brings none."""
    path = f"{tar.MODEL_ROOT}/{WARMUP}"
    return layer_of_bytes(_folders({path.rpartition("/")[0]}) + _files({path: records}), compression)


def _folders(folders: set[str]) -> bytes:
    return b"".join(tar.folder_header(folder) for folder in tar.with_parents(folders))


def _files(files: dict[str, bytes]) -> bytes:
    return b"".join(
        tar.file_header(path, len(content)) + content + tar.padding(len(content))
        for path, content in files.items()
    )

"""The tiny layer that makes model layers version N of a model under a name, as TF Serving expects it.

`/models/<name>/<version>` is a link to where the model's files lie, so the same model layers serve under any
name and version; the warm-up requests are added to the model's own folder. Pure.
"""

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image import tar
from mmcicd_jenkins.image.descriptor import Layer
from mmcicd_jenkins.image.layer import layer_of_bytes
from mmcicd_jenkins.image.tree import why_not_a_path

# tensorflow/serving reads PredictionLog records from here before a version counts as loaded.
WARMUP_FOLDER = "assets.extra"
WARMUP_FILE = "tf_serving_warmup_requests"


def version_layer(
    model: str, version: int, warmup: bytes = b"", *, compression: str = "gzip"
) -> tuple[bytes, Layer]:
    """The blob and the layer that say: these files are `version` of `model`.

    Args:
        model: one path part, without `/`.
        version: a positive integer.
        warmup: the TFRecord of warm-up requests; empty = the model has its own or none.
        compression: as for the model's layers.

    Raises:
        InputError: name or version cannot be a folder that TF Serving reads.
    """
    if why_not_a_path(model) or "/" in model or version < 1:
        raise InputError(f"{model!r} version {version} cannot be a folder of TF Serving")
    # Relative, so that it also holds where the image is unpacked or mounted below another root.
    target = f"../../{tar.MODEL_ROOT}"
    folders = {tar.MODELS, f"{tar.MODELS}/{model}"}
    content = b""
    if warmup:
        folders.add(f"{tar.MODEL_ROOT}/{WARMUP_FOLDER}")
        path = f"{tar.MODEL_ROOT}/{WARMUP_FOLDER}/{WARMUP_FILE}"
        content = tar.file_header(path, len(warmup)) + warmup + tar.padding(len(warmup))
    link = tar.link_header(f"{tar.MODELS}/{model}/{version}", target)
    headers = b"".join(tar.folder_header(folder) for folder in tar.with_parents(folders))
    return layer_of_bytes(headers + link + content, compression)

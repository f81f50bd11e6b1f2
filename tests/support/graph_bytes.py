"""SavedModels written field by field, so that a test can say what no exporter would write."""

from pathlib import Path


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def entry(number, key, value):
    return field(number, field(1, key) + field(2, value))


def attribute(name, *, function=None, functions=(), text=None, nested=b""):
    value = b""
    if function is not None:
        value += field(10, field(1, function) + nested)
    if functions:
        value += field(1, b"".join(field(9, field(1, name)) for name in functions))
    if text is not None:
        value += field(2, text)
    return entry(5, name, value)


def node(name, operation, *inputs, attributes=b""):
    return field(1, name) + field(2, operation) + b"".join(field(3, i) for i in inputs) + attributes


def call(name, function, *inputs, operation="StatefulPartitionedCall"):
    return node(name, operation, *inputs, attributes=attribute("f", function=function))


def function(name, arguments, *nodes):
    signature = field(1, name) + b"".join(field(2, field(1, argument)) for argument in arguments)
    return field(1, signature) + b"".join(field(3, n) for n in nodes)


def tensors(number, names):
    return b"".join(entry(number, key, field(1, name)) for key, name in names.items())


def meta(nodes=(), functions=(), *, saver="", assets=None, signatures=None, main_op="", tags=("serve",)):
    library = field(2, b"".join(field(1, f) for f in functions)) if functions else b""
    content = field(1, b"".join(field(4, tag) for tag in tags))
    content += field(2, b"".join(field(1, n) for n in nodes) + library)
    if saver:
        content += field(3, field(1, saver))
    if main_op:
        content += entry(4, "saved_model_main_op", field(1, field(1, main_op)))
    for name, (inputs, outputs) in (signatures or {}).items():
        content += entry(5, name, tensors(1, inputs) + tensors(2, outputs))
    for tensor, file in (assets or {}).items():
        content += field(6, field(1, field(1, tensor)) + field(2, file))
    return content


def model(*metas):
    return b"".join(field(2, m) for m in metas)


def write(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(content)
    return folder


# What TensorFlow exports around the variables of a model.
SAVE = function(
    "save", ["file_prefix", "value"],
    node("part", "Const"), node("temp", "Const"), node("names", "Const"),
    node("is_s3", "StaticRegexFullMatch", "file_prefix"),
    node("Select", "Select", "is_s3:output:0", "part:output:0", "temp:output:0"),
    node("StringJoin", "StringJoin", "file_prefix", "Select:output:0"),
    node("Sharded", "ShardedFilename", "StringJoin:output:0", "part:output:0", "part:output:0"),
    node("SaveV2", "SaveV2", "Sharded:filename:0", "names:output:0", "names:output:0", "value"),
    node("prefixes", "Pack", "Sharded:filename:0", "^SaveV2"),
    node("Merge", "MergeV2Checkpoints", "prefixes:output:0", "file_prefix"),
)  # fmt: skip
RESTORE = function(
    "restore",
    ["file_prefix"],
    node("names", "Const"),
    node("RestoreV2", "RestoreV2", "file_prefix", "names:output:0", "names:output:0"),
)
TABLE = function(
    "initialise", ["path", "table"], node("Init", "InitializeTableFromTextFileV2", "table", "path")
)

"""What a SavedModel would do to whoever loads it: its files and every operation of every graph, without loading it.

An operation must be on the list of `release.operations`, or be allowed by the team; the saver's operations must touch
the model's own files alone (`graph_files`). Files that run when a program opens them have no place in a model.
Memory does not depend on the size of weights and constants, which are never read.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from mmcicd_jenkins.adapters.models import proto_wire as wire
from mmcicd_jenkins.adapters.models.graph_files import NAMES_OF_FILES, FileNames, origins
from mmcicd_jenkins.adapters.models.graph_wire import Body, Node, Place, graphs, last_text, nodes
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.operations import Concern, Operations, known

# Far above real models; a stop for what was made to take for ever.
MOST_NODES = 5_000_000
MOST_CONCERNS = 50
# By its end a file says what opens it: pickles and Python run, HDF5 and .keras hold layers of Python, the rest is native.
_PROGRAMS = re.compile(
    r"\.(pkl|pickle|joblib|dill|cloudpickle|pt|pth|keras|h5|hdf5|py|pyc|pyo|so|dll|dylib|sh|exe|jar)$",
    re.IGNORECASE,
)
_BEGINNINGS: Mapping[bytes, str] = {
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"\x7fELF": "a native program",
    b"#!": "a script",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
}
# TensorFlow's own files begin as they like, and nothing opens them as programs.
_OWN = re.compile(r"(saved_model\.pb|fingerprint\.pb|keras_metadata\.pb|variables/.*)")


def scan_model(directory: Path, allowed: Collection[str] = ()) -> tuple[Concern, ...]:
    """What does not belong into a model that a server loads, at most `MOST_CONCERNS`; () when all is well.

    Raises:
        InputError: saved_model.pb is missing or cannot be parsed.
    """
    concerns = [*_stray_files(directory)]
    path = directory / "saved_model.pb"
    try:
        with wire.mapped(path) as buffer:
            for concern in _program(buffer, known(), allowed):
                concerns.append(concern)
                if len(concerns) >= MOST_CONCERNS:
                    break
    except (OSError, ValueError) as e:
        raise InputError(
            "saved_model.pb cannot be read as a model",
            where=str(path),
            why=(e.strerror if isinstance(e, OSError) else None) or str(e),
            fix="export the model again; was the disk full?",
        ) from e
    return tuple(concerns)


def _stray_files(directory: Path) -> Iterator[Concern]:
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if _OWN.fullmatch(name) or path.is_symlink() or not path.is_file():
            continue
        kind = _kind(path)
        if kind:
            yield Concern(
                what=f"the model holds {kind}",
                where=name,
                why="it runs when a program opens it, and TensorFlow Serving does not need it",
            )


def _kind(path: Path) -> str:
    ending = _PROGRAMS.search(path.name)
    if ending:
        return f"a {ending[0]} file"
    with path.open("rb") as file:
        begin = file.read(16)
    return next((kind for magic, kind in _BEGINNINGS.items() if begin.startswith(magic)), "")


def _program(buffer: wire.Buffer, operations: Operations, allowed: Collection[str]) -> Iterator[Concern]:
    left = MOST_NODES
    for meta in wire.messages(buffer, (0, len(buffer)), 2):
        graph = _MetaGraph(buffer, operations, allowed)
        left = graph.read(meta, left)
        yield from graph.concerns()
        yield from _assets(buffer, meta)
        yield from graph.files(meta)


class _MetaGraph:
    """One meta graph: each operation once, with where it was first seen, and what needs a look at the whole."""

    def __init__(self, buffer: wire.Buffer, operations: Operations, allowed: Collection[str]) -> None:
        self._buffer = buffer
        self._operations = operations
        self._allowed = allowed
        self._bodies: dict[str, Body] = {}
        self._doubtful: dict[str, tuple[Node, Body, str]] = {}
        self._savers: list[tuple[Node, Body]] = []
        self._twice: set[str] = set()

    def read(self, meta: Place, left: int) -> int:
        """Look at every node; at most `left` of them. Returns how many more there may be."""
        for body in graphs(self._buffer, meta):
            if body.name in self._bodies:
                self._twice.add(body.name)
            self._bodies[body.name] = body
            for node in nodes(self._buffer, body):
                left -= 1
                if left < 0:
                    raise ValueError(f"it has more than {MOST_NODES:,} nodes")
                self._look(node, body)
        return left

    def _look(self, node: Node, body: Body) -> None:
        if node.operation in NAMES_OF_FILES and node.operation not in self._allowed:
            self._savers.append((node, body))
        else:
            self._doubt(node.operation, node, body)
        # What an attribute calls is a function, or an operation by its name.
        for _, called in node.calls:
            if called in self._operations.refused or called in NAMES_OF_FILES:
                self._doubt(called, node, body)

    def _doubt(self, operation: str, node: Node, body: Body) -> None:
        why = self._operations.why_not(operation, self._allowed)
        if why and operation not in self._doubtful:
            self._doubtful[operation] = (node, body, why)

    def concerns(self) -> Iterator[Concern]:
        """What is said of operations and functions by themselves."""
        for operation, (node, body, why) in self._doubtful.items():
            # An old way to call a function of the model is an operation of its name.
            if operation not in self._bodies or operation == "":
                yield _concern(operation, node, body, why)
        for name in sorted(self._bodies):
            if name and (not self._operations.why_not(name) or name in self._operations.refused):
                yield Concern(
                    what=f"a function has the name of the operation {name}",
                    where=f"function {name}",
                    why="who calls it cannot be told from who uses the operation",
                )
        for name in sorted(self._twice):
            yield Concern(
                what="the model has two functions of one name"
                if name
                else "the model has a graph in two parts",
                where=f"function {name}" if name else "the graph",
                why="it cannot be told which one runs",
            )

    def files(self, meta: Place) -> Iterator[Concern]:
        """What is said of the files that the graph reads and writes."""
        if not self._savers or self._twice:
            return
        names = FileNames(self._buffer, self._bodies, origins(self._buffer, meta))
        for node, body in self._savers:
            why = names.why_not(body, node)
            if why:
                yield _concern(node.operation, node, body, f"it reads or writes a file, and {why}")
        reached = names.reached()
        if reached:
            yield Concern(
                what="a request can make the model read or write its files",
                where=f"node {reached}",
                why="an output of a signature depends on it; only the server itself may load what was saved",
            )


def _concern(operation: str, node: Node, body: Body, why: str) -> Concern:
    return Concern(
        what=f"the model holds the operation {operation}",
        where=f"node {node.name}" + (f" of function {body.name}" if body.name else ""),
        why=why,
        operation=operation,
    )


def _assets(buffer: wire.Buffer, meta: Place) -> Iterator[Concern]:
    """A server reads each asset at `assets/NAME` of the model, wherever that leads."""
    for asset in wire.messages(buffer, meta, 6):
        name = last_text(buffer, asset, 2)
        if name.startswith("/") or ".." in name.split("/") or "\0" in name or "://" in name:
            yield Concern(
                what="an asset lies outside the model",
                where=f"asset {name!r}",
                why="a server would read it from there",
            )

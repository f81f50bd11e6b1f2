"""Whose files does a graph read and write? The saver's operations may touch the model's own files and no others.

The name of a file is followed back from the operation to where it comes from: the file name of the saver, which the
server sets, or an asset of the model. On the way it passes identities, the saver's own text operations, one variable
that nobody else writes, and arguments of functions, at each place that calls them. Anything else is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from mmcicd_jenkins.adapters.models import proto_wire as wire
from mmcicd_jenkins.adapters.models.graph_wire import Body, Node, Place, last_text, nodes, text_attribute
from mmcicd_jenkins.records import dataclass

# Which inputs of each operation name a file.
NAMES_OF_FILES: Mapping[str, tuple[int, ...]] = {
    "SaveV2": (0,),
    "RestoreV2": (0,),
    "MergeV2Checkpoints": (0, 1),
    "InitializeTableFromTextFileV2": (1,),
}
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_PASSES = frozenset({"Identity", "PlaceholderWithDefault"})
# The saver makes the names of shards by these from the one name that it was given.
_JOINS: Mapping[str, tuple[int, ...] | None] = {
    "StringJoin": None, "Pack": None, "Select": (1, 2), "SelectV2": (1, 2), "ShardedFilename": (0,)
}  # fmt: skip
_CONSTANTS = frozenset({"Const"})
_USES_OF_A_VARIABLE = frozenset(
    {"AssignVariableOp", "DisableCopyOnRead", "ReadVariableOp", "VarIsInitializedOp"}
)
# Collections of nodes that run when the model is loaded.
_RUN_FIRST = frozenset({"saved_model_main_op", "legacy_init_op", "saved_model_legacy_init_op"})
_LONGEST_WAY = 60


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Nodes of the graph that matter to whoever follows names of files.

    `saver` and `assets` are where names come from; `fed` and `fetched` what a request can set and ask for; `first`
    what a server runs when it loads the model.
    """

    saver: frozenset[str]
    assets: frozenset[str]
    fed: frozenset[str]
    fetched: frozenset[str]
    first: frozenset[str]


def origins(buffer: wire.Buffer, meta: Place) -> Origins:
    signatures = [(name.startswith("__"), place) for name, place in wire.mapping(buffer, meta, 5)]
    main = [
        node_of(wire.text(buffer, name))
        for key, collection in wire.mapping(buffer, meta, 4)
        if key in _RUN_FIRST
        for names in wire.messages(buffer, collection, 1)
        for name in wire.messages(buffer, names, 1)
    ]
    own = [name for is_own, place in signatures if is_own for name in _tensors(buffer, place, 2)]
    return Origins(
        saver=_named(last_text(buffer, saver, 1) for saver in wire.messages(buffer, meta, 3)),
        assets=_named(
            last_text(buffer, info, 1)
            for asset in wire.messages(buffer, meta, 6)
            for info in wire.messages(buffer, asset, 1)
        ),
        fed=_named(name for _, place in signatures for name in _tensors(buffer, place, 1)),
        fetched=_named(
            name for is_own, place in signatures if not is_own for name in _tensors(buffer, place, 2)
        ),
        first=_named([*main, *own]),
    )


def _named(tensors: Iterable[str]) -> frozenset[str]:
    return frozenset(map(node_of, tensors)) - {""}


def _tensors(buffer: wire.Buffer, signature: Place, field: int) -> Iterator[str]:
    for _, info in wire.mapping(buffer, signature, field):
        yield last_text(buffer, info, 1)
        for parts in wire.messages(buffer, info, 4):
            yield from (last_text(buffer, parts, number) for number in (1, 2, 3))
        for composite in wire.messages(buffer, info, 5):
            for part in wire.messages(buffer, composite, 2):
                yield last_text(buffer, part, 1)


def node_of(tensor: str) -> str:
    """`name:0`, `name:output:0` and `^name` are of the node `name`."""
    return tensor.removeprefix("^").partition(":")[0]


class FileNames:
    """The graphs of one meta graph, for following names of files."""

    def __init__(self, buffer: wire.Buffer, bodies: Mapping[str, Body], known: Origins) -> None:
        self._buffer = buffer
        self._bodies = bodies
        self._origins = known
        self._nodes: dict[str, dict[str, Node]] = {}
        self._judged: dict[tuple[str, str, str], str] = {}

    def why_not(self, body: Body, node: Node) -> str:
        """Why this operation may not stand here; "" when it touches the model's own files alone."""
        wanted = "assets" if node.operation == "InitializeTableFromTextFileV2" else "saver"
        data = [name for name in node.inputs if not name.startswith("^")]
        for number in NAMES_OF_FILES[node.operation]:
            if number >= len(data):
                return "it lacks the name of a file"
            why = self._follow(body.name, data[number], wanted, 0)
            if why:
                return why
        return ""

    def reached(self) -> str:
        """A node by which a request, or loading, sets the saver to work; "" when there is none.

        A request that reaches an asset's name would read it anew, by then with the name that the graph itself holds.
        """
        found = self._above(self._origins.fetched) & (self._origins.saver | self._origins.assets)
        found |= self._above(self._origins.first) & self._origins.saver
        return min(found, default="")

    def _above(self, names: Iterable[str]) -> set[str]:
        """These nodes of the graph and all on which they depend."""
        named, seen, left = self._named(""), set[str](), list(names)
        while left:
            name = left.pop()
            if name not in seen:
                seen.add(name)
                left += [node_of(tensor) for tensor in named[name].inputs] if name in named else []
        return seen

    def _follow(self, body: str, tensor: str, wanted: str, depth: int) -> str:
        """Why `tensor` is not a name of the model's own files; "" when it is."""
        key = (body, tensor, wanted)
        if key not in self._judged:
            # Whoever comes here again on the same way goes in a circle.
            self._judged[key] = "the name of its file comes from a loop"
            self._judged[key] = self._judge(body, tensor, wanted, depth)
        return self._judged[key]

    def _judge(self, body: str, tensor: str, wanted: str, depth: int) -> str:
        if depth > _LONGEST_WAY:
            return "the name of its file comes a longer way than can be followed"
        name = node_of(tensor)
        if not body and name in (self._origins.assets if wanted == "assets" else self._origins.saver):
            return "a request can set the name of its file" if name in self._origins.fed else ""
        if body and name in self._bodies[body].arguments:
            return self._argument(body, self._bodies[body].arguments.index(name), wanted, depth + 1)
        node = self._named(body).get(name)
        if node is None:
            return f"the name of its file comes from {name!r}, which is not there"
        return self._through(body, node, wanted, depth + 1)

    def _through(self, body: str, node: Node, wanted: str, depth: int) -> str:
        data = [name for name in node.inputs if not name.startswith("^")]
        if node.operation in _PASSES and data:
            return self._follow(body, data[0], wanted, depth)
        if node.operation in _JOINS and wanted == "saver":
            chosen = _JOINS[node.operation]
            return self._joined(
                body, data if chosen is None else [data[i] for i in chosen if i < len(data)], depth
            )
        if node.operation == "ReadVariableOp" and data:
            return self._variable(body, data[0], wanted, depth)
        return f"the name of its file comes from {node.operation} {node.name!r}"

    def _joined(self, body: str, parts: list[str], depth: int) -> str:
        """Texts put together: constants, and at least one name that the saver gave."""
        named = self._named(body)
        others = [part for part in parts if not self._is_constant(named, part, 0)]
        if not others:
            return "the name of its file is a constant"
        return next(filter(None, (self._follow(body, part, "saver", depth) for part in others)), "")

    def _is_constant(self, named: Mapping[str, Node], tensor: str, depth: int) -> bool:
        node = named.get(node_of(tensor))
        if node is None or depth > _LONGEST_WAY:
            return False
        if node.operation in _CONSTANTS:
            return True
        if node.operation in {"Select", "SelectV2"} and len(node.inputs) >= 3:
            return all(self._is_constant(named, part, depth + 1) for part in node.inputs[1:3])
        return False

    def _variable(self, body: str, handle: str, wanted: str, depth: int) -> str:
        """A variable that holds the name of an asset: TensorFlow exports one where Python kept the asset in it."""
        name = node_of(handle)
        node = self._named(body).get(name)
        if node is None or node.operation != "VarHandleOp" or not self._is_single(node):
            return f"the name of its file comes from the variable {name!r}, which others may write"
        assigned = False
        for user in self._named(body).values():
            data = [node_of(i) for i in user.inputs if not i.startswith("^")]
            if name not in data:
                continue
            if user.operation not in _USES_OF_A_VARIABLE or data.index(name) != 0 or data.count(name) > 1:
                return f"the name of its file comes from the variable {name!r}, which {user.name!r} may write"
            if user.operation == "AssignVariableOp":
                assigned = True
                why = (
                    self._follow(body, user.inputs[1], wanted, depth) if len(data) > 1 else "it lacks a value"
                )
                if why:
                    return why
        return "" if assigned else f"the name of its file comes from the variable {name!r}, which nobody sets"

    def _is_single(self, node: Node) -> bool:
        """Two handles of one shared name are one variable."""
        return self._handles.get(text_attribute(self._buffer, node, "shared_name") or node.name, 0) == 1

    @cached_property
    def _handles(self) -> Mapping[str, int]:
        count: dict[str, int] = {}
        for body in self._bodies.values():
            for node in nodes(self._buffer, body):
                if node.operation in {"VarHandleOp", "_VarHandlesOp"}:
                    shared = text_attribute(self._buffer, node, "shared_name") or node.name
                    count[shared] = count.get(shared, 0) + 1
        return count

    def _argument(self, function: str, number: int, wanted: str, depth: int) -> str:
        """What each caller gives. A function that nobody calls cannot run."""
        for body, caller in self._callers.get(function, ()):
            data = [name for name in caller.inputs if not name.startswith("^")]
            if caller.operation not in _CALLS | {function}:
                return f"{caller.operation} {caller.name!r} calls the function {function} that holds it"
            if number >= len(data):
                return f"{caller.name!r} gives the function {function} no name of a file"
            why = self._follow(body, data[number], wanted, depth)
            if why:
                return why
        return ""

    @cached_property
    def _callers(self) -> Mapping[str, list[tuple[str, Node]]]:
        found: dict[str, list[tuple[str, Node]]] = {}
        for body in self._bodies.values():
            for node in nodes(self._buffer, body):
                called = {name for _, name in node.calls}
                if node.operation in self._bodies:
                    called.add(node.operation)
                for name in called:
                    found.setdefault(name, []).append((body.name, node))
        return found

    def _named(self, body: str) -> Mapping[str, Node]:
        if body not in self._nodes:
            self._nodes[body] = {node.name: node for node in nodes(self._buffer, self._bodies[body])}
        return self._nodes[body]

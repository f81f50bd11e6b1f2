"""The graphs of a SavedModel on the wire: nodes, functions, who calls whom. Nothing is decoded that nobody asks for.

Field numbers are those of meta_graph.proto, graph.proto, function.proto, node_def.proto and attr_value.proto of
TensorFlow. A parser of protocol buffers joins a message that stands twice, so every occurrence is looked at.
"""

import sys
from collections.abc import Iterator

from mmcicd_jenkins.adapters.models import proto_wire as wire
from mmcicd_jenkins.records import dataclass

Place = tuple[int, int]

# TensorFlow nests functions as values of attributes two or three deep; a hostile file may nest them for ever.
MOST_NESTED = 32
_SHORT = 512
# Field and wire type, as one byte: `func` of a value, and of a list of values.
_FUNCTION, _LISTED_FUNCTION = bytes([10 << 3 | 2]), bytes([9 << 3 | 2])


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node. `inputs` as written (`name:0`, `^name` for control); `calls` are functions named by attributes."""

    name: str
    operation: str
    inputs: tuple[str, ...]
    calls: tuple[tuple[str, str], ...]
    place: Place


@dataclass(frozen=True, kw_only=True)
class Body:
    """A graph or a function: where its nodes are. `name` is "" for the graph itself."""

    name: str
    arguments: tuple[str, ...]
    place: Place
    field: int


def graphs(buffer: wire.Buffer, meta: Place) -> Iterator[Body]:
    """The graph of a meta graph, then each function of its library."""
    for graph in wire.messages(buffer, meta, 2):
        yield Body(name="", arguments=(), place=graph, field=1)
        for library in wire.messages(buffer, graph, 2):
            for function in wire.messages(buffer, library, 1):
                yield _function(buffer, function)


def _function(buffer: wire.Buffer, place: Place) -> Body:
    name, arguments = "", []
    for signature in wire.messages(buffer, place, 1):
        name = last_text(buffer, signature, 1) or name
        arguments += [last_text(buffer, arg, 1) for arg in wire.messages(buffer, signature, 2)]
    return Body(name=name, arguments=tuple(arguments), place=place, field=3)


def nodes(buffer: wire.Buffer, body: Body) -> Iterator[Node]:
    for place in wire.messages(buffer, body.place, body.field):
        yield _node(buffer, place)


def _node(buffer: wire.Buffer, place: Place) -> Node:
    name = operation = ""
    inputs: list[str] = []
    calls: list[tuple[str, str]] = []
    for number, value in wire.fields(buffer, *place):
        if number not in {1, 2, 3, 5}:
            continue
        if isinstance(value, int):
            raise ValueError(f"field {number} of a node is a number")  # noqa: TRY004  a file, not an argument
        if number == 1:
            name = wire.text(buffer, value)
        elif number == 2:
            operation = sys.intern(wire.text(buffer, value))
        elif number == 3:
            inputs.append(wire.text(buffer, value))
        elif _may_name_a_function(buffer, value):
            calls += _called_by_entry(buffer, value, 0)
    return Node(name=name, operation=operation, inputs=tuple(inputs), calls=tuple(calls), place=place)


def _may_name_a_function(buffer: wire.Buffer, entry: Place) -> bool:
    """Whether the tags of such fields stand anywhere in it; a short attribute is searched faster than it is read."""
    start, end = entry
    if end - start > _SHORT:
        return True
    content = bytes(buffer[start:end])
    return _FUNCTION in content or _LISTED_FUNCTION in content


def _called_by_entry(buffer: wire.Buffer, entry: Place, depth: int) -> Iterator[tuple[str, str]]:
    """The functions that one attribute names, with the attribute's name."""
    if depth > MOST_NESTED:
        raise ValueError(f"attributes are nested more than {MOST_NESTED} deep")
    key = ""
    values: list[Place] = []
    for number, found in wire.fields(buffer, *entry):
        if isinstance(found, int):
            continue
        if number == 1:
            key = wire.text(buffer, found)
        elif number == 2:
            values.append(found)
    for value in values:
        for function in _functions(buffer, value):
            yield key, last_text(buffer, function, 1)
            for nested in wire.messages(buffer, function, 2):
                yield from _called_by_entry(buffer, nested, depth + 1)


def _functions(buffer: wire.Buffer, value: Place) -> Iterator[Place]:
    for number, found in wire.fields(buffer, *value):
        if isinstance(found, int):
            continue
        if number == 10:
            yield found
        elif number == 1:
            yield from wire.messages(buffer, found, 9)


def text_attribute(buffer: wire.Buffer, node: Node, name: str) -> str:
    """The value of a text attribute; "" when the node has none."""
    found = ""
    for key, value in wire.mapping(buffer, node.place, 5):
        if key == name:
            found = last_text(buffer, value, 2)
    return found


def last_text(buffer: wire.Buffer, place: Place, number: int) -> str:
    """A text field; the last one counts."""
    found = ""
    for text in wire.messages(buffer, place, number):
        found = wire.text(buffer, text)
    return found

"""The syntax tree, as far as the rules need it: calls with named arguments, blocks, strings with what they
interpolate, operators. What has no node of its own is a `Compound` of its children. Pure data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """Part of a file from `start` to `end`, offsets in the decoded text."""

    start: int
    end: int

    def children(self) -> "Sequence[Node]":
        return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Name(Node):
    id: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constant(Node):
    """A number, a word such as `true`, or a string without interpolation. `quote` is "" for what is no string."""

    value: object
    quote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GString(Node):
    """A string that interpolates: texts and expressions in their order."""

    parts: Sequence[str | Node]
    quote: str

    def children(self) -> Sequence[Node]:
        return [part for part in self.parts if isinstance(part, Node)]

    @property
    def words(self) -> str:
        """What is certain of the text; a NUL stands for each value."""
        return "".join(part if isinstance(part, str) else "\0" for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Property(Node):
    target: Node
    name: str

    def children(self) -> Sequence[Node]:
        return [self.target]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Argument(Node):
    """One argument, or one entry of a map. `name` is None where it has no name that is known."""

    name: str | None
    value: Node

    def children(self) -> Sequence[Node]:
        return [self.value]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block(Node):
    """`{ ... }`: a closure or a block of code, or a whole file."""

    statements: Sequence[Node]
    parameters: Sequence[str] = ()

    def children(self) -> Sequence[Node]:
        return self.statements


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call(Node):
    """`name(...) { }`, with or without parentheses. `name` is "" when something else than a name is called."""

    target: Node | None
    name: str
    arguments: Sequence[Argument]

    def children(self) -> Sequence[Node]:
        return [*([self.target] if self.target else []), *self.arguments]

    @property
    def block(self) -> Block | None:
        """The closure at the end."""
        last = self.arguments[-1].value if self.arguments else None
        return last if isinstance(last, Block) else None

    @property
    def positional(self) -> Sequence[Node]:
        return [a.value for a in self.arguments if a.name is None and not isinstance(a.value, Block)]

    def named(self, name: str) -> Node | None:
        return next((a.value for a in self.arguments if a.name == name), None)

    def value(self, name: str) -> Node | None:
        """The argument of that name, or the first without a name."""
        found = self.named(name)
        return found if found is not None or not self.positional else self.positional[0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation(Node):
    """An operator and its operands; assignments too."""

    operator: str
    operands: Sequence[Node]

    def children(self) -> Sequence[Node]:
        return self.operands


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collection(Node):
    """A list or a map; the entries of a list have no names."""

    entries: Sequence[Argument]
    is_map: bool = False

    def children(self) -> Sequence[Node]:
        return self.entries

    def named(self, name: str) -> Node | None:
        return next((entry.value for entry in self.entries if entry.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Declaration(Node):
    """`def x = value`, `int x = value`, `def (a, b) = value`."""

    names: Sequence[str]
    value: Node | None

    def children(self) -> Sequence[Node]:
        return [self.value] if self.value else []


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compound(Node):
    """`if`, `for`, a method, a class, an import ...: a keyword and what is inside."""

    keyword: str
    parts: Sequence[Node] = ()

    def children(self) -> Sequence[Node]:
        return self.parts


def walk(*roots: Node) -> Iterator[Node]:
    """Every node, a parent before its children, in the order of the text. Not recursive: chains may be long."""
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children()))


def calls(*roots: Node) -> Iterator[Call]:
    return (node for node in walk(*roots) if isinstance(node, Call))


def text_of(node: Node | None) -> str | None:
    """The text of a string without interpolation, else None."""
    return node.value if isinstance(node, Constant) and node.quote and isinstance(node.value, str) else None


def is_true(node: Node | None) -> bool:
    return isinstance(node, Constant) and node.value is True


# A chain longer than this is no variable of Jenkins, and rules ask for the path of every part of it.
_LONGEST_PATH = 12


def path_of(node: Node | None) -> str:
    """`env.BRANCH_NAME` of such a chain of names, with `env['X']` and `env.get('X')` read the same; else ""."""
    names: list[str] = []
    while not isinstance(node, Name):
        if len(names) > _LONGEST_PATH:
            return ""
        if isinstance(node, Property):
            names.append(node.name)
            node = node.target
        elif isinstance(node, Operation) and node.operator == "[]" and len(node.operands) == 2:
            names.append(text_of(node.operands[1]) or "?")
            node = node.operands[0]
        else:
            return ""
    return ".".join([node.id, *reversed(names)])


@dataclass(frozen=True, slots=True)
class Span:
    """Where a finding points."""

    start: int
    end: int

    @classmethod
    def of(cls, node: Node) -> Self:
        return cls(node.start, node.end)

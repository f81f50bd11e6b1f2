"""Expressions: operators by precedence, calls with and without parentheses, with closures behind them.

Stands on `values` and below `parser`. Depth is bounded, so that no file makes it recurse without end; what is deeper
is told and passed over.
"""

from collections.abc import Sequence

from mmcicd_jenkins.lint.cursor import DEEPEST
from mmcicd_jenkins.lint.tree import (
    Argument,
    Call,
    Compound,
    Constant,
    Name,
    Node,
    Operation,
    Property,
)
from mmcicd_jenkins.lint.values import Values

_PRECEDENCE = {
    operator: level
    for level, operators in enumerate(
        (
            "= += -= *= /= %= **= <<= >>= >>>= &= ^= |=", "? ?:", "||", "&&", "|", "^", "&",
            "== != === !== <=> =~ ==~", "< <= > >= in !in instanceof as", "<< >> >>> .. ..<", "+ -", "* / %", "**",
        ),
        start=1,
    )
    for operator in operators.split()
}  # fmt: skip
_ASSIGNING, _CHOOSING = 1, 2
_NAVIGATION = {".", "?.", "*.", ".&", ".@", "*.@"}
_PREFIX = {"!", "-", "+", "~", "++", "--", "*", "&"}
_OPERATOR_WORDS = {"in", "as", "instanceof"}


class Expressions(Values):
    def expression(self, level: int = _ASSIGNING, *, is_statement: bool = False) -> Node:
        """An expression whose operators bind at least as `level`."""
        if self.depth >= DEEPEST:
            return self.too_deep()
        self.depth += 2
        try:
            left = self._unary(is_statement=is_statement)
            while (operator := self._operator()) and _PRECEDENCE[operator] >= level:
                left = self._operation(left, operator)
            return left
        finally:
            self.depth -= 2

    def too_deep(self) -> Node:
        """Pass over what is too deep, to the bracket that ends it."""
        first = self.token
        if not any(t.what.startswith("nested deeper") for t in self.troubles):
            self.trouble(first, "nested deeper than can be followed", "move parts into functions")
        depth = 0
        while self.token.kind != "end":
            if self.is_operator("(", "[", "{"):
                depth += 1
            elif self.is_operator(")", "]", "}"):
                if not depth:
                    break
                depth -= 1
            self.advance()
        return Compound(start=first.start, end=max(first.start, self.last_end), keyword="?")

    def _operator(self) -> str:
        token = self.token
        if token.kind == "newline":
            # Only a choice may go on at the beginning of a line.
            at = self.position
            while self.peek(at).kind == "newline":
                at += 1
            if self.peek(at).kind == "operator" and self.peek(at).text in {"?", "?:"}:
                self.position = at
                return self.token.text
            return ""
        if token.kind == "name":
            return token.text if token.text in _OPERATOR_WORDS else ""
        if token.kind == "operator" and token.text == "!" and self.following().text in {"in", "instanceof"}:
            return "!in"
        return token.text if token.kind == "operator" and token.text in _PRECEDENCE else ""

    def _operation(self, left: Node, operator: str) -> Node:
        self.advance()
        if operator == "!in":
            self.advance()
        self.skip_newlines()
        level = _PRECEDENCE[operator]
        if operator == "?":
            return self._choice(left)
        # Assignments and `?:` group from the right; a value assigned may be a call without parentheses.
        right = self.expression(level if level <= _CHOOSING else level + 1, is_statement=level == _ASSIGNING)
        return Operation(start=left.start, end=right.end, operator=operator, operands=[left, right])

    def _choice(self, condition: Node) -> Node:
        first = self.expression(_CHOOSING)
        self.skip_newlines()
        operands = [condition, first]
        if self.is_operator(":"):
            self.advance()
            self.skip_newlines()
            operands.append(self.expression(_CHOOSING))
        return Operation(start=condition.start, end=self.last_end, operator="?:", operands=operands)

    def _unary(self, *, is_statement: bool) -> Node:
        first = self.token
        prefixes = []
        while self.token.kind == "operator" and self.token.text in _PREFIX:
            prefixes.append(self.advance().text)
            self.skip_newlines()
        value = self.postfix(is_statement=is_statement and not prefixes)
        if not prefixes:
            return value
        return Operation(start=first.start, end=value.end, operator=prefixes[-1], operands=[value])

    def postfix(self, *, is_statement: bool) -> Node:
        value = self.primary()
        while True:
            if self._navigates():
                value = self._property(value)
            elif self.is_operator("(") and not isinstance(value, Constant):
                value = self._call(value)
            elif self.is_operator("["):
                value = self._index(value)
            elif self.is_operator("{") and isinstance(value, Name | Property | Call):
                value = self._with_closure(value)
            elif self.is_operator("++", "--"):
                self.advance()
            elif is_statement and isinstance(value, Name | Property) and self.begins_argument():
                value = self._command(value)
            else:
                return value

    def _navigates(self) -> bool:
        at = self.position
        while self.peek(at).kind == "newline":
            at += 1
        token = self.peek(at)
        if token.kind != "operator" or token.text not in _NAVIGATION:
            return False
        self.position = at
        return True

    def _property(self, target: Node) -> Node:
        self.advance()
        self.skip_newlines()
        name = ""
        if self.token.kind == "name":
            name = self.advance().text
        elif self.token.kind == "string":
            string = self._string(self.advance())
            name = str(string.value) if isinstance(string, Constant) else ""
        return Property(start=target.start, end=self.last_end, target=target, name=name)

    def _index(self, target: Node) -> Node:
        entries = self.entries("]")
        operands = [target, *(entry.value for entry in entries)]
        return Operation(start=target.start, end=self.last_end, operator="[]", operands=operands)

    def _call(self, callee: Node) -> Call:
        return self._made(callee, self.entries(")"))

    def _made(self, callee: Node, arguments: Sequence[Argument]) -> Call:
        target, name = _callee(callee)
        return Call(start=callee.start, end=self.last_end, target=target, name=name, arguments=arguments)

    def _with_closure(self, callee: Node) -> Call:
        block = self.block()
        argument = Argument(start=block.start, end=block.end, name=None, value=block)
        if isinstance(callee, Call) and callee.block is None:
            return Call(
                start=callee.start, end=block.end, target=callee.target, name=callee.name,
                arguments=[*callee.arguments, argument],
            )  # fmt: skip
        return self._made(callee, [argument])

    def _command(self, callee: Node) -> Call:
        """A call without parentheses: arguments to the end of the line, or beyond a comma."""
        arguments = [self._argument()]
        while self.is_operator(","):
            self.advance()
            self.skip_newlines()
            arguments.append(self._argument())
        return self._made(callee, arguments)


def _callee(node: Node) -> tuple[Node | None, str]:
    if isinstance(node, Name):
        return None, node.id
    if isinstance(node, Property):
        return node.target, node.name
    return node, ""

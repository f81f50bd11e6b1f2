"""Expressions: operators by precedence, calls with and without parentheses, closures, literals.

`Expressions` is the lower half of the parser; it asks the upper half (`parser`) for statements. Depth is bounded,
so that no file makes it recurse without end; what is deeper is told and passed over.
"""

from collections.abc import Sequence

from mmcicd_jenkins.lint.cursor import Cursor
from mmcicd_jenkins.lint.tokens import DEEPEST, Token
from mmcicd_jenkins.lint.tree import (
    Argument,
    Block,
    Call,
    Collection,
    Compound,
    Constant,
    GString,
    Name,
    Node,
    Operation,
    Property,
)

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
_WORDS = {"true": True, "false": False, "null": None}
_NAVIGATION = {".", "?.", "*.", ".&", ".@", "*.@"}
_PREFIX = {"!", "-", "+", "~", "++", "--", "*", "&"}
_OPERATOR_WORDS = {"in", "as", "instanceof"}
# Words that cannot be the first argument of a call without parentheses.
_NO_ARGUMENT = {*_OPERATOR_WORDS, "else", "catch", "finally", "while"}


class Expressions(Cursor):
    def statements(self, closing: str) -> list[Node]:
        raise NotImplementedError

    def declares(self) -> bool:
        raise NotImplementedError

    def statement(self) -> Node:
        raise NotImplementedError

    def fork(self, tokens: Sequence[Token]) -> "Expressions":
        raise NotImplementedError

    def expression(self, level: int = _ASSIGNING, *, is_statement: bool = False) -> Node:
        """An expression whose operators bind at least as `level`."""
        if self.depth >= DEEPEST:
            return self._too_deep()
        self.depth += 1
        try:
            left = self._unary(is_statement=is_statement)
            while (operator := self._operator()) and _PRECEDENCE[operator] >= level:
                left = self._operation(left, operator)
            return left
        finally:
            self.depth -= 1

    def _too_deep(self) -> Node:
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
        value = self._postfix(is_statement=is_statement and not prefixes)
        if not prefixes:
            return value
        return Operation(start=first.start, end=value.end, operator=prefixes[-1], operands=[value])

    def _postfix(self, *, is_statement: bool) -> Node:
        value = self._primary()
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
            elif is_statement and isinstance(value, Name | Property) and self._begins_argument():
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
        entries = self._entries("]")
        operands = [target, *(entry.value for entry in entries)]
        return Operation(start=target.start, end=self.last_end, operator="[]", operands=operands)

    def _call(self, callee: Node) -> Call:
        return self._made(callee, self._entries(")"))

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

    def _begins_argument(self) -> bool:
        token = self.token
        if token.kind in {"string", "number"}:
            return True
        return token.kind == "name" and token.text not in _NO_ARGUMENT

    def _command(self, callee: Node) -> Call:
        """A call without parentheses: arguments to the end of the line, or beyond a comma."""
        arguments = [self._argument()]
        while self.is_operator(","):
            self.advance()
            self.skip_newlines()
            arguments.append(self._argument())
        return self._made(callee, arguments)

    def _argument(self) -> Argument:
        start = self.token.start
        name = None
        if self.token.kind in {"name", "string", "number"} and self.is_following(":"):
            token = self.advance()
            name = _key(token)
            self.advance()
            self.skip_newlines()
        elif self.is_operator("*") and self.is_following(":"):
            self.advance()
            self.advance()
        value = self.expression()
        if self.is_operator(":"):  # `[(key): value]`
            self.advance()
            self.skip_newlines()
            value = self.expression()
            name = "?"
        return Argument(start=start, end=max(start, self.last_end), name=name, value=value)

    def _entries(self, closing: str) -> list[Argument]:
        """Arguments or entries between brackets; the opening one is here."""
        opening = self.advance()
        found: list[Argument] = []
        while True:
            while self.is_operator(",", ";") or self.at_newline():
                self.advance()
            if self.is_operator(closing):
                self.advance()
                return found
            if self.token.kind == "end" or self.is_operator(")", "]", "}"):
                self.trouble(opening, f"{opening.text} is never closed", f"close it with {closing}")
                return found
            if self.is_operator(":"):  # `[:]`
                self.advance()
                continue
            before = self.position
            if self.declares():
                value = self.statement()
                found.append(Argument(start=value.start, end=value.end, name=None, value=value))
            else:
                found.append(self._argument())
            if self.position == before:
                self.advance()

    def parenthesised(self) -> list[Node]:
        return [entry.value for entry in self._entries(")")]

    def block(self) -> Block:
        opening = self.advance()
        if self.depth >= DEEPEST:
            self._too_deep()
            statements: list[Node] = []
            parameters: list[str] = []
        else:
            self.depth += 1
            parameters = self._parameters()
            statements = self.statements("}")
            self.depth -= 1
        if self.is_operator("}"):
            self.advance()
        else:
            self.trouble(opening, "{ is never closed", "close it with }")
        return Block(start=opening.start, end=self.last_end, statements=statements, parameters=parameters)

    def _parameters(self) -> list[str]:
        """The names before `->`; nothing is consumed when there is no arrow."""
        at = self.position
        names: list[str] = []
        while self.peek(at).kind in {"name", "newline", "string", "number"} or self.peek(at).text in {
            ",", "<", ">", ".", "=", "[", "]", "?",
        }:  # fmt: skip
            if self.peek(at).kind == "name":
                names.append(self.peek(at).text)
            at += 1
        if self.peek(at).text != "->":
            return []
        self.position = at + 1
        return names

    def _primary(self) -> Node:
        token = self.token
        if token.kind == "string":
            return self._string(self.advance())
        if token.kind == "number":
            self.advance()
            return Constant(start=token.start, end=token.end, value=_number(token.text))
        if token.kind == "name":
            return self._word()
        if self.is_operator("("):
            return self._group()
        if self.is_operator("["):
            entries = self._entries("]")
            is_map = any(entry.name is not None for entry in entries)
            return Collection(start=token.start, end=self.last_end, entries=entries, is_map=is_map)
        if self.is_operator("{"):
            return self.block()
        if not self.is_operator(")", "]", "}", ",", ";", ":") and token.kind not in {"end", "newline"}:
            self.advance()
        return Compound(start=token.start, end=token.end, keyword="?")

    def _word(self) -> Node:
        token = self.advance()
        if token.text in _WORDS:
            return Constant(start=token.start, end=token.end, value=_WORDS[token.text])
        if token.text == "new" and self.token.kind == "name":
            at = self.after_type(self.position)
            names = [self.peek(n).text for n in range(self.position, at or self.position)]
            self.position = at or self.position
            return Name(start=token.start, end=self.last_end, id="new " + "".join(names).split("<")[0])
        return Name(start=token.start, end=token.end, id=token.text)

    def _group(self) -> Node:
        """Parentheses, or a cast: `(int) x`."""
        start = self.token.start
        entries = self._entries(")")
        if len(entries) == 1 and isinstance(entries[0].value, Name | Property) and self._begins_argument():
            value = self._postfix(is_statement=False)
            return Operation(start=start, end=value.end, operator="as", operands=[value])
        parts = [entry.value for entry in entries]
        return (
            parts[0]
            if len(parts) == 1
            else Compound(start=start, end=self.last_end, keyword="()", parts=parts)
        )

    def _string(self, token: Token) -> Node:
        parts: list[str | Node] = []
        for part in token.parts:
            if isinstance(part, str):
                parts.append(part)
                continue
            inner = self.fork(part)
            statements = inner.statements("")
            parts.append(
                statements[0]
                if len(statements) == 1
                else Compound(start=token.start, end=token.end, keyword="?", parts=statements)
            )
        if all(isinstance(part, str) for part in parts):
            return Constant(
                start=token.start, end=token.end, value="".join(map(str, parts)), quote=token.quote
            )
        return GString(start=token.start, end=token.end, parts=parts, quote=token.quote)


def _callee(node: Node) -> tuple[Node | None, str]:
    if isinstance(node, Name):
        return None, node.id
    if isinstance(node, Property):
        return node.target, node.name
    return node, ""


def _key(token: Token) -> str:
    if token.kind != "string":
        return token.text
    return "".join(part if isinstance(part, str) else "?" for part in token.parts)


def _number(text: str) -> int | str:
    digits = text.replace("_", "").rstrip("gGlLiI")
    return int(digits) if digits.isdecimal() and len(digits) < 20 else text

"""Values: literals, strings with what they interpolate, lists, maps, closures, what stands between brackets.

`Values` is the lowest part of the parser; it asks the upper ones (`expressions`, `parser`) for what is inside.
"""

from collections.abc import Sequence

from mmcicd_jenkins.lint.cursor import Cursor
from mmcicd_jenkins.lint.tokens import Token
from mmcicd_jenkins.lint.tree import (
    Argument,
    Block,
    Collection,
    Compound,
    Constant,
    GString,
    Name,
    Node,
    Operation,
    Property,
)

_WORDS = {"true": True, "false": False, "null": None}
# Words that cannot be the first argument of a call without parentheses.
_NO_ARGUMENT = {"in", "as", "instanceof", "else", "catch", "finally", "while"}


class Values(Cursor):
    def statements(self, closing: str) -> list[Node]:
        raise NotImplementedError

    def declares(self) -> bool:
        raise NotImplementedError

    def statement(self) -> Node:
        raise NotImplementedError

    def expression(self, level: int = 1, *, is_statement: bool = False) -> Node:
        raise NotImplementedError

    def postfix(self, *, is_statement: bool) -> Node:
        raise NotImplementedError

    def too_deep(self) -> Node:
        raise NotImplementedError

    def fork(self, tokens: Sequence[Token]) -> "Values":
        raise NotImplementedError

    def begins_argument(self) -> bool:
        token = self.token
        if token.kind in {"string", "number"}:
            return True
        return token.kind == "name" and token.text not in _NO_ARGUMENT

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

    def entries(self, closing: str) -> list[Argument]:
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
        return [entry.value for entry in self.entries(")")]

    def block(self) -> Block:
        opening = self.advance()
        parameters = self._parameters()
        statements = self.statements("}")
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

    def primary(self) -> Node:
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
            entries = self.entries("]")
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
        entries = self.entries(")")
        if len(entries) == 1 and isinstance(entries[0].value, Name | Property) and self.begins_argument():
            value = self.postfix(is_statement=False)
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


def _key(token: Token) -> str:
    if token.kind != "string":
        return token.text
    return "".join(part if isinstance(part, str) else "?" for part in token.parts)


def _number(text: str) -> int | str:
    digits = text.replace("_", "").rstrip("gGlLiI")
    return int(digits) if digits.isdecimal() and len(digits) < 20 else text

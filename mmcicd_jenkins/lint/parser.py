"""Tokens to a tree: statements and what belongs to them. Expressions are in `expressions`.

Tolerant: what it does not know it passes over, so that one strange line does not hide the rest. It tells only
what is certainly wrong in Groovy 2.4: a bracket without its partner, a second statement on a line.
"""

from collections.abc import Sequence

from mmcicd_jenkins.lint.cursor import DEEPEST
from mmcicd_jenkins.lint.expressions import Expressions
from mmcicd_jenkins.lint.tokens import Lexed, Token, lex
from mmcicd_jenkins.lint.tree import Argument, Block, Compound, Declaration, Node

_TYPES = {"def", "final", "int", "long", "boolean", "double", "float", "void", "byte", "char", "short", "var",
          "private", "public", "protected", "static", "abstract", "synchronized"}  # fmt: skip
_CONTROL = {"if", "while", "for", "switch", "synchronized", "catch"}
_HEADLESS = {"try", "finally", "else", "do"}
# Words that go on with the statement before them, and statements behind which another may stand on the same line.
_GOES_ON = {"else", "catch", "finally", "while"}
_OPEN_ENDED = {"case", "default", "@"}
_ONE_VALUE = {"return", "throw", "assert"}
_KINDS = {"class", "interface", "enum", "trait"}


def parse(text: str) -> tuple[Block, Lexed]:
    """The tree of a file, with its comments and troubles. Takes decoded text, never raises."""
    lexed = lex(text)
    parser = _Parser(lexed.tokens, lexed.troubles)
    statements = parser.statements("")
    return Block(start=0, end=len(text), statements=statements), lexed


class _Parser(Expressions):
    def fork(self, tokens: Sequence[Token]) -> "_Parser":
        parser = _Parser(tokens, self.troubles)
        parser.depth = self.depth
        return parser

    def statements(self, closing: str) -> list[Node]:
        """Statements up to `closing`, or to the end of the file."""
        found: list[Node] = []
        while True:
            while self.at_newline() or self.is_operator(";"):
                self.advance()
            if self.token.kind == "end" or (closing and self.is_operator(closing)):
                return found
            before = self.position
            if self.is_operator(")", "]", "}"):
                self.trouble(self.token, f"{self.token.text} closes nothing", "take it out")
                self.advance()
                continue
            statement = self.statement()
            found.append(statement)
            if not (isinstance(statement, Compound) and statement.keyword in _OPEN_ENDED):
                self._end_of_statement()
            if self.position == before:
                self.advance()

    def _end_of_statement(self) -> None:
        if self.token.kind in {"newline", "end"} or self.is_operator(";", "}", ")", "]"):
            return
        if self.token.text in _GOES_ON:
            return
        if self.token.kind == "name" or self.is_operator("{"):
            self.trouble(
                self.token,
                f"{self.token.text!r} begins a second statement on this line",
                "begin it on a line of its own",
                rule="one-per-line",
            )

    def statement(self) -> Node:
        if self.depth >= DEEPEST:
            return self.too_deep()
        self.depth += 1
        try:
            return self._statement()
        finally:
            self.depth -= 1

    def _statement(self) -> Node:
        start = self.token.start
        if self.is_operator("@"):
            return self._annotation(start)
        if self.token.kind == "name" and not self.is_following("."):
            word = self.token.text
            if word in _CONTROL and self.is_following("("):
                return self._controlled(word, start)
            if word in _HEADLESS:
                self.advance()
                self.skip_newlines()
                return self._compound(word, start, [self.block_or_statement()])
            if word in _ONE_VALUE:
                self.advance()
                empty = self.token.kind in {"newline", "end"} or self.is_operator(";", "}")
                return self._compound(word, start, [] if empty else [self.expression(is_statement=True)])
            if word in {"import", "package", "break", "continue"}:
                return self._rest_of_line(word, start)
            if word in _KINDS and self.following().kind == "name":
                return self._kind(word, start)
            if word in {"case", "default"} and (word == "case" or self.is_following(":")):
                return self._case(word, start)
            if self.declares():
                return self._declaration(start)
        if self.is_operator("{"):
            return self.block()
        return self.expression(is_statement=True)

    def block_or_statement(self) -> Node:
        return self.block() if self.is_operator("{") else self.statement()

    def _compound(self, keyword: str, start: int, parts: Sequence[Node]) -> Compound:
        return Compound(start=start, end=self.last_end, keyword=keyword, parts=parts)

    def _controlled(self, word: str, start: int) -> Compound:
        """`if (...) ...`, with its `else`."""
        self.advance()
        parts: list[Node] = list(self.parenthesised())
        self.skip_newlines()
        if self.token.kind != "end" and not self.is_operator(";", "}", ")"):
            parts.append(self.block_or_statement())
        if word == "if" and self.next_word() == "else":
            self.skip_newlines()
            self._skip_semicolon()
            self.advance()
            self.skip_newlines()
            parts.append(self.block_or_statement())
        return self._compound(word, start, parts)

    def _skip_semicolon(self) -> None:
        if self.is_operator(";"):
            self.advance()
            self.skip_newlines()

    def _case(self, word: str, start: int) -> Compound:
        self.advance()
        parts = [] if word == "default" else [self.expression()]
        if self.is_operator(":"):
            self.advance()
        return self._compound(word, start, parts)

    def _rest_of_line(self, word: str, start: int) -> Compound:
        while self.token.kind not in {"newline", "end"} and not self.is_operator(";", "}"):
            self.advance()
        return self._compound(word, start, [])

    def _annotation(self, start: int) -> Compound:
        """`@Library('x') _` and the like; what is annotated is a statement of its own."""
        self.advance()
        parts: list[Node] = []
        while self.token.kind == "name" or self.is_operator("."):
            self.advance()
            if self.is_operator("("):
                parts += self.parenthesised()
                break
            if not self.is_operator("."):
                break
        self.skip_newlines()
        if self.token.kind == "name" and self.token.text == "_":
            self.advance()
        elif self.token.kind == "name" or self.is_operator("@"):
            parts.append(self.statement())
        return self._compound("@", start, parts)

    def _kind(self, word: str, start: int) -> Compound:
        while self.token.kind != "end" and not self.is_operator("{", ";", "}"):
            self.advance()
        return self._compound(word, start, [self.block()] if self.is_operator("{") else [])

    def declares(self) -> bool:
        """Whether a declaration begins here: `def`, `int x =`, `List<String> x =`, `String name(`."""
        if self.token.text in _TYPES:
            return self.following().kind == "name" or (
                self.token.text in {"def", "final", "var"} and self.is_following("(")
            )
        at = self.after_type(self.position)
        return at is not None and self.peek(at).kind == "name" and self.peek(at + 1).text == "="

    def _declaration(self, start: int) -> Node:
        while self.token.text in _TYPES:
            self.advance()
        at = self.after_type(self.position)
        if (
            at is not None
            and self.peek(at).kind == "name"
            and self.peek(at + 1).text in {"=", "(", ",", "\n", ";"}
        ):
            self.position = at
        names = self._declared_names()
        if self.is_operator("("):
            return self._method(start)
        value = None
        if self.is_operator("="):
            self.advance()
            self.skip_newlines()
            value = self.expression(is_statement=True)
        while self.is_operator(","):
            self.advance()
            self.expression()
        return Declaration(start=start, end=self.last_end, names=names, value=value)

    def _declared_names(self) -> list[str]:
        if not self.is_operator("("):
            return [self.advance().text] if self.token.kind in {"name", "string"} else []
        names: list[str] = []
        self.advance()
        while not self.is_operator(")", ";", "}") and not self.at_newline() and self.token.kind != "end":
            token = self.advance()
            if token.kind == "name":
                names.append(token.text)
        if self.is_operator(")"):
            self.advance()
        return names

    def _method(self, start: int) -> Compound:
        parameters = list(self.parenthesised())
        while self.token.kind != "end" and not self.is_operator("{", ";", "}") and not self.at_newline():
            self.advance()
        body: list[Node] = [self.block()] if self.is_operator("{") else []
        wrapped = [Argument(start=p.start, end=p.end, name=None, value=p) for p in parameters]
        return self._compound("method", start, [*wrapped, *body])

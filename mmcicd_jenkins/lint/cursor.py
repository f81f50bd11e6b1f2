"""A place in the tokens with a look ahead. What the parser stands on; knows no grammar but that of a type."""

from collections.abc import Sequence
from typing import ClassVar

from mmcicd_jenkins.lint.tokens import Token, Trouble

# A statement costs one, an expression two; fifty closures inside each other, where a person writes fifteen.
DEEPEST = 160


class Cursor:
    """A place in the tokens, with one look ahead."""

    END: ClassVar[Token] = Token("end", "", 0, 0)

    def __init__(self, tokens: Sequence[Token], troubles: list[Trouble]) -> None:
        self.tokens = tokens
        self.troubles = troubles
        self.position = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.peek(self.position)

    @property
    def last_end(self) -> int:
        return self.tokens[min(self.position, len(self.tokens)) - 1].end if self.position else 0

    def peek(self, position: int) -> Token:
        if position < len(self.tokens):
            return self.tokens[position]
        return self.tokens[-1] if self.tokens else self.END

    def following(self) -> Token:
        return self.peek(self.position + 1)

    def advance(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.position += 1
        return token

    def at_newline(self) -> bool:
        return self.token.kind == "newline"

    def skip_newlines(self) -> None:
        while self.at_newline():
            self.advance()

    def is_operator(self, *texts: str) -> bool:
        return self.token.kind == "operator" and self.token.text in texts

    def is_following(self, text: str) -> bool:
        return self.following().kind == "operator" and self.following().text == text

    def next_word(self) -> str:
        """The next name beyond line ends and one semicolon."""
        at = self.position
        while self.peek(at).kind == "newline" or self.peek(at).text == ";":
            at += 1
        return self.peek(at).text if self.peek(at).kind == "name" else ""

    def trouble(self, token: Token, what: str, fix: str, rule: str = "syntax") -> None:
        self.troubles.append(Trouble(token.start, what, fix, rule))

    def after_type(self, position: int) -> int | None:
        """The position behind a type (`a.b.C<D, E>[]`), when what stands here can be one."""
        if self.peek(position).kind != "name":
            return None
        position += 1
        while self.peek(position).text == "." and self.peek(position + 1).kind == "name":
            position += 2
        if self.peek(position).text == "<":
            open_angles = 0
            while self.peek(position).kind == "name" or self.peek(position).text in {
                "<",
                ">",
                ">>",
                ",",
                "?",
                ".",
            }:
                text = self.peek(position).text
                open_angles += text.count("<") - text.count(">")
                position += 1
                if open_angles <= 0:
                    break
        while self.peek(position).text == "[" and self.peek(position + 1).text == "]":
            position += 2
        return position

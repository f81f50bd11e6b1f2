"""Groovy 2.4's tokens: names, numbers, operators, line ends, comments, and every kind of string with its parts.

The lexer always ends and never raises: what cannot be read becomes a `Trouble` and reading goes on behind it.
A string that interpolates keeps the tokens of each `${}`, for the parser.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["name", "number", "string", "operator", "newline", "end"]

_SPACE = re.compile(r"(?:[ \t\f\x0b\u00a0\ufeff]|\\\r?\n)+")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_COMMENT = re.compile(r"//[^\r\n]*|/\*[\s\S]*?(?:\*/|\Z)|\A#![^\r\n]*")
_NAME = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F_]+[gGlLiI]?|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?[gGlLiIdDfF]?")
_OPERATOR = re.compile(
    r"\.\.<|\*\*=|<<=|>>>=|>>=|===|!==|==~|<=>|>>>|\*\.@|\?\.|\*\.|\.&|\.@|\.\.|->|\?:|\+\+|--|&&|\|\||==|!=|<=|>="
    r"|=~|<<|\*\*|\+=|-=|\*=|/=|%=|&=|\|=|\^=|[-+*/%=<>!~?:.,;(){}\[\]&|^@]"
)
# After these a slash divides; anywhere else it begins a string.
_ENDS_A_VALUE = {")", "]", "}", "++", "--"}
_BEFORE_A_VALUE = {"return", "case", "in", "as", "instanceof", "throw", "assert", "else", "do", "new"}
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": "", "\r": ""}
# Brackets and interpolations inside each other; what a person writes has a dozen.
DEEPEST = 60


@dataclass(frozen=True, slots=True)
class Token:
    """`parts` of a string: texts, and the tokens of what it interpolates. `quote` is how it began."""

    kind: Kind
    text: str
    start: int
    end: int
    quote: str = ""
    parts: "Sequence[str | Sequence[Token]]" = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """What cannot be read. `rule` is the rule that tells it."""

    at: int
    what: str
    fix: str
    rule: str = "syntax"


@dataclass(frozen=True, slots=True)
class Comment:
    start: int
    end: int
    text: str


@dataclass
class Lexed:
    tokens: list[Token] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)


def lex(text: str) -> Lexed:
    """All tokens of `text`, the last of kind `end`."""
    result = Lexed()
    lexer = _Lexer(text, result)
    result.tokens = lexer.run(0, 0)
    return result


class _Lexer:
    def __init__(self, text: str, result: Lexed) -> None:
        self.text = text
        self.result = result
        self.at = 0

    def run(self, at: int, depth: int) -> list[Token]:
        """Tokens from `at` to the end, or, inside an interpolation, to the brace that closes it."""
        self.at = at
        tokens: list[Token] = []
        open_brackets: list[str] = []
        while self.at < len(self.text):
            start = self.at
            if self._skip():
                continue
            if (newline := _NEWLINE.match(self.text, start)) is not None:
                self.at = newline.end()
                if (
                    (not open_brackets or open_brackets[-1] == "{")
                    and tokens
                    and tokens[-1].kind != "newline"
                ):
                    tokens.append(Token("newline", "\n", start, self.at))
                continue
            token = self._token(tokens[-1] if tokens else None, depth)
            if token is None:
                continue
            if token.text == "}" and token.kind == "operator" and depth and not open_brackets:
                tokens.append(Token("end", "", start, start))
                return tokens
            _keep_open(open_brackets, token)
            tokens.append(token)
        tokens.append(Token("end", "", self.at, self.at))
        return tokens

    def _skip(self) -> bool:
        """Past spaces or a comment; whether there was one."""
        if (space := _SPACE.match(self.text, self.at)) is not None:
            self.at = space.end()
            return True
        if (comment := _COMMENT.match(self.text, self.at)) is None:
            return False
        words = comment[0]
        if words.startswith("/*") and (len(words) < 4 or not words.endswith("*/")):
            self._trouble(self.at, "this comment never ends", "close it with */")
        self.result.comments.append(Comment(self.at, comment.end(), words))
        self.at = comment.end()
        return True

    def _token(self, before: Token | None, depth: int) -> Token | None:
        start = self.at
        if (opening := self._opening(before)) is not None:
            return self._string(opening, depth)
        kinds: tuple[tuple[Kind, re.Pattern[str]], ...] = (
            ("name", _NAME), ("number", _NUMBER), ("operator", _OPERATOR),
        )  # fmt: skip
        for kind, pattern in kinds:
            if (found := pattern.match(self.text, start)) is not None:
                self.at = found.end()
                return Token(kind, found[0], start, self.at)
        self.at += 1
        self._trouble(start, f"unexpected character {self.text[start]!r}", "take it out")
        return None

    def _opening(self, before: Token | None) -> str | None:
        for quote in ("'''", '"""', "'", '"'):
            if self.text.startswith(quote, self.at):
                return quote
        if _ends_a_value(before):
            return None
        if self.text.startswith("$/", self.at):
            return "$/"
        if not self.text.startswith("/", self.at) or self.text.startswith("/=", self.at):
            return None
        # Without an end it was a division after all, in code that is wrong in another way.
        return "/" if self.text.find("/", self.at + 1) > 0 else None

    def _string(self, quote: str, depth: int) -> Token:
        start = self.at
        self.at += len(quote)
        closing = "/$" if quote == "$/" else quote
        parts: list[str | list[Token]] = []
        words: list[str] = []
        interpolates = quote not in {"'", "'''"} and depth < DEEPEST
        while True:
            if self.at >= len(self.text) or (
                len(quote) == 1 and quote != "/" and self.text[self.at] in "\r\n"
            ):
                self._trouble(start, "this string never ends", f"close it with {closing}")
                break
            if self.text.startswith(closing, self.at):
                self.at += len(closing)
                break
            if (
                interpolates
                and self.text[self.at] == "$"
                and (inner := self._inner(quote, depth)) is not None
            ):
                parts += ["".join(words), inner]
                words = []
                continue
            words.append(self._character(quote))
        parts.append("".join(words))
        return Token("string", self.text[start : self.at], start, self.at, quote, parts)

    def _inner(self, quote: str, depth: int) -> list[Token] | None:
        """The tokens of `${...}` or `$name.name` at this place; None when the dollar is only a dollar."""
        if quote == "$/" and self.text.startswith(("$$", "$/"), self.at):
            return None
        if self.text.startswith("${", self.at):
            tokens = self.run(self.at + 2, depth + 1)
            if depth + 1 >= DEEPEST:
                self._trouble(self.at, "strings inside strings too deep to follow", "give the parts names")
            return tokens
        found = re.compile(r"\$([^\W\d]\w*(?:\.[^\W\d]\w*)*)").match(self.text, self.at)
        if found is None:
            return None
        tokens = []
        at = found.start(1)
        for position, name in enumerate(found[1].split(".")):
            if position:
                tokens.append(Token("operator", ".", at, at + 1))
                at += 1
            tokens.append(Token("name", name, at, at + len(name)))
            at += len(name)
        self.at = found.end()
        return [*tokens, Token("end", "", at, at)]

    def _character(self, quote: str) -> str:
        """One character of a string's text, escapes read."""
        here = self.text[self.at]
        following = self.text[self.at + 1 : self.at + 2]
        if quote == "$/" and here == "$" and following in {"$", "/"}:
            self.at += 2
            return following
        if here != "\\" or not following or quote == "$/":
            self.at += 1
            return here
        if quote == "/":
            self.at += 2 if following == "/" else 1
            return "/" if following == "/" else "\\"
        if (octal := re.compile(r"[0-3]?[0-7]{1,2}").match(self.text, self.at + 1)) is not None:
            self.at = octal.end()
            return chr(int(octal[0], 8))
        self.at += 2
        return _ESCAPED.get(following, following)

    def _trouble(self, at: int, what: str, fix: str) -> None:
        self.result.troubles.append(Trouble(at, what, fix))


def _ends_a_value(token: Token | None) -> bool:
    if token is None:
        return False
    if token.kind == "name":
        return token.text not in _BEFORE_A_VALUE
    return token.kind in {"number", "string"} or token.text in _ENDS_A_VALUE


def _keep_open(open_brackets: list[str], token: Token) -> None:
    if token.kind != "operator":
        return
    if token.text in {"(", "[", "{"}:
        open_brackets.append(token.text)
    elif token.text in {")", "]", "}"} and open_brackets:
        open_brackets.pop()

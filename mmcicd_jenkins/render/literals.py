"""Values as literals of the language of a file: Groovy, YAML, shell. The only way a value enters a template.

A `Literal` remembers the language it was written for, so that the engine can refuse a shell word in a Groovy
file. A value inside a shell line passes `shell` first, then the whole line passes `groovy`. Pure.
"""

import re
import shlex
from collections.abc import Mapping
from typing import Self

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.names import is_name

# All but printable ASCII without quote and backslash: what must not stand in a Groovy literal as it is.
_GROOVY_SPECIAL = re.compile(r"[^ -&(-\[\]-~]")
_GROOVY_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Literal(str):
    """Text that is correct where it stands: a literal of `language`."""

    __slots__ = ("language",)
    language: str

    def __new__(cls, text: str, language: str) -> Self:
        literal = super().__new__(cls, text)
        literal.language = language
        return literal


def groovy(value: object) -> Literal:
    """A Groovy 2.4 literal: text in single quotes, whole numbers, booleans, null, and lists of these."""
    if value is None:
        return Literal("null", "groovy")
    if isinstance(value, bool):
        return Literal("true" if value else "false", "groovy")
    if isinstance(value, int):
        return Literal(str(value), "groovy")
    if isinstance(value, str):
        return Literal(f"'{_GROOVY_SPECIAL.sub(_groovy_character, value)}'", "groovy")
    if isinstance(value, list | tuple):
        return Literal("[" + ", ".join(groovy(item) for item in value) + "]", "groovy")
    raise _not_possible(value, "Groovy")


def groovy_text(value: object) -> Literal:
    """Text of several lines as a Groovy literal that keeps them apart, for documents that a person reads in it."""
    if not isinstance(value, str):
        raise _not_possible(value, "Groovy")
    lines = (_GROOVY_SPECIAL.sub(_groovy_character, line) for line in value.split("\n"))
    # Without the backslash the text would begin with an empty line.
    return Literal("'''\\\n" + "\n".join(lines) + "'''", "groovy")


def _groovy_character(found: re.Match[str]) -> str:
    character = found[0]
    if character in _GROOVY_ESCAPES:
        return _GROOVY_ESCAPES[character]
    # Groovy reads UTF-16 units; `surrogatepass` keeps half a pair, which a file name may hold.
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[i : i + 2], 'big'):04x}" for i in range(0, len(units), 2))


def shell(value: object) -> Literal:
    """One word of a POSIX shell, or the words of a list joined by spaces."""
    if isinstance(value, list | tuple):
        return Literal(" ".join(shell(item) for item in value), "shell")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _not_possible(value, "shell")
    text = str(value)
    if "\0" in text:
        raise InputError("a NUL byte cannot be part of a shell word", fix="take it out")
    return Literal(shlex.quote(text), "shell")


def yaml(value: object) -> Literal:
    """A YAML value on one line, in flow style where it is a collection."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{yaml(str(key))}: {yaml(item)}" for key, item in value.items())
        return Literal("{" + pairs + "}", "yaml")
    if isinstance(value, list | tuple):
        return Literal("[" + ", ".join(yaml(item) for item in value) + "]", "yaml")
    if value is None or isinstance(value, bool | int | float):
        return Literal(_yaml_plain(value), "yaml")
    if isinstance(value, str):
        return Literal(_yaml_text(value), "yaml")
    raise _not_possible(value, "YAML")


def _yaml_plain(value: float | None) -> str:
    import yaml as pyyaml

    text: str = pyyaml.safe_dump(value, default_flow_style=True)
    return text.removesuffix("...\n").strip()


def _yaml_text(text: str) -> str:
    """Plain where every YAML reader takes it for the same text, else in double quotes and ASCII."""
    import yaml as pyyaml

    # A plain scalar of these characters has no indicator, and what looks like another type is found by loading.
    calm = text.isascii() and text[:1].isalnum() and all(c.isalnum() or c in " ._/-+=<>" for c in text)
    if calm and text == text.strip() and pyyaml.safe_load(text) == text and not _is_old_yaml_word(text):
        return text
    return '"' + "".join(map(_yaml_character, text)) + '"'


def _yaml_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if 32 <= ord(character) < 127:
        return character
    # Unlike JSON, YAML does not join two surrogates, so what is beyond 16 bits has a form of its own.
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"


def _is_old_yaml_word(text: str) -> bool:
    """What YAML 1.1 readers take for a boolean or null, whether PyYAML does or not."""
    return text.lower() in {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def verbatim(value: object) -> Literal:
    """Text that is already correct in the file's language, for the results of macros. Never for a user's value."""
    if not isinstance(value, str):
        raise _not_possible(value, "verbatim text")
    return Literal(value, "verbatim")


def name(value: object) -> Literal:
    """A name that passed `release.names`, which is safe in every language."""
    if not isinstance(value, str) or not is_name(value):
        raise InputError(f"{value!r} is not a name", fix="use lower-case letters, digits and inner dashes")
    return Literal(value, "verbatim")


def _not_possible(value: object, language: str) -> InputError:
    return InputError(
        f"a {type(value).__name__} cannot be written as {language}", fix="convert it before the template"
    )

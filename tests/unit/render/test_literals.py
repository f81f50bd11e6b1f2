"""A value written as a literal reads back unchanged, whatever is in it.

Groovy is read here by its rules in Python; tests/real reads it with Groovy 2.4 itself.
"""

import subprocess

import pytest
import yaml as pyyaml
from hypothesis import example, given
from hypothesis import strategies as st

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.render import literals

HOSTILE = (
    "$(id)",
    "${env.SECRET}",
    "`id`",
    "'; evil()",
    "'''",
    '"',
    "\\",
    "\\'",
    "\\u0027 + evil() + \\u0027",
    "\\\\u000a",
    "a\nb\r\tc",
    "\x00\x07\x7f\x85\u2028",
    "naïve \U0001f600",
    "-n",
    "--help",
    "~",
    "*",
    "#",
    "",
    " ",
    "a: b",
    "- a",
    "!!python/object",
    "&anchor",
    "no",
    "1_000",
    "0x1f",
    "2026-11-24",
    "1:20",
    "null",
    ".inf",
    "{{ x }}",
    "=",
    "<<",
    "\ud800",
    "\u202egnp.exe",
)
TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(), st.text(alphabet="\\'\"$u0027{}\n"))


def read_groovy(literal: str) -> str:
    """The text of a single-quoted Groovy literal."""
    assert literal[0] == literal[-1] == "'"
    body, units = literal[1:-1], []
    plain = {"\\": "\\", "'": "'", "n": "\n", "r": "\r", "t": "\t"}
    at = 0
    while at < len(body):
        assert " " <= body[at] <= "~", "only printable ASCII stands in the file"
        assert body[at] != "'", "the literal ends too early"
        if body[at] != "\\":
            units.append(ord(body[at]))
            at += 1
        elif body[at + 1] == "u":
            units.append(int(body[at + 2 : at + 6], 16))
            at += 6
        else:
            units.append(ord(plain[body[at + 1]]))
            at += 2
    return b"".join(unit.to_bytes(2, "big") for unit in units).decode("utf-16-be", "surrogatepass")


@given(TEXT)
@example("\\u0041")
def test_groovy_text_reads_back(text: str) -> None:
    assert read_groovy(literals.groovy(text)) == text


def test_groovy_writes_numbers_truth_and_lists() -> None:
    assert literals.groovy([1, True, None, "a'b"]) == r"[1, true, null, 'a\'b']"


@given(
    st.recursive(
        st.one_of(TEXT, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    )
)
def test_yaml_reads_back(value: object) -> None:
    written = literals.yaml(value)

    assert "\n" not in written
    assert pyyaml.safe_load(f"key: {written}\n")["key"] == value
    assert pyyaml.safe_load(f"- {written}\n")[0] == value


def test_yaml_leaves_calm_text_without_quotes() -> None:
    assert literals.yaml("accuracy >= champion - 0.01") == "accuracy >= champion - 0.01"
    assert literals.yaml("data/digits.csv") == "data/digits.csv"
    assert literals.yaml("python train.py") == "python train.py"
    assert literals.yaml("yes") == '"yes"'


def test_shell_words_reach_the_command_unchanged() -> None:
    words = [text for text in HOSTILE if ("\0" not in text and text.isprintable()) or "\n" in text]
    line = "printf '%s\\0' " + literals.shell(words)

    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True)

    assert done.stdout.decode().split("\0")[:-1] == words


def test_a_shell_line_inside_groovy_survives_both() -> None:
    line = literals.shell(["./mmcicdw", "a b'c"])

    assert read_groovy(literals.groovy(line)) == """./mmcicdw 'a b'"'"'c'"""


@pytest.mark.parametrize(
    ("write", "value"),
    [
        (literals.groovy, 1.5),
        (literals.groovy, {"a": 1}),
        (literals.shell, "a\0b"),
        (literals.shell, True),
        (literals.shell, None),
        (literals.yaml, object()),
        (literals.verbatim, 1),
        (literals.name, "Not a name"),
        (literals.name, "-x"),
    ],
)
def test_what_a_language_cannot_say_is_refused(write, value) -> None:
    with pytest.raises(InputError):
        write(value)

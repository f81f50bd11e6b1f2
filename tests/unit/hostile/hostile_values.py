"""Hostile words for every text of a configuration that reaches a Jenkinsfile, and how to tell that each stayed what it was.

A calm configuration holds a different mark in each field. In the hostile one each mark became a hostile word; then a
generated file must have the same tokens, and each string the same text but for the words in it.
"""

import dataclasses
import random
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import yaml
from hypothesis import strategies as st

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.lint.source import read_source
from mmcicd_jenkins.lint.tokens import lex

PIECES = (
    "'", '"', "'''", '"""', "\\", "\\\\", "\\'", "$", "${", "}", "${env.X}", "$(id)", "`id`", "\n", "\r\n", "\t", "\\n", "\\u000a",
    "\\\\u0027", "\\u0027 + evil() + \\u0027", "'; evil(); '", "' + evil() + '", "*/", "/*", "//", "<%", "%>", "{{", "}}", "{%", "%}", "{#",
    "#", "&", "<", ">", "]]>", "<!--", "&amp;", "--", "-", ": ", "- ", "|", "!", "%", "@", "\0", "\x07", "\x1b[31m", "\x7f", "\x85",
    "\u2028", "\u2029", "\u202e", "\u2066", "\ufeff", "\ufffe", "\ud800", "\udfff", "\U0001f600", "é", "e\u0301", " ", "a", "Z9", "u0041",
    "stage('x') {", "}\n}\n", "pipeline", "$/", "/$", "\\\n", "evil()",
)  # fmt: skip
WORD = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join),
    st.text(min_size=1, max_size=20),
    st.text(alphabet="\\'\"$u0027{}\n\r", min_size=1, max_size=16),
)


def hostile_words(seed: int) -> dict[str, str]:
    """A word for each mark; the same for the same seed on any machine, and fast enough for thousands."""
    chance = random.Random(seed)
    words = {mark: "".join(chance.choices(PIECES, k=chance.randint(1, 6))) for mark in MARKS}
    # What the configuration refuses with a sentence is tested where it is refused: addresses, and commas in names.
    words |= {mark: mark for mark in ADDRESSES}
    return words | {mark: words[mark].replace(",", "").strip() or "x" for mark in APPROVERS}


CALM = """\
models:
  churn:
    data: {numbers: {url: s3://mark01/x.csv}, checked: {url: s3://mark02/y.csv, role: test}}
    train: {command: mark03, gpus: 1}
    test: mark04
    evaluate: {command: mark05}
    gates: [accuracy >= 0.5]
environments:
  staging: {kind: local, folder: mark06, host: mark07}
  production:
    kind: local
    folder: mark08
    host: mark09
    approval: {by: [mark10, mark11], four_eyes: true}
    rollback: {by: [mark12]}
store: {path: mark13}
ledger: {url: "ssh://git@mark14.example/ledger.git"}
jenkins:
  url: https://mark15.example
  folder: mark16
  main: mark17
  source: {git: https://mark18.example/x.git}
  agents:
    default: mark19
    train:
      pod:
        image: mark20
        node_selector: {mark21: mark22}
        service_account: mark23
        namespace: mark24
        cloud: mark25
        checkpoints: mark26
    deploy: mark27
  credentials:
    ci: {source: mark28, data: mark29, ledger: mark30}
    ops: {ledger: mark31, signing: mark32}
hooks: {before_promote: mark33, after_train: mark34, before_deploy: mark35}
"""
MARK = re.compile(r"mark\d\d")
MARKS = tuple(sorted(set(MARK.findall(CALM))))


ADDRESSES = ("mark01", "mark02", "mark14", "mark15", "mark18")
APPROVERS = ("mark10", "mark11", "mark12")


def calm_config(folder: Path) -> Config:
    path = folder / "mmcicd.yaml"
    path.write_text(CALM)
    return load_config(path, environ={})


def with_words(value: object, words: Mapping[str, str]) -> object:
    """The same value with a word for each mark, through records, mappings and tuples."""
    if isinstance(value, str):
        return replaced(value, words)
    if isinstance(value, tuple | list):
        return type(value)(with_words(item, words) for item in value)
    if isinstance(value, Mapping):
        return {with_words(key, words): with_words(item, words) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {
            f.name: with_words(getattr(value, f.name), words)
            for f in dataclasses.fields(value)
            if f.name != "marks"
        }
        return dataclasses.replace(value, **changes)
    return value


def replaced(text: str, words: Mapping[str, str]) -> str:
    return MARK.sub(lambda found: words.get(found[0], found[0]), text)


def strings_and_rest(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The texts of a Groovy file in their order, and every token that is none. Fails when it cannot be read."""
    lexed = lex(read_source("generated", text).text)
    assert not lexed.troubles, lexed.troubles
    texts: list[str] = []
    rest: list[tuple[str, str]] = []
    for token in lexed.tokens:
        if token.kind != "string":
            rest.append((token.kind, token.text))
            continue
        assert len(token.parts) == 1, f"an interpolation in {token.text}"
        rest.append(("string", token.quote))
        texts.append(str(token.parts[0]))
    rest += [("comment", comment.text) for comment in lexed.comments]
    return texts, rest


def utf16(text: str) -> list[int]:
    """As Groovy holds it; half a pair stays half a pair."""
    raw = text.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]


def is_same(calm: str, hostile: str, words: Mapping[str, str]) -> bool:
    """Whether a text is the calm one with its words: as it stands, as a shell line, or as a YAML document."""
    if utf16(replaced(calm, words)) == utf16(hostile):
        return True
    try:
        if [utf16(replaced(word, words)) for word in shlex.split(calm)] == [
            utf16(word) for word in shlex.split(whole(hostile))
        ]:
            return True
    except ValueError:
        pass
    try:
        return bool(with_words(yaml.safe_load(calm), words) == yaml.safe_load(whole(hostile)))
    except yaml.YAMLError:
        return False


def whole(text: str) -> str:
    """Pairs of surrogates joined."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

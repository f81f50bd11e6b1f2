"""Whatever stands in any text of a configuration, the generated Groovy, YAML and XML say it and do nothing else.

Read by our own lexer here; tests/real lets Groovy 2.4 read and run 10,000 of them.
"""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from hostile_values import (
    MARK,
    MARKS,
    WORD,
    calm_config,
    hostile_words,
    is_same,
    replaced,
    strings_and_rest,
    utf16,
    with_words,
)

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.render import literals
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles
from mmcicd_jenkins.render.job_items import desired_items

SEEDS = range(40)
# What no XML document may hold; that it is refused is tested with the jobs.
ILLEGAL = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    config = calm_config(tmp_path_factory.mktemp("calm"))
    return config, render_jenkinsfiles(config)


def test_the_marks_reach_the_files(calm):
    """A field that reaches no file would prove nothing; these are known not to."""
    _, texts = calm
    reached = set(MARK.findall("".join(texts.values())))
    xml = "".join(item.xml for item in desired_items(calm[0]))
    unreached = set(MARKS) - reached - set(MARK.findall(xml))
    assert unreached <= {
        "mark01",
        "mark02",
        "mark03",
        "mark04",
        "mark05",
        "mark06",
        "mark07",
        "mark12",
        "mark15",
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_every_text_of_a_jenkinsfile_is_the_calm_one_with_its_words(calm, seed):
    config, texts = calm
    words = hostile_words(seed)
    hostile = rendered(config, words)
    assert hostile.keys() == texts.keys()
    for path, text in hostile.items():
        assert text.isascii()
        said, rest = strings_and_rest(text)
        calm_said, calm_rest = strings_and_rest(texts[path])
        assert rest == calm_rest, path
        for before, after in zip(calm_said, said, strict=True):
            assert is_same(before, after, words), (before, after)


def rendered(config, words):
    """The files; a word that is refused with a sentence is calm again."""
    for _ in MARKS:
        try:
            return render_jenkinsfiles(with_words(config, words))
        except InputError as e:
            refused = [mark for mark in words if words[mark] in f"{e.what} {e.why}" or "\0" in words[mark]]
            assert refused, e.what
            for mark in refused:
                words[mark] = mark
    raise AssertionError("everything is refused")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_text_of_a_job_is_the_calm_one_with_its_words(calm, seed):
    config, _ = calm
    words = {
        mark: ILLEGAL.sub("", word) or "x" for mark, word in hostile_words(seed).items() if mark != "mark16"
    }
    texts = {item.path: item.xml for item in desired_items(with_words(config, words))}
    for item in desired_items(config):
        before = list(ET.fromstring(item.xml).iter())  # noqa: S314  our own XML
        after = list(ET.fromstring(texts[item.path]).iter())  # noqa: S314
        assert [(node.tag, node.attrib) for node in before] == [(node.tag, node.attrib) for node in after]


@given(st.lists(WORD, max_size=5))
@settings(max_examples=300, deadline=None)
def test_a_literal_is_one_text(words):
    for word in words:
        said, rest = strings_and_rest(f"x = {literals.groovy(word)}")
        assert len(rest) == 4
        assert utf16(said[0]) == utf16(word)


@given(WORD)
@settings(max_examples=300, deadline=None)
def test_no_word_of_a_person_stands_in_a_comment_of_groovy(calm, word):
    _, texts = calm
    for text in texts.values():
        comments = [line for line in text.splitlines() if line.strip().startswith("//")]
        assert not MARK.search("".join(comments))
    assert replaced("mark01", {"mark01": word}) == word

"""What `history` says of an event: in words that name what stands, whatever was or was not chosen."""

import pytest

from mmcicd_jenkins.cli.history import sentence
from mmcicd_jenkins.release.ledger import Event


@pytest.mark.parametrize(
    ("kind", "detail", "words"),
    [
        ("proposed", {"environment": "production", "version": 8}, "version 8 to production"),
        # Who keeps what serves names no version.
        ("declined", {"environment": "production", "version": None, "kept": 7}, "production keeps 7"),
        ("declined", {"environment": "production", "version": 8, "kept": None}, "production keeps nothing"),
    ],
)
def test_a_decision_in_a_few_words(kind, detail, words):
    event = Event(seq=1, prev="", id="a", kind=kind, at="", actor="ada", detail=detail, writes={})
    assert sentence(event) == words

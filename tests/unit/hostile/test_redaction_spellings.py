"""A secret is taken out in whatever spelling a program prints it, whether it came from a variable or from elsewhere."""

import base64
import json
import shlex
from urllib.parse import quote, quote_plus

import pytest

from mmcicd_jenkins.adapters.redaction import Redactor

SECRET = "pass\"wörd's /+ %41~>?"
SPELLINGS = {
    "raw": SECRET,
    "URL": quote(SECRET, safe=""),
    "path of a URL": quote(SECRET),
    "form": quote_plus(SECRET),
    "JSON": json.dumps(SECRET)[1:-1],
    "JSON in UTF-8": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "Python": repr(SECRET)[1:-1],
    "shell": shlex.quote(SECRET),
    **{f"base64 at {n}": base64.b64encode(b"u:"[:n] + SECRET.encode()).decode() for n in range(3)},
    **{
        f"base64 of URLs at {n}": base64.urlsafe_b64encode(b"u:"[:n] + SECRET.encode()).decode()
        for n in range(3)
    },
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("redactor", [Redactor({"X_PASSWORD": SECRET}), Redactor({}, also=[SECRET])])
def test_every_spelling_is_hidden(spelling, redactor):
    told = redactor.hide(f"before {SPELLINGS[spelling]} after".encode()).decode()
    assert told == "before *** after"


def test_short_values_are_left_alone():
    assert Redactor({}, also=["on"]).hide(b"on and on") == b"on and on"

"""Envelopes: what was signed comes back, and nothing else does."""

import base64
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from released import authority

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.release.dsse import MOST_BYTES, seal, unseal

KIND = "application/vnd.in-toto+json"
STATEMENT = {"_type": "x", "subject": [{"name": "ü", "digest": {"sha256": "0" * 64}}], "n": 0.5}


@pytest.fixture(scope="module")
def ops(tmp_path_factory):
    return authority(tmp_path_factory.mktemp("keys") / "repository")


def refused(data, who, kind=KIND):
    with pytest.raises(IntegrityFailed) as error:
        unseal(data, kind, who, "here")
    return error.value


def test_what_was_sealed_comes_back_and_twice_is_the_same(ops):
    data = seal(KIND, STATEMENT, ops)
    assert unseal(data, KIND, ops, "here") == STATEMENT
    assert seal(KIND, STATEMENT, ops) == data


def test_a_thousand_flipped_bytes_are_all_refused(ops):
    data = seal(KIND, STATEMENT, ops)
    chance = random.Random(5)
    for _ in range(1000):
        changed = bytearray(data)
        changed[chance.randrange(len(data))] ^= chance.randrange(1, 256)
        refused(bytes(changed), ops)


def test_without_a_key_it_has_no_signature_which_counts_only_where_none_is_needed(tmp_path):
    without = authority(tmp_path / "repository", key=False)
    data = seal(KIND, STATEMENT, without)
    assert "it is not signed" in refused(data, without).why
    lenient = authority(tmp_path / "repository", key=False, required=False)
    assert unseal(data, KIND, lenient, "here") == STATEMENT


def test_a_key_of_another_zone_does_not_count(tmp_path):
    laptop = authority(tmp_path / "repository", "laptop")
    assert "signed by laptop alone" in refused(seal(KIND, STATEMENT, laptop), laptop).why


def test_a_key_that_nobody_trusts_is_refused_even_where_none_is_needed(tmp_path, ops):
    lenient = authority(tmp_path / "repository", required=False)
    assert "does not trust" in refused(seal(KIND, STATEMENT, ops), lenient).what


def test_a_second_signature_that_does_not_fit_is_refused(ops):
    document = json.loads(seal(KIND, STATEMENT, ops))
    (good,) = document["signatures"]
    document["signatures"].append({**good, "sig": base64.b64encode(b"0" * 64).decode()})
    refused(json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), ops)


def test_one_type_does_not_pass_for_another(ops):
    assert "not application/other" in refused(seal(KIND, STATEMENT, ops), ops, "application/other").why


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b"\xff", b'{"payload":"","payloadType":"t","signatures":[]}' + b" ",
        b'{"payload":"!","payloadType":"t","signatures":[]}', b'{"payload":"","payloadType":"t","signatures":[{}]}',
        b'{"payload":"","payloadType":"t","signatures":[],"more":1}', b"[" * 100_000, b"0" * (MOST_BYTES + 1),
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(ops, data):
    refused(data, ops)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_in_our_own_words(ops, data):
    refused(data, ops)

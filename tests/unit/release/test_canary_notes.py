"""Notes beside a canary come back as they were written, and rubbish there is as good as nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.release.canary_notes import Notes, from_text, to_text
from mmcicd_jenkins.release.traffic import LiveCounters

counts = st.floats(0, 1e12)
copies = st.dictionaries(st.text(max_size=20), counts, max_size=4)
counters = st.builds(
    LiveCounters,
    requests=copies,
    errors=copies,
    latency=st.dictionaries(
        st.text(max_size=20),
        st.dictionaries(st.floats(0, 1e6) | st.just(math.inf), counts, max_size=40),
        max_size=3,
    ),
)
notes = st.builds(
    Notes,
    step=st.integers(0, 100),
    since=st.text(max_size=40),
    until=st.text(max_size=40),
    restarts=st.integers(0, 1000),
    readings=st.dictionaries(st.sampled_from(["stable", "canary"]), counters),
    verdict=st.sampled_from(["", "passed", "failed"]),
    reason=st.text(max_size=200),
)


@given(notes)
def test_notes_come_back(kept: Notes) -> None:
    assert from_text(to_text(kept)) == kept


@pytest.mark.parametrize("text", ["", "x", "AAAA", to_text(Notes(step=2))[:-8], "e30=", "eJwDAAAAAAE="])
def test_rubbish_is_a_step_that_has_not_begun(text: str) -> None:
    assert from_text(text) == Notes(step=0)


@given(st.text())
def test_no_text_is_a_crash(text: str) -> None:
    assert from_text(text).step >= 0


def test_the_notes_of_many_copies_fit_into_an_annotation() -> None:
    """All annotations of an object together have 256 KiB."""
    buckets = {10e-6 * 1.8**k: float(k * 1234567) for k in range(33)} | {math.inf: 1e9}
    many = {f"churn-stable-7d9f8c6b5-{n:05d}#0": 123456.0 + n for n in range(100)}
    reading = LiveCounters(requests=many, errors=many, latency=dict.fromkeys(many, buckets))
    assert len(to_text(Notes(step=0, readings={"stable": reading, "canary": reading}))) < 32 * 1024

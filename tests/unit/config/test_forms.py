"""Written forms: durations, sizes, shares, canary steps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.config import forms

READ = [
    (forms.duration, "30s", 30), (forms.duration, "15m", 900), (forms.duration, "8h", 28800),
    (forms.duration, "3d", 259200), (forms.duration, "80 ms", 0.08), (forms.duration, "1.5h", 5400),
    (forms.size, "4Gi", 4 * 2**30), (forms.size, "512Mi", 2**29), (forms.size, "1.5Gi", 3 * 2**29),
    (forms.share, "70%", 0.7), (forms.share, "99.9%", 0.999), (forms.share, 0.2, 0.2), (forms.share, "12.5 %", 0.125),
]  # fmt: skip


@pytest.mark.parametrize(("parse", "text", "value"), READ)
def test_read(parse, text: object, value: float) -> None:
    assert parse(text) == value


REFUSED = [
    (forms.duration, v) for v in (15, "15", "m", "-3h", "0s", "1e9d", "15 min", None, True, "9" * 400 + "d", "\uff11\uff15m")
] + [(forms.size, v) for v in (4, "4GB", "0Gi", "Gi", "9" * 400 + "Gi", [])] + [
    (forms.share, v) for v in ("0%", "100%", 0, 1, 1.5, -0.1, True, "0.5", math.nan, {}, "9" * 400 + "%")
]  # fmt: skip


@pytest.mark.parametrize(("parse", "value"), REFUSED)
def test_refused(parse, value: object) -> None:
    with pytest.raises(forms.FormError) as caught:
        parse(value)
    assert caught.value.fix


def test_a_step() -> None:
    assert forms.step("10% for 15m") == forms.Step(share=0.1, seconds=900)
    with pytest.raises(forms.FormError) as caught:
        forms.step("10% for 15 minutes")
    assert (caught.value.column, caught.value.width) == (11, 7)


@given(value=st.text() | st.integers() | st.floats() | st.none() | st.lists(st.integers()))
def test_anything_else_is_refused_in_words(value: object) -> None:
    for parse in (forms.duration, forms.size, forms.share, forms.step, forms.rule):
        try:
            parse(value)
        except forms.FormError as e:
            assert e.what
            assert e.fix

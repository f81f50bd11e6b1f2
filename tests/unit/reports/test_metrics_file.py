"""metrics.json of the team's own evaluation: both forms, and everything that is refused."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.measures import Measure
from mmcicd_jenkins.reports.metrics_file import read_metrics_file


@pytest.fixture
def read(tmp_path):
    def reading(text):
        path = tmp_path / "metrics.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_metrics_file(path)

    return reading


def test_the_full_form(read):
    found = read(
        '{"metrics": {"accuracy": 0.9, "rounds": 3}, "samples": 500, '
        '"slices": {"country": {"BR": {"accuracy": 0.8, "samples": 40}, "": {"accuracy": 1, "samples": 2}}}}'
    )
    assert found.overall == {
        "accuracy": Measure(value=0.9, samples=500),
        "rounds": Measure(value=3.0, samples=500),
    }
    assert found.slices["country"]["BR"] == {"accuracy": Measure(value=0.8, samples=40)}
    assert found.slices["country"][""]["accuracy"].samples == 2


def test_the_flat_form(read):
    assert read('{"accuracy": 0.9, "samples": 12}').overall == {"accuracy": Measure(value=0.9, samples=12)}
    assert read('{"accuracy": 0.9}').overall["accuracy"].samples == 0


@pytest.mark.parametrize(("text", "check"), [("NaN", math.isnan), ("Infinity", math.isinf), ("1e999", math.isinf), ("1" + "0" * 400, math.isinf)])  # fmt: skip
def test_what_is_not_finite_is_kept_for_the_gates_to_see(read, text, check):
    assert check(read(f'{{"accuracy": {text}}}').overall["accuracy"].value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ('{"accuracy": 0.9', "not JSON"),
        ("[0.9]", "not an object"),
        ("{}", "holds no metric"),
        ('{"metrics": {}}', "holds no metric"),
        ('{"accuracy": 0.9, "accuracy": 0.1}', "twice"),
        ('{"metrics": {"a": 1}, "samples": 1, "samples": 2}', "twice"),
        ('{"accuracy": true}', "a truth"),
        ('{"accuracy": "0.9"}', "str"),
        ('{"accuracy": null}', "null"),
        ('{"accuracy": {"value": 1}}', "dict"),
        ('{"metrics": {"a": 1}, "sample": 3}', "unknown key 'sample'"),
        ('{"metrics": {"a": 1}, "samples": -1}', "whole number"),
        ('{"metrics": {"a": 1}, "samples": 1.5}', "whole number"),
        ('{"metrics": {"a": 1}, "samples": NaN}', "whole number"),
        ('{"metrics": {"a": 1}, "slices": []}', "not an object"),
        ('{"metrics": {"a": 1}, "slices": {"c": {"BR": 1}}}', "not an object"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a": ' * 100_000, "nested too deeply"),
        (b'{"a\xff": 1}', "cannot be read"),
        ('{"a": ' + "1" * 5000 + "}", "cannot be read"),
        (b" " * 5_000_001, "larger than 5 MB"),
    ],
)
def test_what_is_refused_is_an_input_error(read, text, said):
    with pytest.raises(InputError) as caught:
        read(text)
    assert caught.value.exit_code == 3
    assert said in f"{caught.value.what} {caught.value.why}"
    assert "metrics.json" in caught.value.where


def test_no_file_says_what_to_write(tmp_path):
    with pytest.raises(InputError, match=r"left no metrics\.json"):
        read_metrics_file(tmp_path / "metrics.json")


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["metrics", "samples", "slices", "a"]), inner)
    ),
    max_leaves=8,
)


@given(anything)
@settings(max_examples=80, deadline=None)
def test_any_json_is_measures_or_an_input_error(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "any-metrics.json"
    path.write_text(json.dumps(document))
    try:
        found = read_metrics_file(path)
    except InputError:
        return
    assert found.overall

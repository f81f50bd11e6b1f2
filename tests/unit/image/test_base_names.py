"""The four ways in which a base is written."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.base_name import parse_base
from mmcicd_jenkins.image.platforms import parse_platform, platform_of

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "kind", "where"),
    [
        ("tensorflow/serving:2.20.0", "registry", "docker.io/tensorflow/serving:2.20.0"),
        ("tensorflow/serving", "registry", "docker.io/tensorflow/serving:latest"),
        ("registry.example:5000/a/b:1", "registry", "registry.example:5000/a/b:1"),
        (f"registry.example/a@{DIGEST}", "registry", f"registry.example/a@{DIGEST}"),
        ("docker:tensorflow/serving:1", "engine", "docker.io/tensorflow/serving:1"),
    ],
)
def test_on_a_registry_or_in_an_engine(text, kind, where):
    base = parse_base(text)
    assert (base.kind, str(base.reference), base.text) == (kind, where, text)


def test_in_a_layout():
    base = parse_base("oci:../some folder/with:colon:2.20")
    assert (base.kind, base.path, base.tag, base.is_here) == (
        "layout",
        "../some folder/with:colon",
        "2.20",
        True,
    )


def test_a_digest_in_the_name_is_a_pin():
    assert parse_base(f"registry.example/a@{DIGEST}").digest == DIGEST
    assert parse_base("registry.example/a:1").digest == ""


@pytest.mark.parametrize(
    "text", ["oci:", "oci:x", "oci::1", "oci:a:b/c", "docker:", "docker:X", "http://a/b", "", "A b"]
)
def test_what_names_no_base(text):
    with pytest.raises(InputError):
        parse_base(text)


@given(st.text() | st.text(alphabet="oci:docker/@.-0az"))
def test_any_text_is_a_base_or_told_to_be_none(text):
    with contextlib.suppress(InputError):
        assert parse_base(text).text == text


def test_platforms():
    assert str(parse_platform("linux/arm64/v8")) == "linux/arm64/v8"
    assert parse_platform("linux/arm64").key == parse_platform("linux/arm64/v8").key
    assert parse_platform("linux/arm/v6").key != parse_platform("linux/arm").key
    assert platform_of({"os": "linux"}) is None
    assert platform_of({"os": "linux", "architecture": 5}) is None
    assert platform_of({"os": "li nux", "architecture": "amd64"}) is None
    assert platform_of({"os": "linux", "architecture": "arm64", "variant": 8}) is None

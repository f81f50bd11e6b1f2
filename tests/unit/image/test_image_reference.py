"""Names of images: read as every Docker client does, served by digest alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.reference import Reference, parse_pinned, parse_reference

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "registry", "name", "tag", "digest"),
    [
        ("tensorflow/serving:2.20.0", "docker.io", "tensorflow/serving", "2.20.0", ""),
        ("busybox", "docker.io", "library/busybox", "", ""),
        ("busybox:1", "docker.io", "library/busybox", "1", ""),
        ("localhost/x", "localhost", "x", "", ""),
        ("localhost:5000/a/b:t", "localhost:5000", "a/b", "t", ""),
        ("127.0.0.1:5000/x", "127.0.0.1:5000", "x", "", ""),
        ("[::1]:5000/x", "[::1]:5000", "x", "", ""),
        (f"registry.acme.example/ml/churn@{DIGEST}", "registry.acme.example", "ml/churn", "", DIGEST),
        (f"r.example/a:t@{DIGEST}", "r.example", "a", "t", DIGEST),
        ("r.example/a__b/c--d.e", "r.example", "a__b/c--d.e", "", ""),
    ],
)
def test_every_form_is_read_and_written(text, registry, name, tag, digest):
    reference = parse_reference(text)
    assert reference == Reference(registry=registry, name=name, tag=tag, digest=digest)
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "UPPER",
        "a b",
        "r.example/a:",
        "r.example/a:-x",
        "r.example/a@",
        "r.example/a@sha256:abc",
        f"r.example/a@{DIGEST}x",
        f"r.example/a@{DIGEST.upper()}",
        f"r.example/a@{DIGEST}@{DIGEST}",
        "r.example/../a",
        "r.example//a",
        "https://r.example/a",
        "user:pw@r.example/a",
        "r.example/a\n",
        "r.example/$(id)",
        "-x/a:b;",
        "r..ex ample/a",
        "ü/a",
        "r.example:99999999/a",
    ],
)
def test_what_is_no_name_is_refused(text):
    with pytest.raises(InputError):
        parse_reference(text)


@pytest.mark.parametrize("text", ["r.example/a", "r.example/a:t", f"r.example/a:t@{DIGEST}"])
def test_only_a_digest_is_pinned(text):
    with pytest.raises(InputError, match="not the name"):
        parse_pinned(text)


def test_a_pinned_name_has_lost_its_tag():
    pinned = parse_reference("r.example/a:t").pinned(DIGEST)
    assert str(pinned) == f"r.example/a@{DIGEST}"
    assert parse_pinned(str(pinned)) == pinned
    with pytest.raises(InputError):
        pinned.pinned("sha256:x")


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_and_comes_back(text):
    try:
        reference = parse_reference(text)
    except InputError:
        return
    assert parse_reference(str(reference)) == reference

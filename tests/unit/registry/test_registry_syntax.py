"""What registries write into headers, read whole or not at all; and what an address says of a host."""

import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.adapters.hosts import host_of, is_loopback, is_private, same_place
from mmcicd_jenkins.adapters.registry.syntax import (
    Challenge,
    content_range,
    joined,
    network_name,
    next_link,
    parse_challenges,
    received,
    retry_after,
)

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def bearer(**parameters):
    return Challenge(scheme="bearer", parameters=parameters)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ("Basic", (Challenge(scheme="basic"),)),
        ('Basic realm="a, b = \\"c\\""', (Challenge(scheme="basic", parameters={"realm": 'a, b = "c"'}),)),
        ('Bearer realm="https://x/t",service="s"', (bearer(realm="https://x/t", service="s"),)),
        ("bearer realm=https://x/t , SERVICE = s", (bearer(realm="https://x/t", service="s"),)),
        ('Bearer realm="x", realm="y"', (bearer(realm="x"),)),
        (
            'Basic realm="x", Bearer realm="y",scope="repository:a:pull,push"',
            (
                Challenge(scheme="basic", parameters={"realm": "x"}),
                bearer(realm="y", scope="repository:a:pull,push"),
            ),
        ),
        ("Negotiate abc==, Basic", None),
        ('Bearer realm="unfinished', None),
    ],
)
def test_challenges(header, expected):
    found = parse_challenges(header)
    if expected is not None:
        assert found == expected


@given(header=st.text(string.ascii_letters + ' ,="\\/:\t') | st.text())
def test_challenges_never_fail(header):
    for challenge in parse_challenges(header):
        assert challenge.scheme


quoted = st.text(st.characters(min_codepoint=32, max_codepoint=126))
names = st.text(string.ascii_lowercase, min_size=1, max_size=8)


@given(scheme=names, parameters=st.dictionaries(names, quoted, min_size=1, max_size=4))
def test_what_is_written_is_what_is_read(scheme, parameters):
    def escape(text):
        return text.replace("\\", "\\\\").replace('"', '\\"')

    header = f"{scheme} " + ", ".join(f'{name}="{escape(value)}"' for name, value in parameters.items())
    assert parse_challenges(header) == (Challenge(scheme=scheme, parameters=parameters),)


HERE = "https://r.example/v2/a/tags/list?n=2"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ""),
        ('</v2/a/tags/list?n=2&last=b>; rel="next"', "https://r.example/v2/a/tags/list?n=2&last=b"),
        ("<?last=b>; rel=next", "https://r.example/v2/a/tags/list?last=b"),
        ('<https://other/x>; title="a, b"; rel="next"', "https://other/x"),
        ('</p>; rel="prev", </n>; REL = "NEXT"', "https://r.example/n"),
        ('</n>; rel="nextish"', ""),
        ("</n>; rel=next-to", ""),
        ('</n>; rel="prev"', ""),
        ('<javascript:x>; rel="next"', ""),
        ("next", ""),
    ],
)
def test_the_next_page(header, expected):
    assert next_link(header, HERE) == expected


@given(header=st.text("<>;,=\" relnxt/'") | st.text())
def test_links_never_fail(header):
    assert next_link(header, HERE).startswith(("http", "")) is True


@pytest.mark.parametrize(
    ("header", "expected"),
    [("0-0", 1), ("0-99", 100), ("bytes=0-99", 100), ("bytes 0-99", 100), (" 0-9 ", 10),
     ("1-9", None), ("", None), ("x", None), ("0-", None), ("0-99/100", None), ("0-" + "9" * 30, None)],
)  # fmt: skip
def test_what_an_upload_has(header, expected):
    assert received(header) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [("bytes 5-9/10", (5, 10)), ("bytes 0-0/*", (0, 1)), ("bytes 9-5/10", None), ("bytes */10", None), ("", None),
     ("5-9/10", None)],
)  # fmt: skip
def test_the_part_of_an_answer(header, expected):
    assert content_range(header) == expected


@given(header=st.text("0123456789-/*= bytes") | st.text())
def test_ranges_never_fail(header):
    assert (received(header) or 0) >= 0
    assert content_range(header) is None or content_range(header)[0] < content_range(header)[1]


@pytest.mark.parametrize(
    ("header", "expected"),
    [("", 0), ("0", 0), ("120", 120), (" 7 ", 7), ("-5", 0), ("1.5", 0), ("soon", 0), ("٣", 0),
     ("Tue, 24 Nov 2026 12:00:30 GMT", 30), ("Tue, 24 Nov 2026 11:00:00 GMT", 0), ("Tue, 99 Nov", 0)],
)  # fmt: skip
def test_how_long_to_wait(header, expected):
    assert retry_after(header, NOW) == expected


@given(header=st.text())
def test_waits_never_fail(header):
    assert retry_after(header, NOW) >= 0


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/x", "https://r.example/x"),
        ("https://s3.example/a?sig=b%2Fc", "https://s3.example/a?sig=b%2Fc"),
        ("//other/x", "https://other/x"),
        ("http://[", ""),
        ("http://h:99999/", ""),
        ("ftp://h/", ""),
        ("http://user@h/", ""),
        ("http://user:password@h/", ""),
        ("http:///x", ""),
        ("/a b", ""),
        ("/a\r\nX: y", ""),
        ("/é", ""),
    ],
)
def test_addresses(target, expected):
    assert joined(HERE, target) in {expected, ""} if "\n" in target else joined(HERE, target) == expected


@given(target=st.text(":/?#[]@h.0123456789 \r\n%") | st.text())
def test_addresses_never_fail(target):
    found = joined(HERE, target)
    assert not found or host_of(found)


def test_places():
    assert same_place("https://r.example/a", "https://R.example:443/b")
    assert same_place("http://r.example:80", "http://r.example")
    assert not same_place("https://r.example", "http://r.example")
    assert not same_place("https://r.example", "https://r.example:444")
    assert not same_place("https://r.example", "https://r.example.org")


def test_docker_hub_answers_under_another_name():
    assert {network_name(name) for name in ("docker.io", "index.docker.io")} == {"registry-1.docker.io"}
    assert network_name("registry.example:5000") == "registry.example:5000"


@pytest.mark.parametrize(
    ("address", "host"),
    [("r:5000", "r"), ("[::1]:5000", "::1"), ("https://r/x", "r"), ("", ""), ("http://[", "")],
)
def test_hosts(address, host):
    assert host_of(address) == host


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "a.localhost", "::ffff:127.0.0.1"]
)
def test_this_machine(host):
    assert is_loopback(host)
    assert is_private(host)


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "fd00::1",
        "fe80::1%eth0",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "100.64.0.1",
        "::ffff:10.0.0.1",
    ],
)
def test_machines_of_a_network(host):
    assert is_private(host)
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "no.such.name.invalid", "", "x" * 300]
)
def test_machines_of_the_internet(host):
    assert not is_private(host)
    assert not is_loopback(host)

"""Secrets taken out of what a command prints: values of variables whose names look secret, URL passwords.

A value is recognised raw, URL-quoted, escaped as JSON, Python and the shell do it, and in base64 at any offset. Values
shorter than six bytes are left alone: replacing every `on` or `1` would destroy the output and hide nothing.
"""

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

MASK = b"***"
SHORTEST = 6
_SECRET_NAME = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|(^|_)(KEY|AUTH)(_|$)|_PWD(_|$)|APIKEY", re.IGNORECASE
)
# These name a file; where it lies is no secret, and messages about it would say nothing without.
_PATH_NAME = re.compile(r"(_FILE|_PATH|_DIR|_SOCK)$|^(MMCICD_SIGNING_KEY|GOOGLE_APPLICATION_CREDENTIALS)$")
# Bounded repeats: a line of megabytes must not cost its square.
_URL_PASSWORD = re.compile(rb"(://[^\s/:@]{0,256}):[^\s/@]{1,1024}@")


def secret_values(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The values worth hiding, longest first."""
    found = {
        value
        for name, value in variables.items()
        if len(value) >= SHORTEST and _SECRET_NAME.search(name) and not _PATH_NAME.search(name)
    }
    return tuple(sorted(found, key=lambda v: (-len(v), v)))


def _plain_forms(value: str) -> Iterator[bytes]:
    raw = value.encode("utf-8", "surrogateescape")
    yield raw
    for line in raw.splitlines():  # a multi-line key is printed line by line
        if len(line) >= 2 * SHORTEST:
            yield line
    yield quote(raw, safe="").encode()
    yield quote(raw).encode()
    yield quote_plus(raw).encode()
    for escaped in (json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value)):
        yield escaped[1:-1].encode("utf-8", "surrogateescape")
    yield shlex.quote(value).encode("utf-8", "surrogateescape")


def _base64_forms(value: str) -> Iterator[bytes]:
    """The letters that no neighbouring byte can change: three bytes are four letters."""
    raw = value.encode("utf-8", "surrogateescape")
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            letters = encode(b"\0" * offset + raw)
            yield letters[4 if offset else 0 : -4 if (offset + len(raw)) % 3 else None]


def _any_of(forms: Iterable[bytes]) -> bytes:
    return b"|".join(re.escape(form) for form in sorted(set(forms), key=lambda form: (-len(form), form)))


class Redactor:
    """Replaces every form of the secrets of `variables`, and of those named beside, by `***`."""

    def __init__(self, variables: Mapping[str, str], *, also: Iterable[str] = ()) -> None:
        values = (*secret_values(variables), *(value for value in also if len(value) >= SHORTEST))
        plain = [form for value in values for form in _plain_forms(value)]
        encoded = [form for value in values for form in _base64_forms(value) if len(form) >= SHORTEST]
        self.longest = max((len(form) + 8 for form in plain + encoded), default=0)
        self._patterns = []
        if encoded:  # with the letters at both ends that are shared with neighbours
            self._patterns.append(re.compile(rb"[\w+/-]{0,4}(?:" + _any_of(encoded) + rb")[\w+/=-]{0,4}"))
        if plain:
            self._patterns.append(re.compile(_any_of(plain)))

    def hide(self, output: bytes) -> bytes:
        """`output` without secrets. A secret that is cut in two is not seen: give whole lines."""
        for pattern in self._patterns:
            output = pattern.sub(MASK, output)
        return _URL_PASSWORD.sub(rb"\1:***@", output) if b"://" in output else output

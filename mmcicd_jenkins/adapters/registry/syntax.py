"""What registries write into headers. Pure.

Everything read here was written by somebody else: an unknown form is "nothing said", never a traceback.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from mmcicd_jenkins.image.reference import DOCKER_HUB
from mmcicd_jenkins.records import dataclass

HUB_ADDRESS = "registry-1.docker.io"
HUB_NAMES = (DOCKER_HUB, "index.docker.io", HUB_ADDRESS)
# A header longer than this is no header; it also bounds what the patterns below may cost.
_LONGEST = 8_192

_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_PARAMETER = re.compile(r'([\w!#$%&\'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))', re.ASCII)
_SPACES = re.compile(r"[ \t,]*")
_LINK = re.compile(r"<([^<>]*)>((?:[^<,\"]|\"[^\"]*\")*)")
_NEXT = re.compile(r';[ \t]*rel[ \t]*=[ \t]*(?:"next"|next(?![\w-]))', re.IGNORECASE)
_RANGE = re.compile(r"(?:bytes[= ])?[ \t]*(\d{1,19})-(\d{1,19})", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """One way to log in that a server offers; `scheme` in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of WWW-Authenticate; several headers are joined with commas."""
    return tuple(_challenges(header[:_LONGEST]))


def _challenges(text: str) -> Iterator[Challenge]:
    at = 0
    while at < len(text):
        scheme = _TOKEN.match(text, at)
        if not scheme:
            at += 1
            continue
        parameters: dict[str, str] = {}
        at = _after_spaces(text, scheme.end())
        while found := _PARAMETER.match(text, at):
            name, quoted, plain = found.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(name.lower(), value)
            at = _after_spaces(text, found.end())
        yield Challenge(scheme=scheme.group().lower(), parameters=parameters)


def _after_spaces(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return found.end() if found else at


def next_link(header: str, url: str) -> str:
    """The absolute address of the next page after `url`, or ""."""
    for target, parameters in _LINK.findall(header[:_LONGEST]):
        if _NEXT.search(parameters):
            return joined(url, target)
    return ""


def joined(url: str, target: str) -> str:
    """`target` as seen from `url`; "" when it is no address."""
    try:
        address = urljoin(url, target)
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or _unsafe(address):
        return ""
    return address


def _unsafe(text: str) -> bool:
    return any(ord(letter) <= 32 or ord(letter) >= 127 for letter in text)


def received(header: str) -> int | None:
    """How many bytes of an upload a registry says that it has; None when it says nothing that can be read.

    `0-0` is both one byte and, in an answer to a session that was just begun, none.
    """
    found = _RANGE.fullmatch(header.strip()[:64])
    return int(found[2]) + 1 if found and int(found[1]) == 0 else None


def content_range(header: str) -> tuple[int, int] | None:
    """First byte and the one after the last of a partial answer."""
    found = _CONTENT_RANGE.fullmatch(header.strip()[:64])
    return (int(found[1]), int(found[2]) + 1) if found and int(found[1]) <= int(found[2]) else None


def retry_after(header: str, now: datetime | None = None) -> float:
    """Seconds that a server asks us to wait; 0 when it does not ask."""
    text = header.strip()[:64]
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def network_name(registry: str) -> str:
    """Host and port under which a registry answers."""
    return HUB_ADDRESS if registry in HUB_NAMES else registry

"""What a registry's refusals and the network's failures mean, in our words. No library is imported.

The law: what a retry may cure is told apart from what it cannot; an error names the registry, the repository, what
was asked and as whom; the registry's own words are cut, on one line and without secrets.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import field

from mmcicd_jenkins.adapters.redaction import Redactor
from mmcicd_jenkins.adapters.registry.syntax import retry_after
from mmcicd_jenkins.errors import InputError, IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.records import dataclass

LONGEST = 256
# Enough for the errors of a registry; a page of a proxy is longer and says less.
MOST_READ = 16_384
# What crane, containerd and Docker ask for again.
PASSING = frozenset({408, 429, 499, 500, 502, 503, 504, 522})
_FULL = re.compile(r'no space left|"Err":\s*(?:28|122)\b|quota|insufficient storage', re.IGNORECASE)
_TAGS = re.compile(r"(?is)<(script|style|head)\b.*?</\1>|<[^>]*>")


class Trouble(Exception):
    """Something that may pass. `error` is what to say when it does not; `wait` the seconds that were asked for."""

    def __init__(self, error: MmcicdError, wait: float = 0.0) -> None:
        super().__init__(error.what)
        self.error = error
        self.wait = wait


@dataclass(frozen=True, kw_only=True)
class Doing:
    """What is being asked of whom, for messages: `to` as in "let ... write to it", `who` as in "ci (from ...)"."""

    registry: str
    repository: str = ""
    to: str = "be read"
    who: str = "nobody in particular"
    logged_in: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def where(self) -> str:
        return f"{self.registry}/{self.repository}" if self.repository else self.registry


def refused(doing: Doing, status: int, headers: Mapping[str, str], body: bytes) -> Trouble | MmcicdError:
    """What an answer that is no success means: to be tried again, or to be told at once."""
    codes, said = _read(body, doing.secrets)
    if status == 401 and "insufficient_scope" in headers.get("WWW-Authenticate", ""):
        # The token was good, and not for this.
        status = 403
    error = _told(doing, status, codes, said or f"it answers {status}")
    comes_too_often = status == 429 or "TOOMANYREQUESTS" in codes
    if not comes_too_often and (status == 507 or _FULL.search(body.decode("utf-8", "replace"))):
        # Still full a second later, and a replay costs gigabytes.
        return _full(doing, said)
    if status in PASSING or comes_too_often:
        error.retryable = True
        return Trouble(error, retry_after(headers.get("Retry-After", "")))
    return error


def _full(doing: Doing, said: str) -> MmcicdError:
    return OutsideFailed(
        "the registry has no room left",
        where=doing.where,
        why=said or "it says so without a word",
        fix="free space there or raise the quota, then run the same command again",
    )


def _told(doing: Doing, status: int, codes: frozenset[str], said: str) -> MmcicdError:
    where, registry = doing.where, doing.registry
    login = f"MMCICD_REGISTRY_USER and MMCICD_REGISTRY_PASSWORD, or docker login {registry}"
    if status == 401:
        return OutsideFailed(
            f"{registry} wants another login to {doing.to}",
            where=where,
            why=f"{said}; asked as {doing.who}",
            fix=login,
        )
    if status == 403 or "DENIED" in codes:
        return OutsideFailed(
            f"{registry} does not let this account {doing.to}",
            where=where,
            why=f"{said}; asked as {doing.who}",
            fix="give the account that right, or use another account" if doing.logged_in else login,
        )
    if "DIGEST_INVALID" in codes or "SIZE_INVALID" in codes:
        return IntegrityFailed("the registry got other bytes than were sent", where=where, why=said)
    if codes & {"NAME_UNKNOWN", "NAME_INVALID"}:
        return InputError(
            "the registry has no such repository",
            where=where,
            why=said,
            fix="make the repository there, or correct the name of the registry",
        )
    if codes & {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"}:
        return OutsideFailed(
            "the registry lost bytes that it had taken",
            where=where,
            why=said,
            fix="run the same command again; and not while the registry collects its garbage",
            retryable=True,
        )
    return _told_of_status(doing, status, said)


def _told_of_status(doing: Doing, status: int, said: str) -> MmcicdError:
    if status == 404:
        return InputError(
            "this is not a registry, or it has no such thing",
            where=doing.where,
            why=said,
            fix=f"curl -sI https://{doing.registry}/v2/ answers 200 or 401 where a registry is",
        )
    if 300 <= status < 400:
        return OutsideFailed(
            f"the registry sends us elsewhere when asked to {doing.to}",
            where=doing.where,
            why=said,
            fix="name the registry by the address that it has itself, with its port",
        )
    if status == 413:
        return OutsideFailed(
            "the registry, or a proxy before it, takes only smaller pieces",
            where=doing.where,
            why=said,
            fix="raise the limit there (nginx: client_max_body_size 0)",
        )
    if status == 429:
        return OutsideFailed(
            "the registry asks us to come less often", where=doing.where, why=said, retryable=True
        )
    if status >= 500:
        return OutsideFailed(
            f"the registry failed when asked to {doing.to}",
            where=doing.where,
            why=said,
            retryable=status in PASSING,
        )
    return OutsideFailed(f"the registry refused to {doing.to} ({status})", where=doing.where, why=said)


def unreachable(doing: Doing, why: str, *, fix: str = "", passes: bool = True) -> Trouble:
    """The network failed. `passes`: another try may do."""
    return Trouble(
        OutsideFailed(
            "the registry cannot be reached",
            where=doing.where,
            why=one_line(why, doing.secrets),
            fix=fix,
            retryable=passes,
        )
    )


def broken_off(doing: Doing, why: str) -> Trouble:
    return Trouble(
        OutsideFailed(
            f"the connection broke off when asked to {doing.to}",
            where=doing.where,
            why=one_line(why, doing.secrets),
            retryable=True,
        )
    )


def one_line(text: str, secrets: tuple[str, ...] = ()) -> str:
    """`text` fit for a message: printable, short, without `secrets` in any spelling."""
    for secret in secrets:
        text = text.replace(secret, "***")
    if secrets:
        text = Redactor({}, also=secrets).hide(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:LONGEST]


def _read(body: bytes, secrets: tuple[str, ...]) -> tuple[frozenset[str], str]:
    """The codes and the words of a registry's errors; of a page of something else its words."""
    text = body[:MOST_READ].decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return frozenset(), one_line(_TAGS.sub(" ", text), secrets)
    entries = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        said = document.get("details") or document.get("message") if isinstance(document, dict) else ""
        return frozenset(), one_line(str(said or ""), secrets)
    entries = [entry for entry in entries if isinstance(entry, dict)]
    codes = frozenset(str(entry.get("code", "")).upper() for entry in entries)
    return codes, one_line("; ".join(map(_words, entries)), secrets)


def _words(entry: dict[str, object]) -> str:
    said = f"{entry.get('code', '')}: {entry.get('message', '')}".strip(": ")
    # Of a login it only repeats what was asked for.
    detail = "" if entry.get("code") in {"UNAUTHORIZED", "DENIED"} else entry.get("detail")
    return f"{said} ({json.dumps(detail)})" if detail else said

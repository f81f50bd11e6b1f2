"""What a cluster's refusals and the network's failures mean, in our words. No library is imported.

The law: an error names the object, the namespace, the account and what an administrator has to do; missing rights are
told apart from quotas and admission, which answer 403 as well. The cluster's own words are cut, on one line, and
without secrets. What another try may cure is a `Trouble`.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from mmcicd_jenkins.adapters.redaction import Redactor
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed
from mmcicd_jenkins.records import dataclass

LONGEST = 400
# Answered before anything was done, or by something in between: for these nothing is known to be wrong with the request.
PASSING = frozenset({408, 429, 500, 502, 503, 504})
_CANNOT = re.compile(
    r'User "(?P<who>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"(?: in API group "(?P<group>[^"]*)")?'
)
_QUOTA = re.compile(r"exceeded quota: (?P<what>.*)", re.DOTALL)
_POD_SECURITY = re.compile(r'violates PodSecurity "(?P<level>[^"]*)": (?P<what>.*)', re.DOTALL)
_TAGS = re.compile(r"(?is)<(script|style|head)\b.*?</\1>|<[^>]*>")


class Conflict(OutsideFailed):
    """The object is not the one that was read: changed, made anew, or gone. Nothing was written; read it and decide anew."""


class AlreadyExists(Conflict):
    """Somebody made an object of this name first."""


class Absent(Conflict):
    """There is no such object, or it is gone."""


class Trouble(Exception):
    """Something that may pass. `error` is what to say when it does not; `wait` the seconds that were asked for;
    `unknown` says that the request may have been carried out all the same.
    """

    def __init__(self, error: MmcicdError, wait: float = 0.0, *, unknown: bool = False) -> None:
        super().__init__(error.what)
        self.error = error
        self.wait = wait
        self.unknown = unknown


@dataclass(frozen=True, kw_only=True)
class Doing:
    """What is being asked of whom, for messages: `verb` as in a Role, `thing` like `Deployment/churn-stable`."""

    server: str
    verb: str
    thing: str
    namespace: str = ""
    who: str = ""
    hidden: Callable[[], tuple[str, ...]] = field(default=tuple, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may show; asked when there is one, for a login is read after the question was made."""
        return self.hidden()

    @property
    def where(self) -> str:
        return (
            f"{self.thing} in namespace {self.namespace} of {self.server}" if self.namespace else self.server
        )


@dataclass(frozen=True, kw_only=True)
class Said:
    """A `Status` of the API server, as far as it can be read: `causes` are (field, message)."""

    reason: str = ""
    message: str = ""
    causes: tuple[tuple[str, str], ...] = ()
    kinds: frozenset[str] = frozenset()
    details_kind: str = ""
    seconds: float = 0.0
    is_status: bool = False


def refused(doing: Doing, status: int, headers: Mapping[str, str], body: bytes) -> Trouble | MmcicdError:
    """What an answer that is no success means: to be tried again, or to be told at once."""
    said = read_status(body, doing.secrets)
    error = _told(doing, status, said)
    # An admission webhook that failed answers 500 with the same words each time, and a quota is full tomorrow, too.
    if status in PASSING and not isinstance(error, InputError):
        error.retryable = True
        return Trouble(
            error, max(said.seconds, _seconds(headers.get("retry-after", ""))), unknown=status != 429
        )
    return error


def _told(doing: Doing, status: int, said: Said) -> MmcicdError:
    why = said.message or f"it answers {status} without a word"
    if not said.is_status and status not in {401, 429, 503}:
        return _no_api(doing, status, why)
    if status == 401:
        return OutsideFailed(
            "the cluster does not know this login",
            where=doing.server,
            why="; ".join(filter(None, [why, f"logged in by {doing.who}" if doing.who else ""])),
            fix="a token or certificate that has not ended: check with `kubectl auth whoami`",
        )
    if status == 403:
        return _forbidden(doing, said, why)
    if status == 404:
        return _missing(doing, said, why)
    if status == 409:
        return _conflict(doing, said, why)
    if any(at == "metadata.uid" for at, _ in said.causes):
        # Another one of this name stands; with a current resourceVersion that is told as a field that cannot change.
        return _conflict(doing, said, why)
    if status in {400, 413, 415, 422} or _no_field(said):
        return invalid(doing, said, why)
    if status == 429:
        return OutsideFailed(
            "the cluster asks us to come less often", where=doing.where, why=why, retryable=True
        )
    if status >= 500:
        what = f"the cluster failed when asked to {doing.verb} {doing.thing}"
        return OutsideFailed(what, where=doing.where, why=why)
    return OutsideFailed(
        f"the cluster refused to {doing.verb} {doing.thing} ({status})", where=doing.where, why=why
    )


def _forbidden(doing: Doing, said: Said, why: str) -> MmcicdError:
    if found := _CANNOT.search(said.message):
        who, verb, resource = found["who"], found["verb"], found["resource"]
        group = f" of {found['group']}" if found["group"] else ""
        return OutsideFailed(
            f"this account may not {verb} {resource}{group} in namespace {doing.namespace}"
            if doing.namespace
            else f"this account may not {verb} {resource}{group}",
            where=doing.where,
            why=f"{who} has no Role that allows it",
            fix="KUBECONFIG and `namespace` in mmcicd.yaml must be those of one environment; if they are, an administrator "
            "applies what `mmcicd-jenkins render rbac` prints; then `mmcicd-jenkins doctor` checks it",
        )
    if found := _QUOTA.search(said.message):
        return OutsideFailed(
            "the namespace's quota is used up",
            where=doing.where,
            why=found["what"],
            fix=f"raise it (kubectl describe quota -n {doing.namespace}), or ask for fewer or smaller copies",
        )
    if found := _POD_SECURITY.search(said.message):
        return InputError(
            f"the namespace takes only pods that are {found['level'].partition(':')[0]}",
            where=doing.where,
            why=found["what"],
            fix="remove from your own template what the message names; ours pass",
        )
    if "NamespaceTerminating" in said.kinds or "being terminated" in said.message:
        return OutsideFailed(
            f"namespace {doing.namespace} is being deleted",
            where=doing.server,
            why=why,
            fix="deploy to another one",
        )
    return _not_admitted(doing, why)


def _not_admitted(doing: Doing, why: str) -> MmcicdError:
    return OutsideFailed(
        f"a rule of the cluster does not admit {doing.thing}",
        where=doing.where,
        why=why,
        fix="change what the rule names, or ask whoever keeps it",
    )


def _missing(doing: Doing, said: Said, why: str) -> MmcicdError:
    if said.details_kind == "namespaces":
        return InputError(
            f"there is no namespace {doing.namespace}",
            where=doing.server,
            why=why,
            fix=f"kubectl create namespace {doing.namespace}, or correct environments.*.namespace",
        )
    if not said.details_kind or "could not find the requested resource" in said.message:
        kind = doing.thing.partition("/")[0]
        return InputError(
            f"this cluster has no {kind} of the version that is asked for",
            where=doing.server,
            why=why,
            fix="Kubernetes 1.25 or newer; its version: kubectl version",
        )
    return Absent(f"{doing.thing} is not there any more", where=doing.where, why=why, retryable=True)


def _conflict(doing: Doing, said: Said, why: str) -> MmcicdError:
    if said.reason == "AlreadyExists":
        return AlreadyExists(f"{doing.thing} is there already", where=doing.where, why=why, retryable=True)
    if "FieldManagerConflict" in said.kinds:
        others = "; ".join(f"{at}: {message}" for at, message in said.causes)
        return OutsideFailed(
            f"somebody else manages fields of {doing.thing}",
            where=doing.where,
            why=others or why,
            fix="let one of the two write it: kubectl get --show-managed-fields tells who does",
        )
    return Conflict(f"{doing.thing} was changed meanwhile", where=doing.where, why=why, retryable=True)


def invalid(doing: Doing, said: Said, why: str) -> MmcicdError:
    """The document is wrong, or a rule of the cluster says so."""
    if "denied the request" in said.message or "denied request:" in said.message:
        return _not_admitted(doing, why)
    first = next((at for at, _ in said.causes if at), "") or _no_field(said)
    told = "; ".join(f"{at}: {message}" if at else message for at, message in said.causes[:8])
    if len(said.causes) > 8:
        told += f"; and {len(said.causes) - 8} more"
    return InputError(
        f"the cluster does not take {doing.thing}",
        where=f"{doing.thing}: {first}" if first else doing.where,
        why=told or why,
        fix="correct it in mmcicd.yaml or in your own template; `mmcicd-jenkins render kubernetes` shows the document",
    )


def _no_field(said: Said) -> str:
    """The field that the cluster's schema does not know or takes otherwise, as server-side apply tells it; else ""."""
    found = re.search(
        r'(\.[\w.\[\]"=,/-]+): (?:field not declared in schema|expected|.* is not )|(?:unknown|duplicate) field "([^"]+)"',
        said.message,
    )
    return (found[1] or found[2] or "").lstrip(".") if found else ""


def _no_api(doing: Doing, status: int, why: str) -> MmcicdError:
    passes = status in PASSING
    return OutsideFailed(
        "what answers there is not the API server"
        if not passes
        else "something before the API server failed",
        where=doing.server,
        why=f"{status}: {why}",
        fix="" if passes else "environments.*.cluster is the address that `kubectl cluster-info` prints",
    )


def unreachable(doing: Doing, why: str, *, fix: str = "", passes: bool = True) -> Trouble:
    """No request went out. `passes`: another try may do."""
    told = one_line(why, doing.secrets)
    return Trouble(
        OutsideFailed(
            "the cluster cannot be reached", where=doing.server, why=told, fix=fix, retryable=passes
        )
    )


def broken_off(doing: Doing, why: str) -> Trouble:
    what = f"the cluster did not answer when asked to {doing.verb} {doing.thing}"
    return Trouble(
        OutsideFailed(what, where=doing.where, why=one_line(why, doing.secrets), retryable=True), unknown=True
    )


def one_line(text: str, secrets: tuple[str, ...] = (), longest: int = LONGEST) -> str:
    """`text` fit for a message: printable, short, without `secrets` in any spelling."""
    if secrets:
        text = Redactor({}, also=secrets).hide(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 16 * longest])
    words = " ".join(printable.split())
    if len(words) <= longest:
        return words
    # What was tried stands in front, what went wrong at the end.
    tail = longest // 2
    return f"{words[: longest - tail - 5]} ... {words[-tail:]}"


def read_status(body: bytes, secrets: tuple[str, ...] = ()) -> Said:
    """The `Status` in an answer; of a page of something else its words."""
    text = body[:262_144].decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return Said(message=one_line(_TAGS.sub(" ", text[:16_384]), secrets))
    if not isinstance(document, dict) or document.get("kind") != "Status":
        return Said(message="")
    details = document.get("details")
    details = details if isinstance(details, dict) else {}
    listed = details.get("causes")
    causes = [cause for cause in listed if isinstance(cause, dict)] if isinstance(listed, list) else []
    return Said(
        reason=str(document.get("reason", "")),
        message=one_line(str(document.get("message", "")), secrets),
        causes=tuple((_text(cause, "field"), one_line(_text(cause, "message"), secrets)) for cause in causes),
        kinds=frozenset(_text(cause, "reason") for cause in causes),
        details_kind=_text(details, "kind"),
        seconds=_seconds(details.get("retryAfterSeconds")),
        is_status=True,
    )


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> float:
    """What a server asks us to wait, between nothing and an hour; a date counts as nothing said."""
    try:
        return min(max(float(value), 0.0), 3600.0)  # type: ignore[arg-type]  # what cannot be a number raises
    except (TypeError, ValueError):
        return 0.0

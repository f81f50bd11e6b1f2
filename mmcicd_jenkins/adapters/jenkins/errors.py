"""What Jenkins' refusals and the network's failures mean, in our words. No library of either is imported.

The law: 401, 403, 404, 400 and 500 are five different things to a person; a body is cut short, an address
carries no secret, and nobody is told "possibly".
"""

import html
import re
from collections.abc import Mapping

from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed

# Enough to recognise what was refused; an error page of Jenkins has 10,000 letters.
LONGEST = 256
_SHORT = 4_000
_TAGS = re.compile(r"(?is)<!--.*?-->|<(script|style|head)\b.*?</\1>|<[^>]*>")
_MESSAGE = re.compile(r"(?is)<th>MESSAGE:</th><td>(.*?)</td>")
_MAIN = re.compile(r"(?s)start of main content[^>]*-->(.*?)<!--[^>]*end of main")
_TOKEN_FIX = (
    "make an API token on your Jenkins page under Security; set MMCICD_JENKINS_USER and MMCICD_JENKINS_TOKEN"  # noqa: S105  a sentence
)


class NotThere(InputError):
    """404: no such thing, or no right to know of it."""


def refused(status: int, address: str, headers: Mapping[str, str], body: str, *, user: str) -> MmcicdError:
    """The error for an answer that is none of success."""
    who = user or "nobody in particular"
    said = headers.get("X-Error") or _said(body)
    if 300 <= status < 400:
        return _elsewhere(status, address, headers.get("Location", ""))
    if status == 401:
        return OutsideFailed(
            f"Jenkins does not know {who}", where=address, why=said or "401 Unauthorized", fix=_TOKEN_FIX
        )
    if status == 403:
        return _forbidden(address, said, user, headers.get("X-Required-Permission", ""))
    if status == 404:
        return NotThere(
            "Jenkins has no such thing, or you may not know of it",
            where=address,
            why=f"it answers 404 to {who}",
            fix="check the name, and the account's permission Job/Read there",
        )
    if status in {502, 503, 504}:
        why = "it starts, restarts or is overloaded" if status == 503 else "the proxy before it has no answer"
        return OutsideFailed(
            f"Jenkins does not answer ({status})",
            where=address,
            why=said or why,
            fix="try again in a minute",
            retryable=True,
        )
    if status >= 500:
        return OutsideFailed(
            f"Jenkins failed over the request ({status})",
            where=address,
            why=said or "it says no more; its system log does",
            fix="look into Manage Jenkins, System Log, for that time or id",
        )
    return InputError(
        f"Jenkins refused the request ({status})",
        where=address,
        why=said or "it gives no reason",
        fix="the reason above is Jenkins' own",
    )


def _elsewhere(status: int, address: str, location: str) -> MmcicdError:
    login = "securityRealm" in location or "/login" in location
    return OutsideFailed(
        "Jenkins wants a login" if login else "Jenkins sends us to another address",
        where=address,
        why=f"{status} to {location.partition('?')[0][:LONGEST] or 'nowhere'}",
        fix=_TOKEN_FIX
        if login
        else "jenkins.url must be the address that Jenkins itself has, with its path and https",
    )


def _forbidden(address: str, said: str, user: str, permission: str) -> MmcicdError:
    if "crumb" in said.lower():
        return OutsideFailed(
            "Jenkins wants a crumb, which only passwords need", where=address, why=said, fix=_TOKEN_FIX
        )
    if not user:
        return OutsideFailed(
            "Jenkins wants to know who you are", where=address, why=said or "403 Forbidden", fix=_TOKEN_FIX
        )
    return OutsideFailed(
        f"{user} may not do this on Jenkins",
        where=address,
        why=said or "403 Forbidden",
        fix=f"ask an administrator for {_permission(permission) or 'the missing permission'} there",
    )


def _permission(java_name: str) -> str:
    """`Job/Configure`, as people read it on Jenkins' pages, for `hudson.model.Item.Configure`."""
    owner, _, right = java_name.rpartition(".")
    group = {"Item": "Job", "Run": "Run", "Hudson": "Overall", "View": "View", "Computer": "Agent"}
    return f"{group[name]}/{right}" if (name := owner.rpartition(".")[2]) in group else java_name


def _said(body: str) -> str:
    """What an error page says: a cell of the servlet container's table, or what stands between Jenkins' own marks.

    Jenkins' pages carry a whole menu, so a body that fits neither form is only taken when it is short.
    """
    found = _MESSAGE.search(body) or _MAIN.search(body)
    text = found[1] if found else body if len(body) < _SHORT else ""
    told = " ".join(html.unescape(_TAGS.sub(" ", text)).split())
    return told.replace("Oops! A problem occurred while processing the request", "").strip()[:LONGEST]


def unreachable(kind: str, address: str, why: str) -> MmcicdError:
    """The error for a request that had no answer. `kind` is timeout, tls, plain, proxy, refused or broken."""
    what, fix, again = {
        "timeout": ("Jenkins did not answer in time", "try again; a busy controller answers late", True),
        "tls": (
            "the certificate of Jenkins is not trusted",
            "set MMCICD_JENKINS_CA to a PEM file with the certificate of your authority",
            False,
        ),
        "plain": (
            "Jenkins does not speak https at this address",
            "jenkins.url: http:// instead of https://, or the port of the proxy that ends TLS",
            False,
        ),
        "proxy": (
            "the proxy to Jenkins does not work",
            "set NO_PROXY for this host, or correct HTTPS_PROXY",
            True,
        ),
        "refused": ("Jenkins cannot be reached", "check jenkins.url, the network, and that it runs", True),
        "broken": ("the connection to Jenkins broke", "run the same command again", True),
    }[kind]
    return OutsideFailed(what, where=address, why=why[:LONGEST], fix=fix, retryable=again)

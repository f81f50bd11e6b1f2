"""The first knock at a registry: whether it speaks TLS, whether it is a registry, how it wants us to log in.

No login is sent here. Plain text is spoken with this machine, and with a registry for which it was asked; there TLS
comes first, unchecked, as Docker does with an insecure registry.
"""

from typing import TYPE_CHECKING

from mmcicd_jenkins.adapters.hosts import host_of, is_loopback
from mmcicd_jenkins.adapters.registry.asks import Answer, read_body
from mmcicd_jenkins.adapters.registry.errors import MOST_READ, Doing, Trouble, refused
from mmcicd_jenkins.adapters.registry.syntax import network_name
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.registry.wire import Wire

# A first answer is short.
_SECONDS = 60.0


def knock(registry: str, wire: "Wire", trusted: bool, doing: Doing) -> tuple[str, Answer]:
    """The base address of a registry and what it answers to `/v2/`.

    Raises:
        Trouble: it may answer later.
        MmcicdError: it will not.
    """
    name = network_name(registry)
    here = is_loopback(host_of(name))
    # A server of TLS refuses plain text at once; one of plain text may wait for the end of a greeting.
    first, second = ("http", "https") if here else ("https", "" if trusted else "http")
    base = f"{first}://{name}"
    try:
        answer = _ask(base, wire, trusted, doing)
        if not (second and answer.status == 400 and b"https" in answer.body.lower()):
            return base, answer
    except (Trouble, OutsideFailed) as e:
        if not second or not (here or _is_without_tls(name, e)):
            raise
    base = f"{second}://{name}"
    return base, _ask(base, wire, trusted, doing)


def no_registry(registry: str, answer: Answer, doing: Doing) -> Trouble | MmcicdError:
    """What an answer means that no registry gives."""
    error = refused(doing, answer.status, answer.headers, answer.body)
    if isinstance(error, Trouble):
        return error
    return InputError(
        f"there is no registry at {registry}",
        where=answer.url,
        why=f"it answers {answer.status}; a registry answers 200, or 401 with a way to log in",
        fix="check the name of the registry",
    )


def _is_without_tls(name: str, error: Exception) -> bool:
    """Whether plain text is worth a try: the other side did not understand, or nobody is at the port of TLS."""
    from mmcicd_jenkins.adapters.registry.failures import is_no_tls

    return is_no_tls(error.__cause__) or ":" not in name


def _ask(base: str, wire: "Wire", trusted: bool, doing: Doing) -> Answer:
    response = wire.ask("GET", f"{base}/v2/", {}, doing, trusted=trusted)
    try:
        body = read_body(response, MOST_READ, doing, _SECONDS)
    finally:
        response.close()
    return Answer(status=response.status, headers=response.headers, body=body, url=f"{base}/v2/")

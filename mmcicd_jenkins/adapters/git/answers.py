"""What git's answers mean: its English (LC_ALL=C) sorted into kinds, and each kind as one of our errors.

The order of the table matters: a full disk is also a failed ref update, and only the latter is worth
another try. Whoever meets a new sentence of git adds a line here and a case to the tests.
"""

import re
import shlex
from enum import StrEnum

from mmcicd_jenkins.errors import InputError, IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.records import dataclass


class Kind(StrEnum):
    """`MOVED`: someone else wrote first, decide again. `NETWORK`: the answer may be lost, read back first."""

    DONE = "done"
    MOVED = "moved"
    NETWORK = "network"
    ABSENT = "absent"
    NO_REPOSITORY = "no repository"
    MISSING = "missing"
    AUTH = "auth"
    HOST_KEY = "host key"
    OWNERSHIP = "ownership"
    FULL = "full"
    READ_ONLY = "read-only"
    REFUSED = "refused"
    PROTOCOL = "protocol"
    CORRUPT = "corrupt"
    OTHER = "other"


# Texts: they are compiled when git failed, not whenever we start.
_SENTENCES: tuple[tuple[Kind, str], ...] = (
    (Kind.FULL, r"No space left on device|Disk quota exceeded|File too large"),
    (Kind.AUTH, r"Permission denied \(|Authentication failed|could not read (Username|Password)"),
    (Kind.HOST_KEY, r"Host key verification failed"),
    (Kind.AUTH, r"terminal prompts disabled|returned error: 40[13]\b"),
    (Kind.AUTH, r"Access denied|HTTP Basic: |invalid credentials|do not have permission"),
    (Kind.READ_ONLY, r"Read-only file system|Permission denied|insufficient permission"),
    (Kind.OWNERSHIP, r"dubious ownership|unsafe repository"),
    (Kind.ABSENT, r"couldn't find remote ref"),
    (Kind.PROTOCOL, r"transport '.*' not allowed|is not a valid remote|unable to find remote helper"),
    (Kind.MOVED, r"stale info|fetch first|non-fast-forward|incorrect old value|but expected [0-9a-f]+"),
    (Kind.MOVED, r"cannot lock ref|reference already exists|failed to update ref"),
    (Kind.MOVED, r"atomic (push|transaction) failed|failed to lock"),
    (Kind.REFUSED, r"\[remote rejected\]|hook declined|protected branch|service not enabled"),
    (
        Kind.CORRUPT,
        r"bad object|is corrupt|corrupt loose object|missing (blob|tree|commit)|unable to read tree",
    ),
    (Kind.NETWORK, r"Could not resolve|Connection (refused|reset|timed out|closed)|unable to connect"),
    (
        Kind.NETWORK,
        r"Couldn't connect|Failed to connect|[Tt]imed out|Network is unreachable|No route to host",
    ),
    (Kind.NETWORK, r"early EOF|hung up unexpectedly|unexpected disconnect|RPC failed|Broken pipe"),
    (Kind.NETWORK, r"returned error: (429|5\d\d)|Empty reply|SSL_|gnutls_|unable to look up|too slow"),
    (
        Kind.MISSING,
        r"does not appear to be a git repository|[Rr]epository .*not found|repository not exported",
    ),
    (Kind.NETWORK, r"could not fetch .* from promisor remote"),
    (Kind.MISSING, r"returned error: 404|does not exist"),
    (Kind.NO_REPOSITORY, r"not a git repository"),
)

# kind -> (class, what, fix, whether the same command may succeed later)
_ERRORS: dict[Kind, tuple[type[MmcicdError], str, str, bool]] = {
    Kind.MOVED: (OutsideFailed, "other writers were always faster", "run the same command again", True),
    Kind.NETWORK: (OutsideFailed, "the git repository cannot be reached", "run the same command again", True),
    Kind.ABSENT: (InputError, "the branch does not exist there", "check the name", False),
    Kind.NO_REPOSITORY: (
        InputError,
        "this folder is not a git repository",
        "git init, then git add and git commit",
        False,
    ),
    Kind.MISSING: (
        OutsideFailed,
        "there is no git repository at this address",
        "check the address, or create an empty repository there",
        False,
    ),
    Kind.AUTH: (
        OutsideFailed,
        "the git server refused the credentials",
        "check with: git ls-remote ADDRESS; in Jenkins, the credentials that mmcicd.yaml names",
        False,
    ),
    Kind.HOST_KEY: (
        OutsideFailed,
        "this machine does not know the key of the git server, or the server has another one now",
        "get it from who runs the server, add it to ~/.ssh/known_hosts or to a file named by MMCICD_KNOWN_HOSTS",
        False,
    ),
    Kind.OWNERSHIP: (
        OutsideFailed,
        "git does not trust this repository, because another user owns it",
        "run as its owner",
        False,
    ),
    Kind.FULL: (
        OutsideFailed,
        "there is no space left",
        "free some space, then run the same command again",
        True,
    ),
    Kind.READ_ONLY: (
        OutsideFailed,
        "git may not write there",
        "make the folder writable for this user, or name another one",
        False,
    ),
    Kind.REFUSED: (
        OutsideFailed,
        "the git server refused the write",
        "let this user push to refs/heads/mmcicd/*; look at branch protection and hooks",
        False,
    ),
    Kind.PROTOCOL: (
        InputError,
        "this kind of git address is not allowed",
        "use a path, or an address with https://, ssh:// or git@host:path",
        False,
    ),
    Kind.CORRUPT: (
        IntegrityFailed,
        "the git repository is damaged",
        "git fsck there; then restore it from a copy",
        False,
    ),
    Kind.OTHER: (OutsideFailed, "git failed", "the sentence above is git's own", False),
}

_DISTRUSTED = re.compile(r"dubious ownership in repository at '(.*)'$", re.MULTILINE)
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20}://)(?P<user>[^\s/]{1,2000})@")
_QUERY = re.compile(r"((?:token|password|passwd|secret|key|sig|signature)=)[^&\s]+", re.IGNORECASE)


def redact(text: str) -> str:
    """`text` without what URLs may hide: passwords, and the whole user part of a web address (a token)."""
    return _QUERY.sub(r"\1***", _USERINFO.sub(_redact_user, text))


def _redact_user(match: re.Match[str]) -> str:
    user, colon, _ = match["user"].partition(":")
    if match["scheme"].lower().startswith("http"):
        return f"{match['scheme']}***@"
    return f"{match['scheme']}{user}:***@" if colon else match.group()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How one call of git ended. `where` is what it was about, redacted; `said` its messages, redacted.

    `use` is what the login was for, `refused` what to do when the server did not accept it.
    """

    status: int
    out: bytes
    said: str
    where: str
    timed_out: bool = False
    use: str = ""
    refused: str = ""

    @property
    def kind(self) -> Kind:
        if self.timed_out:
            return Kind.NETWORK
        if self.status == 0:
            return Kind.DONE
        return next((kind for kind, pattern in _SENTENCES if re.search(pattern, self.said)), Kind.OTHER)

    def error(self, fix: str = "") -> MmcicdError:
        """This failure, told to a person."""
        kind, what, usual_fix, retryable = _ERRORS[self.kind]
        if self.kind is Kind.AUTH and self.use:
            what, usual_fix = f"{what} for the {self.use}", self.refused
        why = "no answer in time" if self.timed_out else _last_sentence(self.said) or f"status {self.status}"
        if self.kind is Kind.OWNERSHIP:
            usual_fix = f"{_trusting(self.said, self.where)}; or run as its owner"
        return kind(what, where=self.where, why=why, fix=fix or usual_fix, retryable=retryable)


def _trusting(said: str, where: str) -> str:
    """The line that makes git trust the repository. Git says which folder it means: not always the one it was asked for."""
    named = _DISTRUSTED.search(said)
    return f"git config --global --add safe.directory {shlex.quote(named.group(1) if named else where)}"


def _last_sentence(said: str) -> str:
    """The line of git's output that says most: the first rejection or fatal line, at most 256 characters."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("!", "fatal:", "error:")) or "remote:" in line]
    return (telling or lines or [""])[0][:256]

"""Which Jenkins, as whom: the address, the account's API token, the certificates to trust. Reads no network.

The law: a token comes from the environment or from a file, never from the command line, where every user of the
machine could read it; and never from an address, which stands in logs.
"""

import netrc
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from urllib.parse import urlsplit

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

USER, TOKEN, CERTIFICATES = "MMCICD_JENKINS_USER", "MMCICD_JENKINS_TOKEN", "MMCICD_JENKINS_CA"


@dataclass(frozen=True, kw_only=True)
class Account:
    """`user` "" means nobody in particular. `certificates` is a file of certificate authorities."""

    url: str
    user: str = ""
    token: str = field(default="", repr=False)
    certificates: str = ""

    def __repr__(self) -> str:
        return f"Account(url={self.url!r}, user={self.user!r})"


def account_of(url: str, variables: Mapping[str, str], where: str = "jenkins.url") -> Account:
    """The account for a controller: from the variables, else from a netrc file.

    Raises:
        InputError: no usable address, half an account, or an unreadable file.
    """
    url = _address(url, where)
    user, token = variables.get(USER, ""), variables.get(TOKEN, "")
    if bool(user) != bool(token):
        given, missing = (USER, TOKEN) if user else (TOKEN, USER)
        raise InputError(
            f"{given} is set and {missing} is not", fix=f"set both; a token is made at {url}me/security/"
        )
    if not user:
        user, token = _from_netrc(urlsplit(url).hostname or "", variables)
    if any(ord(c) < 32 for c in user + token) or ":" in user:
        raise InputError(
            "the Jenkins user or token holds characters that neither can have",
            where=USER,
            fix="look for a line end that was copied with it",
        )
    certificates = variables.get(CERTIFICATES, "")
    if certificates and not Path(certificates).is_file():
        raise InputError(
            f"{CERTIFICATES} names no file",
            where=certificates,
            fix="a PEM file with the certificate of your authority",
        )
    return Account(url=url, user=user, token=token, certificates=certificates)


def _address(url: str, where: str) -> str:
    fix = "jenkins: {url: https://jenkins.example}, or MMCICD_JENKINS_URL"
    if not url:
        raise InputError("which Jenkins?", where=where, why="jenkins.url is not set", fix=fix)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as e:
        raise InputError("the address of Jenkins is no address", where=where, why=str(e), fix=fix) from e
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(
            f"the address of Jenkins begins with {parts.scheme or 'nothing'}://, not https://",
            where=where,
            fix=fix,
        )
    if "@" in parts.netloc:
        raise InputError(
            "the address of Jenkins holds a user or a password",
            where=where,
            why="addresses stand in logs and files",
            fix=f"take it out and set {USER} and {TOKEN}",
        )
    return parts._replace(query="", fragment="").geturl().rstrip("/") + "/"


def _from_netrc(host: str, variables: Mapping[str, str]) -> tuple[str, str]:
    named = variables.get("NETRC")
    path = Path(named) if named else Path(variables.get("HOME", "")) / ".netrc"
    if not path.is_file():
        return "", ""
    try:
        found = netrc.netrc(str(path)).authenticators(host)
    except (OSError, netrc.NetrcParseError) as e:
        # Without a name of its own the parser quotes nothing of the file; its lines hold passwords.
        raise InputError(
            "the file with the Jenkins account cannot be read",
            where=str(path),
            why=type(e).__name__ if isinstance(e, netrc.NetrcParseError) else e.strerror or str(e),
            fix=f"machine {host} login USER password TOKEN",
        ) from e
    return (found[0], found[2] or "") if found and found[0] else ("", "")

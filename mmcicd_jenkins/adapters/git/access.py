"""How git proves who it is: a user and a password by https, a key file by ssh; one login for one repository.

No secret stands in an argument, a file or git's configuration. For https git asks a helper, a constant line of
shell that prints two variables of git's own environment, and only for the server of this repository: after a
redirect elsewhere nobody answers. For ssh the key is named and nothing else is tried. Host keys are always
checked; nobody is ever asked.
"""

import os
import re
import shlex
from urllib.parse import urlsplit

from mmcicd_jenkins.adapters.credentials import Login
from mmcicd_jenkins.adapters.git.answers import redact
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

_USER, _PASSWORD = "MMCICD_GIT_USER", "MMCICD_GIT_PASSWORD"
_HELPER = f'!f() {{ if [ "$1" = get ]; then printf "username=%s\\npassword=%s\\n" "${_USER}" "${_PASSWORD}"; fi; }}; f'
_PLAIN_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,200}")
# ssh reads its options like lines of its configuration, where these cannot be written.
_NO_OPTION = re.compile(r'["\\\x00-\x1f\x7f]|\$\{')
_WEB = re.compile(
    r"(?P<scheme>https?://)(?:[^/@]*@)?(?P<host>(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?)(?:[/?#]|$)",
    re.IGNORECASE,
)
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?[^/:]+:")


@dataclass(frozen=True, kw_only=True)
class GitAccess:
    """The login for the repository at `url`."""

    url: str
    login: Login

    def settings(self) -> tuple[str, ...]:
        """`key=value` for `git -c`; free of secrets."""
        if not (self._is_web and self.login.password):
            return ()
        match = _WEB.match(self.url)
        if match is None:
            raise InputError(
                f"{redact(self.url)[:80]!r} is no address of a server", fix="correct it in mmcicd.yaml"
            )
        # The empty one forgets the machine's own helpers: one of them might store our password.
        return ("credential.helper=", f"credential.{match['scheme']}{match['host']}.helper={_HELPER}")

    def variables(self) -> dict[str, str]:
        """For git's environment."""
        if self._is_web:
            return {_USER: self.login.user, _PASSWORD: self.login.password} if self.login.password else {}
        return {"GIT_SSH_COMMAND": self._ssh()} if self.login.key_file and self._is_ssh else {}

    def hide(self, text: str) -> str:
        """`text` without the password, however short it is: git or a server may quote it."""
        return text.replace(self.login.password, "***") if self.login.password else text

    @property
    def _is_web(self) -> bool:
        return self.url.lower().startswith(("http://", "https://"))

    @property
    def _is_ssh(self) -> bool:
        scheme, separator, _ = self.url.partition("://")
        return scheme.lower() in {"ssh", "git+ssh"} if separator else _SCP.match(self.url) is not None

    def _ssh(self) -> str:
        options = {
            "IdentityFile": _path(self.login.key_file, self.login.key_name),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
        }
        if self.login.known_hosts:
            options["UserKnownHostsFile"] = _path(self.login.known_hosts, "MMCICD_KNOWN_HOSTS")
        if self.login.user and not self._user_in_url():
            if not _PLAIN_USER.fullmatch(self.login.user):
                raise InputError(
                    f"MMCICD_{self.login.use.upper()}_USER is no name that ssh can use",
                    fix="write the user into the address: ssh://git@host/path",
                )
            options["User"] = self.login.user
        return shlex.join(
            ["ssh", *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]
        )

    def _user_in_url(self) -> bool:
        if "://" in self.url:
            return "@" in urlsplit(self.url).netloc
        match = _SCP.match(self.url)
        return match is not None and match["user"] is not None

    def refused(self) -> str:
        """What to do when the server says no."""
        names = self.login.key_name if self._is_ssh else self.login.names
        given = self.login.key_file if self._is_ssh else self.login.password
        where = f"in Jenkins: the credential whose id stands in {self.login.in_jenkins}; elsewhere: {names}"
        if given:
            return f"put the right ones there: {where}"
        return f"none were given. {where[0].upper()}{where[1:]}"


def _path(text: str, name: str) -> str:
    """A file as the value of an option of ssh, which expands `%` and breaks at spaces."""
    path = os.path.abspath(text)  # noqa: PTH100  resolve() would follow links
    if _NO_OPTION.search(path):
        raise InputError(
            f"ssh cannot be told the path in {name}",
            why='it holds a quote, a backslash, a control character or "${"',
            fix="use another folder",
        )
    if not os.access(path, os.R_OK):
        raise InputError(f"the file that {name} names cannot be read", where=path, fix="correct the path")
    return f'"{path.replace("%", "%%")}"'

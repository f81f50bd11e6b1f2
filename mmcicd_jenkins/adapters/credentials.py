"""The variables in which a stage finds its credentials, and who may see them. Pure but for what callers hand in.

`render.credentials` says to Jenkins which of these to fill; on a laptop a person may. The law: a child process
is given the credentials that it uses; the team's own commands are given none of ours, and neither does git see
those of another use.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

Use = Literal["ledger", "source", "registry", "data"]

SIGNING = "MMCICD_SIGNING_KEY"
KNOWN_HOSTS = "MMCICD_KNOWN_HOSTS"
_PARTS = ("USER", "PASSWORD", "KEY_FILE")
# AWS_*, GOOGLE_APPLICATION_CREDENTIALS and KUBECONFIG are not here: a team's own tools read them as well, and a
# stage has them only when it needs them.
OURS = frozenset(
    {
        SIGNING,
        "MMCICD_DATA_PASSWORD",
        "MMCICD_DATA_USER",
        "MMCICD_LEDGER_KEY_FILE",
        "MMCICD_LEDGER_PASSWORD",
        "MMCICD_LEDGER_USER",
        "MMCICD_PROMETHEUS_PASSWORD",
        "MMCICD_PROMETHEUS_TOKEN",
        "MMCICD_PROMETHEUS_USER",
        "MMCICD_REGISTRY_PASSWORD",
        "MMCICD_REGISTRY_USER",
        "MMCICD_SOURCE_KEY_FILE",
        "MMCICD_SOURCE_PASSWORD",
        "MMCICD_SOURCE_USER",
    }
)


def without_ours(variables: Mapping[str, str]) -> dict[str, str]:
    """What a command that is not ours may see."""
    return {name: value for name, value in variables.items() if name not in OURS}


@dataclass(frozen=True, kw_only=True)
class Login:
    """A user and a password, or an SSH key in a file; nothing when this machine's own rights are to do.

    `names` are the variables it was read from, for messages.
    """

    use: Use
    user: str = ""
    password: str = field(default="", repr=False)
    key_file: str = ""
    known_hosts: str = ""

    @property
    def names(self) -> str:
        return f"MMCICD_{self.use.upper()}_USER and MMCICD_{self.use.upper()}_PASSWORD"

    @property
    def key_name(self) -> str:
        return f"MMCICD_{self.use.upper()}_KEY_FILE"

    @property
    def in_jenkins(self) -> str:
        """Where the id stands in mmcicd.yaml."""
        return f"jenkins.credentials.ci.{self.use} or .ops.{self.use}"


def login(use: Use, variables: Mapping[str, str]) -> Login:
    """The credentials of one use.

    Raises:
        InputError: half of a pair is missing, or a value holds a line break, which no protocol can carry.
    """
    prefix = f"MMCICD_{use.upper()}"
    user, password, key_file = (variables.get(f"{prefix}_{part}", "") for part in _PARTS)
    if password and not user:
        raise InputError(
            f"{prefix}_PASSWORD is set, and {prefix}_USER is not",
            fix=f"set {prefix}_USER as well, or neither",
        )
    for name, value in ((f"{prefix}_USER", user), (f"{prefix}_PASSWORD", password)):
        if any(mark in value for mark in "\r\n\0"):
            raise InputError(f"the value of {name} holds a line break", fix="store it without one")
    return Login(
        use=use, user=user, password=password, key_file=key_file, known_hosts=variables.get(KNOWN_HOSTS, "")
    )

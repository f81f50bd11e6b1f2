"""Where a registry may send us, and who may see our account: rules about addresses, no requests.

The law: the account goes to the registry's own address and to the token service that it names; never from TLS to
plain text, never from a registry of the internet to a machine of this network.
"""

from urllib.parse import urlsplit

from mmcicd_jenkins.adapters.hosts import host_of, is_loopback, is_private, same_place
from mmcicd_jenkins.adapters.registry.errors import Doing, one_line
from mmcicd_jenkins.adapters.registry.syntax import joined
from mmcicd_jenkins.errors import OutsideFailed


class Addresses:
    """The addresses around the registry at `base`. `trusted` is False where plain text was asked for."""

    def __init__(self, base: str, trusted: bool) -> None:
        self._base = base
        self._host = host_of(base)
        self._trusted = trusted

    def is_own(self, url: str) -> bool:
        return same_place(url, self._base)

    def onward(self, url: str, target: str, doing: Doing) -> str:
        """The address to which an answer from `url` sends us.

        Raises:
            OutsideFailed: we do not go there.
        """
        address = joined(url, target)
        parts = urlsplit(address)
        if parts.scheme == "http" and self._base.startswith("https:") and parts.hostname == self._host:
            # A registry behind a proxy that ends TLS does not know its own scheme.
            address = parts._replace(scheme="https", netloc=urlsplit(self._base).netloc).geturl()
        if not address or (address.startswith("http:") and url.startswith("https:") and self._trusted):
            raise untrusted(doing, target, "that is no address with TLS")
        self._check_reach(address, doing)
        return address

    def token_service(self, realm: str, doing: Doing) -> str:
        """The address of a token service that gets our account.

        Raises:
            OutsideFailed: we show it nothing.
        """
        address = joined(self._base, realm)
        is_plain = address.startswith("http:")
        is_here = is_loopback(host_of(address)) and is_loopback(self._host)
        if not address or (is_plain and self._trusted and not self.is_own(address) and not is_here):
            raise untrusted(doing, realm, "a token service must be reached by TLS")
        self._check_reach(address, doing)
        return address

    def _check_reach(self, address: str, doing: Doing) -> None:
        if not self.is_own(address) and is_private(host_of(address)) and not is_private(self._host):
            raise untrusted(doing, address, "that is a machine of this network, which it should not know of")


def untrusted(doing: Doing, target: str, why: str) -> OutsideFailed:
    place = one_line(target.partition("?")[0], doing.secrets)
    return OutsideFailed(
        "the registry sends us to an address that is not trusted",
        where=doing.where,
        why=f"{why}: {place}",
        fix="correct the address that the registry has for itself, its storage or its token service",
    )

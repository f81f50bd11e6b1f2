"""`ports.doctor.RegistryLook`: whether a registry answers, as whom it is asked, and what that account may do.

An upload is begun and called off; what is deleted has a digest that nothing has. Nothing is left of a look.
"""

from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.image.reference import parse_reference
from mmcicd_jenkins.ports.doctor import RegistryRight

_NO_TAG = "mmcicd-doctor"
_NO_DIGEST = "sha256:" + "0" * 64


class Look:
    """The repositories below `root`, a registry's host and maybe a path."""

    def __init__(self, root: str, access: Access) -> None:
        self._root = root
        self._access = access

    def reach(self) -> str:
        """As the port says."""
        host = self._root.partition("/")[0]
        registry = self._access.to(host)
        registry.url("", registry.doing("be reached"))
        return self._access.who(host)

    def may(self, repository: str, right: RegistryRight) -> str:
        """As the port says."""
        place = Repository(parse_reference(f"{self._root}/{repository}"), self._access)
        try:
            if right == "read":
                place.manifest(_NO_TAG)
            elif right == "write":
                place.check_write()
            else:
                place.delete(_NO_DIGEST)
        except (OutsideFailed, InputError) as e:
            if e.retryable:
                raise
            return e.why or e.what
        return ""

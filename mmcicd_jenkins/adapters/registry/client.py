"""How registries are reached (`Access`), and one repository of one of them (`Repository`): OCI distribution 1.1.

What stands in a repository and what its documents mean is decided elsewhere; here are bytes, digests and tags.
"""

import threading
import time
from collections.abc import Callable, Mapping

from mmcicd_jenkins.adapters.credentials import login
from mmcicd_jenkins.adapters.registry.blobs import Blobs
from mmcicd_jenkins.adapters.registry.docker_config import DockerConfig, Identity
from mmcicd_jenkins.adapters.registry.documents import Documents
from mmcicd_jenkins.adapters.registry.http import Registry
from mmcicd_jenkins.adapters.registry.syntax import network_name
from mmcicd_jenkins.adapters.registry.tries import Deadlines, Patience
from mmcicd_jenkins.adapters.registry.upload import LARGEST_PIECE
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.reference import Reference


class Access:
    """How registries are reached, for any number of repositories; thread-safe.

    Args:
        registry: our own, perhaps with a path as in store.registry. MMCICD_REGISTRY_USER and _PASSWORD and `insecure` are for it and for no other.
        variables: the environment: logins, Docker's config, proxies.
        ca: a PEM file of authorities to trust beside the system's; "" for none.
        insecure: whether our own registry may show any certificate, or speak without TLS.
        piece: uploads go in pieces of so many bytes; 0 = each blob in one stream, as registries like best.
        deadlines: for connecting, and for silence.
        patience: how often a request is tried.
        sleep: waits between two tries.

    Raises:
        InputError: half a login is set, or a setting cannot be used.
    """

    def __init__(
        self,
        registry: str,
        variables: Mapping[str, str],
        *,
        ca: str = "",
        insecure: bool = False,
        piece: int = 0,
        deadlines: Deadlines | None = None,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not 0 <= piece <= LARGEST_PIECE:
            raise InputError(
                f"uploads cannot go in pieces of {piece:,} bytes",
                why="each is kept in memory until the registry has it",
                fix=f"choose 0 (no limit) or at most {LARGEST_PIECE:,}",
            )
        self._own = network_name(registry.partition("/")[0])
        self._insecure = insecure
        self._piece = piece
        self._patience = patience or Patience()
        self._sleep = sleep
        self._login = login("registry", variables)
        self._docker = DockerConfig(variables)
        from mmcicd_jenkins.adapters.registry.wire import Wire

        self._wire = Wire(variables, ca, deadlines or Deadlines())
        self._registries: dict[str, Registry] = {}
        self._lock = threading.Lock()

    def to(self, registry: str) -> Registry:
        """The one connection to a registry, whoever asks."""
        name = network_name(registry)
        with self._lock:
            if name not in self._registries:
                made = Registry(
                    registry,
                    self._wire,
                    lambda: self._identity(registry),
                    insecure=self._insecure and name == self._own,
                    patience=self._patience,
                    sleep=self._sleep,
                )
                made.piece = self._piece if name == self._own else 0
                self._registries[name] = made
            return self._registries[name]

    def who(self, registry: str) -> str:
        """As whom a registry is asked, and where that login was found; for messages."""
        return self._identity(registry).who

    def close(self) -> None:
        self._wire.close()

    def _identity(self, registry: str) -> Identity:
        if self._login.user and network_name(registry) == self._own:
            return Identity(user=self._login.user, password=self._login.password, origin=self._login.names)
        return self._docker.identity(registry)


class Repository(Blobs, Documents):
    """The repository `place`, whose tag and digest say nothing here; thread-safe."""

    def __init__(self, place: Reference, access: Access) -> None:
        super().__init__(place, access.to(place.registry))

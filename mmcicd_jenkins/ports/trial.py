"""The port of `verify`: one server of one image, started to be looked at, asked, and gone again.

Two things stand behind it: a container of the image, and the embedded server on the image's model layers. The law: what
the image does wrong is `GateRefused`, what fails around it is `OutsideFailed`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.ports import Endpoint
from mmcicd_jenkins.ports.store import BlobSource
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:
    from mmcicd_jenkins.image.manifest import Image


@dataclass(frozen=True, kw_only=True)
class Joined:
    """An image made for a look and never stored: `blobs` are its small layers, `source` has those in `below`, its base's.

    The store has the others.
    """

    image: "Image"
    blobs: tuple[bytes, ...]
    below: tuple[Descriptor, ...]
    source: BlobSource


@dataclass(frozen=True, kw_only=True)
class TrialOrder:
    """What to start: `image` is a digest, `layers` the model's own; limits as in `serving`.

    `log` is where the server's words are kept. `joined` is the image itself where the store does not hold it.
    """

    model: str
    version: int
    image: str
    layers: tuple[Descriptor, ...]
    log: Path
    memory_bytes: int = 0
    cpu: float = 0.0
    gpus: int = 0
    joined: Joined | None = None


class Trial(Protocol):
    """A server for one look. `how` says in words what it is and why that one."""

    @property
    def how(self) -> str: ...

    def start(self, order: TrialOrder) -> Endpoint:
        """Start it and wait until the version is AVAILABLE.

        Raises:
            GateRefused: the image does not serve: its server ended, or says that the model does not load.
            OutsideFailed: what should run it failed.
            Inconclusive: it was `joined`, and nothing here runs containers.
        """

    def memory(self) -> int:
        """The most bytes that it was seen to use; 0 when that is not known."""

    def death(self) -> str:
        """Why it ended, in words, when it ended by itself; "" while it runs."""

    def stop(self) -> bool:
        """End it and keep its log; also what a killed process left here. False when nothing ran."""

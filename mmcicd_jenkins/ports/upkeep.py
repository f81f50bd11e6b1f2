"""The port for keeping a store small: what it holds, and taking things out of it.

Apart from `ports.store.Store`, because a training or a deployment has no right to take anything out. A method raises
only the errors of `mmcicd_jenkins.errors`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Protocol

from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Held:
    """A manifest that a store holds, ours or not.

    `place` is the repository ("" in a layout). `kind` is its artifactType, else the media type of its config, or of
    itself when it lists others (`children`). `blobs` are all bytes that it needs, those of its children too: digest
    -> size. `subject` is what it is attached to, "" for nothing. `document` is what it says, {} for an image.
    `touched` is when its bytes were last stored, where that is known. Of what cannot be read, `kind` is "".
    """

    place: str
    digest: str
    size: int
    tags: tuple[str, ...] = ()
    kind: str = ""
    blobs: Mapping[str, int] = field(default_factory=dict)
    children: tuple[str, ...] = ()
    subject: str = ""
    document: Mapping[str, object] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    touched: float | None = None


@dataclass(frozen=True, kw_only=True)
class Swept:
    """Bytes that were freed. `why_not` is a sentence when none can be freed here."""

    blobs: int = 0
    size: int = 0
    why_not: str = ""


class StoreKeeper(Protocol):
    """A store as whoever tidies it sees it."""

    def holdings(self) -> Sequence[Held]:
        """Everything that has a name there, and what is attached to it."""

    def remove(self, doomed: Sequence[Held]) -> tuple[Held, ...]:
        """Take these out, those that are attached first; returns those that are out.

        One that got another name since it was listed is left. One that is gone already is out.

        Raises:
            OutsideFailed: the store allows no deletion, or does not answer; what is out until then is out.
        """

    def sweep(self, before: float) -> Swept:
        """Free bytes that nothing names any more and that nobody stored or took up since `before` (seconds)."""
